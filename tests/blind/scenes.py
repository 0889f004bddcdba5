"""Scenes, a blur and a measure that the tests of kernel estimators share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from acutance.metrics import kernel_similarity
from acutance.operators import Blur


def town(side: int, seed: int = 5) -> Tensor:
    """A scene of many flat shapes, as estimators like it: (1, 1, side, side)."""
    g = torch.Generator().manual_seed(seed)
    x = torch.full((1, 1, side, side), 0.5)
    for _ in range(60):
        h, w = (int(torch.randint(6, 40, (1,), generator=g)) for _ in range(2))
        top, left = (int(torch.randint(0, side - 6, (1,), generator=g)) for _ in range(2))
        x[..., top : top + h, left : left + w] = float(torch.rand((), generator=g))
    return x


def page(side: int, seed: int = 5) -> Tensor:
    """Something like writing: rows of signs of black strokes on white paper, (1, 1, side, side)."""
    g = torch.Generator().manual_seed(seed)

    def some(least: int, below: int) -> int:
        return int(torch.randint(least, below, (1,), generator=g))

    x = torch.ones(1, 1, side, side)
    top = some(4, 10)
    while top < side:
        left = some(4, 10)
        while left < side:
            tall, wide = some(16, 24), some(10, 18)
            for _ in range(3):
                thick, i, j = some(3, 6), some(0, tall - 4), some(0, wide - 4)
                if some(0, 2):
                    x[..., top + i : top + i + thick, left : left + wide] = 0
                else:
                    x[..., top : top + tall, left + j : left + j + thick] = 0
            left += wide + (some(4, 8) if some(0, 6) else 20)
        top += 24 + some(8, 14)
    return x


def hook(side: int = 11) -> Tensor:
    """A path with a corner, (1, 1, side, side)."""
    k = torch.zeros(1, 1, side, side)
    k[..., 3, 2:8] = 1
    k[..., 3:8, 7] = 1
    return k / k.sum()


def shaken(
    side: int = 150, kernel: Tensor | None = None, level: float = 0.003, scene: Callable[[int], Tensor] = town
) -> tuple[Tensor, Tensor, Tensor]:
    """Scene, picture and kernel."""
    k = hook() if kernel is None else kernel
    x = scene(side + k.shape[-1] - 1)
    blur = Blur(k, "valid")
    y = blur.forward(x) + level * torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(1))
    return blur.crop(x), y.clamp(0, 1), k


def likeness(a: Tensor, b: Tensor) -> float:
    """`kernel_similarity` as a number."""
    return float(kernel_similarity(a, b))
