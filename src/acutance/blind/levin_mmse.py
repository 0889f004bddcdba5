r"""Levin-MMSE: the kernel of the most probable blur, all sharp pictures considered (Levin et al. 2011).

    k = argmax_k  int p(y | x, k) p(x) dx

for the derivatives x of the scene and y of the picture, noise of standard deviation s, and a prior under which the
derivatives are independent, each a mixture of Gaussians, p(v) = sum_c pi_c N(v; 0, 1 / u_c). Expectation maximisation,
with the posterior of x held to a Gaussian of independent pixels (mean m, variances c), turns it into three sums:

    w = sum_c q_c u_c,   q_c ~ pi_c u_c^1/2 exp( -u_c (m^2 + c) / 2 )               weights of the prior
    ( K'K / s^2 + diag w ) m = K' y / s^2,     c = 1 / ( |k|^2 / s^2 + w )            mean, by conjugate gradients
    k = argmin_{k >= 0} || m * k - y ||^2 + ( sum c ) || k ||^2                       E || x * k - y ||^2

The last line holds what sets this apart from a maximum over x and k together: of the autocorrelation of x the variances
are a part, on its diagonal, and they weigh the norm of the kernel by what is *not* known of x, so that the kernel of a
single pixel is no longer the best. s falls from step to step. m is as large as the scene that was blurred into y.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from acutance.blind import cleaning, pyramid
from acutance.blind.alternate import at_level, started
from acutance.blind.base import BlindState
from acutance.blind.kernel_step import differences, estimated
from acutance.errors import ConfigError
from acutance.linear import conjugate_gradients
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.solver import Solver

SHARES = (0.233, 0.319, 0.329, 0.119)
SPREADS = (0.0041, 0.0162, 0.0544, 0.1856)
"""pi, and u^-1/2, of the derivatives of photographs in [0, 1]; fitted by expectation maximisation to 40 pieces of 512
pixels of the training photographs, halved."""

FALL = 1.15
"""What s is divided by in each step."""

REWEIGHTED = 3
"""How often mean and weights are found in turn for one kernel."""


@dataclass(frozen=True)
class LevinMmse:
    """The estimator.

    Args:
        size: side of the kernel, pixels, odd; larger than the blur.
        sigma: s in the last step of every scale, a fraction of the range.
        iterations: at every scale. rounds: of conjugate gradients. kernel_rounds: of the solve for the kernel.
    """

    size: int = 31
    sigma: float = 0.01
    iterations: int = 11
    rounds: int = 15
    kernel_rounds: int = 60

    def __post_init__(self) -> None:
        pyramid.sides(self.size)
        if not self.sigma > 0 or min(self.iterations, self.rounds, self.kernel_rounds) < 1:
            raise ConfigError(f"{self}: sigma above 0, iterations and rounds at least 1")

    def solver(self) -> Solver[BlindState]:
        """`iterations` steps at every scale, the coarsest first, each with less noise than the one before."""
        levels = range(len(pyramid.sides(self.size)))
        noise = [self.sigma * FALL**n for n in reversed(range(self.iterations))]
        return Solver([Turn(self, level, s) for level in reversed(levels) for s in noise])

    def finished(self, state: BlindState) -> Tensor:
        """See `acutance.blind.base.Estimator`."""
        return cleaning.finished(state.kernel)


def weights(power: Tensor) -> Tensor:
    """w of E x^2, of any shape."""
    numerator = denominator = torch.zeros_like(power)
    for share, spread in zip(SHARES, SPREADS, strict=True):
        # against the widest, whose density falls least, so that nothing is divided by zero
        density = share / spread * torch.exp(-0.5 * power * (spread**-2 - SPREADS[-1] ** -2))
        numerator, denominator = numerator + density / spread**2, denominator + density
    return numerator / denominator


def mean(blur: Blur, y: Tensor, weight: Tensor, sigma: float, start: Tensor, rounds: int) -> Tensor:
    """m, (1, 2, h + s - 1, w + s - 1), for a "valid" blur and w of that size."""
    ridge = sigma**2 * weight
    diagonal = float(blur.kernel.square().sum()) + ridge
    return conjugate_gradients(
        lambda x: blur.adjoint(blur.forward(x)) + ridge * x,
        blur.adjoint(y),
        start,
        rounds=rounds,
        precondition=lambda r: r / diagonal,
    )[0]


def variances(kernel: Tensor, weight: Tensor, sigma: float) -> Tensor:
    """c for w (1, 2, h + s - 1, w + s - 1): |k|^2 of the pixels of the picture that each one was blurred into."""
    side = kernel.shape[-1] - 1
    seen = torch.ones_like(weight[..., : weight.shape[-2] - side, : weight.shape[-1] - side])
    power = Blur(kernel.square(), "valid").adjoint(seen).clamp_min(0)
    return 1 / (power / sigma**2 + weight)


@dataclass(frozen=True)
class Turn:
    """The posterior of the derivatives and the kernel, once each, at a level and with a noise level."""

    config: LevinMmse
    level: int
    sigma: float

    def init(self, problem: Problem) -> BlindState:
        """See `acutance.blind.alternate.started`; what is carried as strength is s."""
        return started(problem, self.config.size, self.level, self.sigma)

    def __call__(self, problem: Problem, state: BlindState) -> BlindState:
        """One of each; x (1, 2, h + s - 1, w + s - 1) are the means."""
        c = self.config
        kernel = at_level(state, c.size, self.level)
        y = differences(pyramid.reduced(problem.observed, self.level))
        blur = Blur(kernel, "valid")
        x = blur.start(y)
        w = torch.full_like(x, sum(p / s**2 for p, s in zip(SHARES, SPREADS, strict=True)))
        for n in range(REWEIGHTED):
            if n:
                w = weights(x.square() + variances(kernel, w, self.sigma))
            x = mean(blur, y, w, self.sigma, x, c.rounds)
        unknown = float(blur.crop(variances(kernel, w, self.sigma)).sum())
        found = estimated(blur.crop(x), y, kernel, weight=unknown, rounds=c.kernel_rounds)
        return replace(state, x=x, kernel=cleaning.summed(found), level=self.level, strength=self.sigma)
