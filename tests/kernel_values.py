"""Kernels for the tests of kernel files."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


def psf(h: int = 9, w: int = 7) -> NDArray[np.float64]:
    y, x = np.arange(h) - h // 2, np.arange(w) - w // 2
    kernel = np.exp(-np.add.outer((y / 2.0) ** 2, (x / 1.5) ** 2))
    return kernel / kernel.sum()


def kernel() -> torch.Tensor:
    return torch.from_numpy(psf()).float()[None, None]


def grey() -> NDArray[np.uint8]:
    return np.rint(psf() / psf().max() * 255).astype(np.uint8)
