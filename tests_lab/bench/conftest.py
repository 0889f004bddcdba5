"""A miniature of the data folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from acutance.operators import Blur
from acutance.tensors import crop, flip


def scene(size: int, seed: int, channels: int = 1) -> Tensor:
    """A smooth random picture (1, channels, size, size) in [0, 1], float64."""
    noise = torch.rand(1, channels, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    f = torch.fft.fftfreq(size, dtype=torch.float64)
    low = torch.exp(-60 * (f[:, None] ** 2 + f[None, :] ** 2))
    x = torch.fft.ifft2(torch.fft.fft2(noise) * low).real
    return (x - x.min()) / (x.max() - x.min())


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All the test sets in small.

    levin32.npz, levin32_kernels/ (2 methods, 3 files), set12/ (3 pictures), bsd68/ (10), kodak24/ (1, 2, 10),
    lai/sharp (3 pictures of 2 classes), lai/kernels (2), lai/real (3), lai/real_kernels (4), kohler/ (2),
    reds/ (2 scenes of 2), gopro_scene/ (3), set11/ (2), rain/ (2 pairs), real_noise/ (2).
    """
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
        ("set11", ["boat", "house"], 1),
    ):
        (bench / name).mkdir()
        for seed, picture in enumerate(pictures):
            pixels = (scene(40, 10 + seed, channels)[0] * 255).round().byte().permute(1, 2, 0).squeeze(-1).numpy()
            Image.fromarray(pixels).save(bench / name / f"{picture}.png")
    _estimated_kernels(bench, arrays)
    _lai_and_kohler(bench)
    _video(bench)
    for folder, spoilt, ending in (("rain", "rainy", "png"), ("real_noise", "noisy", "JPG")):
        for n in range(2):
            clean = scene(40, 50 + n, 3)
            save(clean, bench / folder / "clean" / f"{n}.{ending}")
            save((clean + 0.2).clamp_max(1), bench / folder / spoilt / f"{n}.png")
    return root


def save(pixels: Tensor, file: Path) -> None:
    """(1, C, H, W) in [0, 1] as 8 bits."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels[0] * 255).round().byte().permute(1, 2, 0).squeeze(-1).numpy()).save(file)


def _estimated_kernels(bench: Path, arrays: dict[str, np.ndarray]) -> None:
    """The true ones, in 29 x 29 and off the centre by a few pixels, as the published ones are."""
    for method, i, j in (("early_2006", 1, 2), ("early_2006", 3, 1), ("late_2016", 1, 2)):
        kernel = torch.zeros(1, 1, 29, 29)
        kernel[..., 14:21, 13:20] = torch.from_numpy(arrays[f"kernel_{i}_{j}"]).float()
        save(kernel / kernel.max(), bench / "levin32_kernels" / method / f"k_{j}_im_{i}_{method}.png")


def _lai_and_kohler(bench: Path) -> None:
    line = torch.zeros(1, 1, 9, 9)
    line[..., 4, 1:8] = 1
    hook = line.clone()
    hook[..., 1:4, 1] = 1
    for n, kernel in enumerate((line, hook), 1):
        save(kernel.expand(1, 3, -1, -1), bench / "lai" / "kernels" / f"kernel_{n:02}.png")
    for seed, name in enumerate(("natural_01", "saturated_01", "saturated_02")):
        save((1.3 * scene(64, 30 + seed, 3)).clamp_max(1), bench / "lai" / "sharp" / f"{name}.png")
    blurred = Blur(hook.double() / hook.sum(), "circular").forward(scene(270, 40, 3))
    for name in ("car", "car_house", "dog"):
        save(blurred, bench / "lai" / "real" / f"{name}.jpg")
    for name in ("car_09_cho", "car_10_xu", "car_house_10_xu", "nobody_10_xu"):
        save(hook, bench / "lai" / "real_kernels" / f"{name}_psf.png")
    for name in ("Blurry1_1", "Blurry1_4"):
        save(blurred, bench / "kohler" / f"{name}.png")
        save(hook, bench / "kohler" / f"{name}_kernel.png")


def _video(bench: Path) -> None:
    for seed, name in enumerate(
        ("reds/000/3", "reds/000/6", "reds/001/3", "gopro_scene/1", "gopro_scene/2", "gopro_scene/3")
    ):
        parent, frame = name.rsplit("/", 1)
        wide = scene(48, 50 + seed, 3)
        moved = torch.stack([torch.roll(wide, shift, -1) for shift in range(-3, 4)]).mean(0)
        save(crop(wide, 4, 4), bench / parent / "sharp" / f"{frame}.png")
        save(crop(moved, 4, 4), bench / parent / "blurred" / f"{frame}.png")
