"""The level of the noise of a picture whose blur is known."""

from __future__ import annotations

import pytest
import torch

from acutance.noise import FLOOR, noise_level
from acutance.noise_behind import MOST, level_behind, piece
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.saturation import heeding
from acutance.synth import kernels, noise

SIDE = 128


def texture(n: int, channels: int, side: int, generator: torch.Generator) -> torch.Tensor:
    """Pictures like gravel: no smooth block anywhere."""
    fine = torch.rand(n, channels, side, side, generator=generator)
    return torch.nn.functional.avg_pool2d(fine, 3, 1, 1)


def behind(level: float, generator: torch.Generator, *, channels: int = 3, span: int = 15, n: int = 2) -> Problem:
    blur = Blur(kernels.spline(n, span, generator, size=span), "valid")
    y = blur.forward(texture(n, channels, SIDE + span - 1, generator))
    return Problem(y + level * torch.randn(y.shape, generator=generator), blur)


@pytest.mark.parametrize("level", [0.003, 0.01, 0.05])
@pytest.mark.parametrize("channels", [1, 3])
def test_texture_is_not_taken_for_noise(level: float, channels: int, generator: torch.Generator) -> None:
    problem = behind(level, generator, channels=channels)
    assert problem.level().tolist() == pytest.approx([level] * 2, rel=0.2)


def test_smooth_blocks_would_have_taken_it_for_noise(generator: torch.Generator) -> None:
    assert float(noise_level(behind(0.003, generator).observed).min()) > 0.006


def test_demosaiced_noise_counts_as_a_whole(generator: torch.Generator) -> None:
    problem = behind(0.0, generator, span=21, n=3)
    y = noise.demosaiced(problem.observed, torch.full((3,), 0.03), generator)
    true = float((y - problem.observed).square().mean().sqrt())
    for level in Problem(y, problem.blur).level().tolist():
        assert 0.5 * true < level < 1.3 * true


def test_without_nulls_the_least_of_the_light_decides(generator: torch.Generator) -> None:
    blur = Blur(torch.full((1, 1, 3, 1), 1 / 3), "valid")
    y = blur.forward(texture(1, 1, SIDE, generator))
    y = y + 0.01 * torch.randn(y.shape, generator=generator)
    assert float(Problem(y, blur).level()) == pytest.approx(0.01, rel=0.3)


def test_a_full_sensor_has_no_noise(generator: torch.Generator) -> None:
    problem = behind(0.02, generator, n=1)
    bright = problem.observed + torch.linspace(-0.2, 0.8, SIDE)
    clipped = heeding(Problem(bright.clamp(0, 1), problem.blur))
    assert clipped.saturated is not None
    assert float(clipped.saturated.mean()) > 0.2
    assert float(clipped.level()) == pytest.approx(0.02, rel=0.25)


def test_missing_pixels_and_small_and_broken_pictures_are_left_to_smooth_blocks(generator: torch.Generator) -> None:
    problem = behind(0.01, generator, n=1)
    mask = torch.ones(1, 1, SIDE, SIDE)
    mask[..., 40:60] = 0
    seen = torch.where(mask > 0, problem.observed, torch.nan)
    assert torch.equal(Problem(problem.observed, problem.blur, mask=mask).level(), noise_level(seen))
    small = problem.observed[..., :20, :20]
    assert torch.equal(Problem(small, problem.blur).level(), noise_level(small))
    broken = problem.observed.clone()
    broken[..., 3, 3] = torch.nan
    assert bool(torch.isfinite(Problem(broken, problem.blur).level()).all())


def test_the_least_is_the_rounding_of_eight_bits(generator: torch.Generator) -> None:
    flat = torch.full((1, 1, 64, 64), 0.5)
    assert float(level_behind(flat, torch.zeros(1, 1, 64, 33))) == pytest.approx(FLOOR)


def test_large_pictures_are_measured_in_the_middle() -> None:
    x = torch.zeros(1, 1, MOST + 10, 40)
    x[..., 5 : MOST + 5, :] = 1
    part = piece(x)
    assert part is not None
    assert part.shape == (1, 1, MOST, 40)
    assert float(part.min()) == 1


def test_a_batch_is_its_pictures(generator: torch.Generator) -> None:
    problem = behind(0.02, generator)
    assert isinstance(problem.blur, Blur)
    alone = [
        float(Problem(problem.observed[i : i + 1], Blur(problem.blur.kernel[i : i + 1], "valid")).level())
        for i in range(2)
    ]
    assert problem.level().tolist() == pytest.approx(alone, rel=1e-5)
