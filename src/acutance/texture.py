"""Where there is something to be seen in a picture: its gradients, and the window that has most of them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def gradient_energy(x: Tensor) -> Tensor:
    """|grad x|^2 by first differences, (1, 1, H - 1, W - 1)."""
    corner = x[..., :-1, :-1]
    return (x[..., 1:, :-1] - corner).square() + (x[..., :-1, 1:] - corner).square()


def most_textured(x: Tensor, side: int) -> Tensor:
    """The window of at most `side` pixels of (1, 1, H, W) with the largest sum of gradient magnitudes."""
    rows, cols = where_textured(x, side)
    return x[..., rows, cols]


def where_textured(x: Tensor, side: int) -> tuple[slice, slice]:
    """Rows and columns of `most_textured`."""
    height, width = (min(n, side) for n in x.shape[-2:])
    if (height, width) == tuple(x.shape[-2:]) or min(height, width) < 2:
        return slice(0, height), slice(0, width)
    magnitude = gradient_energy(x).sqrt().double()
    table = F.pad(magnitude.cumsum(-1).cumsum(-2), (1, 0, 1, 0))[0, 0]  # (H, W): sums of all corners' rectangles
    h, w = height - 1, width - 1
    sums = table[h:, w:] - table[:-h, w:] - table[h:, :-w] + table[:-h, :-w]
    top, left = divmod(int(sums.argmax()), sums.shape[1])
    return slice(top, top + height), slice(left, left + width)


def quarters(picture: Tensor, side: int) -> tuple[tuple[slice, slice], ...]:
    """The most textured window of each quarter of (1, 1, H, W), or of the whole of a small one: rows and columns."""
    rows, cols = (_halves(n, side) for n in picture.shape[-2:])
    places = []
    for r in rows:
        for c in cols:
            down, along = where_textured(picture[..., r, c], side)
            places.append(
                (
                    slice(r.start + down.start, r.start + down.stop),
                    slice(c.start + along.start, c.start + along.stop),
                )
            )
    return tuple(places)


def _halves(length: int, side: int) -> tuple[slice, ...]:
    """One piece of a length, or two where windows of that side hardly overlap in them."""
    if length < 1.6 * side:
        return (slice(0, length),)
    half = max(length // 2, side)
    return slice(0, half), slice(length - half, length)
