"""What a method declares of itself, and the catalogue that finds it.

A method is one file in this package with a module-level ``SPEC``; nothing else has to be told about it. Methods that
differ in settings only are one file with ``SPECS``. Another package adds methods by entry points of the group
`acutance.methods`, each of which names such a file.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError, UnknownMethod, WeightsError
from acutance.frame import TILE, Frame, Precision, resolve_precision
from acutance.operators import Boundary
from acutance.problem import Method, Observer, Problem, Result, State
from acutance.settings import from_table, meant
from acutance.solver import Solver

S = TypeVar("S", bound=State)
T = TypeVar("T")
StateDict = dict[str, Tensor]

ROOMS = ("acutance.methods", "acutance.blind")
"""Where methods are looked for."""

GROUP = "acutance.methods"
"""The group of entry points by which other packages add methods."""

logger = logging.getLogger(__name__)


Task = Literal["deblur", "denoise", "derain", "sense"]
"""What is wrong with a picture, or, to sense, that only few numbers of it were measured."""


@dataclass(frozen=True)
class Needs:
    """What a method asks of whoever calls it; data, so that the Restorer and the forms can act on it.

    Args:
        task: what the method is for.
        kernel: the blur has to be given.
        sigma: the noise level has to be given (or is estimated).
        uses_sigma: a noise level is used if it is told; else the method finds it out by itself.
        channels: number of channels of the pictures it takes; None: any.
        multiple_of: sides that its network accepts.
        halo: pixels that one output pixel of its network sees, per step.
        global_statistics: names of statistics over the whole picture inside its network.
        mask: heeds `Problem.mask`.
        tile: side of the tiles, in pixels, in which its network is evaluated best.
    """

    task: Task = "deblur"
    kernel: bool = True
    sigma: bool = False
    uses_sigma: bool = False
    channels: int | None = None
    multiple_of: int = 1
    halo: int = 0
    global_statistics: tuple[str, ...] = ()
    mask: bool = False
    tile: int = TILE


@runtime_checkable
class Iterative(Protocol):
    """A method that lists its steps."""

    def solver(self) -> Solver[Any]:
        """The steps, ready to run."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A step whose inside can be looked at."""

    def explain(self, problem: Problem, state: Any) -> dict[str, Tensor]:
        """What the step's parts make of the state, as pictures on the domain of the blur."""
        ...


@runtime_checkable
class ExplainsItself(Protocol):
    """A method whose inside can be looked at, but not step by step."""

    def explanation(self, problem: Problem) -> Iterator[dict[str, Tensor]]:
        """Pictures in [0, 1] by name, part after part."""
        ...


