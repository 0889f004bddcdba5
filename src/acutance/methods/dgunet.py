r"""DGUNet and DGUNet+: gradient steps and a network in turn, unfolded into seven stages (Mou et al. 2022).

    v(k) = x(k-1) - r(k) A'(k)( A(k) x(k-1) - y ),      x(0) = y                    deblur, denoise, derain
    v(k) = x(k-1) - r(k) Phi'( Phi x(k-1) - b ),        x(0) = Phi'b                sense
    x(k), m(k) = prox(k)( v(k), m(k-1) )

Nothing is known of the degradation: A and A' are small learned networks. Only in compressive sensing, where a block of
32 x 32 pixels is known by a tenth or a quarter as many numbers b, A is a matrix Phi, learned as well. prox is a U-Net
that hears at every scale what the previous stage made, m. See `acutance.networks.dgunet`.

A picture goes through as a whole, extended by reflection to the sizes that the network takes. Four methods, which
differ in what they were trained for and in their sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.frame import Frame
from acutance.methods.spec import Learned, MethodSpec, Needs, StateDict, Task, builder, configure
from acutance.networks.dgunet import DGUNet, Memory, Size
from acutance.operators.sensing import Sensing, rows_of
from acutance.problem import Observer, Problem, Result, State
from acutance.solver import Solver
from acutance.weights.dgunet import convert_restoration, convert_sensing


@dataclass(frozen=True)
class DGUNetConfig:
    """Settings of the four methods.

    Args:
        plus: DGUNet+, whose stages have weights of their own.
        channels: of the network; one of 1 takes the channels of any picture one by one.
        stages: how many; the authors' weights of DGUNet+ are for 7.
        width, growth, tail: features of the network, see `acutance.networks.dgunet.Size`; None: as published.
        strength: how far to go along the stages, from 0, the picture as it is, to 1, the last stage's estimate.
    """

    plus: bool = False
    channels: int = 3
    stages: int = 7
    width: int | None = None
    growth: int | None = None
    tail: int | None = None
    strength: float = 1.0

    PUBLISHED: ClassVar[tuple[tuple[int, int, int], tuple[int, int, int]]] = (80, 48, 32), (96, 48, 0)
    """Width, growth and tail of DGUNet and of DGUNet+."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength={self.strength}: from 0 (nothing) to 1 (all)")
        self.size()

    def size(self) -> Size:
        """Of the network.

        Raises:
            ConfigError: a size that makes no sense.
        """
        given = self.width, self.growth, self.tail
        for name, value in zip(("width", "growth", "tail"), given, strict=True):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                raise ConfigError(f"{name}={value!r} is no whole number")
        width, growth, tail = (
            q if p is None else p for p, q in zip(given, self.PUBLISHED[self.plus], strict=True)
        )  # fmt: skip
        return Size(width, growth, tail, plus=self.plus, channels=self.channels, stages=self.stages, rows=self.rows())

    def rows(self) -> int:
        """Of the sampling matrix; 0: there is none."""
        return 0


@dataclass(frozen=True)
class DeblurConfig(DGUNetConfig):
    """Of deblurring; see `DGUNetConfig`."""


@dataclass(frozen=True)
class DenoiseConfig(DGUNetConfig):
    """Of denoising; see `DGUNetConfig`."""

    PUBLISHED: ClassVar = ((80, 48, 32), (80, 40, 0))


@dataclass(frozen=True)
class DerainConfig(DGUNetConfig):
    """Of deraining; see `DGUNetConfig`."""

    PUBLISHED: ClassVar = ((40, 20, 16), (40, 20, 0))


