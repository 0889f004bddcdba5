r"""PSNR and SSIM of a restored picture under a protocol: border, alignment, range 1.

The estimate is clipped to [0, 1], never rounded. With `Scoring.shift` it may first be moved against the truth, as where
the kernel fixes the place of the sharp picture only up to a shift: the whole-pixel shift with the least square error,
then the best one of the fractions around it. Fractions are shifts of the phase,

    X(f) exp(2 pi i f d),

of the picture mirrored at its edges: exact for band-limited pictures, so that unlike bilinear or bicubic interpolation
they neither blur the estimate nor reward one that is a little too sharp.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from acutance.errors import ConfigError, MissingExtra
from acutance.metrics import psnr
from acutance.operators import gradients
from acutance.tensors import crop
from acutance_lab.synth.degradation import luma


@dataclass(frozen=True)
class Scoring:
    """How a suite scores.

    Args:
        border: pixels of the truth left out on every side.
        shift: largest whole-pixel shift tried in each direction; 0: no alignment.
        fraction: parts of a pixel tried after that; 1: none.
        luma: compare Y of YCbCr (ITU-R BT.601, 16 to 235 of 255) instead of the three colours.
    """

    border: int = 0
    shift: int = 0
    fraction: int = 1
    luma: bool = False

    def __post_init__(self) -> None:
        if self.fraction < 1 or self.shift < 0 or self.border < self.shift + (self.fraction > 1):
            raise ConfigError(
                f"border={self.border}, shift={self.shift}, fraction={self.fraction}: the border must be larger than "
                "the shift, and neither may be negative"
            )


OUTER = 20
"""Width of the frame that `border_and_interior` scores apart, pixels."""

WINDOW = 11
"""Side of the window of SSIM."""

WHOLE = Scoring()
"""The whole picture, not aligned."""

LUMA = Scoring(luma=True)
"""The same, of Y alone."""

BLIND = Scoring(border=25, shift=20, fraction=4)
"""Of a method that found the kernel itself, where others are scored as `WHOLE`: what it makes may lie anywhere."""

PERFECT = 100.0
"""dB that a picture has at most, so that one without any error can be averaged and written down."""


@dataclass(frozen=True)
class Score:
    """PSNR in dB, at most `PERFECT`; SSIM; (row, column) at which the estimate shows what the truth has at (0, 0)."""

    psnr: float
    ssim: float
    shift: tuple[float, float] = (0.0, 0.0)


def score(estimate: Tensor, truth: Tensor, scoring: Scoring = WHOLE, *, ssim: bool = True) -> Score:
    """Compare (1, C, H, W) with the truth of the same shape; without `ssim` that is not a number.

    Raises:
        MissingExtra: torchmetrics is not installed.
    """
    estimate, truth, shift = aligned(estimate, truth, scoring)
    likeness = structural_similarity(estimate, truth) if ssim else math.nan
    return Score(min(PERFECT, float(psnr(estimate, truth))), likeness, shift)


def border_and_interior(estimate: Tensor, truth: Tensor) -> tuple[float, float] | None:
    """PSNR in dB of the outer 20 pixels of (1, C, H, W), and of the rest; None if there is no rest."""
    if min(truth.shape[-2:]) <= 2 * OUTER:
        return None
    square = (estimate.double().clamp(0, 1) - truth.double()).square()
    inner = crop(square, OUTER, OUTER)
    outer = (square.sum() - inner.sum()) / (square.numel() - inner.numel())
    return float(-10 * torch.log10(outer.clamp_min(0))), float(-10 * torch.log10(inner.mean()))


def sparsity(pixels: Tensor) -> float:
    r"""A score of (1, C, H, W) that needs no reference; 0 for a picture without any gradient.

    The normalised sparsity of the gradients of the luma (Krishnan et al. 2011),

        s(x) = ||grad x||_1 / ( ||grad x||_2 sqrt(n) ),      in (0, 1],

    lower for a sharp picture of few edges, higher for a blurred or a noisy one. It goes up with noise and ringing.
    """
    grey = luma(pixels.double()) if pixels.shape[1] == 3 else pixels.double()
    rows, cols = gradients(grey[:, :1])
    values = torch.cat((rows.flatten(), cols.flatten()))
    root = float(values.norm()) * values.numel() ** 0.5
    return float(values.abs().sum()) / root if root > 0 else 0.0


def aligned(estimate: Tensor, truth: Tensor, scoring: Scoring) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """What is compared: clipped estimate and truth, moved onto each other and cut, and the shift."""
    estimate, truth = estimate.double().clamp(0, 1), truth.double()
    if scoring.luma:
        estimate, truth = ((16 + 219 * luma(x)[:, :1]) / 255 for x in (estimate, truth))
    inner = crop(truth, scoring.border, scoring.border)
    height, width = inner.shape[-2:]
    if height < WINDOW or width < WINDOW:
        raise ConfigError(
            f"a {tuple(truth.shape[-2:])} picture less {scoring.border} pixels is smaller than the window of SSIM"
        )

    def cut(x: Tensor, row: int, col: int) -> Tensor:
        top, left = scoring.border + row, scoring.border + col
        return x[..., top : top + height, left : left + width]

    reach = range(-scoring.shift, scoring.shift + 1)
    row, col = min(product(reach, reach), key=lambda d: float((cut(estimate, *d) - inner).square().sum()))
    best, shift = cut(estimate, row, col), (float(row), float(col))
    if scoring.shift and scoring.fraction > 1:
        least = float((best - inner).square().sum())
        parts = [i / scoring.fraction for i in range(1 - scoring.fraction, scoring.fraction)]
        for down in parts:
            moved = moved_along(estimate, down, -2)
            for right in parts:
                candidate = cut(moved_along(moved, right, -1), row, col).clamp(0, 1)
                error = float((candidate - inner).square().sum())
                if error < least:
                    least, best, shift = error, candidate, (row + down, col + right)
    return best, inner, shift


def moved_along(x: Tensor, distance: float, dim: int) -> Tensor:
    """x(i + distance) along one dimension, by the phase of x mirrored at its edges."""
    if distance == 0:
        return x
    n = x.shape[dim]
    spectrum = torch.fft.rfft(torch.cat((x, x.flip(dim)), dim), dim=dim)
    frequency = torch.arange(n + 1, dtype=x.dtype, device=x.device) / (2 * n)
    phase = torch.exp(2j * torch.pi * distance * frequency)
    shape = [1] * x.ndim
    shape[dim] = n + 1
    moved: Tensor = torch.fft.irfft(spectrum * phase.reshape(shape), n=2 * n, dim=dim)
    return moved.narrow(dim, 0, n)


def require_ssim() -> None:
    """See that SSIM can be computed.

    Raises:
        MissingExtra: torchmetrics is not installed.
    """
    try:
        import torchmetrics.functional.image  # noqa: F401
    except ImportError as error:
        raise MissingExtra("SSIM in the benchmark", "lab") from error


def structural_similarity(estimate: Tensor, truth: Tensor) -> float:
    """SSIM (Wang 2004): Gaussian window of 11 x 11 and sigma 1.5, range 1, K 0.01 and 0.03, mean over whole windows.

    Channels are compared one by one and averaged.

    Raises:
        MissingExtra: torchmetrics is not installed.
    """
    require_ssim()
    from torchmetrics.functional.image import structural_similarity_index_measure

    _, whole = structural_similarity_index_measure(
        estimate.float(),  # its convolution takes twenty times as long in double precision
        truth.float(),
        gaussian_kernel=True,
        sigma=1.5,
        kernel_size=WINDOW,
        data_range=1.0,
        k1=0.01,
        k2=0.03,
        return_full_image=True,
    )
    # torchmetrics mirrors the border and averages over all of it; Wang's mean is over windows inside the picture.
    return float(crop(whole, WINDOW // 2, WINDOW // 2).mean())