class Learned(nn.Module, ABC, Generic[S]):
    """A method with weights: a module whose `solver` lists its steps."""

    @abstractmethod
    def solver(self) -> Solver[S]:
        """The steps, ready to run or to be trained through."""

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`."""
        return self.solver().run(problem, on_step=on_step)


@dataclass(frozen=True)
class MethodSpec:
    """One row of the catalogue.

    Args:
        name: as on the command line.
        summary: one line for people.
        reference: key in `docs/references.bib`.
        build: ``build(**settings) -> Method``; settings are keyword-only. A method with weights also takes
            ``weights`` (a state dict or None), ``device``, ``precision`` and ``tile``.
        needs: see `Needs`.
        weights: name of the embedded weights, None for a method without any.
        composed: made of another method of the catalogue, for which it takes ``device``, ``precision`` and ``tile``.
        aliases: further names.
        convert: turns the state dict of the method's authors into ours, where there is one.
        channels_apart: every channel is restored as if it were alone, so that a large picture may be given one by one.
        own_strength: its setting `strength`, from 0 to 1, says how far to go; other methods are blended with the input.
        qualities: settings by the name of a quality: "fast", "balanced", "best", as far as the method has them.
        converted: settings that weights of the authors want. converted_boundary: the border they were made for.
    """

    name: str
    summary: str
    reference: str
    build: Callable[..., Method]
    needs: Needs
    weights: str | None = None
    composed: bool = False
    channels_apart: bool = False
    own_strength: bool = False
    aliases: tuple[str, ...] = ()
    convert: Callable[[StateDict], StateDict] | None = None
    qualities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    converted: Mapping[str, Any] = field(default_factory=dict)
    converted_boundary: Boundary = "valid"


def settings_for(spec: MethodSpec, quality: str) -> dict[str, Any]:
    """The settings that a quality stands for.

    Raises:
        ConfigError: the method has no such quality.
    """
    if quality not in spec.qualities:
        having = sorted(s.name for s in catalogue().values() if quality in s.qualities)
        known = sorted({name for each in catalogue().values() for name in each.qualities})
        own = f"it has {', '.join(spec.qualities)}" if spec.qualities else "it has one quality only"
        others = f"; methods that have it: {', '.join(having)}" if having else ""
        close = "" if quality in known else meant(quality, known)
        raise ConfigError(f"{spec.name} has no quality {quality!r}{close}; {own}{others}")
    return dict(spec.qualities[quality])


def configure(kind: type[T], name: str, settings: dict[str, Any]) -> T:
    """The frozen settings of the method `name` from keywords.

    Raises:
        ConfigError: a setting that it does not have, or a value of another type; see `acutance.settings`.
    """
    return from_table(kind, settings, where=name)


L = TypeVar("L", bound=Learned[Any])


def builder(name: str, config: type[T], method: Callable[[T, Frame], L]) -> Callable[..., L]:
    """The `MethodSpec.build` of a method with weights; its docstring says the rest.

    Args:
        name: for messages. config: its settings. method: ``method(config, frame)``.
    """

    def build(
        *,
        weights: StateDict | None = None,
        device: torch.device | str = "cpu",
        precision: Precision = "auto",
        tile: int | None = TILE,
        **settings: Any,
    ) -> L:
        """The method in evaluation mode.

        Args:
            weights: state dict; None leaves the random start (for training).
            device: where the weights live.
            precision: of the networks, see `acutance.frame.resolve_precision`.
            tile: side of a tile in pixels; None for the whole picture at once.
            settings: fields of the method's configuration.

        Raises:
            WeightsError: weights of another network.
            ConfigError: an unknown setting.
        """
        place = torch.device(device)
        chosen = configure(config, name, settings)
        model = method(chosen, Frame(resolve_precision(precision, place), tile))
        if weights is not None:
            try:
                model.load_state_dict(weights)
            except RuntimeError as error:
                raise WeightsError(f"these weights do not fit {name} ({chosen}): {error}") from None
        return model.to(place).eval()

    return build


@cache
def catalogue() -> MappingProxyType[str, MethodSpec]:
    """Every method by name, sorted: of the modules of `ROOMS`, and of other packages (`added_methods`)."""
    found: dict[str, MethodSpec] = {}
    for room in ROOMS:
        for module in pkgutil.iter_modules(importlib.import_module(room).__path__):
            for spec in _specs_of(importlib.import_module(f"{room}.{module.name}")):
                found[spec.name] = spec
    for spec in added_methods(frozenset(_names(found.values()))):
        found[spec.name] = spec
    return MappingProxyType(dict(sorted(found.items())))


def added_methods(taken: frozenset[str]) -> list[MethodSpec]:
    """What other packages add by entry points: a module with ``SPEC`` or ``SPECS``, or a `MethodSpec`.

    One that cannot be used is left out, and logged as a warning: a package of somebody else must not stop the library.

    Args:
        taken: names and aliases that are not free any more.
    """
    found: list[MethodSpec] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        try:
            specs = _specs_of(entry.load())
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


def _specs_of(content: object) -> tuple[MethodSpec, ...]:
    """The methods of a module, or a method itself."""
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


def find(name: str) -> MethodSpec:
    """The method of that name or alias.

    Raises:
        UnknownMethod: with the names that there are.
    """
    for spec in catalogue().values():
        if name == spec.name or name in spec.aliases:
            return spec
    known = _names(catalogue().values())
    raise UnknownMethod(f"there is no method {name!r}{meant(str(name), known)}; `acutance methods` lists them all")


def _names(specs: Iterable[MethodSpec]) -> list[str]:
    return [name for spec in specs for name in (spec.name, *spec.aliases)]
