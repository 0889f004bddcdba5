"""Kernels for the tests of kernel files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import j1

Array = NDArray[np.float64]


def psf(h: int = 9, w: int = 7) -> NDArray[np.float64]:
    y, x = np.arange(h) - h // 2, np.arange(w) - w // 2
    kernel = np.exp(-np.add.outer((y / 2.0) ** 2, (x / 1.5) ** 2))
    return kernel / kernel.sum()


def kernel() -> torch.Tensor:
    return torch.from_numpy(psf()).float()[None, None]


def grey() -> NDArray[np.uint8]:
    return np.rint(psf() / psf().max() * 255).astype(np.uint8)


def radius(n: int) -> Array:
    a = np.arange(n) - n // 2
    return np.hypot(*np.meshgrid(a, a))


def splatted(points: Array, n: int) -> Array:
    """Points (m, 2) around the centre, spread over the four pixels around each."""
    kernel = np.zeros((n, n))
    for a, b in points + n // 2:
        i, j = int(a), int(b)
        kernel[i : i + 2, j : j + 2] += np.outer([1 - a + i, a - i], [1 - b + j, b - j])
    return kernel / kernel.sum()


def shake(n: int, seed: int) -> Array:
    path = np.cumsum(np.random.default_rng(seed).normal(0, 1, (400, 2)), 0)
    path -= path.mean(0)
    return splatted(path * (n / 2 - 2) / abs(path).max(), n)


def line(n: int, length: float, angle: float = 0.6) -> Array:
    return splatted(np.linspace(-length / 2, length / 2, 500)[:, None] * [np.sin(angle), np.cos(angle)], n)


def airy(n: int, s: float) -> Array:
    r = radius(n) / s + 1e-9
    kernel: Array = (2 * j1(r) / r) ** 2
    return kernel


SMOOTH: dict[str, Callable[[int, float], Array]] = {
    "gaussian": lambda n, s: np.exp(-(radius(n) ** 2) / (2 * s * s)),
    "airy": airy,
    "moffat": lambda n, s: (1 + (radius(n) / s) ** 2) ** -2.5,
    "wide moffat": lambda n, s: (1 + (radius(n) / s) ** 2) ** -1.5,
    "disc": lambda n, s: (s + 0.5 - radius(n)).clip(0, 1),
    "line": lambda n, s: line(n, min(2 * s, 0.8 * n)),
    "shake": lambda n, s: shake(n, int(10 * s) + n),
}
MOVED = {"shake 15": shake(15, 2), "shake 21": shake(21, 1), "shake 31": shake(31, 5), "line": line(21, 12.0)}
