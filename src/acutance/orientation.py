r"""Is the kernel rotated by 180 degrees? A second opinion, before a picture is restored with it.

Programs that correlate where this library convolves write the same kernel rotated. The transfer function of a rotated
kernel is the complex conjugate, so a Wiener filter with it attenuates and amplifies exactly the same frequencies and
differs in nothing but their *phases*: the two solutions have the same power spectrum. What tells them apart is how the
gradients are arranged. With the right phases they gather in edges, with the wrong ones in echoes of edges, and

    score = mean over patches p of  log( mean_p |grad x| / rms_p |grad x| )

the normalised sparsity l1/l2 of Krishnan et al. 2011 (CVPR), is lower where they gather. Each patch is normalised by
itself, so the patches are votes of equal weight, and the difference of the two scores has a standard error:

    margin = mean_p d_p / ( std_p d_p / sqrt(P) ),      d_p = log-ratio rotated - log-ratio given

The answer is firm when |margin| > `FIRM` (`FIRM_SMALL` for a small picture) and the mean difference exceeds `LEAST`;
chosen and measured in `docs/decisions/0003-kernel-orientation.md`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ImageError, KernelError
from acutance.methods.wiener import Wiener
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.tensors import brightness, filled, flip
from acutance.texture import gradient_energy, most_textured

PATCHES = 6
"""Patches along each side; every one has a vote."""

FIRM = 2.25
"""Standard errors by which one orientation must be ahead."""

SMALL, FIRM_SMALL = 192, 3.0
"""Side of a part below which more is asked: its patches are hardly larger than a kernel, so they are no free votes."""

LEAST = 0.004
"""Smallest difference of the scores that counts, so that rounding errors do not vote."""

SYMMETRIC = 0.98
"""Correlation of a kernel with its rotated self, at the best shift, from which on the question does not arise."""

FLOOR = 0.006
"""Noise level, on pictures of full brightness, below which the filter does not go: it also covers JPEG and gamma."""

SMALLEST = 64
"""Side of the smallest picture that is judged."""

GRADIENT = 1e-3
"""Gradients well below this, on pictures of full brightness, are no structure."""


class Orientation(Enum):
    """What the picture says of its kernel; the value is the sentence for the user."""

    RIGHT = "the kernel has the right orientation: rotated by 180 degrees it gives the worse picture"
    ROTATED = "the kernel seems to be rotated by 180 degrees: turned, it gives the better picture; try --flip-kernel"
    UNCLEAR = "cannot tell from this picture whether the kernel is rotated by 180 degrees"


@dataclass(frozen=True)
class OrientationVerdict:
    """An orientation and what it rests on.

    Args:
        orientation: the answer.
        score_given, score_rotated: mean log l1/l2 of the gradients with the kernel as given and rotated; lower is
            better; 0 both where nothing was solved.
        margin: (score_rotated - score_given) in its standard errors: above 0 for the kernel as given.
        symmetric: the kernel equals its rotated self up to a shift, so that either orientation will do.
    """

    orientation: Orientation
    score_given: float
    score_rotated: float
    margin: float
    symmetric: bool


@torch.no_grad()
def judge_orientation(
    pixels: Tensor, kernel: Tensor, *, sigma: float | None = None, side: int = 384
) -> OrientationVerdict:
    """Restore the most textured part of a picture with the kernel both ways, and compare.

    Args:
        pixels: the blurred picture, (1, C, H, W), nominal range [0, 1].
        kernel: (1, 1 or C, h, w), as `acutance.operators.Blur` takes it.
        sigma: noise level, fraction of the range; None: estimated from the picture.
        side: of the part that is restored, in pixels; enlarged to six times the kernel where that is more.

    Returns:
        The verdict; UNCLEAR for a picture or a kernel that allows none.

    Raises:
        ImageError, KernelError: not of the shape above.

    Example:
        >>> judge_orientation(torch.rand(1, 1, 96, 96), torch.ones(1, 1, 3, 3) / 9).symmetric
        True
    """
    if pixels.ndim != 4 or pixels.shape[0] != 1 or 0 in pixels.shape:
        raise ImageError(f"pixels of shape {tuple(pixels.shape)}; give one picture, (1, C, H, W)")
    if kernel.ndim != 4 or kernel.shape[0] != 1 or 0 in kernel.shape:
        raise KernelError(f"a kernel of shape {tuple(kernel.shape)}; give (1, 1 or C, h, w)")
    pixels = pixels.to(torch.float32)
    finite = torch.isfinite(pixels)
    pixels = pixels if bool(finite.all()) else filled(pixels, finite.to(pixels))
    grey = pixels.mean(1, keepdim=True)  # (1, 1, H, W)
    trimmed = _trim(kernel.to(grey).mean(1, keepdim=True))
    if trimmed is None or not bool(finite.any()):
        return _unclear()
    if _self_correlation(trimmed) >= SYMMETRIC:
        return _unclear(symmetric=True)
    reach = max(trimmed.shape[-2:])
    part = most_textured(grey, max(side, 6 * reach))
    scale = float(brightness(part))
    if min(part.shape[-2:]) < max(SMALLEST, 2 * reach):
        return _unclear()
    part = part / scale
    level = _noise(part) if sigma is None else sigma / scale
    level = level if math.isfinite(level) else FLOOR
    given, rotated = (_votes(part, k, max(level, FLOOR)) for k in (trimmed, flip(trimmed)))
    difference = rotated - given  # (PATCHES^2,)
    mean = float(difference.mean())
    margin = mean / (float(difference.std()) / PATCHES + 1e-9)
    needed = FIRM if min(part.shape[-2:]) >= SMALL else FIRM_SMALL
    firm = abs(margin) > needed and abs(mean) > LEAST
    orientation = Orientation.UNCLEAR if not firm else Orientation.RIGHT if mean > 0 else Orientation.ROTATED
    return OrientationVerdict(orientation, float(given.mean()), float(rotated.mean()), margin, False)


def _unclear(*, symmetric: bool = False) -> OrientationVerdict:
    return OrientationVerdict(Orientation.UNCLEAR, 0.0, 0.0, 0.0, symmetric)


def _votes(part: Tensor, kernel: Tensor, sigma: float) -> Tensor:
    """log l1/l2 of the gradients of the Wiener solution in each patch: (PATCHES^2,)."""
    problem = Problem(part, Blur(kernel), torch.tensor(sigma, device=part.device))
    energy = gradient_energy(problem.crop(Wiener().run(problem).x))  # (1, 1, H, W)
    h, w = (n // PATCHES for n in energy.shape[-2:])
    patches = F.unfold(energy[..., : h * PATCHES, : w * PATCHES], (h, w), stride=(h, w))[0]  # (h w, PATCHES^2)
    return ((patches.sqrt().mean(0) + GRADIENT) / (patches.mean(0).sqrt() + GRADIENT)).log()


def _noise(x: Tensor) -> float:
    """Standard deviation of white noise: median of |second differences both ways| (Immerkaer 1996's mask)."""
    mask = x.new_tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]])[None, None] / 6
    return float(F.conv2d(x, mask).abs().median()) / 0.6745


