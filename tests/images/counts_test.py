"""Counts of photons are told by the unit of the file, and choose the method where none is named."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from typer.testing import CliRunner

import acutance
from acutance.cli.app import app
from acutance.images.counts import count_unit, is_count

PSF = np.outer([1.0, 2, 1], [1, 2, 1]) / 16


@pytest.mark.parametrize(
    "unit", ["electron", "ELECTRONS", "adu", "counts/s", "ct", "DN", "electron / s", "e-", "photon"]
)
def test_units_of_counts(unit: str) -> None:
    assert is_count(unit)


@pytest.mark.parametrize("unit", ["", None, "Jy", "MJy/sr", "erg / s", "mag", "K", "account"])
def test_other_units(unit: object) -> None:
    assert not is_count(unit)


def frame(path: Path, unit: str | None) -> Path:
    values = np.random.default_rng(0).poisson(40, (40, 40)).astype("f4")
    cards = fits.Header([] if unit is None else [("BUNIT", unit)])
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(values, cards, name="SCI")]).writeto(path)
    fits.PrimaryHDU(PSF).writeto(path.with_name("psf.fits"), overwrite=True)
    return path


def restored(path: Path, *options: str) -> str:
    command = ["restore", str(path), "--kernel", str(path.with_name("psf.fits")), "-o", str(path.with_name("out.fits"))]
    done = CliRunner().invoke(app, [*command, "--overwrite", *options])
    assert done.exit_code == 0, f"{done.output} {done.exception}"
    return done.output


def test_counts_are_restored_by_the_method_that_keeps_the_flux(tmp_path: Path) -> None:
    counts = frame(tmp_path / "counts.fits", "electron")
    assert count_unit(counts) == "electron"
    said = restored(counts)
    assert "counts (electron)" in said
    assert "restored by richardson-lucy" in said
    before, after = (fits.getdata(tmp_path / name, "SCI") for name in ("counts.fits", "out.fits"))
    assert after.sum() == pytest.approx(before.sum(), rel=0.01)
    assert "richardson-lucy" not in restored(counts, "--method", "wiener")


def test_other_values_are_restored_by_the_default(tmp_path: Path) -> None:
    said = restored(frame(tmp_path / "light.fits", "MJy/sr"), "--steps", "2")
    assert "restored by acute" in said
    assert count_unit(tmp_path / "psf.fits") is None
    assert count_unit(tmp_path / "missing.fits") is None


def test_the_library_chooses_alike(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = frame(tmp_path / "counts.fits", "adu")
    values = fits.getdata(path, "SCI").astype(float)
    by_name = acutance.restore(values, PSF, method="richardson-lucy")
    with caplog.at_level(logging.INFO):
        of_data = acutance.restore(CCDData(values, unit="adu"), PSF)
    np.testing.assert_allclose(of_data.data, by_name, rtol=1e-3, atol=1e-2)
