from __future__ import annotations

import pytest
import torch
from synthetic_camera import CAMERAS, Camera, chart

from acutance.errors import ImageError
from acutance.images import linear_to_srgb, srgb_to_linear
from acutance.noise.curve import NoiseLine, blocks_of, fit_line, rounding, slope


def pictures(camera: Camera, iso: int, count: int, channels: int = 1) -> NoiseLine:
    generator = torch.Generator().manual_seed(iso)
    step = 1 / (2**camera.bits - 1)
    blocks = []
    for _ in range(count):
        planes = [camera.photograph(chart(camera.size, generator), iso, generator).pixels for _ in range(channels)]
        blocks.append(blocks_of(torch.cat(planes, 1), step))
    return fit_line(blocks)


@pytest.mark.parametrize(("camera", "iso"), [(c, iso) for c in CAMERAS for iso in c.noise])
def test_the_line_is_recovered_within_five_percent(camera: Camera, iso: int) -> None:
    line, (gain, read) = pictures(camera, iso, 5), camera.noise[iso]
    assert line.gain[0] == pytest.approx(gain, rel=0.05)
    light = torch.tensor([[[0.02, 0.1, 0.5, 0.8]]])
    assert torch.allclose(line.variance(light), NoiseLine((gain,), (read,)).variance(light), rtol=0.05)


def test_each_channel_has_a_line() -> None:
    line = pictures(CAMERAS[0], 800, 2, channels=3)
    assert len(line.gain) == len(line.read) == 3
    assert all(gain == pytest.approx(1.2e-3, rel=0.1) for gain in line.gain)


def test_a_grey_picture_takes_the_mean_of_three_lines() -> None:
    line = NoiseLine((1e-3, 2e-3, 3e-3), (0.0, 0.0, 3e-5))
    assert line.variance(torch.full((1, 1, 1, 1), 0.5)).item() == pytest.approx(1e-3 + 1e-5)


@pytest.mark.parametrize("light", [0.5, 0.0])
def test_pictures_of_one_brightness_are_refused(light: float) -> None:
    flat = light + 0.01 * torch.randn(1, 1, 200, 200, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ImageError, match="from dark to bright"):
        fit_line([blocks_of(flat, 0.0)])


def test_the_slope_is_that_of_the_curve() -> None:
    light = torch.tensor([0.001, 0.01, 0.3, 0.9], dtype=torch.float64)
    by_encoded = 2e-6 / (linear_to_srgb(light + 1e-6) - linear_to_srgb(light - 1e-6))
    assert torch.allclose(slope(light), by_encoded, rtol=1e-4)


def test_rounding_of_eight_bits() -> None:
    light = torch.linspace(0.1, 0.9, 100_000, dtype=torch.float64)
    rounded = srgb_to_linear((linear_to_srgb(light) * 255).round() / 255)
    assert float((rounded - light).square().mean()) == pytest.approx(float(rounding(light, 1 / 255).mean()), rel=0.05)
