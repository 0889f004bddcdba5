"""Small exact operations on plain tensors: borders and their adjoints, fast transform sizes.

Images are (B, C, H, W), volumes (B, C, D, H, W). Nothing here knows of blur.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Border = Literal["zero", "circular", "replicate"]

SENSED = 32
"""Side of the blocks that pictures are sensed by, pixels."""


def fast_length(n: int) -> int:
    """Smallest even 2-3-5-7-smooth length >= n: transforms of such lengths are fast on every backend."""
    m = max(2, n + n % 2)
    while True:
        rest = m
        for p in (2, 3, 5, 7):
            while rest % p == 0:
                rest //= p
        if rest == 1:
            return m
        m += 2


def pad(x: Tensor, *more: int, border: Border) -> Tensor:
    """Extend the last axes, each by so many samples at both ends: (B, C, H, W), rows, cols or (B, C, D, H, W), ...

    Raises:
        ValueError: a circular border wider than the picture.
    """
    if not any(more):
        return x
    size = tuple(x.shape[-len(more) :])
    if border == "circular" and any(m > n for m, n in zip(more, size, strict=True)):
        raise ValueError(f"a circular border of {'x'.join(map(str, more))} is wider than the picture ({size})")
    mode = {"zero": "constant", "circular": "circular", "replicate": "replicate"}[border]
    return F.pad(x, [m for m in reversed(more) for _ in range(2)], mode=mode)


def pad_adjoint(z: Tensor, *more: int, border: Border) -> Tensor:
    """Adjoint of `pad`: (B, C, H + 2 rows, W + 2 cols) -> (B, C, H, W); what was copied out is summed back."""
    for dim, m in zip(range(-len(more), 0), more, strict=True):
        z = _fold(z, m, dim, border)
    return z


def _fold(z: Tensor, r: int, dim: int, border: Border) -> Tensor:
    n = z.shape[dim] - 2 * r
    inner = z.narrow(dim, r, n)
    if r == 0 or border == "zero":
        return inner
    before, after = z.narrow(dim, 0, r), z.narrow(dim, r + n, r)
    inner = inner.clone()
    if border == "circular":
        inner.narrow(dim, n - r, r).add_(before)
        inner.narrow(dim, 0, r).add_(after)
    else:
        inner.narrow(dim, 0, 1).add_(before.sum(dim, keepdim=True))
        inner.narrow(dim, n - 1, 1).add_(after.sum(dim, keepdim=True))
    return inner


def crop(x: Tensor, *less: int) -> Tensor:
    """Shorten the last axes, each by so many samples at both ends."""
    return x[box(less, [n - 2 * m for m, n in zip(less, x.shape[-len(less) :], strict=True)])]


def box(corner: Sequence[int], size: Sequence[int]) -> tuple[Any, ...]:
    """The index of a piece of pictures or volumes, from its corner and its size along the last axes."""
    return (..., *(slice(a, a + max(0, n)) for a, n in zip(corner, size, strict=True)))


def spread(values: Tensor, like: Tensor) -> Tensor:
    """Numbers of the pictures of a batch, (B,), as (B, 1, ..., 1) that broadcasts with `like`."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))


def spatial(x: Tensor) -> tuple[int, ...]:
    """The axes of a picture or volume, without batch and channels: (-2, -1) or (-3, -2, -1)."""
    return tuple(range(2 - x.ndim, 0))


def filled(x: Tensor, mask: Tensor, *, side: int = 17) -> Tensor:
    """x (B, C, H, W) with what lies where the mask (B or 1, C or 1, H, W) is 0 replaced, whatever it was.

    By the mean of the believed pixels in a square of `side` pixels around it; where there are none, of the picture.
    Of a volume (B, C, D, H, W) every plane is filled on its own.
    """
    if x.ndim == 5:
        b, c, d = x.shape[:3]
        planes, seen = (z.expand(b, c, *x.shape[2:]).reshape(b, c * d, *x.shape[3:]) for z in (x, mask))
        return filled(planes, seen, side=side).reshape(x.shape)
    seen = (mask > 0).to(x.dtype).expand(x.shape[0], -1, -1, -1)
    known = torch.where(seen > 0, x, 0.0)
    whole = known.sum((2, 3), keepdim=True) / seen.sum((2, 3), keepdim=True).clamp_min(1)
    share = _mean_around(seen, side)
    near = torch.where(share > 0, _mean_around(known, side) / share.clamp_min(1e-6), whole)
    return torch.where(seen > 0, x, near)


