"""Drawings have no noise: text, bars, checkerboards, dithers, flat pictures. And noise in a picture is no drawing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from acutance.images import Image as Picture
from acutance.metrics import psnr
from acutance.noise.blocks import noise_level
from acutance.quantised import noise_bound
from acutance.restoration.restorer import Restorer
from acutance.tensors import brightness

SIDE = 96
ROWS, COLS = np.mgrid[:SIDE, :SIDE]


def text(ground: int, ink: int, *, smooth: bool = True, colour: bool = False) -> NDArray[np.uint8]:
    picture = Image.new("RGB" if colour else "L", (SIDE, SIDE), (ground,) * 3 if colour else ground)
    draw = ImageDraw.Draw(picture)
    draw.fontmode = "L" if smooth else "1"
    for row in range(0, SIDE, 14):
        draw.text((3, row), f"line {row}: quick", fill=(ink,) * 3 if colour else ink)
    if colour:
        draw.rectangle((60, 50, 90, 80), fill=(30, 90, 200))
    return np.asarray(picture)


def dither(levels: int) -> NDArray[np.uint8]:
    bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
    grey = (COLS + 0.5 * ROWS) / (1.5 * SIDE) * (levels - 1)
    whole = np.floor(grey + (np.tile(bayer, (SIDE // 4, SIDE // 4)) + 0.5) / 16)
    return np.rint(whole / (levels - 1) * 255).astype(np.uint8)


def diffused() -> NDArray[np.uint8]:
    round_ = np.clip(np.hypot(COLS - 48, ROWS - 48) * 4, 0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(round_).convert("1").convert("L"))


DRAWINGS = {
    "screenshot": text(255, 0, colour=True),
    "page": text(255, 0),
    "page of two values": text(255, 0, smooth=False),
    "dark mode": text(40, 220),
    "faint text": text(240, 225),
    "bars of 1": ((COLS % 2) * 255).astype(np.uint8),
    "bars of 3": ((COLS // 3 % 2) * 160 + 40).astype(np.uint8),
    "squares of 1": (((COLS + ROWS) % 2) * 160 + 40).astype(np.uint8),
    "squares of 8": (((COLS // 8 + ROWS // 8) % 2) * 160 + 40).astype(np.uint8),
    "dither of 2": dither(2),
    "dither of 4": dither(4),
    "diffused error": diffused(),
    "edge": np.where(COLS + 0.3 * ROWS < 50, 90, 170).astype(np.uint8),
    "flat": np.full((SIDE, SIDE), 90, np.uint8),
}


def tensor(drawing: NDArray[np.uint8]) -> Tensor:
    channels_last = drawing if drawing.ndim == 3 else drawing[..., None]
    return torch.from_numpy(channels_last.transpose(2, 0, 1).copy()).float()[None] / 255


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("c", [1.0, 1e-5, 255.0])
def test_a_drawing_has_hardly_any_noise(name: str, c: float) -> None:
    assert float(noise_level(c * tensor(DRAWINGS[name]))) <= 0.01 * c


@pytest.mark.parametrize("name", ["screenshot", "page of two values", "squares of 1", "dither of 4", "edge", "flat"])
def test_denoise_returns_a_drawing(name: str) -> None:
    x = tensor(DRAWINGS[name])
    done = Restorer.load("denoise", device="cpu")(Picture(x))
    assert float(psnr(done.image.pixels.clamp(0, 1), x)) > 45


@pytest.mark.parametrize("method", ["bm3d", "nlm"])
def test_so_does_a_denoiser_that_is_named(method: str) -> None:
    x = tensor(DRAWINGS["page"])
    done = Restorer.load(method, device="cpu")(Picture(x))
    assert float(psnr(done.image.pixels.clamp(0, 1), x)) > 45


@pytest.mark.parametrize("level", [0.01, 0.03])
@pytest.mark.parametrize("name", ["screenshot", "dark mode", "bars of 3", "edge"])
def test_a_noisy_drawing_has_its_noise(name: str, level: float, generator: torch.Generator) -> None:
    x = 0.1 + 0.8 * tensor(DRAWINGS[name])
    noisy = ((x + level * torch.randn(x.shape, generator=generator)).clamp(0, 1) * 255).round() / 255
    assert float(noise_level(noisy)) > 0.7 * level


@pytest.mark.parametrize("clip", ["white", "black"])
def test_noise_that_is_cut_off_at_an_end_is_noise(clip: str, generator: torch.Generator) -> None:
    """Half of the samples are equal there, but the other half is not."""
    x = torch.where(tensor(DRAWINGS["bars of 3"]) > 0.5, 0.98, 0.5)
    noisy = ((x + 0.03 * torch.randn(x.shape, generator=generator)).clamp(0, 1) * 255).round() / 255
    noisy = noisy if clip == "white" else 1 - noisy
    bound = noise_bound(noisy[0], float(brightness(noisy)), 1 / 255)
    assert bound > 0.015


@pytest.mark.parametrize("level", [1.0, 4.0, 10.0])
def test_the_bound_is_above_the_noise(level: float, generator: torch.Generator) -> None:
    """Of noise in steps of 1 with a standard deviation of `level`, on a flat picture and on one with texture."""
    for scene in (torch.zeros(1, 64, 64), 30 * torch.rand(1, 64, 64, generator=generator)):
        noisy = (100 + scene + level * torch.randn(scene.shape, generator=generator)).round()
        assert noise_bound(noisy, 120.0, 1.0) > 0.85 * level
    assert math.isinf(noise_bound(torch.full((1, 64, 64), 7.0), 7.0))
