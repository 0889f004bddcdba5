"""What the user does not say: how large the kernel is, and whether there is a blur at all.

Kernels of growing size are estimated from the most textured window of the picture, and each is judged by how well the
window can be explained with it: by the residual of what a fast method, of the same strength for all, makes of it,

    s(k) = || k * fd(y, k) - y || / sqrt(n).

A kernel without room for the blur explains the picture worse, and so does one that got lost in its room. Of sizes that
explain it alike the smallest is taken.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from acutance.blind.base import Estimate, Estimator, Unknowable
from acutance.methods.fd import Fd, FdConfig
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.tensors import crop
from acutance.texture import most_textured

LADDER = (15, 21, 31, 45, 65, 91)
"""Sides that are tried."""

WINDOW = 640
"""Side of the window that a kernel is estimated from, pixels, at most."""

PATIENCE = 2
"""Sizes that may be worse than the best before larger ones are given up."""

ALIKE = 1.011
"""Factor between residuals that are alike."""

POINT = 0.6
"""A kernel with more than this part of its sum in 3 x 3 pixels is no blur."""

QUICK = Fd(FdConfig(steps=4))


def judged(window: Tensor, kernel: Tensor) -> float:
    """s(k) of a window (1, 1, H, W)."""
    problem = Problem(window, Blur(kernel, "valid"), Problem(window).level())
    x = QUICK.run(problem).x
    return float(problem.residual(x).square().mean().sqrt())


def is_point(kernel: Tensor) -> bool:
    """Whether all that the kernel does is less than a pixel."""
    h, w = kernel.shape[-2:]
    middle = crop(kernel, max(0, h // 2 - 1), max(0, w // 2 - 1))
    return float(middle.sum()) > POINT * float(kernel.sum())


def choose(
    picture: Tensor, estimator: Callable[[int], Estimator], size: int | None = None,
    *, on_size: Callable[[int], None] | None = None,
) -> Estimate:  # fmt: skip
    """The kernel of a grey picture (1, 1, H, W) in [0, 1].

    Args:
        estimator: of a kernel of that many pixels. size: side of the kernel; None: the best of `LADDER`.
        on_size: told each size before it is tried.

    Raises:
        Unknowable: no kernel can be told from this picture.
    """
    if not bool(torch.isfinite(picture).all()):
        raise Unknowable("the picture holds values that are no numbers; no kernel can be told from it")
    window = most_textured(picture, WINDOW)
    sizes = (size,) if size is not None else [s for s in LADDER if 4 * s <= min(window.shape[-2:])] or LADDER[:1]
    kernels: dict[int, Tensor] = {}
    scores: dict[int, float] = {}
    for side in sizes:
        if on_size is not None:
            on_size(side)
        kernels[side] = estimate(window, estimator(side))
        if size is not None:
            scores[side] = 0.0
            break
        scores[side] = judged(window, kernels[side])
        if len([s for s in scores if s > _best(scores)]) >= PATIENCE:
            break
    best = _best(scores)
    return Estimate(kernels[best], best, scores, blurred=not is_point(kernels[best]))


def _best(scores: dict[int, float]) -> int:
    least = min(scores.values())
    return min(side for side, score in scores.items() if score <= ALIKE * least)


@torch.no_grad()
def estimate(window: Tensor, estimator: Estimator) -> Tensor:
    """The kernel by one estimator.

    Raises:
        Unknowable: nothing can be told.
    """
    *_, state = estimator.solver().iterate(Problem(window))
    return estimator.finished(state)
