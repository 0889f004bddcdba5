"""What most estimators do at every scale: a simple latent picture, its strong gradients, and the kernel, in turn.

    x = argmin || k * x - y ||^2 + l P(x)              P: what makes the estimator (`Alternating.latent`)
    k = argmin_{k >= 0} || M D x * k - D y ||^2 + w || k ||^2       M: where |D x| is large (Cho & Lee 2009)

The prior, strong at first so that only the largest edges are left, is relaxed from step to step, and so is the
threshold of gradients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind import cleaning, pyramid
from acutance.blind.base import BlindState, Unknowable
from acutance.blind.kernel_step import differences, enough, estimated
from acutance.blind.latent import GROWTH, LAST
from acutance.errors import ConfigError
from acutance.problem import Problem
from acutance.solver import Solver

FLAT = 1e-8
"""Squared gradients up to this one are rounding errors."""

RELAXED, LEAST = 1.1, 1e-4
"""What prior and threshold are divided by in each step, and the least strength of the prior."""


@dataclass(frozen=True)
class Alternating(ABC):
    """An estimator that is made by its latent picture.

    Args:
        size: side of the kernel, pixels, odd; larger than the blur.
        strength: l of the prior, at first. weight: w, of the kernel's norm.
        iterations: at every scale. rounds: of the solve for the kernel.
        fine_iterations: at the finest scale; 0: as many as at the others.
        relaxed: what prior and threshold are divided by in each step.
        inner: whether only gradients count that lie at least half a kernel inside the frame.
        faint: part of the kernel's maximum below which its entries are set to 0 in each step.
        growth, last: factor of the splitting's weight from one round to the next, and its end; see
            `acutance.blind.latent`.
    """

    size: int = 31
    strength: float = 8e-3
    weight: float = 20.0
    iterations: int = 5
    rounds: int = 60
    fine_iterations: int = 0
    relaxed: float = RELAXED
    inner: bool = False
    faint: float = 0.0
    growth: float = GROWTH
    last: float = LAST

    def __post_init__(self) -> None:
        pyramid.sides(self.size)
        if self.strength <= 0 or self.weight < 0 or min(self.iterations, self.rounds) < 1:
            raise ConfigError(f"{self}: strength above 0, weight not below, iterations and rounds at least 1")

    @abstractmethod
    def latent(self, y: Tensor, kernel: Tensor, strength: float) -> Tensor:
        """x for a picture (1, 1, H, W) in [0, 1] and a kernel (1, 1, s, s), of the size of y; strength: l."""

    def solver(self) -> Solver[BlindState]:
        """`iterations` steps at every scale, the coarsest first."""
        levels = range(len(pyramid.sides(self.size)))
        return Solver([Turn(self, level) for level in reversed(levels) for _ in range(self.turns(level))])

    def turns(self, level: int) -> int:
        """Steps at a level, 0 the finest."""
        return self.fine_iterations or self.iterations if level == 0 else self.iterations

    def finished(self, state: BlindState) -> Tensor:
        """See `acutance.blind.base.Estimator`."""
        return cleaning.finished(state.kernel)


@dataclass(frozen=True)
class Turn:
    """One latent picture and one kernel at a level."""

    config: Alternating
    level: int

    def init(self, problem: Problem) -> BlindState:
        """A kernel of two pixels beside each other, at the level; the gradients that will be used first.

        Raises:
            Unknowable: a picture without gradients, or smaller than the kernel.
        """
        return started(problem, self.config.size, self.level, self.config.strength)

    def __call__(self, problem: Problem, state: BlindState) -> BlindState:
        """x and k, once each."""
        kernel = at_level(state, self.config.size, self.level)
        y = pyramid.reduced(problem.observed, self.level)
        x = self.config.latent(y, kernel, state.strength)
        gradients = differences(x)
        magnitude, threshold = gradients.square().sum(1, keepdim=True), state.threshold / self.config.relaxed
        threshold = min(threshold, 0.9 * float(magnitude.max()))  # something is always left
        seen = believed(problem, self.level, y)
        if self.config.inner:
            seen = seen & inside(y, kernel.shape[-1] // 2)
        used = torch.where((magnitude >= threshold) & seen, gradients, 0.0)
        given = torch.where(seen, differences(y), 0.0)
        found = estimated(used, given, kernel, weight=self.config.weight, rounds=self.config.rounds)
        found = torch.where(found < self.config.faint * found.max(), 0.0, found)
        kernel = cleaning.summed(cleaning.without_specks(cleaning.summed(found)))
        return BlindState(x, kernel, self.level, threshold, max(state.strength / self.config.relaxed, LEAST))


def started(problem: Problem, size: int, level: int, strength: float) -> BlindState:
    """The picture at a level, a kernel of two pixels beside each other, the threshold of gradients.

    Raises:
        Unknowable: a picture without gradients, or smaller than twice the kernel.
    """
    if min(problem.observed.shape[-2:]) < 2 * size:
        raise Unknowable(
            f"a picture of {problem.observed.shape[-1]} x {problem.observed.shape[-2]} pixels is too small for a "
            f"kernel of {size}; it needs {2 * size} at least"
        )
    y, side = pyramid.reduced(problem.observed, level), pyramid.sides(size)[level]
    kernel = torch.zeros(1, 1, side, side, dtype=y.dtype, device=y.device)
    kernel[..., side // 2, side // 2 - 1 : side // 2 + 1] = 0.5
    threshold = enough(differences(y), side)
    if not threshold > FLAT:
        raise Unknowable("not enough in the picture to tell a kernel from: give one with more detail")
    return BlindState(y, kernel, level, RELAXED * threshold, strength)


def believed(problem: Problem, level: int, y: Tensor) -> Tensor:
    """Where gradients of the picture y at a level may be used, bool, broadcasts with (1, 2, h - 1, w - 1).

    None that touches what the mask of the problem takes away.
    """
    if problem.mask is None:
        return torch.ones(1, 1, 1, 1, dtype=torch.bool, device=y.device)
    lost = F.interpolate(1 - problem.mask, size=y.shape[-2:], mode="bilinear", antialias=True, align_corners=False)
    touched = F.max_pool2d(lost, 3, 1, 1) > 0
    return ~touched[..., :-1, :-1]


def inside(y: Tensor, margin: int) -> Tensor:
    """Differences of y at least `margin` pixels from the frame: bool, (1, 1, h - 1, w - 1); a quarter at most."""
    h, w = (n - 1 for n in y.shape[-2:])
    m = min(margin, h // 4, w // 4)
    seen = torch.zeros(1, 1, h, w, dtype=torch.bool, device=y.device)
    seen[..., m : h - m, m : w - m] = True
    return seen


def at_level(state: BlindState, size: int, level: int) -> Tensor:
    """The kernel of a state, raised if the state is of another level."""
    if state.level == level:
        return state.kernel
    return pyramid.raised(cleaning.centred(state.kernel), pyramid.sides(size)[level])
