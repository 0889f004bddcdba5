"""The level of the noise of a picture whose blur is known."""

from __future__ import annotations

import pytest
import torch
from degraded import rounded, shake

from acutance.noise import behind_blur
from acutance.noise.behind_blur import MOST, level_behind, piece
from acutance.noise.blocks import FLOOR, noise_level
from acutance.noise.level import level_of
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.psf import shapes
from acutance.saturation import heeding

SIDE = 128


def texture(n: int, channels: int, side: int, generator: torch.Generator) -> torch.Tensor:
    """Pictures like gravel: no smooth block anywhere."""
    fine = torch.rand(n, channels, side, side, generator=generator)
    return torch.nn.functional.avg_pool2d(fine, 3, 1, 1)


def behind(level: float, generator: torch.Generator, *, channels: int = 3, span: int = 15, n: int = 2) -> Problem:
    blur = Blur(shake(n, span, generator), "valid")
    y = blur.forward(texture(n, channels, SIDE + span - 1, generator))
    return Problem(y + level * torch.randn(y.shape, generator=generator), blur)


@pytest.mark.parametrize("level", [0.003, 0.01, 0.05])
@pytest.mark.parametrize("channels", [1, 3])
def test_texture_is_not_taken_for_noise(level: float, channels: int, generator: torch.Generator) -> None:
    problem = behind(level, generator, channels=channels)
    assert level_of(problem).tolist() == pytest.approx([level] * 2, rel=0.2)


def test_smooth_blocks_would_have_taken_it_for_noise(generator: torch.Generator) -> None:
    assert float(noise_level(behind(0.003, generator).observed).min()) > 0.006


def test_without_nulls_the_least_of_the_light_decides(generator: torch.Generator) -> None:
    blur = Blur(torch.full((1, 1, 3, 1), 1 / 3), "valid")
    y = blur.forward(texture(1, 1, SIDE, generator))
    y = y + 0.01 * torch.randn(y.shape, generator=generator)
    assert float(level_of(Problem(y, blur))) == pytest.approx(0.01, rel=0.3)


def test_a_full_sensor_has_no_noise(generator: torch.Generator) -> None:
    problem = behind(0.02, generator, n=1)
    bright = problem.observed + torch.linspace(-0.2, 0.8, SIDE)
    clipped = heeding(Problem(bright.clamp(0, 1), problem.operator))
    assert clipped.saturated is not None
    assert float(clipped.saturated.mean()) > 0.2
    assert float(level_of(clipped)) == pytest.approx(0.02, rel=0.25)


def test_missing_pixels_and_small_and_broken_pictures_are_left_to_smooth_blocks(generator: torch.Generator) -> None:
    problem = behind(0.01, generator, n=1)
    mask = torch.ones(1, 1, SIDE, SIDE)
    mask[..., 40:60] = 0
    seen = torch.where(mask > 0, problem.observed, torch.nan)
    assert torch.equal(level_of(Problem(problem.observed, problem.operator, mask=mask)), noise_level(seen))
    small = problem.observed[..., :20, :20]
    assert torch.equal(level_of(Problem(small, problem.operator)), noise_level(small))
    broken = problem.observed.clone()
    broken[..., 3, 3] = torch.nan
    assert bool(torch.isfinite(level_of(Problem(broken, problem.operator))).all())


def test_the_least_is_the_rounding_of_eight_bits(generator: torch.Generator) -> None:
    flat = torch.full((1, 1, 64, 64), 0.5)
    assert float(level_behind(flat, torch.zeros(1, 1, 64, 33))) == pytest.approx(0.5 * FLOOR)


def test_large_pictures_are_measured_in_the_middle() -> None:
    x = torch.zeros(1, 1, MOST + 10, 40)
    x[..., 5 : MOST + 5, :] = 1
    part = piece(x)
    assert part is not None
    assert part.shape == (1, 1, MOST, 40)
    assert float(part.min()) == 1


def test_a_batch_is_its_pictures(generator: torch.Generator) -> None:
    problem = behind(0.02, generator)
    assert isinstance(problem.operator, Blur)
    alone = [
        float(level_of(Problem(problem.observed[i : i + 1], Blur(problem.operator.kernel[i : i + 1], "valid"))))
        for i in range(2)
    ]
    assert level_of(problem).tolist() == pytest.approx(alone, rel=1e-5)


