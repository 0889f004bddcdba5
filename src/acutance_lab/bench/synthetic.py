r"""Blurred, noisy pictures of which the truth is known, the same on every machine.

    y = quantise( clip( valid(f * x) + sigma n ) ),      n standard normal, from Philox

Philox is seeded with the SHA-256 of "set/picture/kernel/level", so a case has the same noise wherever it is made. Its
key is the first 16 bytes of the hash, big-endian; the level is in percent, as "1" or "2.5"; n is drawn in the order
channel, row, column; quantise rounds to 8 bits. The truth is x without the kernel's radius on each side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from acutance.operators import Blur
from acutance_lab.bench.case import Content


def standard_normal(name: str, shape: Sequence[int]) -> Tensor:
    """Gaussian noise of standard deviation 1 that belongs to that name; float64."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")
    draw = np.random.Generator(np.random.Philox(key=key)).standard_normal(tuple(shape))
    return torch.from_numpy(draw)


def synthetic_content(
    suite: str, picture: str, kernel_name: str, noise: float, sharp: Tensor, kernel: Tensor, *, cuts: bool = False
) -> Content:
    """Blur `sharp` (1, C, H', W') in [0, 1] with `kernel` (1, 1, h, w), add noise, clip, round; see the module.

    With `cuts` every cut is recorded, see `acutance_lab.bench.cuts`.
    """
    blur = Blur(kernel.double())
    clean = blur.forward(sharp.double())
    noisy = clean + noise * standard_normal(f"{suite}/{picture}/{kernel_name}/{100 * noise:g}", clean.shape[1:])
    observed = (noisy.clamp(0, 1) * 255).round() / 255
    radius = (kernel.shape[-2] // 2, kernel.shape[-1] // 2) if cuts else None
    return Content(observed.float(), kernel.float(), blur.crop(sharp).float(), sigma=noise, radius=radius)
