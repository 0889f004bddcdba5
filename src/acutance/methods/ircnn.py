r"""IRCNN: half-quadratic splitting with a small learned denoiser as the prior (Zhang, Zuo, Gu & Zhang 2017).

    min_x  1/2 ||A x - y||^2 + sigma^2 Omega(x)

    x(t) = argmin_x  1/2 ||A x - y||^2 + c/2 (sigma / s(t))^2 ||x - z(t-1)||^2        `acutance.linear.Torus`
    z(t) = D(x(t); s(t)),        z(0) = y                                             the denoiser

s falls geometrically from 49/255 to sigma in 30 steps; the result is the last z. `pnp` is the same splitting with any
denoiser; it ends with x. D is `acutance.networks.dilated`, every channel apart: one network that is told the level by a
map of it, where the paper trains 25 networks. `ircnn-denoise` is D alone, and as such a denoiser for `pnp`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from acutance.errors import ConfigError
from acutance.frame import Frame
from acutance.linear import ROUNDS, Estimate, Torus, scaled
from acutance.methods.half_quadratic import Schedule
from acutance.methods.spec import Learned, MethodSpec, Needs, builder
from acutance.networks.dilated import HALO, DilatedDenoiser
from acutance.noise.level import level_of
from acutance.problem import Observer, Problem, Result, State
from acutance.solver import Solver
from acutance.tensors import spread

MOST_FEATURES = 1024


def check_features(features: int) -> None:
    """Refuse a width that no network has.

    Raises:
        ConfigError: below 1 or above `MOST_FEATURES`.
    """
    if not 1 <= features <= MOST_FEATURES:
        raise ConfigError(f"features={features}: between 1 and {MOST_FEATURES} features")


@dataclass(frozen=True)
class IrcnnConfig(Schedule):
    """Settings of IRCNN: those of the schedule, and

    Args:
        features: width of the denoiser; it belongs to the weights. weight: 0.3 is the best of 0.12 to 0.5 on training
            photographs (`acutance-lab bench tune ircnn weight=...`).
    """

    steps: int = 30
    first: float = 1e4
    last: float = 1.0
    weight: float = 0.3
    ceiling: float | None = 49 / 255
    features: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        check_features(self.features)


@dataclass(frozen=True)
class IrcnnDenoiseConfig:
    """Settings of the denoiser alone.

    Args:
        features: its width; it belongs to the weights.
    """

    features: int = 64

    def __post_init__(self) -> None:
        check_features(self.features)


@dataclass(frozen=True, eq=False)
class LevelDenoiser:
    """D(x; s), channel by channel.

    Args:
        network: finds the noise. frame: how it is evaluated.
    """

    network: DilatedDenoiser
    frame: Frame

    def __call__(self, x: Tensor, level: Tensor) -> Tensor:
        """Remove noise.

        Args:
            x: (B, C, H, W). level: of the noise, (B,), in the unit of x.
        """
        batch, channels, height, width = x.shape
        planes = x.reshape(batch * channels, 1, height, width)
        told = spread(level.to(x).repeat_interleave(channels), planes).expand_as(planes)
        rest = planes - planes.mean((-2, -1), keepdim=True)
        return x - self.frame(self.network, rest, told, halo=HALO).reshape(x.shape)


@dataclass(frozen=True, eq=False)
class IrcnnState(State):
    """z on the domain of the blur, and what the next step goes on from.

    Args:
        torus: of the problem. picture: z on it, (B, C, n, m). estimate: the last x, None before the first.
        sigma, first: noise level and s of the first step, (B,).
    """

    torus: Torus
    picture: Tensor
    estimate: Estimate | None
    sigma: Tensor
    first: Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """One step: x, then z.

    Args:
        denoiser: D. schedule: of all steps. turn: number of this one, from 0.
    """

    denoiser: LevelDenoiser
    schedule: Schedule
    turn: int

    def init(self, problem: Problem) -> IrcnnState:
        """z(0): the observed picture, continued beyond its frame."""
        torus = Torus.of(problem.observed, problem.operator, problem.mask)
        sigma, first = self.schedule.levels(problem)
        return IrcnnState(torus.crop(torus.observed), torus, torus.observed, None, sigma, first)

    def __call__(self, problem: Problem, state: IrcnnState) -> IrcnnState:
        """z(t-1) -> z(t)."""
        torus, c = state.torus, self.schedule
        share = self.turn / max(1, c.steps - 1)
        level = state.first ** (1 - share) * (c.last * state.sigma) ** share
        tie = c.weight * spread(state.sigma / level, state.picture) ** 2
        rounds = max(ROUNDS, c.rounds) if state.estimate is None else c.rounds
        extra = scaled(torus.spectrum(state.picture), tie)
        estimate = torus.solve(tie, extra, start=state.estimate, rounds=rounds)
        picture = self.denoiser(torus.picture(estimate.spectrum), level)
        return replace(state, x=torus.crop(picture), picture=picture, estimate=estimate)


@dataclass(frozen=True, eq=False)
class Clean:
    """The denoiser as the only step."""

    denoiser: LevelDenoiser

    def init(self, problem: Problem) -> State:
        """The observed picture."""
        return State(problem.start())

    def __call__(self, problem: Problem, state: State) -> State:
        """x -> D(x; sigma)."""
        return State(self.denoiser(state.x, level_of(problem)))


class Ircnn(Learned[IrcnnState]):
    """The splitting with its denoiser. Untrained, D leaves pictures as they are.

    Args:
        config: schedule and width. frame: how the denoiser is evaluated.

    Example:
        >>> import torch
        >>> from acutance.operators import Blur
        >>> problem = Problem(torch.rand(1, 1, 32, 32), Blur(torch.full((1, 1, 3, 3), 1 / 9)))
        >>> Ircnn(IrcnnConfig(features=8, steps=2)).run(problem).x.shape
        torch.Size([1, 1, 34, 34])
    """

    def __init__(self, config: IrcnnConfig | None = None, frame: Frame | None = None) -> None:
        super().__init__()
        self.config = config or IrcnnConfig()
        self.frame = frame or Frame()
        self.denoiser = DilatedDenoiser(self.config.features)

    def solver(self) -> Solver[IrcnnState]:
        """One step for each level."""
        denoiser = LevelDenoiser(self.denoiser, self.frame)
        return Solver([Split(denoiser, self.config, turn) for turn in range(self.config.steps)])


class IrcnnDenoise(Learned[State]):
    """The denoiser alone; its weights are those of `Ircnn`.

    Args:
        config: width. frame: how it is evaluated.
    """

    def __init__(self, config: IrcnnDenoiseConfig | None = None, frame: Frame | None = None) -> None:
        super().__init__()
        self.config = config or IrcnnDenoiseConfig()
        self.frame = frame or Frame()
        self.denoiser = DilatedDenoiser(self.config.features)

    def solver(self) -> Solver[State]:
        """One step."""
        return Solver([Clean(LevelDenoiser(self.denoiser, self.frame))])

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`. An unknown sigma is estimated.

        Raises:
            ConfigError: the problem has a blur.
        """
        if problem.operator is not None:
            raise ConfigError("ircnn-denoise removes noise; leave the kernel out, or use ircnn to deblur with it")
        return super().run(problem, on_step=on_step)


build = builder("ircnn", IrcnnConfig, Ircnn)
build_denoise = builder("ircnn-denoise", IrcnnDenoiseConfig, IrcnnDenoise)

SPECS = (
    MethodSpec(
        name="ircnn",
        summary="half-quadratic splitting with a small learned denoiser; wants the noise level",
        reference="zhang2017ircnn",
        build=build,
        needs=Needs(kernel=True, sigma=True, mask=True),
        weights="ircnn",
    ),
    MethodSpec(
        name="ircnn-denoise",
        summary="removes white noise by the small network of ircnn, no blur; wants the noise level",
        reference="zhang2017ircnn",
        build=build_denoise,
        needs=Needs(task="denoise", kernel=False, sigma=True),
        weights="ircnn",
    ),
)
