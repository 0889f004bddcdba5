"""`acutance.restore_volume`: kinds of arrays, units, missing voxels, planes, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from acutance import restore_volume
from acutance.errors import AcutanceError, ConfigError, ImageError, KernelError

Floats = NDArray[np.float64]


def psf(sides: tuple[int, int, int] = (5, 7, 7)) -> Floats:
    """A Gaussian, longest along the optical axis."""
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in sides), indexing="ij")
    k = np.exp(-0.5 * sum((a / s) ** 2 for a, s in zip(axes, (1.4, 1.1, 1.1), strict=True)))
    return np.asarray(k / k.sum())


def truth(size: tuple[int, int, int] = (14, 30, 32)) -> Floats:
    x = np.full(size, 20.0)
    x[2:5, 4:26, 5:9] = 300
    x[7:11, 6:9, 4:28] = 220
    x[5:12, 14:25, 14:17] = 150
    x[8:10, 12:23, 22:27] = 350
    return x


def blurred(noise: float = 3.0) -> Floats:
    """The truth behind `psf`, on a torus, with noise."""
    k = np.zeros(truth().shape)
    d, h, w = psf().shape
    k[:d, :h, :w] = psf()
    k = np.roll(k, (-(d // 2), -(h // 2), -(w // 2)), (0, 1, 2))
    clean = np.fft.ifftn(np.fft.fftn(truth()) * np.fft.fftn(k)).real
    return np.asarray(clean + noise * np.random.default_rng(5).standard_normal(clean.shape))


def error(x: Any) -> float:
    inside = (slice(2, -2), slice(4, -4), slice(4, -4))
    return float(np.sqrt(np.mean((np.asarray(x, np.float64)[inside] - truth()[inside]) ** 2)))


def test_a_stack_becomes_sharper() -> None:
    y = blurred()
    x = restore_volume(y, psf())
    assert x.dtype == y.dtype
    assert error(x) < 0.7 * error(y)


def test_with_a_kernel_of_three_axes_it_is_better_than_plane_by_plane() -> None:
    y = blurred()
    flat = psf().sum(0)
    whole, planes = (restore_volume(y, k, method="richardson-lucy") for k in (psf(), flat))
    assert error(whole) < error(planes) < error(y)


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 7.0, 1e5])
def test_results_are_true_to_their_units(factor: float) -> None:
    y = blurred()
    one, other = restore_volume(y, psf()), restore_volume(factor * y, psf())
    np.testing.assert_allclose(other / factor, one, rtol=0, atol=1e-3 * one.max())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, ">f4", ">u2"])
def test_an_array_comes_back_as_the_kind_it_was(dtype: Any) -> None:
    y = (blurred() / 2 if dtype == np.uint8 else blurred()).clip(0).astype(dtype)
    x = restore_volume(y, psf(), method="wiener")
    assert (x.dtype, x.shape) == (y.dtype, y.shape)
    tensor = restore_volume(torch.from_numpy(blurred().astype(np.int16)), psf(), method="wiener")
    assert tensor.dtype is torch.int16


def test_missing_voxels_have_no_influence() -> None:
    y, mask = blurred(), np.ones(truth().shape, bool)
    y[6, 10:12, 10:13] = np.nan
    mask[3, 20:22, 5:8] = False
    wild = np.where(mask, y, 1e7)
    a, b = restore_volume(y, psf(), mask=mask), restore_volume(wild, psf(), mask=mask)
    assert np.isfinite(a).all()
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-3)


def test_every_plane_is_restored_by_methods_that_know_pictures_only() -> None:
    y = np.clip(blurred(), 0, None)
    x = restore_volume(y, psf().sum(0), method="epll:steps=1", sigma=0.01)
    assert x.shape == y.shape


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"volume": np.ones((4, 4))}, ImageError, "give an array or tensor"),
        ({"volume": np.ones((2, 3, 4, 5))}, ImageError, "one channel and one moment"),
        ({"volume": np.ones((4, 8, 8), bool)}, ImageError, "real numbers"),
        ({"volume": [[[1.0]]]}, ImageError, "list"),
        ({"volume": np.full((4, 8, 8), np.nan)}, ImageError, "no voxel is left"),
        ({"kernel": np.ones(3)}, KernelError, "give an array"),
        ({"kernel": np.zeros((3, 3, 3))}, KernelError, "zero"),
        ({"kernel": np.full((3, 3, 3), np.nan)}, KernelError, "NaN"),
        ({"kernel": np.ones((99, 3, 3))}, KernelError, "cut the kernel"),
        ({"method": "acute"}, ConfigError, "single planes only.*richardson-lucy"),
        ({"method": "golf"}, ConfigError, "does not take grey planes and a kernel"),
        ({"method": "wienr"}, AcutanceError, "wiener"),
        ({"sigma": 0.0}, ConfigError, "above 0"),
        ({"mask": np.ones((2, 2, 2))}, ConfigError, "for a volume of"),
    ],
)
def test_what_cannot_be_used_is_refused(given: dict[str, Any], kind: type[Exception], message: str) -> None:
    whole = {"volume": truth(), "kernel": psf(), "sigma": 0.01} | given
    with pytest.raises(kind, match=message):
        restore_volume(whole.pop("volume"), whole.pop("kernel"), **whole)