def _mean_around(x: Tensor, side: int) -> Tensor:
    """Mean of the square of `side` pixels around each pixel, 0 beyond the frame. Two passes are four times as fast."""
    return F.avg_pool2d(F.avg_pool2d(x, (side, 1), 1, (side // 2, 0)), (1, side), 1, (0, side // 2))


BRIGHT = 0.999
"""Quantile of a picture that stands for its brightness."""

FEW_STARS, STAR_PIXELS = 0.02, 9
"""Where nearly all is dark, the brightness is at least this part of the value that so many samples reach: the light of
one star counts, a few hot pixels do not."""


def brightness(x: Tensor, valid: Tensor | None = None) -> Tensor:
    """How bright each picture is: a number s with s(c x) = |c| s(x) for every c, without a floor.

        s = max(99.9 % quantile of |x|, FEW_STARS * (STAR_PIXELS-th largest |x|))

    Args:
        x: (B, C, H, W), any range and sign; samples that are not finite do not count.
        valid: (B or 1, C or 1, H, W), above 0 where a sample counts; None: everywhere.

    Returns:
        (B,), above 0, of the type of x; 1 for a picture that is black or has no valid sample.

    >>> brightness(torch.tensor([[[[-2.0, 4.0]]]]))
    tensor([3.9980])
    """
    counts = torch.isfinite(x)
    counts = counts if valid is None else counts & (valid > 0)
    pairs = zip(x.detach().abs(), counts.expand_as(x), strict=True)
    return torch.stack([_brightness(p.flatten() if bool(c.all()) else p[c]) for p, c in pairs])


def _brightness(values: Tensor) -> Tensor:
    """That of the values (N,) of one picture, none of them negative."""
    if values.numel() == 0:
        return values.new_ones(())
    part = values[:: max(1, values.numel() // 1_000_000)]
    part = part if part.dtype == torch.float64 else part.float()
    bright = torch.quantile(part, BRIGHT).to(values)
    star = values.topk(min(STAR_PIXELS, values.numel())).values[-1]
    found = torch.maximum(bright, FEW_STARS * star)
    return found if bool(found > 0) and bool(torch.isfinite(found)) else torch.ones_like(found)


def flip(x: Tensor) -> Tensor:
    """Turn every axis of a picture or volume round: in the image plane, a rotation by 180 degrees."""
    return torch.flip(x, spatial(x))


def cosine_matrix(n: int) -> Tensor:
    """The orthonormal cosine transform of n points, one frequency a row: (n, n), float64."""
    i = torch.arange(n, dtype=torch.float64)
    m: Tensor = torch.cos(math.pi / n * (i + 0.5) * i[:, None]) * math.sqrt(2 / n)
    m[0] /= math.sqrt(2)
    return m


def to_multiple(x: Tensor, multiple: int) -> Tensor:
    """(B, C, H, W) extended to multiples, below and to the right, by reflection; by repetition where it is small."""
    height, width = x.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    if not (bottom or right):
        return x
    return F.pad(x, (0, right, 0, bottom), mode="reflect" if bottom < height and right < width else "replicate")


def block_products(x: Tensor, rows: Tensor, side: int) -> Tensor:
    """Scalar products of every block of side x side pixels with each of m rows, channels apart.

    Args:
        x: (B, C, H, W), sides multiples of `side`. rows: (m, side^2), pixels of a block row by row.

    Returns:
        (B, C m, H / side, W / side), the m of a channel together.
    """
    apart = x.reshape(-1, 1, *x.shape[-2:])  # (B C, 1, H, W)
    found = F.conv2d(apart, rows.reshape(-1, 1, side, side), stride=side)
    return found.reshape(x.shape[0], -1, *found.shape[-2:])


def block_sums(b: Tensor, rows: Tensor, side: int) -> Tensor:
    """The adjoint of `block_products`: (B, C m, h, w) -> (B, C, h side, w side), each block a sum of rows."""
    apart = b.reshape(-1, len(rows), *b.shape[-2:])  # (B C, m, h, w)
    x = F.conv_transpose2d(apart, rows.reshape(-1, 1, side, side), stride=side)
    return x.reshape(b.shape[0], -1, *x.shape[-2:])


def per_image(x: Tensor) -> Tensor:
    """Sum over everything but the batch: (B, ...) -> (B,)."""
    return x.flatten(1).sum(1)
