"""What a kernel is freed of between two estimates: negative values, specks, a place beside the centre."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SPECK = 0.1
"""Part of the sum of a kernel below which a connected piece of it is noise."""

FAINT = 0.05
"""Part of the maximum below which a finished kernel is noise."""


def summed(kernel: Tensor) -> Tensor:
    """Not negative, sum 1; a kernel without anything positive becomes a point."""
    k = kernel.clamp_min(0).nan_to_num(0)
    total = k.sum((-2, -1), keepdim=True)
    point = torch.zeros_like(k)
    point[..., k.shape[-2] // 2, k.shape[-1] // 2] = 1
    return torch.where(total > 0, k / torch.where(total > 0, total, 1.0), point)


def pieces(kernel: Tensor) -> Tensor:
    """Labels of the connected pieces (eight neighbours) of (1, 1, h, w): whole numbers, 0 where the kernel is."""
    inside = kernel > 0
    labels = torch.arange(1, kernel.numel() + 1, device=kernel.device, dtype=torch.float64).reshape(kernel.shape)
    labels = torch.where(inside, labels, 0.0)
    while True:  # the largest label floods its piece
        grown = torch.where(inside, F.max_pool2d(labels, 3, 1, 1), 0.0)
        if torch.equal(grown, labels):
            return labels.long()
        labels = grown


def without_specks(kernel: Tensor, least: float = SPECK) -> Tensor:
    """The kernel without connected pieces of less than that part of its sum; if none is larger, with the largest."""
    labels = pieces(kernel)
    sums = torch.zeros(kernel.numel() + 1, device=kernel.device, dtype=kernel.dtype)
    sums.index_add_(0, labels.flatten(), kernel.clamp_min(0).flatten())
    keep = sums >= min(least * float(sums.sum()), float(sums.max()))
    return torch.where(keep[labels] & (labels > 0), kernel, 0.0)


def centred(kernel: Tensor) -> Tensor:
    """The kernel moved by whole pixels so that its centre of mass is nearest to its centre; nothing is lost."""
    h, w = kernel.shape[-2:]
    rows = torch.arange(h, device=kernel.device, dtype=kernel.dtype)
    cols = torch.arange(w, device=kernel.device, dtype=kernel.dtype)
    total = float(kernel.sum())
    down = round(h // 2 - float((kernel.sum(-1) * rows).sum()) / total)
    along = round(w // 2 - float((kernel.sum(-2) * cols).sum()) / total)
    wide = F.pad(kernel, (abs(along),) * 2 + (abs(down),) * 2)
    moved = torch.roll(wide, (down, along), (-2, -1))
    inner = moved[..., abs(down) : abs(down) + h, abs(along) : abs(along) + w]
    lost = float(moved.sum() - inner.sum())
    return moved if lost > 1e-6 * total else inner


def finished(kernel: Tensor, faint: float = FAINT) -> Tensor:
    """A kernel to be given away: without faint values and specks, centred, in the smallest odd square that holds it."""
    k = torch.where(kernel < faint * kernel.max(), 0.0, kernel)
    k = centred(summed(without_specks(summed(k))))
    rows, cols = ((k.sum(d) > 0).flatten().nonzero().flatten() for d in (-1, -2))
    h, w = k.shape[-2:]
    reach = max(int((r - n // 2).abs().max()) for r, n in ((rows, h), (cols, w)))
    half = max(1, reach)
    k = F.pad(k, (half, half, half, half))
    top, left = h // 2, w // 2  # of the square around the centre, after padding
    return summed(k[..., top : top + 2 * half + 1, left : left + 2 * half + 1])


def of_side(kernel: Tensor, side: int) -> Tensor:
    """A kernel in a square of another odd side about its centre, cut or with zeros around; the sum stays."""
    more = [side // 2 - n // 2 for n in kernel.shape[-2:]]
    framed = F.pad(kernel, (more[1], more[1], more[0], more[0]))
    return framed * (kernel.sum((-2, -1), keepdim=True) / framed.sum((-2, -1), keepdim=True).clamp_min(1e-12))
