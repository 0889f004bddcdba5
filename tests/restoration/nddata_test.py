"""NDData and CCDData of astropy as pictures and kernels: the same class comes back, in its units."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import acutance
from acutance.errors import ImageError, KernelError
from acutance.restoration.given import take_kernel, take_picture

nddata = pytest.importorskip("astropy.nddata", reason="needs astropy: pip install 'acutance[fits]'")
fits = pytest.importorskip("astropy.io.fits")
units = pytest.importorskip("astropy.units")

SHAPE = (24, 30)
KERNEL = np.outer([1.0, 2, 1], [1.0, 2, 1]) / 16


def values(dtype: str = "f4") -> Any:
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (400 + 100 * np.sin(rows / 3) + 90 * np.cos(cols / 4)).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4", ">f4", "f8"])
@pytest.mark.parametrize("kind", ["NDData", "CCDData", "NDDataRef"])
def test_the_class_and_all_it_holds_comes_back(kind: str, dtype: str) -> None:
    header = fits.Header([("EXPTIME", 3.0), ("OBJECT", "M 31")])
    mask = np.zeros(SHAPE, bool)
    mask[3, 4] = True
    unit = units.electron
    data = values(dtype) // 2 if dtype == "u1" else values(dtype)
    given = getattr(nddata, kind)(data, mask=mask, unit=unit, meta=header, uncertainty=nddata.StdDevUncertainty(data))
    done = acutance.restore(given, KERNEL, method="wiener")
    assert type(done) is type(given)
    assert done.data.dtype == np.dtype(dtype)
    assert done.unit == unit
    assert np.array_equal(done.mask, mask)
    assert done.meta["OBJECT"] == "M 31"
    assert any("deblur by wiener" in str(line) for line in done.meta["HISTORY"])
    assert "HISTORY" not in given.meta
    assert done.uncertainty is None  # the old one is that of the blurred values
    assert not np.array_equal(done.data, data)


def test_it_is_restored_like_its_values() -> None:
    plain = acutance.restore(values(), KERNEL, method="wiener", sigma=0.01)
    done = acutance.restore(nddata.NDData(values()), nddata.NDData(KERNEL), method="wiener", sigma=0.01)
    assert np.allclose(done.data, plain, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "of"), [("StdDevUncertainty", 1), ("VarianceUncertainty", 2), ("InverseVariance", -2)]
)
def test_mask_and_uncertainty(kind: str, of: int) -> None:
    sigma = np.full(SHAPE, 8.0)
    sigma[5, 6] = np.inf
    mask = np.zeros(SHAPE, bool)
    mask[1, 2] = True
    given = nddata.NDData(values(), mask=mask, unit="adu", uncertainty=getattr(nddata, kind)(sigma**of))
    image = take_picture(given).image
    assert np.argwhere(np.isnan(np.asarray(image))).tolist() == [[1, 2], [5, 6]]
    assert image.info.noise is not None
    assert image.info.noise.level * image.info.scale == pytest.approx(8.0)


def test_the_unit_of_the_uncertainty_is_heeded() -> None:
    given = nddata.NDData(values(), unit="mJy", uncertainty=nddata.StdDevUncertainty(np.full(SHAPE, 2e-3), unit="Jy"))
    noise = take_picture(given).image.info.noise
    assert noise is not None
    scale = take_picture(given).image.info.scale
    assert noise.level * scale == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: nddata.NDData(np.ones((3, 4, 5))), "one plane"),
        (lambda: nddata.NDData(np.ones((4, 5)) * 1j), "real numbers"),
        (lambda: nddata.NDData(np.full((4, 5), np.nan)), "missing"),
        (lambda: nddata.NDData(np.ones((4, 5)), mask=np.ones((3, 3))), "mask has the shape"),
        (lambda: nddata.NDData(np.ones((4, 5)), mask=np.ones((4, 5))), "missing"),
    ],
)
def test_what_is_no_picture_is_refused(given: Any, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        take_picture(given())


def test_a_kernel_with_nan_is_refused() -> None:
    with pytest.raises(KernelError):
        take_kernel(nddata.NDData(np.full((3, 3), np.nan)))


def test_astropy_is_not_loaded_for_other_pictures() -> None:
    code = "import sys, acutance, acutance.restoration.front_door; sys.exit('astropy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
