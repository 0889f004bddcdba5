"""`acutance psf`: files that are made are read again; a report, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.errors import AcutanceError
from acutance.images.kernel_file import read_kernel, write_kernel
from acutance.images.kernel_volume import read_volume_kernel
from acutance.psf import Layers, airy, gaussian_ellipsoid, gibson_lanni, moffat
from acutance.psf.shapes import gaussian


def run(*words: object) -> str:
    result = CliRunner().invoke(app, ["psf", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".fits", ".txt"])
def test_a_moffat_comes_back_from_its_file(tmp_path: Path, suffix: str) -> None:
    if suffix == ".fits":
        pytest.importorskip("astropy")
    path = tmp_path / f"psf{suffix}"
    assert "33 x 33" in run("make", "moffat", "--fwhm", 3.1, "-o", path)
    torch.testing.assert_close(read_kernel(path).kernel, moffat(3.1, 2.5), atol=1e-7, rtol=0)


@pytest.mark.parametrize("suffix", [".tif", ".fits"])
def test_rows_of_a_kernel_keep_their_order(tmp_path: Path, suffix: str) -> None:
    if suffix == ".fits":
        pytest.importorskip("astropy")
    kernel = torch.rand(1, 1, 5, 7, generator=torch.Generator().manual_seed(0))
    write_kernel(tmp_path / f"k{suffix}", kernel / kernel.sum())
    torch.testing.assert_close(read_kernel(tmp_path / f"k{suffix}").kernel, kernel / kernel.sum())


def test_an_airy_pattern(tmp_path: Path) -> None:
    run("make", "airy", "--wavelength", 0.5, "--na", 0.8, "--pixel", 0.1, "--size", 21, "-o", tmp_path / "a.npy")
    torch.testing.assert_close(read_kernel(tmp_path / "a.npy").kernel, airy(wavelength=0.5, na=0.8, pixel=0.1, size=21))


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_kernels_of_three_axes(tmp_path: Path, suffix: str) -> None:
    bell, micro = tmp_path / f"bell{suffix}", tmp_path / f"micro{suffix}"
    run("make", "gaussian", "--sigma", "2,1,1.5", "-o", bell)
    run("make", "gibson-lanni", "--na", 1.2, "--wavelength", 0.52, "--voxel", "0.3,0.1,0.1", "--size", "5,15,15",
        "--depth", 2, "-o", micro)  # fmt: skip
    torch.testing.assert_close(read_volume_kernel(bell).kernel, gaussian_ellipsoid((2, 1, 1.5)), atol=1e-7, rtol=0)
    read = read_volume_kernel(micro)
    exact = gibson_lanni(1.2, 0.52, (0.3, 0.1, 0.1), (5, 15, 15), depth=2.0, layers=Layers())
    torch.testing.assert_close(read.kernel, exact, atol=1e-7, rtol=0)
    if suffix == ".tif":
        assert read.voxel is not None
        assert read.voxel.micrometres == pytest.approx((0.3, 0.1, 0.1))
    assert "5 x 15 x 15" in run("check", micro)


def test_a_fault_is_said_and_mended(tmp_path: Path) -> None:
    spoilt = gaussian(2.0, 31)[0, 0].numpy() * 1000 + 20
    np.save(tmp_path / "psf.npy", np.roll(spoilt, 3, 1))
    said = run("check", tmp_path / "psf.npy", "-o", tmp_path / "mended.npy", "--centre")
    assert "holds light that does not belong to the blur" in said
    assert "The background was not zero" in said
    mended = read_kernel(tmp_path / "mended.npy")
    assert mended.notes == ()
    columns = mended.kernel[0, 0].sum(0)
    assert float((columns * (torch.arange(len(columns)) - len(columns) // 2)).sum()) == pytest.approx(0, abs=0.5)


def test_the_picture_tells_the_orientation() -> None:
    assert "rotated by 180 degrees" in run("check", "examples/shaken-kernel.png", "examples/shaken.jpg")


@pytest.mark.parametrize("words", [(), ("measure",)])
def test_stars_are_measured(tmp_path: Path, words: tuple[str, ...]) -> None:
    sky = torch.zeros(1, 1, 200, 200)
    sky[0, 0, 50:160:50, 50:160:50] = 1000.0
    stars = torch.nn.functional.conv2d(sky, moffat(3.1, 2.5), padding=16) + 5
    noise = torch.randn(stars.shape, generator=torch.Generator().manual_seed(0))
    tifffile.imwrite(tmp_path / "stars.tif", (stars + 0.2 * noise)[0, 0].numpy())
    said = run(*words, tmp_path / "stars.tif", "-o", tmp_path / "psf.tif", "--size", 33)
    assert "9 points used" in said
    torch.testing.assert_close(read_kernel(tmp_path / "psf.tif").kernel, moffat(3.1, 2.5), atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("make", "moffat", "--fwhm", "3", "-o", "psf.jpg"), "ends in"),
        (("make", "moffat", "--fwhm", "-3", "-o", "psf.tif"), "above 0"),
        (("make", "gaussian", "--sigma", "1,2", "-o", "psf.tif"), "1 or 3 numbers"),
        (("make", "gaussian", "--sigma", "1,2,3", "-o", "psf.fits"), "ends in"),
        (("make", "airy", "-o", "psf.tif"), "one of both"),
        (("check", "nothing.tif"), "no such file"),
    ],
)  # fmt: skip
def test_what_is_refused(words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AcutanceError, match=said):
        run(*words)


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "psf.npy"
    path.write_text("mine")
    with pytest.raises(AcutanceError, match="overwrite"):
        run("make", "moffat", "--fwhm", 3, "-o", path)
    assert path.read_text() == "mine"
