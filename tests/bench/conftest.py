"""A miniature of the data folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from acutance.operators import Blur
from acutance.tensors import flip


def scene(size: int, seed: int, channels: int = 1) -> Tensor:
    """A smooth random picture (1, channels, size, size) in [0, 1], float64."""
    noise = torch.rand(1, channels, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    f = torch.fft.fftfreq(size, dtype=torch.float64)
    low = torch.exp(-60 * (f[:, None] ** 2 + f[None, :] ** 2))
    x = torch.fft.ifft2(torch.fft.fft2(noise) * low).real
    return (x - x.min()) / (x.max() - x.min())


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA/bench/levin32.npz, set12/ (3 pictures), bsd68/ (10), kodak24/ (1, 2, 10)."""
    root = tmp_path_factory.mktemp("data")
    bench = root / "bench"
    arrays: dict[str, np.ndarray] = {}
    for j in range(1, 9):
        # lopsided, so that a kernel that is not turned is found out
        kernel = torch.zeros(1, 1, 7, 7, dtype=torch.float64)
        kernel[..., 1 : 3 + j % 4, 1] = 1
        kernel[..., 1, 1:6] = 1 + j / 8
        kernel /= kernel.sum()
        for i in range(1, 5):
            sharp = scene(76, i)
            blurred = Blur(flip(kernel), boundary="circular").forward(sharp)
            arrays[f"kernel_{i}_{j}"] = kernel[0, 0].numpy()
            arrays[f"sharp_{i}_{j}"] = sharp[0, 0].float().numpy()
            # as captured: true only up to a shift
            arrays[f"blurred_{i}_{j}"] = torch.roll(blurred, (2, -1), (-2, -1))[0, 0].float().numpy()
    bench.mkdir()
    np.savez(bench / "levin32.npz", **arrays)
    for name, pictures, channels in (
        ("set12", ["01", "02", "03"], 1),
        ("bsd68", [f"test{n:03}" for n in range(1, 11)], 1),
        ("kodak24", ["1", "2", "10"], 3),
    ):
        (bench / name).mkdir()
        for seed, picture in enumerate(pictures):
            pixels = (scene(40, 10 + seed, channels)[0] * 255).round().byte().permute(1, 2, 0).squeeze(-1).numpy()
            Image.fromarray(pixels).save(bench / name / f"{picture}.png")
    return root
