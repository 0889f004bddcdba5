r"""Total variation (Rudin, Osher & Fatemi 1992) by the alternating direction method of multipliers (Wang et al. 2008).

    min_x  1/2 ||A x - y||^2 + l sum_i ||(D x)_i||,      D: differences along each axis

with the Euclidean length of all differences at a pixel (isotropic) or the sum of their sizes (anisotropic). w stands
for D x, u is the scaled multiplier of w = D x:

    w <- shrink(D x + u, 1/b)
    x <- solution of (A'A + l b D'D) x = A'y + l b D'(w - u)                          `acutance.linear.Torus`
    u <- u + D x - w

l = c sigma^p. The problem is convex: the iterates approach its minimum whatever b > 0 is, which only sets the pace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import EPSILON, ROUNDS, Estimate, Torus, laplacian_power, scaled
from acutance.methods.spec import MethodSpec, Needs, Stepwise, configure
from acutance.noise.level import level_of
from acutance.operators.filters import circular_differences
from acutance.problem import Problem, State
from acutance.solver import Solver
from acutance.tensors import spread


@dataclass(frozen=True)
class TvConfig:
    """Settings of TV.

    Args:
        strength, power: c and p of l = c sigma^p. isotropic: see the module.
        steps: of the method of multipliers. tie: b, in units of one over a difference.
        rounds: of conjugate gradients in each step.
    """

    strength: float = 2.0
    power: float = 1.58
    isotropic: bool = True
    steps: int = 30
    tie: float = 37.0
    rounds: int = 2

    def __post_init__(self) -> None:
        if self.steps < 1 or self.rounds < 0 or self.tie <= 0 or self.strength < 0:
            raise ConfigError(
                f"{self}: steps must be at least 1, tie above 0, rounds and strength not negative; see `acutance "
                "methods`"
            )


@dataclass(frozen=True, eq=False)
class TvState(State):
    """x; on the torus it and its spectrum; D'D as a spectrum; the multipliers u along each axis; l, (B, 1, ..., 1)."""

    torus: Torus
    picture: Tensor
    estimate: Estimate
    laplacian: Tensor
    multipliers: tuple[Tensor, ...]
    prior: Tensor


@dataclass(frozen=True, eq=False)
class TvStep:
    """w, x, u."""

    config: TvConfig

    def init(self, problem: Problem) -> TvState:
        """The picture smoothed as if the prior were quadratic."""
        torus = Torus.of(problem.observed, problem.operator, problem.mask)
        prior = self.config.strength * spread(level_of(problem), problem.observed) ** self.config.power
        laplacian = laplacian_power(*torus.size, like=problem.observed)
        estimate = torus.solve(prior * self.config.tie * laplacian + EPSILON, start=None, rounds=ROUNDS)
        picture, zero = torus.picture(estimate.spectrum), torch.zeros_like(torus.observed)
        multipliers = (zero,) * len(torus.size)
        return TvState(torus.crop(picture), torus, picture, estimate, laplacian, multipliers, prior)

    def __call__(self, problem: Problem, state: TvState) -> TvState:
        """One iteration."""
        torus, picture, c = state.torus, state.picture, self.config
        differences = circular_differences(picture)
        moved = [d.forward(picture) + u for d, u in zip(differences, state.multipliers, strict=True)]
        w = [v * kept for v, kept in zip(moved, self._kept(moved), strict=True)]
        u = tuple(v - shrunk for v, shrunk in zip(moved, w, strict=True))  # of the next step
        tied, *others = (d.adjoint(a - b) for d, a, b in zip(differences, w, u, strict=True))
        for other in others:
            tied = tied + other
        tie = state.prior * c.tie
        regulariser = tie * state.laplacian + EPSILON
        estimate = torus.solve(regulariser, scaled(torus.spectrum(tied), tie), start=state.estimate, rounds=c.rounds)
        picture = torus.picture(estimate.spectrum)
        return TvState(torus.crop(picture), torus, picture, estimate, state.laplacian, u, state.prior)

    def _kept(self, differences: Sequence[Tensor]) -> list[Tensor]:
        """The share of each difference that shrinkage by 1 / b leaves."""
        threshold = 1 / self.config.tie
        if self.config.isotropic:
            length, *others = differences
            for other in others:
                length = torch.hypot(length, other)
            return [_share(length, threshold)] * len(differences)
        return [_share(v.abs(), threshold) for v in differences]


def _share(size: Tensor, threshold: float) -> Tensor:
    return (1 - threshold / size.clamp_min(threshold)).nan_to_num(0.0)


@dataclass(frozen=True)
class Tv(Stepwise[TvState]):
    """TV as a method."""

    config: TvConfig

    def solver(self) -> Solver[TvState]:
        """`steps` equal steps."""
        return Solver([TvStep(self.config)] * self.config.steps)


def build(**settings: Any) -> Tv:
    """TV; its settings are those of `TvConfig`."""
    return Tv(configure(TvConfig, "tv", settings))


SPEC = MethodSpec(
    name="tv",
    summary="total variation by ADMM, convex; wants the noise level",
    reference="wang2008new",
    build=build,
    needs=Needs(kernel=True, sigma=True, mask=True, volumes=True),
    channels_apart=True,
)
