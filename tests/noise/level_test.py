"""Which noise level a method is told, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from degraded import jpeg, rounded
from torch import Tensor

from acutance.methods.spec import Needs
from acutance.noise.blocks import noise_coarseness, noise_level
from acutance.noise.level import (
    HIDDEN,
    LEAST_CERTAIN,
    LEAST_ESTIMATED,
    LEAST_LOSSY,
    MOST_LOSSY,
    RAISED,
    RAISED_WEAK,
    behind_estimated,
    decide,
    for_denoiser,
    level_of,
    rounded_away,
)
from acutance.operators import Blur
from acutance.problem import Problem
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
    told = for_denoiser(y)
    assert not told.coarse
    assert told.sigma == pytest.approx(float(noise_level(y)))
    assert told.sigma == pytest.approx(sigma, rel=0.15)
    assert "white" in told.reason


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [0.03, 0.06])
def test_coarse_noise_that_nothing_has_rounded_is_told_as_it_is_estimated(sigma: float, channels: int) -> None:
    y = coarse(sigma, channels)
    told = for_denoiser(y)
    assert told.coarse
    assert told.sigma == pytest.approx(float(noise_level(y)))


@pytest.mark.parametrize("quality", [75, 90])
@pytest.mark.parametrize("sigma", [0.01, 0.05])
def test_what_jpeg_hides_is_added(sigma: float, quality: int) -> None:
    y = jpeg(coarse(sigma), quality)
    told, estimate = for_denoiser(y), float(noise_level(y))
    assert told.coarse
    certain = LEAST_CERTAIN * float(brightness(y))
    assert told.sigma == pytest.approx(max(RAISED * estimate, min(RAISED_WEAK * estimate, certain)))
    assert "compression hides" in told.reason


def test_a_level_that_is_given_is_told() -> None:
    for y in (white(0.05), jpeg(coarse(0.05), 80)):
        assert for_denoiser(y, 0.013).sigma == 0.013
        assert "given as 1.3 %" in for_denoiser(y, 0.013).reason


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
    told = for_denoiser(torch.full((1, 3, *size), value))
    assert told.sigma > 0
    assert not told.coarse


def test_strong_noise_is_never_taken_for_a_cameras() -> None:
    """Text on a screen has an estimate of a third of the range; it must not be averaged away."""
    g = torch.Generator().manual_seed(4)
    picture = 0.5 + 0.2 * torch.nn.functional.avg_pool2d(torch.randn(1, 3, 130, 130, generator=g), 3, 1)
    weak = 0.5 + 0.1 * (picture - 0.5)
    assert for_denoiser(weak, 0.02).coarse
    assert not for_denoiser(picture, 0.2).coarse


def blurred(level: float) -> Problem:
    """Smooth clouds behind a disc, in 8 bits' range."""
    blur = Blur(shapes.disc(2.5))
    y = blur.forward(scene(1, 100))
    return Problem(y + level * torch.randn(y.shape, generator=generator(2)), blur)


KNOWN, TOLD, FOUND = Needs(kernel=True, sigma=True), Needs(kernel=True, uses_sigma=True), Needs(kernel=False)
BLIND = Needs(kernel=False, uses_sigma=True)
DENOISE, CHOOSES = Needs(task="denoise", kernel=False, sigma=True), Needs(task="denoise", kernel=False, uses_sigma=True)
ALONE = Needs(task="denoise", kernel=False)


@pytest.mark.parametrize("needs", [KNOWN, TOLD, FOUND, BLIND, DENOISE, CHOOSES, ALONE], ids=str)
@pytest.mark.parametrize("lossy", [False, True])
def test_a_level_that_somebody_gave_is_what_every_method_is_told(needs: Needs, lossy: bool) -> None:
    level = decide(blurred(0.02), needs, 0.013, lossy=lossy)
    assert level.sigma is not None
    assert level.sigma.tolist() == [pytest.approx(0.013)]
    assert "given as 1.3 %" in level.reason
    assert not level.invisible


@pytest.mark.parametrize(
    ("needs", "lossy", "expected", "why"),
    [
        (KNOWN, False, "behind", "behind the blur"),
        (TOLD, False, "behind", "behind the blur"),
        (KNOWN, True, "raised", "compression hides"),
        (TOLD, True, "raised", "compression hides"),
        (BLIND, True, "raised", "compression hides"),
        (BLIND, False, None, "the method finds it"),
        (CHOOSES, True, None, "the method finds it"),
        (FOUND, True, None, "told none"),
        (DENOISE, True, "blocks", "in smooth places"),
        (ALONE, True, None, "told none"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sigma", [0.004, 0.012, 0.06])
def test_the_table_of_the_policy(needs: Needs, lossy: bool, expected: str | None, why: str, sigma: float) -> None:
    seen = blurred(sigma) if needs.kernel else replace(blurred(sigma), operator=None)
    level, blocks = decide(seen, needs, lossy=lossy), float(noise_level(seen.observed))
    if expected != "raised" or sigma < MOST_LOSSY:
        assert why in level.reason
    if expected is None:
        assert level.sigma is None
        return
    assert level.sigma is not None
    known = {
        "blocks": blocks,
        "behind": float(level_of(seen)),
        "raised": min(max(HIDDEN * blocks, LEAST_LOSSY), max(blocks, MOST_LOSSY)),
    }
    assert level.sigma.tolist() == [pytest.approx(known[expected], rel=1e-5)]


@pytest.mark.parametrize(("sigma", "unit", "clean"), [(0.0, 0.5, True), (0.02, 1.0, False), (0.02, 0.1, True)])
def test_a_denoiser_that_finds_the_level_has_nothing_to_do_where_no_noise_is_seen(
    sigma: float, unit: float, clean: bool
) -> None:
    seen = Problem(white(sigma), unit=unit)
    assert decide(seen, ALONE).invisible is clean
    assert not decide(seen, DENOISE).invisible


def test_behind_an_estimated_kernel_there_is_a_least_level() -> None:
    weak, strong = blurred(0.002), blurred(0.05)
    assert float(behind_estimated(weak)) == pytest.approx(LEAST_ESTIMATED)
    assert torch.equal(behind_estimated(strong), level_of(strong))
    assert float(behind_estimated(replace(weak, sigma=torch.tensor(0.03)))) == pytest.approx(0.03)


def test_the_reason_names_the_estimator_that_was_asked() -> None:
    """Where too many pixels are missing, the spectrum behind the blur cannot be measured."""
    seen = blurred(0.02)
    mask = torch.ones_like(seen.observed)
    mask[..., 40:60] = 0
    level = decide(replace(seen, mask=mask), KNOWN)
    assert "estimated in smooth places" in level.reason
    assert level.sigma is not None
    hidden = noise_level(torch.where(mask > 0, seen.observed, torch.nan))
    assert torch.equal(level.sigma, hidden)
