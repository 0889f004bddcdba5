r"""A score of kernels of many sizes at half the resolution, and what a kernel leaves of a picture's softness.

    s(k) = || k * z - y ||  ( ||g||_1 / ||g||_2 )  ||g||_1^{1/2},      z = fd(y, k),  g = grad z,      lower is better

The first factor is large for a kernel without room for the blur and for one that got lost in its room; the second, the
normalised sparsity of Krishnan et al. 2011, for a picture that stays blurred; the third for one that rings.
"""

from __future__ import annotations

import math

from torch import Tensor

from acutance.blind.kernel_step import differences
from acutance.methods.fd import Fd, FdConfig
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.tensors import crop

DOUBT_LEVEL = 0.01
"""Noise level that is assumed for a doubt."""

QUICK = Fd(FdConfig())


def judged(window: Tensor, kernel: Tensor, margin: int = 0) -> float:
    """s(k) of a window (1, 1, H, W), the gradients without a margin on each side."""
    problem = Problem(window, Blur(kernel, "valid"), Problem(window).level())
    x = QUICK.run(problem).x
    gradients = differences(crop(problem.crop(x), margin, margin)).square().sum(1).sqrt()
    size, energy = float(gradients.mean()), float(gradients.square().mean().sqrt())
    residual = float(problem.residual(x).square().mean().sqrt())
    return residual * size * math.sqrt(size) / max(energy, 1e-12)


def doubt(window: Tensor, kernel: Tensor) -> float:
    """Softness of (1, 1, H, W) that a kernel leaves: the ratio of ||g||_1 / ||g||_2 after and before.

    g are the gradients of z = fd(y, k) and of y. A picture that one kernel explains becomes sharp with it, so that its
    gradients are few and strong; where things moved on their own the estimators settle for a small kernel that is
    right nowhere.
    """
    problem = Problem(window, Blur(kernel, "valid"), window.new_tensor([DOUBT_LEVEL]))
    sharpened = problem.crop(QUICK.run(problem).x)
    after, before = (_sparsity(x) for x in (sharpened, window))
    return after / max(before, 1e-12)


def _sparsity(x: Tensor) -> float:
    """||g||_1 / ||g||_2 over the square root of their number."""
    g = differences(x).square().sum(1).sqrt()
    return float(g.mean()) / max(float(g.square().mean().sqrt()), 1e-12)
