"""Rendered pictures of a telescope without blur: stars and galaxies on a sky that is nearly flat.

The same seed and number give the same picture. Stars are Gaussian, 0.7 pixels; galaxies are exponential discs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

WIDTH = 0.7
"""Standard deviation of a star, pixels."""

SLOPE = 1.2
"""The number of stars above a flux falls with this power of it."""


def stars(seed: int, number: int, *, size: int = 512) -> Tensor:
    """Picture `number` of a seed: (size, size) float32 in [0, 1], the brightest place at 1."""
    generator = torch.Generator().manual_seed(1_000_033 * seed + number)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    out = uniform(0.02, 0.1) * (1 + uniform(-0.2, 0.2) * x / size + uniform(-0.2, 0.2) * y / size)
    for _ in range(round(uniform(0.1, 0.9) * (size / 16) ** 2)):
        flux = 0.02 * float(torch.rand((), generator=generator).clamp_min(1e-3)) ** (-1 / SLOPE)
        _add(out, _star, uniform(0, size), uniform(0, size), 4, min(flux, 1.5))
    for _ in range(round(uniform(0, 1) * (size / 64) ** 2)):
        radius, ratio, turn = uniform(1.5, 8.0), uniform(0.3, 1.0), uniform(0, math.pi)

        def disc(dy: Tensor, dx: Tensor, r: float = radius, q: float = ratio, t: float = turn) -> Tensor:
            along, across = dx * math.cos(t) + dy * math.sin(t), dy * math.cos(t) - dx * math.sin(t)
            return torch.exp(-torch.hypot(along, across / q) / r)

        _add(out, disc, uniform(0, size), uniform(0, size), 40, uniform(0.03, 0.4))
    return (out / out.amax()).clamp(0, 1)


def _star(dy: Tensor, dx: Tensor) -> Tensor:
    return torch.exp(-0.5 * (dy.square() + dx.square()) / WIDTH**2)


def _add(picture: Tensor, shape: object, y0: float, x0: float, reach: int, peak: float) -> None:
    """Add a shape, told the distances from its centre, within `reach` pixels of it."""
    assert callable(shape)
    size = picture.shape[0]
    top, left = max(0, int(y0) - reach), max(0, int(x0) - reach)
    bottom, right = min(size, int(y0) + reach + 1), min(size, int(x0) + reach + 1)
    dy = torch.arange(float(top), float(bottom))[:, None] - y0
    dx = torch.arange(float(left), float(right))[None] - x0
    picture[top:bottom, left:right] += peak * shape(dy, dx)
