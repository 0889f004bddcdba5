"""Pictures that are made here, to measure time, memory and arithmetic on: suites of one case each."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError
from acutance.images import read_image
from acutance.operators import Blur
from acutance.tensors import pad
from acutance_lab.bench.case import Case, Content, Noise, Suite
from acutance_lab.synth import kernels
from acutance_lab.synth.degradation import luma

LARGEST = 8192
"""Side of a picture, pixels."""

SCENE = 1000
"""Side, in pixels, of the scene that a large picture repeats."""

NOISE = 0.01
"""Standard deviation of the noise of large pictures, a fraction of the range."""


def _suite(name: str, picture: str, kernel: int, noise: Noise, load: Callable[[], Content]) -> Suite:
    cases = [Case(name, picture, str(kernel), noise, load)]
    words = f"{picture}, kernel of {kernel} pixels"
    return Suite(name, words, "Made here.", (noise,), lambda *_: cases, files=False, ssim=False, shown=0)


def scene_suite(
    height: int = 512,
    width: int = 512,
    *,
    channels: int = 1,
    kernel: int = 25,
    noise: float = 0.01,
    photograph: Path | None = None,
) -> Suite:
    """A sharp picture, shaken, noisy and rounded to 8 bits; the same each time.

    Args:
        height, width: of the blurred picture; of a photograph the most that is taken of it, about its centre.
        channels: 1 or 3. kernel: side of the camera-shake kernel, odd. noise: fraction of the range.
        photograph: a sharp picture; None: `leafy_picture`.

    Raises:
        ConfigError: sizes that do not fit together. ImageError: the photograph cannot be read.
    """
    if channels not in (1, 3):
        raise ConfigError(f"channels={channels}: give 1 or 3")
    least, most = min(height, width), max(height, width)
    if kernel < 3 or kernel % 2 == 0 or not 32 <= least <= most <= LARGEST or kernel > least // 2:
        raise ConfigError(
            f"a kernel of {kernel} pixels, a picture of {width}x{height}: give an odd kernel from 3 up to half the "
            f"picture, and a picture of 32 to {LARGEST}"
        )
    if not 0 <= noise <= 0.5:
        raise ConfigError(f"a noise of {100 * noise:g} %: give 0 to 50 %")
    blur = Blur(shaken(kernel))
    sharp, name = _sharp(photograph, blur.domain_size(height, width), kernel)
    if channels == 1 and sharp.shape[1] == 3:
        sharp = luma(sharp)[:, :1]
    elif channels == 3 and sharp.shape[1] == 1:
        sharp = sharp.expand(-1, 3, -1, -1)
    clean = blur.forward(sharp)
    noisy = clean + noise * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    made = Content((noisy.clamp(0, 1) * 255).round() / 255, blur.kernel, blur.crop(sharp), sigma=noise)
    return _suite("times", name, kernel, noise, lambda: made)


def _sharp(photograph: Path | None, size: tuple[int, ...], kernel: int) -> tuple[Tensor, str]:
    """The middle of a photograph, at most of that size, or a made picture; and its name."""
    if photograph is None:
        return leafy_picture(*size), "leaves"
    whole = read_image(photograph).pixels
    height, width = min(size[0], whole.shape[-2]), min(size[1], whole.shape[-1])
    if min(height, width) < 2 * kernel:
        raise ConfigError(f"{photograph} is too small for a kernel of {kernel} pixels; give a smaller --kernel")
    top, left = (whole.shape[-2] - height) // 2, (whole.shape[-1] - width) // 2
    return whole[..., top : top + height, left : left + width].clamp(0, 1), photograph.name


def random_suite(height: int, width: int, channels: int = 3, kernel: int = 19) -> Suite:
    """A random picture, whose restoration nobody looks at: to count arithmetic."""
    generator = torch.Generator().manual_seed(1)
    picture = torch.rand(1, channels, height, width, generator=generator)
    made = Content(picture, kernels.spline(1, kernel, generator), None, sigma=NOISE)
    return _suite("arithmetic", f"random {width}x{height}", kernel, NOISE, lambda: made)


def large_suite(megapixels: float = 24.0, kernel: int = 31) -> Suite:
    """A large colour picture, 3:2, without a truth: a scene on a torus, blurred there and repeated.

    Making it takes no more memory than holding it, and the blur is exact everywhere but at the frame's own noise.

    Raises:
        ConfigError: not 0.01 to 1000 megapixels, or a kernel not of 1 to 501 pixels.
    """
    if not 0.01 <= megapixels <= 1000 or not 1 <= kernel <= 501:
        raise ConfigError(
            f"megapixels={megapixels:g}, kernel={kernel}: give 0.01 to 1000 megapixels and a kernel of 1 to 501 pixels"
        )
    return _suite("size", f"{megapixels:g} MP", kernel, None, partial(blurred_scene, megapixels, kernel))


def blurred_scene(megapixels: float, kernel: int, *, seed: int = 0) -> Content:
    """The blurred, noisy picture (1, 3, H, W) of `large_suite`."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(megapixels * 1e6 / height)
    generator = torch.Generator().manual_seed(seed)
    drawn = kernels.spline(1, kernel, generator, size=kernel + 1 - kernel % 2)
    tile = Blur(drawn, "circular").forward(leaves(min(SCENE, height), min(SCENE, width), seed=seed))
    picture = torch.empty(1, 3, height, width)
    for top in range(0, height, tile.shape[-2]):
        for left in range(0, width, tile.shape[-1]):
            piece = picture[..., top : top + tile.shape[-2], left : left + tile.shape[-1]]
            noise = NOISE * torch.randn(piece.shape, generator=generator)
            piece.copy_((tile[..., : piece.shape[-2], : piece.shape[-1]] + noise).clamp(0, 1))
    return Content(picture, drawn, None)


