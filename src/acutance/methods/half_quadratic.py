r"""Half-quadratic splitting with any denoiser as the prior: what EPLL and plug and play have in common.

    min_x  1/2 ||A x - y||^2 + sigma^2 Omega(x)

z stands for x in the prior, tied to it ever more tightly: s(t) falls from step to step.

    z <- argmin_z  1/2 ||z - x||^2 / s^2 + Omega(z)                             a denoiser at noise level s
    x <- argmin_x  1/2 ||A x - y||^2 + c/2 (sigma / s)^2 ||x - z||^2            `acutance.linear.Torus`

s falls geometrically from `first` sigma, or less, to `last` sigma; c is 1 where Omega is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import ROUNDS, Estimate, Torus, scaled
from acutance.noise.level import level_of
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
        ceiling: s of the first step at most, as a fraction of the largest value of the picture; None: no limit.
    """

    steps: int = 8
    first: float = 10.0
    last: float = 1.0
    weight: float = 1.0
    rounds: int = 2
    ceiling: float | None = None

    def __post_init__(self) -> None:
        positive = [self.first, self.last, self.weight, *([] if self.ceiling is None else [self.ceiling])]
        if self.steps < 1 or self.rounds < 0 or not min(positive) > 0:
            raise ConfigError(f"{self}: steps must be at least 1, rounds not negative, and the others above 0")

    def levels(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """sigma, at least `LEAST`, and s of the first step, each (B,)."""
        sigma = level_of(problem).clamp_min(LEAST)
        first = self.first * sigma
        if self.ceiling is not None:
            seen = problem.observed.abs()
            seen = seen if problem.mask is None else torch.where(problem.mask > 0, seen, 0.0)
            most = self.ceiling * seen.amax((1, 2, 3))
            first = first.minimum(most).maximum(self.last * sigma)
        return sigma, first


@dataclass(frozen=True, eq=False)
class HalfQuadraticState(State):
    """x; on the torus it and its spectrum; sigma and s of the first step, (B,)."""

    torus: Torus
    picture: Tensor
    estimate: Estimate
    sigma: Tensor
    first: Tensor


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
        torus = Torus.of(problem.observed, problem.operator, problem.mask)
        sigma, first = self.schedule.levels(problem)
        tie = self._tie(sigma, self._level(sigma, first))
        # what is tied to is the blurred picture itself
        estimate = torus.solve(tie, scaled(torus.spectrum(torus.observed), tie), start=None, rounds=ROUNDS)
        picture = torus.picture(estimate.spectrum)
        return HalfQuadraticState(torus.crop(picture), torus, picture, estimate, sigma, first)

    def __call__(self, problem: Problem, state: HalfQuadraticState) -> HalfQuadraticState:
        """One half-quadratic step."""
        torus, level = state.torus, self._level(state.sigma, state.first)
        z = self.prior.prox(state.picture, level, self.turn)
        tie = self._tie(state.sigma, level)
        estimate = torus.solve(tie, scaled(torus.spectrum(z), tie), start=state.estimate, rounds=self.schedule.rounds)
        picture = torus.picture(estimate.spectrum)
        return replace(state, x=torus.crop(picture), picture=picture, estimate=estimate)

    def _level(self, sigma: Tensor, first: Tensor) -> Tensor:
        share = self.turn / max(1, self.schedule.steps - 1)
        level: Tensor = first ** (1 - share) * (self.schedule.last * sigma) ** share
        return level

    def _tie(self, sigma: Tensor, level: Tensor) -> Tensor:
        tie: Tensor = self.schedule.weight * (sigma / level) ** 2
        return tie.reshape(-1, 1, 1, 1)


def half_quadratic_steps(prior: HasProx, schedule: Schedule) -> Sequence[HalfQuadratic]:
    """The steps of a schedule."""
    return [HalfQuadratic(prior, schedule, turn) for turn in range(schedule.steps)]
