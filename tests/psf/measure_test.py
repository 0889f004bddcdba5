"""A point-spread function measured from a field of known stars."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from acutance.errors import KernelError
from acutance.psf.measure import measure_psf
from acutance.psf.models import gaussian_ellipsoid, moffat

Array = NDArray[np.float64]


def shifted(values: Array, off: Array) -> Array:
    """By the phases of the Fourier transform, exact for what is sampled well."""
    spectrum = np.fft.fftn(values)
    for axis, d in enumerate(off):
        phase = np.exp(-2j * np.pi * d * np.fft.fftfreq(values.shape[axis]))
        spectrum = spectrum * phase.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return np.asarray(np.fft.ifftn(spectrum).real)


def field(psf: Array, shape: tuple[int, ...], count: int, seed: int = 0) -> tuple[Array, Array]:
    """Counts of photons of stars on a sky of 100, with read noise 5; and their places."""
    rng = np.random.default_rng(seed)
    half = [n // 2 for n in psf.shape]
    image = np.full([n + 2 * h for n, h in zip(shape, half, strict=True)], 100.0)
    places = rng.uniform(0, 1, (count, len(shape))) * (np.array(shape) - 1)
    for place, flux in zip(places, 10 ** rng.uniform(3, 5.5, count), strict=True):
        low = np.rint(place).astype(int)
        box = tuple(slice(p, p + n) for p, n in zip(low, psf.shape, strict=True))
        image[box] += flux * np.maximum(shifted(psf, place - low), 0)
    noisy = rng.poisson(image) + rng.normal(0, 5, image.shape)
    return noisy[tuple(slice(h, -h) for h in half)], places


def similarity(a: Array, b: Array) -> float:
    sides = [min(n, m) for n, m in zip(a.shape, b.shape, strict=True)]
    a, b = (v[tuple(slice((n - s) // 2, (n + s) // 2) for n, s in zip(v.shape, sides, strict=True))] for v in (a, b))
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


@pytest.mark.parametrize(("fwhm", "beta"), [(3.1, 2.5), (4.5, 4.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_two_hundred_stars_give_their_profile(fwhm: float, beta: float, seed: int) -> None:
    truth = moffat(fwhm, beta, 61)[0, 0].double().numpy()
    image, places = field(truth, (700, 700), 200, seed)
    found = measure_psf(image)
    kernel = found.kernel[0, 0].double().numpy()
    assert found.kernel.sum().item() == pytest.approx(1, abs=1e-5)
    assert found.kernel.min() >= 0
    assert similarity(kernel, truth) > 0.995
    assert len(found.places) > 15
    nearest = np.sqrt(((found.places[:, None] - places) ** 2).sum(-1)).min(1)
    assert np.median(nearest) < 0.05
    grid = np.arange(len(kernel)) - len(kernel) // 2
    core = kernel * (grid[:, None] ** 2 + grid**2 <= fwhm**2)
    for axis in (0, 1):
        assert abs(float((core.sum(axis) * grid).sum() / core.sum())) < 0.05


def test_beads_of_a_volume() -> None:
    truth = gaussian_ellipsoid((2.5, 1.5, 1.5), (21, 13, 13))[0, 0].double().numpy()
    image, _ = field(truth, (80, 160, 160), 60)
    found = measure_psf(image)
    assert similarity(found.kernel[0, 0].double().numpy(), truth) > 0.99


def test_why_points_are_not_used() -> None:
    truth = moffat(3.1, 2.5, 61)[0, 0].double().numpy()
    image, _ = field(truth, (500, 500), 80)
    image = np.minimum(image, 8000)  # full well
    image[250, 250] = np.nan
    image[100, 100] += 4000  # cosmic ray
    rejected = measure_psf(image).rejected
    assert {"near the border", "clipped", "blended", "of another width"} <= set(rejected)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.random.default_rng(0).normal(0, 1, (64, 64)), "no bright point"),
        (np.ones((3,)), "give a picture"),
        (np.full((64, 64), np.nan), "give a picture"),
    ],
)  # fmt: skip
def test_what_holds_no_points_is_refused(values: Array, said: str) -> None:
    with pytest.raises(KernelError, match=said):
        measure_psf(values)