def leaves(height: int, width: int, *, seed: int = 0, smallest: float = 2.0) -> Tensor:
    """A picture with the statistics of photographs: opaque discs of all sizes on each other ("dead leaves").

    Radii r have the density r^-3 (Lee, Mumford & Huang 2001); each disc has a colour and a shade across it. What leaves
    the picture on one side enters it on the other.

    Returns:
        (1, 3, height, width) in [0, 1].
    """
    g = torch.Generator().manual_seed(seed)
    largest = max(smallest + 1, min(height, width) / 3)
    cut = 1 - (smallest / largest) ** 2
    mean_square = 2 * math.log(largest / smallest) * smallest**2 / cut
    count = int(3 * height * width / (math.pi * mean_square)) + 1  # three layers of discs on average
    radii = smallest / (1 - cut * torch.rand(count, generator=g)).sqrt()
    places = torch.rand(count, 2, generator=g) * torch.tensor([height, width])
    light = 0.05 + 0.95 * torch.rand(count, 1, generator=g) ** 1.5
    colours = (light * (0.75 + 0.5 * torch.rand(count, 3, generator=g))).clamp(0, 1)
    shades = 0.3 * (torch.rand(count, 2, generator=g) - 0.5)
    picture = colours.mean(0).reshape(3, 1, 1).repeat(1, height, width)
    for radius, place, colour, shade in zip(radii.tolist(), places.tolist(), colours, shades.tolist(), strict=True):
        reach = int(radius) + 1
        rows = torch.arange(int(place[0]) - reach, int(place[0]) + reach + 1)
        cols = torch.arange(int(place[1]) - reach, int(place[1]) + reach + 1)
        down, right = (rows - place[0])[:, None], (cols - place[1])[None, :]
        inside = down.square() + right.square() <= radius**2
        shaded = colour[:, None, None] * (1 + (shade[0] * down + shade[1] * right) / radius)
        i, j = (rows % height)[:, None], (cols % width)[None, :]
        picture[:, i, j] = torch.where(inside, shaded, picture[:, i, j])
    return F.avg_pool2d(pad(picture[None], 1, 1, border="circular"), 3, stride=1).clamp(0, 1)


def leafy_picture(height: int, width: int, *, seed: int = 0) -> Tensor:
    """Dead leaves under a texture of spectrum 1/f, as surfaces have; the same each time.

    Returns:
        (1, 3, height, width) in [0, 1].
    """
    shapes = leaves(height, width, seed=seed, smallest=4)
    shapes = 0.42 + 0.65 * (shapes - shapes.mean())  # the contrast of photographs: a deviation of about 0.17
    generator = torch.Generator().manual_seed(seed)
    rows, cols = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    radius = (rows[:, None].square() + cols[None, :].square()).sqrt().clamp_min(1 / max(height, width))
    texture = torch.fft.irfft2(
        torch.fft.rfft2(torch.randn(height, width, generator=generator)) / radius, (height, width)
    )
    texture = (texture - texture.mean()) / texture.std()
    picture: Tensor = (shapes * (1 + 0.07 * texture)).clamp(0, 1)
    return picture


def shaken(side: int) -> Tensor:
    """A camera-shake kernel (1, 1, side, side) that fills its frame: the widest of sixteen; the same each time."""
    drawn = kernels.shake(16, side, torch.Generator().manual_seed(0), size=side)
    return widest(drawn)


def widest(drawn: Tensor) -> Tensor:
    """Of the kernels (n, 1, s, s) the one of the largest variance, (1, 1, s, s)."""
    axis = torch.arange(drawn.shape[-1], dtype=drawn.dtype) - drawn.shape[-1] // 2
    best = int((drawn * (axis[:, None].square() + axis.square())).sum((-3, -2, -1)).argmax())
    return drawn[best : best + 1]