def power_law(n: int, side: int, generator: torch.Generator) -> torch.Tensor:
    """Pictures with an amplitude of 1 / |f| like photographs, and with the straight edges of a house and its sky."""
    f = torch.fft.fftfreq(side)
    radius = (f[:, None].square() + f.square()).sqrt().clamp_min(1 / side)
    rough = torch.fft.ifft2(torch.fft.fft2(torch.randn(n, 1, side, side, generator=generator)) / radius).real
    rough = rough / rough.std((-2, -1), keepdim=True)
    house = torch.zeros(side, side)
    house[side // 3 :, side // 4 : side // 2] = 1
    return (0.5 + 0.12 * rough - 0.3 * house).clamp(0.05, 0.95)


@pytest.mark.parametrize("level", [0.005, 0.01, 0.03])
@pytest.mark.parametrize("span", [9, 17, 31])
def test_busy_pictures_behind_camera_shake(level: float, span: int, generator: torch.Generator) -> None:
    blur = Blur(shake(6, span, generator), "valid")
    y = blur.forward(power_law(6, 200 + span - 1, generator))
    noisy = rounded(y + level * torch.randn(y.shape, generator=generator))
    for found in level_of(Problem(noisy, blur)).tolist():
        assert 0.85 * level < found < 1.2 * level


def test_smoothed_noise_counts_as_a_whole(generator: torch.Generator) -> None:
    blur = Blur(shake(4, 17, generator), "valid")
    y = blur.forward(power_law(4, 216, generator))
    white = Blur(shapes.gaussian(0.6, 5), "circular").forward(torch.randn(y.shape, generator=generator))
    true = 0.02 * float(white.std())
    for found in level_of(Problem(y + 0.02 * white, blur)).tolist():
        assert found == pytest.approx(true, rel=0.15)


@pytest.mark.parametrize("kernel", [torch.ones(1, 1, 1, 1), shapes.gaussian(0.5, 3)], ids=["none", "mild"])
def test_where_nothing_is_hidden_smooth_blocks_have_a_say(kernel: torch.Tensor, generator: torch.Generator) -> None:
    y = power_law(1, 160, generator)
    y[..., 40:120] = 0.5  # a wall
    blur = Blur(kernel, "valid")
    y = blur.forward(y)
    noisy = y + 0.02 * torch.randn(y.shape, generator=generator)
    assert float(level_of(Problem(noisy, blur))) == pytest.approx(0.02, rel=0.12)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_brighter_picture_has_as_much_more_noise(factor: float, generator: torch.Generator) -> None:
    problem = behind(0.02, generator)
    brighter = Problem(factor * problem.observed, problem.operator)
    assert level_of(brighter).tolist() == pytest.approx([factor * a for a in level_of(problem).tolist()], rel=0.02)


def cells_and_point(generator: torch.Generator) -> tuple[behind_blur.Cells, torch.Tensor]:
    problem = behind(0.01, generator)
    part = piece(problem.observed)
    assert part is not None
    assert problem.operator is not None
    cells = behind_blur.measure(part, problem.operator.power(*part.shape[-2:], like=part))
    return cells, torch.tensor([[-9.0, 0.5, -7.0, -2.0, 0.3], [-11.0, 12.0, -6.0, -3.0, -0.2]], dtype=torch.float64)


def test_derivatives_are_those_of_autograd(generator: torch.Generator) -> None:
    cells, x = cells_and_point(generator)
    smooth = torch.tensor([-8.0, -9.5], dtype=torch.float64)
    by_hand = behind_blur._rows(x, cells, smooth)[1]
    by_autograd = torch.autograd.functional.jacobian(lambda z: behind_blur._rows(z, cells, smooth)[0].sum(0), x)
    assert torch.allclose(by_hand, by_autograd.transpose(0, 1), rtol=1e-6, atol=1e-8)


def test_cells_hold_every_frequency_once(generator: torch.Generator) -> None:
    cells, _ = cells_and_point(generator)
    f = torch.fft.fftfreq(SIDE)
    radius = (f[:, None].square() + torch.fft.rfftfreq(SIDE).square()).sqrt()
    assert cells.count.sum(1).tolist() == [float((radius >= behind_blur.RINGS[0]).sum())] * 2
    filled = cells.count > 0
    assert float(cells.through[filled].max()) < 1e-6


@pytest.mark.parametrize("b", [0.0, 0.3, 4.0, 30.0])
def test_the_variance_is_the_mean_of_the_spectrum(b: float) -> None:
    f = (torch.arange(400, dtype=torch.float64) + 0.5) / 400 - 0.5
    spectrum = torch.exp(-9 - b * (f[:, None].square() + f.square())) + FLOOR**2
    x = torch.tensor([[-9.0, b, -7.0, -2.5, 0.0]], dtype=torch.float64)
    assert float(behind_blur._log_variance(x)[0].exp()) == pytest.approx(float(spectrum.mean()), rel=1e-4)


def test_a_kernel_that_is_not_finite_is_no_crash() -> None:
    pixels = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    power = torch.full((1, 1, 64, 33), torch.nan)
    assert bool(torch.isfinite(level_behind(pixels, power)).all())
