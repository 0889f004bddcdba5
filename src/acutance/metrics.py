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
