"""Models of point-spread functions against their closed forms."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from acutance.errors import KernelError
from acutance.psf.microscope import Layers, _Pupil, gibson_lanni
from acutance.psf.models import airy, gaussian_ellipsoid, legendre, moffat

EVERY = {
    "moffat": lambda: moffat(3.1, 2.5),
    "moffat, narrow": lambda: moffat(0.7, 4.0),
    "airy": lambda: airy(2.3),
    "airy, obscured": lambda: airy(wavelength=0.55, na=0.3, pixel=0.4, obscuration=0.3),
    "ellipsoid": lambda: gaussian_ellipsoid((2.1, 1.2, 0.4)),
    "gibson-lanni": lambda: gibson_lanni(1.2, 0.52, (0.3, 0.1, 0.12), (7, 21, 15), depth=3.0),
}


def radii(side: int) -> Tensor:
    axis = torch.arange(side) - side // 2
    return (axis[:, None] ** 2 + axis**2).double().sqrt()


@pytest.mark.parametrize("name", EVERY)
def test_every_model_is_a_kernel(name: str) -> None:
    kernel = EVERY[name]()
    assert kernel.dtype == torch.float32
    assert kernel.shape[:2] == (1, 1)
    assert all(side % 2 for side in kernel.shape[2:])
    assert float(kernel.min()) >= 0
    assert float(kernel.double().sum()) == pytest.approx(1, abs=1e-5)
    middle = tuple(side // 2 for side in kernel.shape[2:])
    assert int(kernel.argmax()) == int(torch.tensor(range(kernel.numel())).reshape(kernel.shape)[(0, 0, *middle)])
    torch.testing.assert_close(kernel, kernel.flip((-1, -2)), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("fwhm", "beta"), [(3.1, 2.5), (6.0, 4.765), (12.0, 1.8)])
@pytest.mark.parametrize("radius", [6.0, 20.0])
def test_encircled_light_of_a_moffat(fwhm: float, beta: float, radius: float) -> None:
    kernel = moffat(fwhm, beta, 401)[0, 0].double()
    a = fwhm / (2 * math.sqrt(2 ** (1 / beta) - 1))

    def light(r: float) -> float:
        return 1 - math.pow(1 + (r / a) ** 2, 1 - beta)

    whole = light(401 / math.sqrt(math.pi))  # of a disc of the kernel's area
    pixels = math.sqrt(float((radii(401) <= radius).sum()) / math.pi)  # radius of the disc that the pixels make
    assert float(kernel[radii(401) <= radius].sum()) == pytest.approx(light(pixels) / whole, abs=0.004)


@pytest.mark.parametrize("beta", [1.5, 3.0])
def test_the_width_of_a_moffat(beta: float) -> None:
    row = moffat(20.0, beta, 201)[0, 0, 100].double()
    assert float(row[110] / row[100]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_encircled_light_of_an_airy_pattern_at_its_dark_rings(order: int) -> None:
    zeros = {1: 3.8317, 2: 7.0156, 5: 16.4706}
    kernel = airy(12.0, size=1025)[0, 0].double()
    at = 12.0 * zeros[order] / 3.8317
    v = torch.tensor(zeros[order], dtype=torch.float64)
    light = 1 - float(torch.special.bessel_j0(v) ** 2)  # J1 is 0
    far = 1 - 2 / (math.pi * 3.8317 / 12.0 * 512 * 2 / math.sqrt(math.pi))  # outside of the kernel, 2 / (pi v)
    assert float(kernel[radii(1025) <= at].sum()) == pytest.approx(light / far, abs=0.004)


def test_wavelength_aperture_and_pixel_give_the_radius() -> None:
    torch.testing.assert_close(
        airy(wavelength=0.5, na=0.61, pixel=0.1), airy(0.6098350 * 0.5 / 0.61 / 0.1), atol=1e-6, rtol=0
    )


def test_an_obstruction_moves_light_into_the_rings() -> None:
    clear, obscured = (airy(8.0, obscuration=e, size=401)[0, 0] for e in (0.0, 0.4))
    inside = radii(401) <= 8.0
    assert float(clear[inside].sum()) == pytest.approx(0.838, abs=0.02)
    assert float(obscured[inside].sum()) < float(clear[inside].sum()) - 0.1


@pytest.mark.parametrize("sigmas", [(2.0, 1.0, 1.5), (0.9, 3.0, 0.8)])
def test_second_moments_of_an_ellipsoid(sigmas: tuple[float, float, float]) -> None:
    kernel = gaussian_ellipsoid(sigmas, (29, 43, 29))[0, 0].double()
    for axis, sigma in enumerate(sigmas):
        line = kernel.sum([i for i in range(3) if i != axis])
        place = torch.arange(len(line)) - len(line) // 2
        assert float((line * place**2).sum()) == pytest.approx(sigma**2 + 1 / 12, rel=1e-4)


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_quadrature_is_exact_for_polynomials(count: int) -> None:
    nodes, weights = legendre(count, 0.5, 2.0)
    degree = 2 * count - 1
    exact = (2.0 ** (degree + 1) - 0.5 ** (degree + 1)) / (degree + 1)
    assert float((weights * nodes**degree).sum()) == pytest.approx(exact, rel=1e-10)


def on_axis(z: float, na: float, n: float, k: float) -> float:
    """|int exp(i k z s) s ds|^2 over s = sqrt(n^2 - NA^2 rho^2), closed form, 1 in focus."""
    low = math.sqrt(n**2 - na**2)
    if z == 0:
        return 1.0
    q = 1j * k * z
    value = cmath.exp(q * n) * (n / q - 1 / q**2) - cmath.exp(q * low) * (low / q - 1 / q**2)
    return (abs(value) / ((n**2 - low**2) / 2)) ** 2


@pytest.mark.parametrize(("na", "n"), [(0.3, 1.0), (0.9, 1.0), (1.4, 1.515)])
@pytest.mark.parametrize("z", [0.0, 0.4, -1.1, 5.0])
def test_light_on_the_axis_without_aberration(na: float, n: float, z: float) -> None:
    pupil = _Pupil(na, 0.5, n, 0.0, Layers(immersion=n))
    measured = pupil.intensity(torch.zeros(1, dtype=torch.float64), torch.tensor([0.0, z], dtype=torch.float64))
    assert float(measured[1, 0] / measured[0, 0]) == pytest.approx(on_axis(z, na, n, 2 * math.pi / 0.5), abs=1e-9)


@pytest.mark.parametrize("depth", [0.0, 12.0])
def test_with_matched_indices_the_focus_is_an_airy_pattern(depth: float) -> None:
    plane = gibson_lanni(0.8, 0.5, (0.5, 0.08, 0.08), (1, 41, 41), sample=1.515, depth=depth)[0, 0, 0]
    torch.testing.assert_close(plane, airy(wavelength=0.5, na=0.8, pixel=0.08, size=41)[0, 0], atol=2e-7, rtol=1e-4)


def test_every_plane_has_the_same_light() -> None:
    kernel = gibson_lanni(0.5, 0.5, (1.0, 0.15, 0.15), (5, 301, 301), sample=1.515)[0, 0].double()
    torch.testing.assert_close(kernel.sum((1, 2)), torch.full((5,), 0.2, dtype=torch.float64), atol=0.003, rtol=0)
    torch.testing.assert_close(kernel, kernel.flip(0), atol=1e-8, rtol=1e-4)


def test_depth_in_water_makes_it_wider_and_lopsided_but_keeps_its_centre() -> None:
    near, deep = (gibson_lanni(1.2, 0.52, (0.2, 0.1, 0.1), (31, 61, 61), depth=p)[0, 0] for p in (0.0, 15.0))
    assert float(deep.max()) < 0.7 * float(near.max())
    assert int(deep[:, 30, 30].argmax()) == 15
    assert float((near - near.flip(0)).abs().max()) < 1e-6
    assert float((deep - deep.flip(0)).abs().max()) > 0.1 * float(deep.max())


def test_rays_beyond_the_index_of_the_sample_do_not_pass() -> None:
    assert _Pupil(1.4, 0.5, 1.33, 1.0, Layers()).edge == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: moffat(0.0), "width above 0"),
        (lambda: moffat(3.0, 1.0), "beta above 1"),
        (lambda: moffat(3.0, 1.01), "give its size"),
        (lambda: moffat(3.0, size=10), "odd"),
        (lambda: airy(), "one of both"),
        (lambda: airy(2.0, na=0.5), "one of both"),
        (lambda: airy(na=0.5, wavelength=0.5), "one of both"),
        (lambda: airy(-1.0), "radius above 0"),
        (lambda: airy(1.0, obscuration=1.0), "below 1"),
        (lambda: gaussian_ellipsoid((1.0, 0.0, 1.0)), "above 0"),
        (lambda: gibson_lanni(1.6, 0.5, (0.2, 0.1, 0.1)), "below the index"),
        (lambda: gibson_lanni(1.4, 520, (0.2, 0.1, 0.1)), "0.52 for 520 nm"),
        (lambda: gibson_lanni(1.4, 0.52, (0.2, 0.1, 0.1), (8, 9, 9)), "odd"),
        (lambda: gibson_lanni(1.4, 0.52, (0.2, 0.1, 0.1), sample=0.9), "refractive"),
        (lambda: gibson_lanni(1.4, 0.52, (0.2, 0.1, 0.1), depth=-1), "at least 0"),
        (lambda: gibson_lanni(0.1, 0.5, (0.01, 0.01, 0.01)), "larger voxels"),
    ],
)  # fmt: skip
def test_bad_values_are_refused(make: Callable[[], Tensor], said: str) -> None:
    with pytest.raises(KernelError, match=said):
        make()
