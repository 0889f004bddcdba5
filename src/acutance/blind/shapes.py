"""The form of a kernel: its widths, and the disc, the Gaussian and the line that are most like it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.metrics import kernel_similarity
from acutance.psf import shapes

LEAST = 0.85
"""Similarity to an estimated kernel from which a shape is worth a trial. With 0.72 a line spoilt a page of text."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A kernel with a name.

    Args:
        kernel: (1, 1, s, s). kind: "disc", "gaussian" or "line". size: radius, standard deviation or length, pixels.
        angle: of a line, degrees. similarity: to the kernel that it was compared with.
    """

    kernel: Tensor
    kind: str
    size: float
    angle: float
    similarity: float


def widths(kernel: Tensor) -> tuple[float, float]:
    """Standard deviations in pixels of a kernel (1, 1, h, w) in its narrowest and widest direction."""
    low, high, _ = _moments(kernel)
    return low, high


def _moments(kernel: Tensor) -> tuple[float, float, float]:
    """`widths`, and the widest direction as `shapes.line` counts angles, degrees."""
    k = kernel[0, 0].double() / kernel.sum()
    down, along = torch.meshgrid(*(torch.arange(n, dtype=k.dtype) for n in k.shape), indexing="ij")
    places = torch.stack((down.flatten(), along.flatten())).to(k.device)
    away = places - places @ k.flatten()[:, None]
    values, vectors = torch.linalg.eigh((away * k.flatten()) @ away.mT)
    low, high = values.clamp_min(0).sqrt().tolist()
    down_, along_ = vectors[:, 1].tolist()
    return low, high, math.degrees(math.atan2(-down_, along_)) % 180


def nearest(kernel: Tensor) -> Iterator[Shape]:
    """The disc, the Gaussian and the line that are most like a kernel (1, 1, s, s), those above `LEAST` only."""
    low, high, angle = _moments(kernel)
    mean = math.sqrt((low * low + high * high) / 2)
    families: tuple[tuple[str, Callable[[float, float], Tensor], float, float], ...] = (
        ("disc", lambda size, _: shapes.disc(max(size, 0.6)), 2 * mean, 0.0),
        ("gaussian", lambda size, _: shapes.gaussian(max(size, 0.35)), mean, 0.0),
        ("line", lambda size, turn: shapes.line(max(size, 1.5), turn), math.sqrt(12) * high, angle),
    )
    for kind, make, size, turn in families:
        if kind != "line" and low < 0.45 * high:
            continue
        best = _climbed(kernel, kind, make, size, turn)
        if best.similarity >= LEAST:
            yield best


def _climbed(kernel: Tensor, kind: str, make: Callable[[float, float], Tensor], size: float, turn: float) -> Shape:
    """The most similar of a family, by steps in size and, of a line, in angle that become smaller."""

    def at(s: float, a: float) -> Shape:
        k = make(s, a).to(kernel)
        return Shape(k, kind, s, a, float(kernel_similarity(kernel, k)))

    best = at(size, turn)
    for step in (0.2, 0.08, 0.03):
        turns = (-60 * step, 0.0, 60 * step) if kind == "line" else (0.0,)
        tried = [at(best.size * (1 + s), (best.angle + a) % 180) for s in (-step, 0.0, step) for a in turns]
        best = max([best, *tried], key=lambda shape: shape.similarity)
    return best