@dataclass(frozen=True)
class SenseConfig(DGUNetConfig):
    """Of compressive sensing; see `DGUNetConfig`.

    Args:
        ratio: measurements for each pixel; a block of 1024 pixels has ceil(1024 ratio).
    """

    channels: int = 1
    ratio: float = 0.1

    PUBLISHED: ClassVar = ((32, 16, 16), (32, 16, 16))

    def rows(self) -> int:
        """Of the sampling matrix.

        Raises:
            ConfigError: none, or more than pixels.
        """
        if not 0 < self.ratio <= 1:
            raise ConfigError(f"ratio={self.ratio}: above 0 and at most 1, a fraction of the pixels; 0.1 for 10 %")
        return rows_of(self.ratio)


@dataclass(frozen=True, eq=False)
class DGUNetState(State):
    """The estimate, and what its stage leaves to the next; None before the first one."""

    memory: Memory | None = None


@dataclass(frozen=True, eq=False)
class Stage:
    """x(k-1), m(k-1) -> x(k), m(k).

    Args:
        network: all stages. which: set of weights. frame: how a network is evaluated.
    """

    network: DGUNet
    which: int
    frame: Frame

    def init(self, problem: Problem) -> DGUNetState:
        """The picture as it is; where it is sensed, what its measurements are of themselves, Phi'b.

        Raises:
            ConfigError: the network is for another number of channels.
            WeightsError: measurements with another matrix than the network's.
        """
        if isinstance(problem.operator, Sensing):
            self._agree(problem.operator)
            return DGUNetState(problem.start())
        taken, there = self.network.size.channels, problem.observed.shape[1]
        if taken not in (1, there):
            raise ConfigError(f"a picture of {there} channels for a network of {taken}; set channels={there}")
        y = problem.start()
        return DGUNetState(
            y if self.network.sampling is None else self._apply(lambda y: self.network.begin(y).picture, y)
        )

    def __call__(self, problem: Problem, state: DGUNetState) -> DGUNetState:
        """One stage."""
        after, measured = state.memory, isinstance(problem.operator, Sensing)

        def evaluate(y: Tensor) -> Tensor:
            nonlocal after
            before = after if after is not None else Memory(y, y) if measured else self.network.begin(y)
            after = self.network.stage(self.which, before)
            return after.picture

        return DGUNetState(self._apply(evaluate, problem.start()), after)

    def explain(self, problem: Problem, state: DGUNetState) -> dict[str, Tensor]:
        """What the stage changes."""
        return {"change": self(problem, state).x - state.x}

    def _apply(self, network: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
        """network(y), channel by channel where the network has one."""
        batch = y.reshape(-1, 1, *y.shape[-2:]) if self.network.size.channels == 1 else y  # (B C, 1, H, W)
        return self.frame(network, batch, halo=0, multiple_of=self.network.size.multiple_of).reshape(y.shape)

    def _agree(self, operator: Sensing) -> None:
        """Whether measurements were made with the network's own matrix.

        Raises:
            WeightsError: they were not, or the network is for no measurements.
        """
        own = None if self.network.sampling is None else self.network.sampling.weight
        if own is None or own.shape != operator.matrix.shape or not torch.equal(own, operator.matrix.to(own)):
            raise WeightsError(
                "these measurements were made with another sampling matrix than that of the network; take the weights "
                "that they were made with"
            )


class Unfolded(Learned[DGUNetState]):
    """The network and its stages as steps; see the module.

    Args:
        config: sizes. frame: how the network is evaluated.

    Example:
        >>> import torch
        >>> method = Unfolded(DeblurConfig(width=8, growth=4, tail=4, stages=3))
        >>> method.run(Problem(torch.rand(1, 3, 21, 30))).x.shape
        torch.Size([1, 3, 21, 30])
    """

    def __init__(self, config: DGUNetConfig | None = None, frame: Frame | None = None) -> None:
        super().__init__()
        self.config = config or DeblurConfig()
        self.frame = replace(frame or Frame(), tile=None)
        self.network = DGUNet(self.config.size())

    def solver(self) -> Solver[DGUNetState]:
        """The first stage, those between, the last."""
        return Solver([Stage(self.network, which, self.frame) for which in self.network.size.order])

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """All stages; with `strength` below 1 the picture part of the way along them, linear between two."""
        if self.config.strength >= 1:
            return super().run(problem, on_step=on_step)
        result = self.solver().run(problem, keep=True, on_step=on_step)
        path = (self.solver().steps[0].init(problem).x, *result.iterates)
        way = self.config.strength * (len(path) - 1)
        before = int(way)
        x = path[before] if before == way else torch.lerp(path[before], path[before + 1], way - before)
        return replace(result, x=x)

    def matrix(self) -> Tensor:
        """Phi, (m, 1024), see `acutance.sensing`.

        Raises:
            ConfigError: the network knows no measurements.
        """
        if self.network.sampling is None:
            raise ConfigError("this network takes pictures, no measurements; dgunet-sense takes them")
        return self.network.sampling.weight


def _method(name: str, task: Task, config: type[DGUNetConfig], summary: str, *,
            channels: int | None, convert: Callable[[StateDict], StateDict]) -> MethodSpec:  # fmt: skip
    """The row of one of the four methods."""
    plain = builder(name, config, Unfolded)

    def build(*, weights: StateDict | None = None, **settings: Any) -> Unfolded:
        if weights is not None:
            own = {key: value for key, value in settings.items() if key not in ("device", "precision", "tile")}
            _refuse_others(name, weights, configure(config, name, own).size())
        return plain(weights=weights, **settings)

    build.__doc__ = plain.__doc__
    needs = Needs(task=task, kernel=False, channels=channels)

    def ours(theirs: StateDict) -> StateDict:
        """Our state dict from the authors'."""
        return {f"network.{key}": value for key, value in convert(theirs).items()}

    return MethodSpec(name=name, summary=summary, reference="mou2022dgunet", build=build, needs=needs, weights=name,
                      convert=ours, own_strength=True)  # fmt: skip


def _refuse_others(name: str, weights: StateDict, size: Size) -> None:
    """Say in one sentence that weights are of another size, instead of naming all their tensors.

    Raises:
        WeightsError: with what they are and what was set.
    """
    entrance = weights.get("network.stages.0.features.entrance.weight")
    first = weights.get("network.stages.0.encoder.levels.0.block.first.weight")
    if entrance is None or first is None or entrance.ndim != 4 or first.ndim != 4:
        return
    matrix = weights.get("network.sampling.weight")
    sets = len({key.split(".")[2] for key in weights if key.startswith("network.stages.")})
    there = {"sets": sets, "width": entrance.shape[0], "growth": first.shape[0] - entrance.shape[0],
             "channels": entrance.shape[1], "rows": 0 if matrix is None else matrix.shape[0]}  # fmt: skip
    wanted = {"sets": len(set(size.order)), "width": size.width, "growth": size.growth, "channels": size.channels,
              "rows": size.rows}  # fmt: skip
    if there != wanted:
        said = [f"{key} {there[key]} instead of {wanted[key]}" for key in there if there[key] != wanted[key]]
        plus = f"; set plus={sets != 3}, DGUNet has 3 sets for its stages and DGUNet+ one for each"
        raise WeightsError(
            f"these weights do not fit {name} as it was set: {', '.join(said)}{plus if 'sets' in said[0] else ''}"
        )


SPECS = (
    _method("dgunet-deblur", "deblur", DeblurConfig, "learned: unfolded stages against motion blur, without a kernel",
            channels=3, convert=convert_restoration),
    _method("dgunet-denoise", "denoise", DenoiseConfig, "learned: unfolded stages against noise of any level",
            channels=3, convert=convert_restoration),
    _method("dgunet-derain", "derain", DerainConfig, "learned: unfolded stages against streaks of rain",
            channels=3, convert=convert_restoration),
    _method("dgunet-sense", "sense", SenseConfig, "learned: compressive sensing, a picture from a tenth of its numbers",
            channels=None, convert=convert_sensing),
)  # fmt: skip
