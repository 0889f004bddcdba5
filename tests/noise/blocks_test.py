"""The noise level: right for white and correlated noise on blurred and sharp pictures, and never a crash."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ImageError
from acutance.noise.blocks import FLOOR, UNKNOWN, noise_level
from acutance.operators import Blur
from acutance.tensors import brightness

SIDE = 192


def scene(generator: torch.Generator, *, sharp: bool = False, height: int = SIDE, width: int = SIDE) -> Tensor:
    """A picture (1, 3, H, W) within 0.15 ... 0.85: a third sky, the rest discs, each of its own colour and texture."""
    rows, cols = torch.arange(height)[:, None], torch.arange(width)[None]
    picture = (0.5 + 0.25 * rows / height - 0.1 * cols / width).expand(1, 3, height, width).clone()
    for _ in range(25):
        row, col = height / 3 + torch.rand(1, generator=generator) * height, torch.rand(1, generator=generator) * width
        radius = 6 + 25 * torch.rand(1, generator=generator)
        inside = (rows - row) ** 2 + (cols - col) ** 2 < radius**2
        colour = 0.25 + 0.5 * torch.rand(1, 3, 1, 1, generator=generator)
        texture = 0.1 * (torch.rand(1, 1, height, width, generator=generator) - 0.5)
        picture = torch.where(inside, colour + texture, picture)
    return picture if sharp else Blur(torch.full((1, 1, 7, 5), 1 / 35), "replicate").forward(picture)


def white(like: Tensor, level: float, generator: torch.Generator) -> Tensor:
    return level * torch.randn(like.shape, generator=generator, dtype=like.dtype)


def eight_bits(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round() / 255


@pytest.mark.parametrize("sharp", [False, True])
@pytest.mark.parametrize(("level", "within"), [(0.005, 0.25), (0.01, 0.1), (0.02, 0.1), (0.05, 0.1), (0.1, 0.1)])
def test_white_noise(level: float, within: float, sharp: bool, generator: torch.Generator) -> None:
    clean = scene(generator, sharp=sharp)  # blurred, its texture is as strong as the least noise, and as random
    noisy = eight_bits(clean + white(clean, level, generator))
    assert float(noise_level(noisy)) == pytest.approx(math.hypot(level, FLOOR), rel=within)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_pictures_and_one_noise_field_for_three_channels(channels: int, generator: torch.Generator) -> None:
    clean = scene(generator).mean(1, keepdim=True)
    noisy = (clean + white(clean, 0.02, generator)).expand(1, channels, SIDE, SIDE)
    assert float(noise_level(noisy)) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("kernel", [[1.0, 2.0, 1.0], [1.0, 1.0, 1.0], [1.0, 4.0, 6.0, 4.0, 1.0]])
def test_correlated_noise_counts_as_a_whole(kernel: list[float], generator: torch.Generator) -> None:
    clean, row = scene(generator), torch.tensor(kernel)
    psf = (row[:, None] * row[None]).expand(3, 1, -1, -1)
    field = F.conv2d(torch.randn(1, 3, SIDE + len(row) - 1, SIDE + len(row) - 1, generator=generator), psf, groups=3)
    noisy = eight_bits(clean + 0.03 * field / field.std())
    assert float(noise_level(noisy)) == pytest.approx(0.03, rel=0.15)


def test_photon_noise_is_the_mean_over_dark_and_bright(generator: torch.Generator) -> None:
    clean = torch.linspace(0.05, 0.95, SIDE).expand(1, 3, SIDE, SIDE)
    noisy = clean + 0.03 * (clean / clean.mean()).sqrt() * torch.randn(clean.shape, generator=generator)
    dark_only = 0.03 * math.sqrt(0.1 / 0.5)
    assert float(noise_level(noisy)) == pytest.approx(0.03, rel=0.1)
    textured = noisy + 0.2 * (torch.rand(1, 1, SIDE, SIDE, generator=generator) - 0.5) * (clean > 0.5)
    assert float(noise_level(textured)) > 1.5 * dark_only  # smooth blocks are in the dark part only


@pytest.mark.parametrize("value", [-0.2, 1.2])
def test_clipped_areas_are_left_out(value: float, generator: torch.Generator) -> None:
    clean = scene(generator)
    clean[..., : SIDE // 2, :] = value
    noisy = (clean + white(clean, 0.02, generator)).clamp(0, 1)
    assert float(noise_level(noisy)) == pytest.approx(0.02, rel=0.1)


def test_a_wholly_clipped_channel_is_left_out(generator: torch.Generator) -> None:
    clean = scene(generator)
    noisy = (clean + white(clean, 0.02, generator)).clamp(0, 1)
    noisy[:, 2] = 0
    assert float(noise_level(noisy)) == pytest.approx(0.02, rel=0.1)


def test_a_constant_frame_around_the_picture_is_left_out(generator: torch.Generator) -> None:
    clean = scene(generator)
    noisy = F.pad(clean + white(clean, 0.02, generator), (40, 40, 40, 40), value=0.0625)
    assert float(noise_level(noisy)) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("value", [0.0, 1e-9, 0.5, 1.0, 65535.0])
def test_constant_pictures_have_the_floor(value: float) -> None:
    """The floor is relative; a black picture has no brightness and counts as one of brightness 1."""
    assert float(noise_level(torch.full((1, 3, 40, 50), value))) == pytest.approx(FLOOR * (value or 1))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 7), (300, 7)])
def test_tiny_pictures_have_the_floor(size: tuple[int, int], generator: torch.Generator) -> None:
    x = torch.rand(1, 3, *size, generator=generator)
    assert float(noise_level(x)) == pytest.approx(FLOOR * float(brightness(x)))


@pytest.mark.parametrize("size", [(8, 8), (8, 500), (9, 13), (33, 16)])
def test_small_pictures_are_measured(size: tuple[int, int], generator: torch.Generator) -> None:
    noisy = 0.5 + 0.02 * torch.randn(1, 3, *size, generator=generator)
    assert float(noise_level(noisy)) == pytest.approx(0.02, rel=0.35)


def test_large_pictures_are_measured_on_a_part(generator: torch.Generator) -> None:
    noisy = 0.5 + 0.02 * torch.randn(1, 1, 1600, 1500, generator=generator)
    assert float(noise_level(noisy)) == pytest.approx(0.02, rel=0.03)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_not_finite_pictures_do_not_spoil_the_others(bad: float, generator: torch.Generator) -> None:
    noisy = 0.5 + 0.02 * torch.randn(3, 3, 64, 64, generator=generator)
    noisy[0], noisy[1, :, 20:24, 5] = bad, bad
    levels = noise_level(noisy)
    assert float(levels[0]) == pytest.approx(UNKNOWN)
    assert levels[1:].tolist() == pytest.approx([0.02, 0.02], rel=0.1)
    assert float(noise_level(torch.full((1, 1, 2, 2), bad))) == pytest.approx(UNKNOWN)


def test_a_batch_is_its_pictures(generator: torch.Generator) -> None:
    noisy = torch.cat([(c := scene(generator)) + white(c, level, generator) for level in (0.01, 0.03)])
    assert torch.equal(noise_level(noisy), torch.cat([noise_level(noisy[:1]), noise_level(noisy[1:])]))


@pytest.mark.parametrize("factor", [1e-9, 1e-5, 0.5, 0.9, 4.0, 65535.0])
def test_the_level_scales_with_the_picture(factor: float, generator: torch.Generator) -> None:
    clean = scene(generator).double()
    noisy = clean + white(clean, 0.02, generator)
    assert float(noise_level(factor * noisy)) == pytest.approx(factor * float(noise_level(noisy)), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_types_are_kept(dtype: torch.dtype, generator: torch.Generator) -> None:
    clean = scene(generator)
    level = noise_level((clean + white(clean, 0.03, generator)).to(dtype).requires_grad_())
    assert level.dtype == dtype
    assert level.shape == (1,)
    assert not level.requires_grad
    assert float(level) == pytest.approx(0.03, rel=0.1)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((3, 8, 8), torch.float32), ((1, 3, 0, 8), torch.float32), ((1, 3, 8, 8), torch.uint8)]
)
def test_what_is_no_picture_is_refused(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    with pytest.raises(ImageError, match="float"):
        noise_level(torch.zeros(shape, dtype=dtype))
