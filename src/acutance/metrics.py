"""Quality of a picture against the truth; range, border and alignment are explicit."""

from __future__ import annotations

import torch
from torch import Tensor

from acutance.tensors import crop


def psnr(estimate: Tensor, truth: Tensor, *, border: int = 0, peak: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio, 10 log10(peak^2 / mean square error), in dB.

    Args:
        estimate, truth: (B, C, H, W), the same shape.
        border: pixels left out on every side.
        peak: the range.

    Returns:
        (B,); infinite where the two are equal.
    """
    if estimate.shape != truth.shape:
        raise ValueError(f"pictures of different shapes: {tuple(estimate.shape)} and {tuple(truth.shape)}")
    error = crop(estimate - truth, border, border).double().square().flatten(1).mean(1)
    return 10 * torch.log10(peak**2 / error)


def kernel_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Largest normalised cross-correlation of two kernels over all shifts (Hu & Yang 2012).

        max_s  sum_p a(p) b(p + s) / ( ||a|| ||b|| )

    Args:
        a, b: (1, 1, h, w), not negative; their sizes may differ.

    Returns:
        (), in [0, 1]; 1 where one is the other shifted or multiplied.
    """
    size = [m + n for m, n in zip(a.shape[-2:], b.shape[-2:], strict=True)]
    spectra = torch.fft.rfft2(a.double(), s=size), torch.fft.rfft2(b.double(), s=size)
    correlation: Tensor = torch.fft.irfft2(spectra[0].conj() * spectra[1], s=size)
    best: Tensor = correlation.max() / (a.double().norm() * b.double().norm())
    return best
