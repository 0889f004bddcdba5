r"""Half-quadratic splitting with any denoiser as the prior: what EPLL and plug and play have in common.

    min_x  1/2 ||A x - y||^2 + sigma^2 Omega(x)

z stands for x in the prior, tied to it ever more tightly: s(t) falls from step to step.

    z <- argmin_z  1/2 ||z - x||^2 / s^2 + Omega(z)                             a denoiser at noise level s
    x <- argmin_x  1/2 ||A x - y||^2 + c/2 (sigma / s)^2 ||x - z||^2            `acutance.linear.Torus`

s falls geometrically from `first` sigma to `last` sigma; c is 1 where Omega is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import ROUNDS, Estimate, Torus, scaled
from acutance.priors.base import HasProx
from acutance.problem import Problem, State

LEAST = 1e-4
"""Noise level that is assumed at least; a photograph of 8 bits has ten times as much."""


@dataclass(frozen=True)
class Schedule:
    """How the tie tightens.

    Args:
        steps: their number. first, last: s of the first and the last step, in sigma.
        weight: c. rounds: of conjugate gradients in each step.
    """

    steps: int = 8
    first: float = 10.0
    last: float = 1.0
    weight: float = 1.0
    rounds: int = 2

    def __post_init__(self) -> None:
        if self.steps < 1 or self.rounds < 0 or min(self.first, self.last, self.weight) <= 0:
            raise ConfigError(f"{self}: steps must be at least 1, rounds not negative, and the others above 0")


@dataclass(frozen=True, eq=False)
class HalfQuadraticState(State):
    """x; on the torus it and its spectrum; sigma, (B,)."""

    torus: Torus
    picture: Tensor
    estimate: Estimate
    sigma: Tensor


@dataclass(frozen=True, eq=False)
class HalfQuadratic:
    """z, then x.

    Args:
        prior: the denoiser. schedule: of all steps. turn: which of them this is, from 0.
    """

    prior: HasProx
    schedule: Schedule
    turn: int

    def init(self, problem: Problem) -> HalfQuadraticState:
        """The picture solved for with hardly any prior but that it changes little."""
        torus = Torus.of(problem.observed, problem.blur, problem.mask)
        sigma = problem.level().clamp_min(LEAST)
        tie = self._tie(sigma, self._level(sigma))
        # what is tied to is the blurred picture itself
        estimate = torus.solve(tie, scaled(torus.spectrum(torus.observed), tie), start=None, rounds=ROUNDS)
        picture = torus.picture(estimate.spectrum)
        return HalfQuadraticState(torus.crop(picture), torus, picture, estimate, sigma)

    def __call__(self, problem: Problem, state: HalfQuadraticState) -> HalfQuadraticState:
        """One half-quadratic step."""
        torus, level = state.torus, self._level(state.sigma)
        z = self.prior.prox(state.picture, level, self.turn)
        tie = self._tie(state.sigma, level)
        estimate = torus.solve(tie, scaled(torus.spectrum(z), tie), start=state.estimate, rounds=self.schedule.rounds)
        picture = torus.picture(estimate.spectrum)
        return HalfQuadraticState(torus.crop(picture), torus, picture, estimate, state.sigma)

    def _level(self, sigma: Tensor) -> Tensor:
        s = self.schedule
        share = self.turn / max(1, s.steps - 1)
        multiple: float = s.first ** (1 - share) * s.last**share
        return sigma * multiple

    def _tie(self, sigma: Tensor, level: Tensor) -> Tensor:
        tie: Tensor = self.schedule.weight * (sigma / level) ** 2
        return tie.reshape(-1, 1, 1, 1)


def half_quadratic_steps(prior: HasProx, schedule: Schedule) -> Sequence[HalfQuadratic]:
    """The steps of a schedule."""
    return [HalfQuadratic(prior, schedule, turn) for turn in range(schedule.steps)]
