"""Which level a denoiser is told: white noise as it is estimated, a camera's and JPEG's raised, with the reason."""

from __future__ import annotations

import pytest
import torch
from degraded import jpeg, rounded
from torch import Tensor

from acutance.noise import noise_coarseness, noise_level
from acutance.noise_told import LEAST_CERTAIN, RAISED, RAISED_WEAK, level_to_tell, rounded_away
from acutance.psf import shapes
from acutance.tensors import brightness


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene(channels: int = 3, size: int = 192) -> Tensor:
    """Smooth clouds with some edges, (1, C, H, W) in [0.2, 0.8]."""
    coarse = torch.rand(1, channels, 7, 7, generator=generator(1))
    x = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    x[..., size // 3 : size // 2, :] *= 0.6
    return 0.2 + 0.6 * x


def white(sigma: float, channels: int = 3) -> Tensor:
    x = scene(channels)
    return x + sigma * torch.randn(x.shape, generator=generator())


def coarse(sigma: float, channels: int = 3) -> Tensor:
    """Noise that a camera has smoothed, nine tenths of it, of that level, in 8 bits."""
    n = torch.randn(1, channels, 200, 200, generator=generator())
    smooth = torch.nn.functional.conv2d(n, shapes.gaussian(1.2, 9).expand(channels, 1, -1, -1), groups=channels)
    n = torch.lerp(n[..., :192, :192], smooth[..., :192, :192], 0.9)
    return rounded(scene(channels) + sigma * n / n.std())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [0.01, 0.04, 0.1])
def test_white_noise_is_told_as_it_is_estimated(sigma: float, channels: int) -> None:
    y = white(sigma, channels)
    told = level_to_tell(y)
    assert not told.coarse
    assert told.sigma == pytest.approx(float(noise_level(y)))
    assert told.sigma == pytest.approx(sigma, rel=0.15)
    assert "white" in told.reason


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [0.03, 0.06])
def test_coarse_noise_that_nothing_has_rounded_is_told_as_it_is_estimated(sigma: float, channels: int) -> None:
    y = coarse(sigma, channels)
    told = level_to_tell(y)
    assert told.coarse
    assert told.sigma == pytest.approx(float(noise_level(y)))


@pytest.mark.parametrize("quality", [75, 90])
@pytest.mark.parametrize("sigma", [0.01, 0.05])
def test_what_jpeg_hides_is_added(sigma: float, quality: int) -> None:
    y = jpeg(coarse(sigma), quality)
    told, estimate = level_to_tell(y), float(noise_level(y))
    assert told.coarse
    certain = LEAST_CERTAIN * float(brightness(y))
    assert told.sigma == pytest.approx(max(RAISED * estimate, min(RAISED_WEAK * estimate, certain)))
    assert "compression hides" in told.reason


def test_a_level_that_is_given_is_told() -> None:
    for y in (white(0.05), jpeg(coarse(0.05), 80)):
        assert level_to_tell(y, 0.013).sigma == 0.013
        assert "given as 1.3 %" in level_to_tell(y, 0.013).reason


def test_coarseness_of_white_noise_is_one_and_grows_with_smoothing() -> None:
    assert float(noise_coarseness(0.5 + white(0.05) - scene())) == pytest.approx(1, abs=0.15)
    assert float(noise_coarseness(coarse(0.05))) > 2
    both = noise_coarseness(torch.cat((white(0.05), coarse(0.05))))
    assert both.shape == (2,)
    torch.testing.assert_close(both[1:], noise_coarseness(coarse(0.05)))


def test_rounding_shows_on_the_grid_of_jpeg() -> None:
    y = coarse(0.03)
    compressed = jpeg(y, 85)
    assert rounded_away(compressed) > 0.5 > rounded_away(y)
    assert rounded_away(compressed) > rounded_away(compressed[..., 4:, 4:]) + 0.05


@pytest.mark.parametrize("size", [(1, 1), (5, 20), (8, 8), (9, 31)], ids=str)
@pytest.mark.parametrize("value", [0.0, 0.5, float("nan")])
def test_nothing_to_measure(size: tuple[int, int], value: float) -> None:
    told = level_to_tell(torch.full((1, 3, *size), value))
    assert told.sigma > 0
    assert not told.coarse


def test_strong_noise_is_never_taken_for_a_cameras() -> None:
    """Text on a screen has an estimate of a third of the range; it must not be averaged away."""
    g = torch.Generator().manual_seed(4)
    picture = 0.5 + 0.2 * torch.nn.functional.avg_pool2d(torch.randn(1, 3, 130, 130, generator=g), 3, 1)
    weak = 0.5 + 0.1 * (picture - 0.5)
    assert level_to_tell(weak, 0.02).coarse
    assert not level_to_tell(picture, 0.2).coarse
