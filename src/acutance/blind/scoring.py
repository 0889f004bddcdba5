"""The doubt of a kernel: how soft it leaves a picture."""

from __future__ import annotations

from torch import Tensor

from acutance.blind.kernel_step import differences
from acutance.methods.fd import Fd, FdConfig
from acutance.operators import Blur
from acutance.problem import Problem

DOUBT_LEVEL = 0.01
"""Noise level that is assumed for a doubt."""

QUICK = Fd(FdConfig())


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
