"""The noise of photons: its gain and where it begins, and what Richardson-Lucy makes of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from acutance.images import Image, ImageInfo
from acutance.methods.spec import find
from acutance.noise.photons import of_the_light, photon_noise, typical_light
from acutance.operators import Blur
from acutance.prepare import prepare
from acutance.psf.models import gaussian_ellipsoid
from acutance.psf.shapes import gaussian
from acutance.restoration.volume import VolumeMethod, restore_volume, volume_of

Array = NDArray[np.float64]
KERNEL = gaussian(1.5)


def spots(peak: float, seed: int = 0) -> Array:
    """Blurred squares on a dark ground, (160, 160), the brightest one of `peak`."""
    rng, x = np.random.default_rng(seed), np.zeros((160, 160))
    for row, col in rng.integers(8, 140, (40, 2)):
        x[row : row + 9, col : col + 9] = rng.uniform(0.2, 1)
    y = Blur(KERNEL, boundary="replicate").forward(torch.from_numpy(x)[None, None].float())[0, 0].double().numpy()
    return np.asarray(peak * y.clip(0) / y.max())


@pytest.mark.parametrize(("gain", "read"), [(1.0, 0.0), (2.5, 0.0), (1.0, 6.0)])
def test_gain_and_background_are_those_of_the_counts(gain: float, read: float) -> None:
    rng = np.random.default_rng(1)
    light = spots(400)
    y = gain * rng.poisson(light) + rng.normal(0, read, light.shape)
    found = photon_noise(torch.from_numpy(y)[None])
    assert found is not None
    assert found.dark
    assert found.gain == pytest.approx(gain, rel=0.15)
    assert found.background == pytest.approx(read**2 / gain, abs=0.3 + 0.35 * read**2)
    level = of_the_light(torch.from_numpy(y)[None], found)
    assert level == pytest.approx(np.sqrt(gain * (typical_light(torch.from_numpy(y)) + read**2)), rel=0.12)


def test_holes_do_not_count() -> None:
    y = torch.from_numpy(np.random.default_rng(1).poisson(spots(400)).astype(float))[None]
    weight = torch.ones_like(y)
    weight[:, 40:60, 40:90] = 0
    whole, holed = photon_noise(y), photon_noise(torch.where(weight > 0, y, 1e6), weight)
    assert whole is not None
    assert holed is not None
    assert holed.gain == pytest.approx(whole.gain, rel=0.1)


@pytest.mark.parametrize("size", [(1, 160, 160), (1, 2, 2)])
def test_noise_that_is_the_same_everywhere_is_none_of_photons(size: tuple[int, ...]) -> None:
    light = torch.from_numpy(spots(1.0))[None][:, : size[1], : size[2]]
    assert photon_noise(light + 0.01 * torch.randn(light.shape, generator=torch.Generator().manual_seed(0))) is None


def test_a_bright_scene_is_not_dark() -> None:
    light = np.linspace(100, 900, 160) * np.ones((160, 1))
    found = photon_noise(torch.from_numpy(np.random.default_rng(1).poisson(light).astype(float))[None])
    assert found is not None
    assert found.gain == pytest.approx(1, rel=0.15)
    assert not found.dark


def test_pictures_of_eight_bits_are_no_counts() -> None:
    y = np.random.default_rng(1).poisson(spots(200))
    pixels = torch.from_numpy(y / 255).float()[None, None].clamp(0, 1)
    spec = find("richardson-lucy")
    eight = Image((255 * pixels).round() / 255, None, ImageInfo("PNG", bits=8))
    counts = Image(torch.from_numpy(y).float()[None, None], None, ImageInfo("FITS", bits=32, is_float=True))
    assert prepare(spec, eight, KERNEL).problem.background is None
    assert prepare(spec, counts, KERNEL).problem.background is not None
    assert prepare(find("tv"), counts, KERNEL).problem.background is None


def test_faint_beads_are_nearer_to_the_truth_than_with_the_background_of_photographs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng, x = np.random.default_rng(3), np.zeros((12, 40, 40))
    for z, row, col in zip(rng.integers(1, 10, 9), rng.integers(4, 30, 9), rng.integers(4, 30, 9), strict=True):
        x[z : z + 2, row : row + 2, col : col + 8] = rng.uniform(0.4, 1)
    psf = gaussian_ellipsoid((1.8, 1.3, 1.3), (9, 9, 9))
    light = Blur(psf, boundary="replicate").forward(torch.from_numpy(x)[None, None].float())[0, 0].double().numpy()
    y = rng.poisson(60 * light.clip(0) / light.max()).astype(np.float32)
    found = {
        method: float(np.corrcoef(restore_volume(y, psf[0, 0].numpy(), method=method).ravel(), x.ravel())[0, 1])
        for method in ("richardson-lucy:steps=40", "richardson-lucy:steps=40,background=0.9")
    }
    with capsys.disabled():
        print("\ncorrelation of beads of 60 counts with the truth:", found)  # noqa: T201
    assert found["richardson-lucy:steps=40"] > found["richardson-lucy:steps=40,background=0.9"] + 0.02
    solver = VolumeMethod.load(psf[0, 0].numpy())
    values = volume_of(y)
    units = solver.units(values, torch.ones_like(values, dtype=torch.bool))
    assert units.background is not None
    assert "photons" in units.reason
