"""Xu-L0: kernel estimation with the unnatural L0 prior (Xu, Zheng & Jia 2013).

At every scale, in turn: the latent picture of the current kernel (`acutance.blind.latent`), its strong gradients, and
the kernel that takes them to those of the picture (`acutance.blind.kernel_step`). The prior, strong at first so that
only the largest edges are left, is relaxed from step to step, and so is the threshold of gradients (Cho & Lee 2009).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.blind import cleaning, pyramid
from acutance.blind.base import BlindState, Unknowable
from acutance.blind.kernel_step import differences, enough, estimated
from acutance.blind.latent import few_gradients
from acutance.errors import ConfigError
from acutance.problem import Problem
from acutance.solver import Solver

FLAT = 1e-8
"""Squared gradients up to this one are rounding errors."""

RELAXED, LEAST = 1.1, 1e-4
"""What prior and threshold are divided by in each step, and the least strength of the prior."""


@dataclass(frozen=True)
class XuL0:
    """The estimator.

    Args:
        size: side of the kernel, pixels, odd; larger than the blur.
        strength: l of the prior, at first. weight: of the kernel's norm.
        iterations: at every scale. rounds: of the solve for the kernel.
    """

    size: int = 31
    strength: float = 4e-3
    weight: float = 20.0
    iterations: int = 5
    rounds: int = 60

    def __post_init__(self) -> None:
        pyramid.sides(self.size)
        if self.strength <= 0 or self.weight < 0 or min(self.iterations, self.rounds) < 1:
            raise ConfigError(f"{self}: strength above 0, weight not below, iterations and rounds at least 1")

    def solver(self) -> Solver[BlindState]:
        """`iterations` steps at every scale, the coarsest first."""
        levels = range(len(pyramid.sides(self.size)))
        return Solver([Alternate(self, level) for level in reversed(levels) for _ in range(self.iterations)])

    def finished(self, state: BlindState) -> Tensor:
        """See `acutance.blind.base.Estimator`."""
        return cleaning.finished(state.kernel)


@dataclass(frozen=True)
class Alternate:
    """One latent picture and one kernel at a level."""

    config: XuL0
    level: int

    def init(self, problem: Problem) -> BlindState:
        """A kernel of two pixels beside each other, at the level; the gradients that will be used first.

        Raises:
            Unknowable: a picture without gradients, or smaller than the kernel.
        """
        y = pyramid.reduced(problem.observed, self.level)
        side = pyramid.sides(self.config.size)[self.level]
        if min(problem.observed.shape[-2:]) < 2 * self.config.size:
            raise Unknowable(
                f"a picture of {problem.observed.shape[-1]} x {problem.observed.shape[-2]} pixels is too small for a "
                f"kernel of {self.config.size}; it needs {2 * self.config.size} at least"
            )
        kernel = torch.zeros(1, 1, side, side, dtype=y.dtype, device=y.device)
        kernel[..., side // 2, side // 2 - 1 : side // 2 + 1] = 0.5
        threshold = enough(differences(y), side)
        if not threshold > FLAT:
            raise Unknowable("not enough in the picture to tell a kernel from: give one with more detail")
        return BlindState(y, kernel, self.level, RELAXED * threshold, self.config.strength)

    def __call__(self, problem: Problem, state: BlindState) -> BlindState:
        """x and k, once each."""
        kernel, side = state.kernel, pyramid.sides(self.config.size)[self.level]
        if state.level != self.level:
            kernel = pyramid.raised(cleaning.centred(kernel), side)
        y = pyramid.reduced(problem.observed, self.level)
        x = few_gradients(y, kernel, state.strength)
        gradients = differences(x)
        magnitude, threshold = gradients.square().sum(1, keepdim=True), state.threshold / RELAXED
        threshold = min(threshold, 0.9 * float(magnitude.max()))  # something is always left
        used = torch.where(magnitude >= threshold, gradients, 0.0)
        found = estimated(used, differences(y), kernel, weight=self.config.weight, rounds=self.config.rounds)
        kernel = cleaning.summed(cleaning.without_specks(cleaning.summed(found)))
        return BlindState(x, kernel, self.level, threshold, max(state.strength / RELAXED, LEAST))
