"""PSNR against its formula and against scikit-image."""

from __future__ import annotations

import math

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from acutance.metrics import kernel_similarity, psnr


@pytest.mark.parametrize("peak", [1.0, 255.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_is_scikit_images(channels: int, peak: float, generator: torch.Generator) -> None:
    truth = peak * torch.rand(2, channels, 9, 8, generator=generator)
    estimate = truth + 0.05 * peak * torch.randn(truth.shape, generator=generator)
    got = psnr(estimate, truth, peak=peak)
    for i in range(2):
        expected = peak_signal_noise_ratio(truth[i].double().numpy(), estimate[i].double().numpy(), data_range=peak)
        assert float(got[i]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("error", "decibel"), [(0.1, 20.0), (0.01, 40.0), (1.0, 0.0)])
def test_psnr_of_a_constant_error(error: float, decibel: float) -> None:
    truth = torch.zeros(1, 3, 6, 6, dtype=torch.float64)
    assert float(psnr(truth + error, truth)) == pytest.approx(decibel, abs=1e-9)


def test_the_border_is_left_out(generator: torch.Generator) -> None:
    truth = torch.rand(1, 3, 10, 12, generator=generator)
    estimate = truth + 0.01
    estimate[..., 0, :], estimate[..., :, -2:] = 9, 9
    assert float(psnr(estimate, truth, border=2)) == pytest.approx(40, abs=1e-3)
    assert float(psnr(estimate, truth, border=1)) < 10


def test_equal_pictures_have_no_error() -> None:
    assert float(psnr(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))) == math.inf


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        psnr(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4))


def test_kernel_similarity() -> None:
    g = torch.Generator().manual_seed(3)
    k = torch.rand(1, 1, 7, 5, generator=g)
    moved = torch.zeros(1, 1, 12, 13)
    moved[..., 4:11, 6:11] = 3 * k
    assert float(kernel_similarity(k, moved)) == pytest.approx(1)
    other = torch.rand(1, 1, 6, 9, generator=g)
    best = 0.0
    for dy in range(-7, 7):
        for dx in range(-9, 9):
            a, b = torch.zeros(30, 30), torch.zeros(30, 30)
            a[12:19, 12:17] = k[0, 0]
            b[12 + dy : 18 + dy, 12 + dx : 21 + dx] = other[0, 0]
            best = max(best, float((a * b).sum()))
    expected = best / float(k.norm() * other.norm())
    assert float(kernel_similarity(k, other)) == pytest.approx(expected, rel=1e-6)
    assert float(kernel_similarity(other, k)) == pytest.approx(expected, rel=1e-6)
