"""The Wiener filter: a minimiser of its energy, indifferent to scale, honest at the border."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import EPSILON, Torus, laplacian_power
from acutance.methods.wiener import Wiener, build, inverse_spectrum
from acutance.metrics import psnr
from acutance.noise.level import level_of
from acutance.operators import Blur, Difference
from acutance.problem import Outcome, Problem


def kernel_of(*shape: int) -> Tensor:
    k = torch.rand(*shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64) ** 2
    return k / k.sum((-2, -1), keepdim=True)


def scene(b: int, c: int, h: int, w: int) -> Tensor:
    i, j = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    shapes = ((i // 8 + j // 9) % 3).double() / 3 + 0.2 * torch.sin(i / 5 + j / 7)
    return torch.stack([0.3 + 0.5 * torch.roll(shapes, 3 * n, -1) for n in range(b * c)]).reshape(b, c, h, w)


def noisy(b: int, c: int, h: int, w: int, *, sigma: float = 0.01, boundary: Any = "valid") -> tuple[Problem, Tensor]:
    blur = Blur(kernel_of(1, 1, 5, 5), boundary)
    sharp = scene(b, c, *blur.domain_size(h, w))
    y = blur.forward(sharp)
    y = y + sigma * torch.randn(y.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return Problem(y, blur, torch.tensor(sigma)), blur.crop(sharp)


@pytest.mark.parametrize("size", [(12, 14), (13, 12), (12, 13), (11, 9)], ids=str)
@pytest.mark.parametrize("strength", [1.0, 5.0])
def test_it_minimises_its_energy(strength: float, size: tuple[int, int]) -> None:
    """A'(A x - y) + R x = 0 with R = sigma^2 / S, S a power law of |D|: from the result alone."""
    problem, _ = noisy(1, 1, *size, boundary="circular")

    def regulariser(strength: float) -> Tensor:
        x = Wiener(strength=strength).run(problem).x
        ratio = torch.fft.rfft2(-problem.gradient(x)) / torch.fft.rfft2(x)
        torch.testing.assert_close(ratio.imag, torch.zeros_like(ratio.imag), rtol=0, atol=1e-9)
        return ratio.real.flatten()[1:] - EPSILON

    r = regulariser(strength)
    assert bool((r > 0).all())
    torch.testing.assert_close(r, strength * regulariser(1.0), rtol=1e-6, atol=1e-12)
    logs = laplacian_power(*size, like=problem.observed).flatten()[1:].log()
    fall = torch.linalg.lstsq(torch.stack((logs, torch.ones_like(logs)), 1), r.log()[:, None]).solution
    torch.testing.assert_close(fall[0] * logs + fall[1], r.log(), rtol=1e-6, atol=1e-6)
    assert 0.5 - 1e-6 <= float(fall[0]) <= 2 + 1e-6


@pytest.mark.parametrize(("level", "fall"), [(0.01, 2.0), (0.5, 2.5), (0.1, 1.5)])
def test_the_spectrum_of_a_picture_is_found(level: float, fall: float) -> None:
    """A picture drawn from the model: noise with the power level / |D|^fall, blurred, with noise added."""
    size, g = (256, 250), torch.Generator().manual_seed(6)
    blur = Blur(kernel_of(1, 1, 5, 5), "circular")
    white = torch.randn(1, 2, *size, generator=g, dtype=torch.float64)
    laplacian = laplacian_power(*size, like=white)
    shape = torch.where(laplacian > 0, laplacian, 1) ** (-fall / 4) * level**0.5
    sharp = torch.fft.irfft2(torch.fft.rfft2(white) * shape, s=size)
    y = blur.forward(sharp) + 0.01 * torch.randn(sharp.shape, generator=g, dtype=torch.float64)
    found = inverse_spectrum(Torus.of(y, blur), torch.full((1, 1, 1, 1), 1e-4, dtype=torch.float64))
    expected = torch.where(laplacian > 0, laplacian ** (fall / 2) / level, 0)
    torch.testing.assert_close(found[0, 0], expected, rtol=0.1, atol=0)  # few frequencies tell what the lowest ones are
    torch.testing.assert_close(found[0, 0, 20:-20, 20:], expected[20:-20, 20:], rtol=0.03, atol=0)


