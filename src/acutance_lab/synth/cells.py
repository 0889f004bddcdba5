"""Rendered pictures of a fluorescence microscope without blur: filaments, spots and nuclei on a dark ground.

The same seed and number give the same picture. Lines and spots are as wide as a pixel shows them: Gaussian, 0.8 pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

WIDTH = 0.8
"""Standard deviation of lines and spots, pixels."""


def cells(seed: int, number: int, *, size: int = 512) -> Tensor:
    """Picture `number` of a seed: (size, size) float32 in [0, 1], the brightest place at 1."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + number)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    lines = torch.zeros(size, size)
    for _ in range(round(uniform(10, 60))):
        _splat(lines, _filament(size, generator), uniform(0.2, 1.0) ** 2)
    spots = torch.zeros(size, size)
    count = round(uniform(0, 400))
    _splat(spots, torch.rand(count, 2, generator=generator) * (size - 1), 1.0)
    spots *= torch.rand(size, size, generator=generator) ** 2
    nuclei = torch.zeros(size, size)
    for _ in range(round(uniform(0, 8))):
        nuclei = torch.maximum(nuclei, _nucleus(size, generator))
    sharp = _soften(lines + 2.0 * spots, WIDTH)
    parts = uniform(0.3, 1.0) * sharp / sharp.amax().clamp_min(1e-6) + uniform(0.0, 0.5) * nuclei
    return parts / parts.amax().clamp_min(1e-6)


def _filament(size: int, generator: torch.Generator) -> Tensor:
    """Places (n, 2) along a line that bends slowly, a quarter of a pixel apart."""
    n = 4 * int(size * (0.3 + float(torch.rand((), generator=generator))))
    bend = torch.randn(n, generator=generator).cumsum(0) * 0.004
    angle = 2 * math.pi * torch.rand((), generator=generator) + bend.cumsum(0) * 0.02 + bend
    start = torch.rand(2, generator=generator) * size
    return start + 0.25 * torch.stack((angle.sin(), angle.cos()), 1).cumsum(0)


def _splat(picture: Tensor, places: Tensor, weight: float) -> None:
    """Add `weight` at places (n, 2), shared out among the four pixels around each; those outside are left out."""
    size = picture.shape[0]
    inside = ((places >= 0) & (places < size - 1)).all(1)
    y, x = places[inside].unbind(1)
    top, left = y.floor().long(), x.floor().long()
    down, right = y - top, x - left
    for i, part in ((0, 1 - down), (1, down)):
        for j, other in ((0, 1 - right), (1, right)):
            picture.index_put_((top + i, left + j), weight * part * other, accumulate=True)


def _nucleus(size: int, generator: torch.Generator) -> Tensor:
    """An ellipse with a soft edge and a mottled inside, (size, size)."""
    y0, x0, turn, stretch, radius = torch.rand(5, generator=generator).tolist()
    y, x = torch.meshgrid(torch.arange(size) - y0 * size, torch.arange(size) - x0 * size, indexing="ij")
    sine, cosine = math.sin(math.pi * turn), math.cos(math.pi * turn)
    reach = size * (0.04 + 0.08 * radius)
    distance = torch.hypot(y * cosine + x * sine, (x * cosine - y * sine) / (0.6 + 0.4 * stretch))
    grain = F.interpolate(
        torch.randn(1, 1, size // 8, size // 8, generator=generator), size=(size, size), mode="bicubic"
    )
    return torch.sigmoid(reach - distance) * (0.7 + 0.15 * grain[0, 0]).clamp(0.1, 1.0)


def _soften(picture: Tensor, sigma: float) -> Tensor:
    """Convolved with a Gaussian of that standard deviation, pixels."""
    i = torch.arange(-4, 5, dtype=torch.float32)
    g = torch.exp(-0.5 * (i / sigma) ** 2)
    g = g / g.sum()
    x = F.pad(picture[None, None], (4, 4, 4, 4), mode="reflect")
    return F.conv2d(F.conv2d(x, g[None, None, None]), g[None, None, :, None])[0, 0]
