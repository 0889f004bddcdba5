r"""FD, fast deconvolution with a hyper-Laplacian prior (Krishnan & Fergus 2009).

    min_x  1/2 ||A x - y||^2 + l sum_j sum_i |(D_j x)_i|^a,      D_j: differences along each axis, a = 2/3

Half-quadratic splitting with w_j for D_j x; the weight b of the tie grows from step to step:

    w_j <- argmin_w |w|^a + b/2 (w - D_j x)^2                              a table, see `acutance.priors.sparse`
    x   <- solution of (A'A + l b sum_j D_j'D_j) x = A'y + l b sum_j D_j' w_j         `acutance.linear.Torus`

l = c sigma^p. The authors solve once for each b, with a circular border; here the border is unknown, and each solve
goes on from the last one with conjugate gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import EPSILON, Estimate, Torus, laplacian_power, scaled
from acutance.methods.spec import MethodSpec, Needs, Stepwise, configure
from acutance.noise.level import level_of
from acutance.operators.filters import circular_differences
from acutance.priors.sparse import HyperLaplacian
from acutance.problem import Problem, State
from acutance.solver import Solver
from acutance.tensors import spread


@dataclass(frozen=True)
class FdConfig:
    """Settings of FD.

    Args:
        strength, power: c and p of l = c sigma^p. exponent: a, above 0 and up to 1.
        steps: half-quadratic steps; the weight grows geometrically from `first` to `last` over them.
        start: weight of the quadratic prior of the picture that it begins with.
        rounds: of conjugate gradients in each step.
    """

    strength: float = 0.85
    power: float = 1.63
    exponent: float = 2 / 3
    steps: int = 6
    first: float = 4.5
    last: float = 500.0
    start: float = 30.0
    rounds: int = 2

    def __post_init__(self) -> None:
        if self.steps < 1 or min(self.rounds, self.strength, self.start) < 0 or not 0 < self.first <= self.last:
            raise ConfigError(
                f"{self}: steps must be at least 1, rounds, strength and start not negative, and first above 0 and not "
                "above last"
            )
        if not 0 < self.exponent <= 1:
            raise ConfigError(f"exponent={self.exponent}: the prior needs an exponent above 0 and up to 1")


@dataclass(frozen=True, eq=False)
class FdState(State):
    """x; on the torus it and its spectrum; sum_j D_j'D_j as a spectrum; l, (B, 1, 1, 1)."""

    torus: Torus
    picture: Tensor
    estimate: Estimate
    laplacian: Tensor
    prior: Tensor


@dataclass(frozen=True, eq=False)
class HyperLaplacianStep:
    """w, then x, for one weight of the tie."""

    config: FdConfig
    weight: float

    def init(self, problem: Problem) -> FdState:
        """The picture smoothed as if the prior were quadratic."""
        c = self.config
        torus = Torus.of(problem.observed, problem.operator, problem.mask)
        prior = c.strength * spread(level_of(problem), problem.observed) ** c.power
        laplacian = laplacian_power(*torus.size, like=problem.observed)
        estimate = torus.solve(prior * c.start * laplacian + EPSILON, start=None, rounds=c.rounds)
        picture = torus.picture(estimate.spectrum)
        return FdState(torus.crop(picture), torus, picture, estimate, laplacian, prior)

    def __call__(self, problem: Problem, state: FdState) -> FdState:
        """One half-quadratic step."""
        torus, picture = state.torus, state.picture
        prior = HyperLaplacian.of(self.config.exponent, picture)
        first, *others = circular_differences(picture)
        tied = first.adjoint(prior.prox(first.forward(picture), self.weight))
        for d in others:
            tied += d.adjoint(prior.prox(d.forward(picture), self.weight))
        tie = state.prior * self.weight
        estimate = torus.solve(
            tie * state.laplacian + EPSILON,
            scaled(torus.spectrum(tied), tie),
            start=state.estimate,
            rounds=self.config.rounds,
        )
        picture = torus.picture(estimate.spectrum)
        return FdState(torus.crop(picture), torus, picture, estimate, state.laplacian, state.prior)


@dataclass(frozen=True)
class Fd(Stepwise[FdState]):
    """FD as a method."""

    config: FdConfig

    def solver(self) -> Solver[FdState]:
        """One step for each weight."""
        c = self.config
        ratio = (c.last / c.first) ** (1 / max(1, c.steps - 1))
        return Solver([HyperLaplacianStep(c, c.first * ratio**t) for t in range(c.steps)])


def build(**settings: Any) -> Fd:
    """FD; its settings are those of `FdConfig`."""
    return Fd(configure(FdConfig, "fd", settings))


SPEC = MethodSpec(
    name="fd",
    summary="fast classical deconvolution, sparse gradients; wants the noise level",
    reference="krishnan2009fast",
    build=build,
    needs=Needs(kernel=True, sigma=True, mask=True, volumes=True),
    channels_apart=True,
)