@pytest.mark.parametrize("scale", [0.01, 50.0])
@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_it_does_not_depend_on_the_scale(boundary: Any, scale: float) -> None:
    problem, _ = noisy(1, 3, 30, 27, boundary=boundary)
    assert problem.sigma is not None
    scaled = Problem(scale * problem.observed, problem.operator, scale * problem.sigma)
    torch.testing.assert_close(Wiener().run(scaled).x, scale * Wiener().run(problem).x, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("sigma", [0.003, 0.01, 0.03])
def test_it_restores_the_border_included(sigma: float) -> None:
    problem, truth = noisy(1, 3, 64, 60, sigma=sigma)
    restored = problem.crop(Wiener().run(problem).x)
    assert float(psnr(restored, truth)) > float(psnr(problem.observed, truth)) + 1
    inside = float(psnr(restored, truth, border=8))
    assert float(psnr(restored, truth)) > inside - 2, "the border is hardly worse than the middle"


def test_an_unknown_noise_level_is_estimated() -> None:
    problem, _ = noisy(1, 1, 40, 41)
    unknown = Problem(problem.observed, problem.operator)
    known = Problem(problem.observed, problem.operator, level_of(unknown))
    torch.testing.assert_close(Wiener().run(known).x, Wiener().run(unknown).x, rtol=1e-6, atol=1e-8)


def test_each_picture_of_a_batch_has_its_own_level_and_noise() -> None:
    problem, _ = noisy(2, 3, 20, 22)
    y = problem.observed * torch.tensor([1.0, 0.2], dtype=torch.float64).reshape(2, 1, 1, 1)
    sigma = torch.tensor([0.01, 0.05])
    together = Wiener().run(Problem(y, problem.operator, sigma))
    for i in range(2):
        alone = Wiener().run(Problem(y[i : i + 1], problem.operator, sigma[i]))
        torch.testing.assert_close(together.x[i : i + 1], alone.x, rtol=1e-10, atol=1e-12)
    assert together.outcomes == (Outcome.COMPLETED, Outcome.COMPLETED)


def test_more_noise_is_smoothed_more() -> None:
    problem, _ = noisy(1, 1, 32, 32)
    rough = [
        float(
            Difference("rows")
            .forward(Wiener().run(Problem(problem.observed, problem.operator, torch.tensor(s))).x)
            .norm()
        )
        for s in (0.001, 0.01, 0.1)
    ]
    assert rough == sorted(rough, reverse=True)


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_flat_picture_stays_flat(value: float) -> None:
    y = torch.full((1, 3, 16, 17), value, dtype=torch.float64)
    x = Wiener().run(Problem(y, Blur(kernel_of(1, 1, 5, 5)))).x
    torch.testing.assert_close(x, torch.full_like(x, value), rtol=0, atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (8, 1)], ids=str)
@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_the_smallest_pictures(boundary: Any, size: tuple[int, int], generator: torch.Generator) -> None:
    y = torch.rand(1, 1, *size, generator=generator, dtype=torch.float64)
    result = Wiener().run(Problem(y, Blur(torch.ones(1, 1, 1, 1, dtype=torch.float64), boundary)))
    assert result.outcome is Outcome.COMPLETED
    assert result.x.shape == y.shape


def test_what_is_no_convolution_is_refused() -> None:
    with pytest.raises(ConfigError, match="one kernel for the whole picture"):
        Wiener().run(Problem(torch.rand(1, 1, 8, 8), Difference("rows"), torch.tensor(0.01)))


def test_settings() -> None:
    assert build(strength=2.0) == Wiener(2.0)
    with pytest.raises(ConfigError, match="its settings are strength"):
        build(steps=3)
