"""What the data do not support: the filter against its formula, and where the map must be dark or bright."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from acutance.operators import Blur
from acutance.psf import shapes
from acutance.trust.residual import REACH, whiteness
from acutance.trust.unsupported import (
    filtered_by,
    frequencies,
    local_rms,
    lost,
    smooth,
    spectrum_of,
    torus_of,
    unsupported,
)


@pytest.fixture
def scene() -> Tensor:
    """A random picture with the power 1 / |f|^2, (1, 1, 128, 120)."""
    white = torch.fft.rfft2(torch.randn(1, 1, 128, 120, generator=torch.Generator().manual_seed(1)))
    f = frequencies(128, 120, white.real)
    x = torch.fft.irfft2(white / f.clamp_min(1 / 128), s=(128, 120))
    return 0.5 + 0.1 * x / x.std()


def test_the_power_of_the_scene_is_found(scene: Tensor) -> None:
    a, b = spectrum_of(scene)
    assert b == pytest.approx(1.0, abs=0.25)
    f = frequencies(128, 120, scene)
    power = torch.fft.rfft2(scene - scene.mean()).abs().square()[0, 0] / scene[0, 0].numel()
    there = (f > 0.05) & (f < 0.15)
    assert a * float(f[there].pow(-2 * b).mean()) == pytest.approx(float(power[there].mean()), rel=0.5)


def test_what_is_lost_is_wieners_posterior_share(scene: Tensor) -> None:
    blur, size = Blur(shapes.gaussian(2.0)), (128, 120)
    u = lost(blur, 0.01, scene, size)
    a, b = spectrum_of(scene)
    s = a * (frequencies(*size, scene).square() + (1 / 128) ** 2).pow(-b)
    k = blur.power(*size)
    assert torch.allclose(u, 1 - k / (k + 0.01**2 / s), atol=1e-4)
    assert float(u[..., 0, 0].max()) < 0.01
    assert float(u[..., 64, 60].min()) > 0.99
    assert bool((lost(blur, 0.02, scene, size) >= u).all())
    assert float(lost(None, 0.01, scene, size).mean()) < float(u.mean())


def test_the_map_is_bright_at_edges_behind_a_blur_and_true_to_units() -> None:
    x = torch.zeros(1, 1, 96, 96)
    x[..., 48:] = 1
    u = unsupported(x, Blur(shapes.gaussian(2.5)), 0.01)
    assert u.shape == x.shape
    assert float(u[..., 20:76, 46:50].mean()) > 20 * float(u[..., 20:76, 12:20].mean())
    assert torch.allclose(unsupported(3 * x, Blur(shapes.gaussian(2.5)), 0.03), 3 * u, atol=1e-5)
    point = Blur(torch.ones(1, 1, 1, 1))
    assert float(unsupported(x, point, 1e-4).max()) < 0.01 * float(u.max())
    assert not unsupported(x, None, 0.0).any()


def test_missing_pixels_are_not_supported_at_all(scene: Tensor) -> None:
    measured = torch.ones_like(scene)
    measured[..., 40:80, 40:80] = 0
    blur = Blur(shapes.disc(2.0))
    u, all_measured = (unsupported(scene, blur, 0.005, measured=m) for m in (measured, None))
    assert torch.equal(u[..., :40, :], all_measured[..., :40, :])
    assert bool((u[..., 40:80, 40:80] >= local_rms(scene - smooth(scene))[..., 40:80, 40:80] - 1e-6).all())


def test_the_filters() -> None:
    x = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    height, width = torus_of(x)
    same = filtered_by(x, torch.ones(1, 1, height, width // 2 + 1))
    assert torch.allclose(same, x - x.mean((-2, -1), keepdim=True), atol=1e-5)
    assert torch.allclose(smooth(torch.full((1, 2, 20, 20), 0.3)), torch.full((1, 2, 20, 20), 0.3))
    assert torch.allclose(local_rms(torch.full((1, 1, 9, 9), -2.0)), torch.full((1, 1, 9, 9), 2.0))


def test_whiteness_of_noise_and_of_structure() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, 96, 90, generator=generator)
    found = whiteness(noise)
    assert found is not None
    assert found.lags.shape == (2 * REACH + 1, 2 * REACH + 1)
    assert float(found.lags[REACH, REACH]) == pytest.approx(1.0, abs=1e-5)
    assert torch.allclose(found.lags, found.lags.flip(0, 1), atol=1e-5)
    assert found.largest < 4 / (96 * 90) ** 0.5
    below = (found.lags.abs() < found.chance).float().mean()
    assert float(below) > 0.97
    pairs = noise + noise.roll(1, -1)  # neighbours share half of their variance
    shared = whiteness(pairs)
    assert shared is not None
    assert float(shared.lags[REACH, REACH + 1]) == pytest.approx(0.5, abs=0.05)
    assert shared.largest == pytest.approx(0.5, abs=0.05)


def test_there_is_no_whiteness_of_nothing() -> None:
    assert whiteness(torch.zeros(1, 1, 90, 90)) is None
    assert whiteness(torch.rand(1, 1, 20, 90)) is None