def _trim(kernel: Tensor) -> Tensor | None:
    """The box around what is not negligible, sum 1, so that both orientations sit alike; None: there is nothing."""
    if not bool(torch.isfinite(kernel).all()) or float(kernel.sum()) <= 0:
        return None
    taken = kernel[0, 0] > 0.005 * kernel.max()
    rows, cols = (taken.any(d).nonzero().flatten() for d in (1, 0))
    box = kernel[..., int(rows[0]) : int(rows[-1]) + 1, int(cols[0]) : int(cols[-1]) + 1]
    return box / box.sum() if float(box.sum()) > 0 else None


def _self_correlation(kernel: Tensor) -> float:
    """Largest normalised correlation of a kernel with its rotated self over all shifts: 1 for a symmetric kernel.

    Both are softened by one binomial mask before, as the grid breaks the symmetry of thin lines.
    """
    mask = kernel.new_tensor([1.0, 2, 1]) / 4
    soft = F.conv2d(F.pad(kernel, (2, 2, 2, 2)), torch.outer(mask, mask)[None, None])
    h, w = soft.shape[-2:]
    spectrum = torch.fft.rfft2(soft, s=(2 * h, 2 * w))  # correlation with the rotated self is convolution with itself
    correlation = torch.fft.irfft2(spectrum.square(), s=(2 * h, 2 * w))
    return float(correlation.max() / soft.square().sum())
