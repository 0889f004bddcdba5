"""Alignment of two pictures: find the shift between them, and move one by parts of a pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.tensors import crop

REACH = 24
"""Largest shift that is tried, pixels."""


def best_shift(estimate: Tensor, truth: Tensor, parts: int = 1) -> tuple[float, float]:
    """The (row, column) at which the estimate shows what the truth has at (0, 0), by the least squared error.

    Args:
        estimate, truth: (1, C, H, W), both sides larger than 2 `REACH`; the mean of the channels counts.
        parts: of a pixel; more than 1: where a parabola through the least error and its neighbours is least.

    Returns:
        Each up to `REACH`, a multiple of 1 / parts.
    """
    x = estimate.double().mean(1, keepdim=True)
    inner = crop(truth, REACH, REACH).double().mean(1, keepdim=True)
    size, reach = truth.shape[-2:], 2 * REACH + 1
    spectrum = torch.fft.rfft2(x) * torch.fft.rfft2(inner, s=size).conj()
    cross = torch.fft.irfft2(spectrum, s=size)[0, 0, :reach, :reach]
    table = F.pad(x.square().cumsum(-1).cumsum(-2), (1, 0, 1, 0))[0, 0]
    ih, iw = inner.shape[-2:]
    energy = table[ih:, iw:] - table[:-ih, iw:] - table[ih:, :-iw] + table[:-ih, :-iw]
    error = energy - 2 * cross
    row, col = divmod(int(error.argmin()), reach)
    down, along = (0.0, 0.0) if parts == 1 else (_least(error[:, col], row), _least(error[row], col))
    return round(parts * (row + down - REACH)) / parts, round(parts * (col + along - REACH)) / parts


def _least(errors: Tensor, i: int) -> float:
    """Find where the parabola through values i - 1, i, i + 1 is least, relative to i; 0 at the ends."""
    if not 0 < i < len(errors) - 1:
        return 0.0
    before, at, after = errors[i - 1 : i + 2].tolist()
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend > 0 else 0.0


def shifted(x: Tensor, down: Tensor | float, along: Tensor | float) -> Tensor:
    """Pictures (n, 1, h, w) moved by so many rows and columns, for each of them or for all, around the frame."""
    h, w = x.shape[-2:]
    rows, cols = torch.fft.fftfreq(h)[:, None], torch.fft.rfftfreq(w)
    down, along = (torch.as_tensor(shift).view(-1, 1, 1, 1) for shift in (down, along))
    phase = torch.exp(-2j * torch.pi * (down * rows + along * cols))
    moved: Tensor = torch.fft.irfft2(torch.fft.rfft2(x) * phase, s=(h, w))
    return moved
