r"""What the user does not say: how large the kernel is, whether a lens is to blame, and whether there is a blur at all.

The spectrum tells sharp pictures (`acutance.blind.spectrum`); they are left alone. Else kernels of growing size are
estimated from the most textured window of the picture. Each is judged by what a fast method, of the same strength for
all, makes of the window with it: z = fd(y, k), g = grad z, inside the frame,

    s(k) = || k * z - y ||  ( ||g||_1 / ||g||_2 )  ||g||_1^{1/2},        lower is better.

The first factor is large for a kernel without room for the blur and for one that got lost in its room; the second, the
normalised sparsity of Krishnan et al. 2011, for a picture that stays blurred; the third for one that rings. Of 60
photographs (300 pixels, kernels of 9 to 39, none of a test set) 55 have an error ratio below 3 so, 52 by the first
factor alone, 59 by the best of the sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from acutance.blind.base import Estimate, Estimator, Unknowable
from acutance.blind.kernel_step import differences
from acutance.blind.shapes import widths
from acutance.blind.spectrum import SHARP, SOFT, Focus, focus, slope, softness
from acutance.methods.fd import Fd, FdConfig
from acutance.metrics import kernel_similarity
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.tensors import crop
from acutance.texture import where_textured

LADDER = (15, 21, 31, 45, 65, 91)
"""Sides that are tried."""

WINDOW = 640
"""Side of the window that a kernel is estimated from, pixels, at most."""

PATIENCE = 2
"""Sizes that may be worse than the best before larger ones are given up."""

POINT = 0.6
"""A kernel with more than this part of its sum in 3 x 3 pixels is no blur, where the picture is hardly soft."""

TELLING, HARDLY = 64, 0.005
"""Side of pictures that are large enough for their spectrum to tell whether they are sharp, pixels, and the share of
them that may be missing or saturated: what is cut off there has edges of its own."""

RISING = 4.0
"""Factor between the power of low and of high frequencies below which a picture is nothing but noise."""

EXPLAINED, ALIKE, LONG = 2.5, 0.7, 0.48
"""A lens is to blame where it explains the spectrum with at most this misfit, where the estimated kernel is so similar
to the lens's, and where its width in the narrowest direction is at least so much of that in the widest. Of 21
photographs out of focus (discs of 1.2 to 9 pixels, Gaussians of 1 to 3) all are, of 30 shaken ones (kernels of 5 to 27)
five with 5 or 7 pixels, most of them restored better so."""

DOUBTFUL = 0.765
"""Doubt from which no single kernel explains a picture. Of 22 photographs (512 pixels, none of a test set) all 11
behind one kernel of 13 to 37 pixels are below, 0.75 at most. Of 11 behind a moving camera and moving things the three
that restoring with the kernel mends are (by 1.3 to 3.7 dB), and seven of the eight that it spoils or hardly mends (by
-1.2 to 0.2 dB) are not."""

DOUBT_LEVEL = 0.01
"""Noise level that is assumed for it."""

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
    """How much of the softness of (1, 1, H, W) a kernel leaves: the ratio of ||g||_1 / ||g||_2 after and before.

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


def is_point(kernel: Tensor) -> bool:
    """Whether all that the kernel (1, 1, s, s) does is less than a pixel."""
    h, w = kernel.shape[-2:]
    middle = crop(kernel, max(0, h // 2 - 1), max(0, w // 2 - 1))
    return float(middle.sum()) > POINT * float(kernel.sum())


def is_lens(lens: Focus, kernel: Tensor) -> bool:
    """Whether a lens explains what an estimated kernel (1, 1, s, s) shows."""
    alike = float(kernel_similarity(kernel, lens.kernel.to(kernel)))
    narrow, wide = widths(kernel)
    return lens.misfit <= EXPLAINED and alike >= ALIKE and narrow >= LONG * wide


def looked_at(picture: Tensor, usable: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """The window of a picture that a kernel is estimated from, and its mask; see `choose`.

    Raises:
        Unknowable: no kernel can be told from this picture.
    """
    mask = None
    if usable is not None and not bool(usable.all()):
        if not bool(usable.any()):
            raise Unknowable("all of the picture is missing or saturated")
        mask = usable.to(picture)
    if not bool(torch.isfinite(picture).all()):
        raise Unknowable("the picture holds values that are no numbers; no kernel can be told from it")
    place = (..., *where_textured(picture, WINDOW))
    return picture[place], None if mask is None else mask[place]


@torch.no_grad()
def choose(
    picture: Tensor, estimator: Callable[[int], Estimator], size: int | None = None,
    *, usable: Tensor | None = None, on_size: Callable[[int], None] | None = None,
) -> Estimate:  # fmt: skip
    """The kernel of a grey picture (1, 1, H, W) in [0, 1].

    Args:
        estimator: of a kernel of that many pixels.
        size: side of the kernel, so that nothing is left to choose; None: the best of `LADDER`, or a lens out of
            focus, or none where the picture is sharp.
        usable: bool, like the picture, False where it is saturated, or missing and filled in; None: nowhere. Gradients
            there have no say in the kernel.
        on_size: told each size before it is tried.

    Raises:
        Unknowable: no kernel can be told from this picture.
    """
    window, mask = looked_at(picture, usable)
    if size is not None:
        if on_size is not None:
            on_size(size)
        kernel = estimate(window, estimator(size), mask)
        return Estimate(kernel, size, {}, doubt=doubt(window, kernel))
    large = min(window.shape[-2:]) >= TELLING
    telling = large and (mask is None or float(mask.mean()) > 1 - HARDLY)
    if telling and slope(window) < RISING:
        raise Unknowable("nothing but noise is in the picture")
    soft = float(softness(window).max()) if large else math.inf  # at least: clipping only ever sharpens
    if telling and soft <= SHARP:
        return Estimate(torch.ones(1, 1, 1, 1), 1, {}, blurred=False)
    sizes = [s for s in LADDER if 4 * s <= min(window.shape[-2:])] or LADDER[:1]
    kernels, scores, margin = dict[int, Tensor](), dict[int, float](), sizes[-1] // 2
    for side in sizes:
        if on_size is not None:
            on_size(side)
        kernels[side] = estimate(window, estimator(side), mask)
        scores[side] = judged(window, kernels[side], margin)
        if len([s for s in scores if s > min(scores, key=scores.__getitem__)]) >= PATIENCE:
            break
    best = min(scores, key=scores.__getitem__)
    lens = focus(window) if telling else None
    if lens is not None and is_lens(lens, kernels[best]):
        if lens.spread <= SHARP:
            return Estimate(torch.ones(1, 1, 1, 1), 1, scores, blurred=False)
        return Estimate(lens.kernel.to(window), lens.kernel.shape[-1], scores, focus=lens)
    blurred = soft > (SOFT if telling else SHARP) or not is_point(kernels[best])  # clipped: what looks soft is soft
    return Estimate(kernels[best], best, scores, blurred=blurred, doubt=doubt(window, kernels[best]))


@torch.no_grad()
def estimate(window: Tensor, estimator: Estimator, mask: Tensor | None = None) -> Tensor:
    """The kernel by one estimator; mask: 0 where the window (1, 1, H, W) is not to be believed.

    Raises:
        Unknowable: nothing can be told.
    """
    *_, state = estimator.solver().iterate(Problem(window, mask=mask))
    return estimator.finished(state)
