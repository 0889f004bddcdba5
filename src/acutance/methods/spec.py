"""What a method declares of itself, and how it is found.

A method is one file in this package with a module-level ``SPEC``, named in `acutance.catalogue`. Methods that differ in
settings only are one file with ``SPECS``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError, WeightsError
from acutance.frame import TILE, Frame, Precision, resolve_precision
from acutance.operators import Boundary
from acutance.problem import Method, Observer, Problem, Result, State
from acutance.registry import METHODS
from acutance.settings import from_table, meant
from acutance.solver import Solver

S = TypeVar("S", bound=State)
T = TypeVar("T")
StateDict = dict[str, Tensor]

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
        mask: heeds `Problem.mask`.
        tile: side of the tiles, in pixels, in which its network is evaluated best.
        volumes: also takes (B, C, D, H, W) with a kernel (1, 1, d, h, w).
        photons: uses `Problem.background` of counts of photons.
    """

    task: Task = "deblur"
    kernel: bool = True
    sigma: bool = False
    uses_sigma: bool = False
    channels: int | None = None
    mask: bool = False
    tile: int = TILE
    volumes: bool = False
    photons: bool = False


class Stepwise(ABC, Generic[S]):
    """A method whose run is that of its `solver`."""

    @abstractmethod
    def solver(self) -> Solver[S]:
        """The steps, ready to run or to be trained through."""

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`."""
        return self.solver().run(problem, on_step=on_step)


class Learned(nn.Module, Stepwise[S]):
    """A method with weights: a module whose `solver` lists its steps."""


def as_it_is(method: Method, seen: Sequence[Problem]) -> Method:
    """The method itself: it estimates nothing but the noise level."""
    return method


@dataclass(frozen=True)
class Blocks:
    """The needs of a method that restores a volume block by block.

    A voxel of the result depends on voxels at any distance, less and less with it. `reach` is the distance from which
    on the rest of a volume is left out. It is a multiple of the kernel's radius, because what the blur has mixed up is
    told apart by voxels a few radii away, and a number of voxels more for the method's prior, which smooths. A longer
    reach changes little: what is left of the difference comes from iterations that end before they have converged.

    Args:
        radii, more: the reach along an axis is radii * radius + more, voxels.
            Measured: `acutance-lab bench blocks`.
        memory: bytes that a run takes for each voxel of a block on its torus (`acutance.linear.Torus`), measured on one
            of 96 x 128 x 128 voxels.
        fixed: ``fixed(method, seen) -> Method``: the method with everything fixed that it otherwise estimates from
            each volume, by what it sees of some parts of the whole.
    """

    radii: float = 2.0
    more: int = 8
    memory: int = 300
    fixed: Callable[[Method, Sequence[Problem]], Method] = as_it_is

    def reach(self, radius: Sequence[int]) -> tuple[int, ...]:
        """Voxels beyond a block along each axis that its result depends on, from the radii of the kernel.

        Example:
            >>> Blocks(radii=2, more=8).reach((3, 4, 4))
            (14, 16, 16)
        """
        return tuple(math.ceil(self.radii * r) + self.more for r in radius)


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
        blocks: how large volumes are restored block by block; None: they are not.
        channels_apart: every channel is restored as if it were alone, so that a large picture may be given one by one.
        own_strength: its setting `strength`, from 0 to 1, says how far to go; other methods are blended with the input.
        own_views: its setting `views` says in how many views it restores; other methods are run in each.
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
    blocks: Blocks | None = None
    channels_apart: bool = False
    own_strength: bool = False
    own_views: bool = False
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


def register(spec: MethodSpec) -> MethodSpec:
    """Add a method, so that everybody finds it, and return it.

    Raises:
        ConfigError: its name, or an alias, is taken.
    """
    return METHODS.register(spec)  # type: ignore[no-any-return]


def find(name: str) -> MethodSpec:
    """The method of that name or alias.

    Raises:
        UnknownMethod: with the name that may have been meant.
    """
    return METHODS.find(name)  # type: ignore[no-any-return]


def catalogue() -> Mapping[str, MethodSpec]:
    """Every method by name, sorted: those of `acutance.catalogue`, and whatever was registered."""
    return METHODS.rows()
