"""The methods of the product, and those that other packages add. A method of ours is named here, once.

Another package adds methods by entry points of the group `acutance.methods`, each of which names a module with ``SPEC``
or ``SPECS``, or a `MethodSpec`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points

from acutance.blind import method as blind
from acutance.errors import ConfigError
from acutance.methods import (
    acute,
    bm3d,
    csf,
    denoise,
    dgunet,
    epll,
    fd,
    fdn,
    golf,
    gradnet,
    ircnn,
    levin,
    mlp,
    motion_flow,
    nlm,
    pnp,
    rgdn,
    richardson_lucy,
    tnrd,
    tv,
    wiener,
)
from acutance.methods.spec import MethodSpec

MODULES = (
    acute, blind, bm3d, csf, denoise, dgunet, epll, fd, fdn, golf, gradnet, ircnn, levin, mlp, motion_flow, nlm, pnp,
    rgdn, richardson_lucy, tnrd, tv, wiener,
)  # fmt: skip
"""Each has ``SPEC`` or ``SPECS``."""

GROUP = "acutance.methods"
"""The group of entry points by which other packages add methods."""

logger = logging.getLogger(__name__)


def methods() -> Iterator[MethodSpec]:
    """Every method: of `MODULES`, then of other packages (`added_methods`)."""
    ours = [spec for module in MODULES for spec in specs_of(module)]
    yield from ours
    yield from added_methods(frozenset(name for spec in ours for name in (spec.name, *spec.aliases)))


def added_methods(taken: frozenset[str]) -> list[MethodSpec]:
    """Collect the methods that other packages add by entry points.

    One that cannot be used is left out, and logged as a warning: a package of somebody else must not stop the library.

    Args:
        taken: names and aliases that are not free any more.
    """
    found: list[MethodSpec] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        try:
            specs = specs_of(entry.load())
        except Exception as error:  # whatever somebody else's module raises
            _leave_out(entry, f"{type(error).__name__}: {error}")
            continue
        if not specs:
            _leave_out(entry, "it is neither a MethodSpec nor a module with SPEC or SPECS")
        for spec in specs:
            double = taken & {spec.name, *spec.aliases}
            if double:
                _leave_out(entry, f"there is a method {min(double)!r} already")
                continue
            taken |= {spec.name, *spec.aliases}
            found.append(spec)
    return found


def specs_of(content: object) -> tuple[MethodSpec, ...]:
    """The methods of a module, or a method itself.

    Raises:
        ConfigError: its ``SPEC`` is something else.
    """
    if isinstance(content, MethodSpec):
        return (content,)
    alone = getattr(content, "SPEC", None)
    specs = tuple(getattr(content, "SPECS", () if alone is None else (alone,)))
    wrong = [spec for spec in specs if not isinstance(spec, MethodSpec)]
    if wrong:
        raise ConfigError(f"{wrong[0]!r} is no MethodSpec")
    return specs


def _leave_out(entry: EntryPoint, why: str) -> None:
    package = entry.dist.name if entry.dist is not None else "a package"
    logger.warning("a method of %s (%s = %s) is left out: %s", package, entry.name, entry.value, why)
