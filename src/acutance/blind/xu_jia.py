r"""Xu-Jia: edges that are of use, then a kernel whose support is found (Xu & Jia 2010).

An edge of an object smaller than the kernel misleads the kernel. In a window N around a pixel its differences cancel,
those of a long edge add up,

    r = | sum_N grad y | / ( sum_N | grad y | + 0.5 ),

so of the picture sharpened by a shock filter, x', gradients are used where r and |grad x'| are large. Both thresholds
are lowered from step to step. At every scale, in turn:

    g = grad x' where r > t_r and |grad x'| > t_s, else 0
    k = argmin_{k >= 0} 1/2 || g * k - grad y ||^2 + w/2 || k ||^2
    x = argmin || x * k - y ||^2 + l || grad x - g ||^2                               by transforms

Then, at the finest scale, iterative support detection (Wang & Yin 2010) refines the kernel, of which a quadratic prior
would leave a haze: what is above the first gap between its sorted values larger than max k / (2 s i) in round i is
believed, and only what is below is held small,

    k = argmin_{k >= 0} 1/2 || g * k - grad y ||^2 + w/2 || k ||^2 + p sum_{below} k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind import cleaning, pyramid
from acutance.blind.alternate import at_level, started
from acutance.blind.base import BlindState
from acutance.blind.kernel_step import BINS, differences, estimated
from acutance.errors import ConfigError
from acutance.linear import bridge, laplacian_power, scaled
from acutance.operators import Blur
from acutance.operators.filters import ALONG, DOWN
from acutance.problem import Problem
from acutance.psf.shapes import gaussian
from acutance.solver import Solver
from acutance.tensors import fast_length

WINDOW = 5
"""Side of N, pixels."""

SHOCKS, PACE = 10, 0.3
"""Steps of the shock filter, and how far each goes."""

RELAXED = 1.1
"""What both thresholds are divided by in each step."""

SETTLED = 1e-3
"""Relative change of the kernel at which its support is found."""


@dataclass(frozen=True)
class XuJia:
    """The estimator.

    Args:
        size: side of the kernel, pixels, odd; larger than the blur.
        tie: l, of gradients that were chosen. weight: w. sparsity: p, a part of || g ||^2.
        iterations: at every scale. rounds: of the solve for the kernel. detections: of its support, at most.
    """

    size: int = 31
    tie: float = 2e-3
    weight: float = 20.0
    sparsity: float = 3e-3
    iterations: int = 5
    rounds: int = 60
    detections: int = 5

    def __post_init__(self) -> None:
        pyramid.sides(self.size)
        if self.tie <= 0 or min(self.weight, self.sparsity, self.detections) < 0:
            raise ConfigError(f"{self}: tie above 0, weight, sparsity and detections not below")
        if min(self.iterations, self.rounds) < 1:
            raise ConfigError(f"{self}: iterations and rounds at least 1")

    def solver(self) -> Solver[BlindState]:
        """`iterations` steps at every scale, the coarsest first, and the refinement."""
        levels = range(len(pyramid.sides(self.size)))
        turns = [Turn(self, level) for level in reversed(levels) for _ in range(self.iterations)]
        return Solver([*turns, Refinement(self)])

    def finished(self, state: BlindState) -> Tensor:
        """See `acutance.blind.base.Estimator`."""
        return cleaning.finished(state.kernel)


@dataclass(frozen=True, eq=False)
class EdgeState(BlindState):
    """A state with g and t_r.

    Args:
        edges: g, (1, 2, h - 1, w - 1). usefulness: t_r.
    """

    edges: Tensor
    usefulness: float


def usefulness(gradients: Tensor, side: int = WINDOW) -> Tensor:
    """r of gradients (1, 2, h, w) of a picture in [0, 1], in windows of `side` pixels: (1, 1, h, w)."""
    total, count = side * side, side // 2
    summed = F.avg_pool2d(gradients, side, 1, count) * total
    lengths = F.avg_pool2d(gradients.square().sum(1, keepdim=True).sqrt(), side, 1, count) * total
    return summed.square().sum(1, keepdim=True).sqrt() / (lengths + 0.5)


def shocked(x: Tensor) -> Tensor:
    """x (1, 1, h, w) with its edges steepened: x <- x - sign(x_nn) |grad x|, slowly, n along the gradient.

    (Osher & Rudin 1990, with differences that never look across the edge.)
    """
    smooth = F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), gaussian(1.0, 5).to(x))
    for _ in range(SHOCKS):
        p = F.pad(smooth, (1, 1, 1, 1), mode="replicate")
        here = p[..., 1:-1, 1:-1]
        up, down, left, right = p[..., :-2, 1:-1], p[..., 2:, 1:-1], p[..., 1:-1, :-2], p[..., 1:-1, 2:]
        dy, dx = (down - up) / 2, (right - left) / 2
        mixed = (p[..., 2:, 2:] + p[..., :-2, :-2] - p[..., 2:, :-2] - p[..., :-2, 2:]) / 4
        bent = dy * dy * (down + up - 2 * here) + dx * dx * (left + right - 2 * here) + 2 * dx * dy * mixed
        steep = (_least(down - here, here - up).square() + _least(right - here, here - left).square()).sqrt()
        smooth = smooth - PACE * bent.sign() * steep
    return smooth


def _least(a: Tensor, b: Tensor) -> Tensor:
    """The smaller of two differences, 0 where they disagree in sign."""
    return torch.where(a * b > 0, torch.minimum(a.abs(), b.abs()), 0.0)


def thresholds(gradients: Tensor, useful: Tensor, side: int) -> tuple[float, float]:
    """t_r and t_s at the start: in every direction 1/2 sqrt(n s^2) pixels above the one, 2 s of them above the other.

    Args:
        gradients: of x', (1, 2, h, w). useful: r, (1, 1, h, w). side: s, of the kernel; n: pixels.
    """
    angle = torch.atan2(gradients[:, 0], gradients[:, 1]).flatten() % math.pi
    bins = (angle * (BINS / math.pi)).long().clamp_max(BINS - 1)
    r, length = useful.flatten(), gradients.square().sum(1).sqrt().flatten()
    t_r = min(_exceeded(r[bins == b], round(0.5 * math.sqrt(len(r)) * side)) for b in range(BINS))
    chosen = r > t_r
    t_s = min(_exceeded(length[chosen & (bins == b)], 2 * side) for b in range(BINS))
    return t_r, t_s


def _exceeded(values: Tensor, count: int) -> float:
    """What `count` of the values reach."""
    return float(values.topk(min(count, len(values))).values[-1]) if len(values) else 0.0


def predicted(y: Tensor, kernel: Tensor, edges: Tensor, tie: float) -> Tensor:
    """x of a picture (1, 1, h, w), on a torus of which the picture is closed by ramps; edges: (1, 2, h - 1, w - 1)."""
    (h, w), side = y.shape[-2:], kernel.shape[-1]
    n, m = fast_length(h + side), fast_length(w + side)
    otf = Blur(kernel, "circular").otf(n, m)
    g = F.pad(edges, (0, m - w + 1, 0, n - h + 1))
    tied = torch.fft.rfft2(DOWN.adjoint(g[:, :1]) + ALONG.adjoint(g[:, 1:]))
    data = otf.conj() * torch.fft.rfft2(bridge(bridge(y, n, -2), m, -1))
    inverse = 1 / (otf.real.square() + otf.imag.square() + tie * laplacian_power(n, m, like=y))
    x: Tensor = torch.fft.irfft2(scaled(data + tie * tied, inverse), s=(n, m))
    return x[..., :h, :w]


@dataclass(frozen=True)
class Turn:
    """Edges, kernel and picture, once each, at a level."""

    config: XuJia
    level: int

    def init(self, problem: Problem) -> BlindState:
        """See `acutance.blind.alternate.started`; the thresholds are found in the first step."""
        return started(problem, self.config.size, self.level, self.config.tie)

    def __call__(self, problem: Problem, state: BlindState) -> BlindState:
        """One of each."""
        c = self.config
        kernel = at_level(state, c.size, self.level)
        y = pyramid.reduced(problem.observed, self.level)
        blurred = differences(y)
        r = usefulness(blurred)
        x = state.x if state.x.shape == y.shape else F.interpolate(state.x, size=y.shape[-2:], mode="bicubic")
        g = differences(shocked(x))
        if isinstance(state, EdgeState):
            t_r, t_s = state.usefulness / RELAXED, state.threshold / RELAXED
        else:
            t_r, t_s = thresholds(g, r, kernel.shape[-1])
        length = g.square().sum(1, keepdim=True).sqrt()
        t_s = min(t_s, 0.9 * float((length * (r > t_r)).max()))  # something is always left
        g = torch.where((r > t_r) & (length > t_s), g, 0.0)
        found = estimated(g, blurred, kernel, weight=c.weight, rounds=c.rounds)
        kernel = cleaning.summed(cleaning.without_specks(cleaning.summed(found)))
        return EdgeState(predicted(y, kernel, g, c.tie), kernel, self.level, t_s, state.strength, g, t_r)


def support(kernel: Tensor, round_: int) -> Tensor:
    """Where a kernel (1, 1, s, s) is believed in round 1, 2, ...: bool."""
    values = kernel.flatten().sort().values
    wide = (values.diff() > values[-1] / (2 * kernel.shape[-1] * round_)).nonzero().flatten()
    return kernel > (values[wide[0]] if len(wide) else values[0] - 1)


@dataclass(frozen=True)
class Refinement:
    """The kernel by its support."""

    config: XuJia

    def init(self, problem: Problem) -> BlindState:
        """Nothing to refine yet: that of the finest scale."""
        return Turn(self.config, 0).init(problem)

    def __call__(self, problem: Problem, state: BlindState) -> BlindState:
        """All rounds."""
        c, kernel = self.config, state.kernel
        if not isinstance(state, EdgeState):
            return state
        y = differences(problem.observed)
        p = c.sparsity * float(state.edges.square().sum())
        for n in range(1, c.detections + 1):
            below = (~support(kernel, n)).to(kernel)
            new = cleaning.summed(
                estimated(state.edges, y, kernel, weight=c.weight, rounds=c.rounds, sparsity=p * below)
            )
            change = float((new - kernel).norm() / kernel.norm())
            kernel = new
            if change < SETTLED:
                break
        return replace(state, kernel=kernel)
