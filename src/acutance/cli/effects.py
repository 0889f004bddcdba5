"""Options that would have no effect: refused where they contradict the rest, else told. Before anything is read."""

from __future__ import annotations

from collections.abc import Mapping

from acutance.cli.console import escape, say
from acutance.errors import ConfigError, KernelError
from acutance.restoration.restorer import Restorer


def refuse_for_measurements(given: Mapping[str, bool]) -> None:
    """Refuse options that measurements have no use for.

    Args:
        given: option -> whether it was given.

    Raises:
        ConfigError: naming them.
    """
    wrong = [option for option, there in given.items() if there]
    if wrong:
        raise ConfigError(f"measurements (.cs) have no use for {', '.join(wrong)}; leave that out")


def check_effects(restorer: Restorer, given: Mapping[str, bool], *, kernel: str | None) -> None:
    """Refuse options that the method cannot heed, and tell those that change nothing.

    Args:
        restorer: the method. given: option -> whether it was given. kernel: the option that gives one.

    Raises:
        KernelError: a kernel for a method that takes none. ConfigError: another option that it cannot heed.
    """
    spec, needs = restorer.spec, restorer.needs
    if kernel is not None and not needs.kernel:
        raise KernelError(f"{spec.name} takes no kernel; leave out {kernel}, or choose another --method")
    for option in ("--flip-kernel", "--centre"):
        if given.get(option) and kernel != "--kernel":
            raise ConfigError(f"{option} is for the kernel of a file; give one with --kernel")
    if given.get("--exact") and kernel in (None, "--kernel"):
        raise ConfigError("--exact is for a guess; give one with --motion, --disc or --gaussian")
    if given.get("--mask") and not needs.mask:
        raise ConfigError(f"{spec.name} heeds no mask; leave out --mask, or choose another --method, such as acute")
    if given.get("--explain") and not restorer.explains:
        raise ConfigError(f"{spec.name} has no inner pictures to show; leave out --explain")
    network = spec.weights is not None or spec.composed
    for option, matters in (
        ("--profile", needs.kernel or needs.sigma or needs.uses_sigma),
        ("--sigma", needs.sigma or needs.uses_sigma),
        ("--tile", network),
        ("--precision", network),
    ):
        if given.get(option) and not matters:
            say(f"[yellow]note:[/] {option} has no effect on {escape(spec.name)}")
