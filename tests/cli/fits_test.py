"""FITS through the commands: files, extensions, folders, pieces; and through `acutance.restore`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import acutance
from acutance.cli.app import app
from acutance.errors import AcutanceError
from acutance.images.mark import read_mark
from acutance.operators import Blur

fits = pytest.importorskip("astropy.io.fits", reason="needs astropy: pip install 'acutance[fits]'")
torch = pytest.importorskip("torch")

runner = CliRunner()
KERNEL = np.zeros((7, 7), "f4")
KERNEL[1:6, 3], KERNEL[1, 3:6] = 1, 2  # neither rotated nor mirrored the same
WIENER = ("--method", "wiener", "--no-orientation")


def run(*arguments: object) -> str:
    result = runner.invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def data_of(path: str, index: int = 1) -> np.ndarray:
    with fits.open(path) as hdus:
        return np.array(hdus[index].data)


@pytest.fixture(autouse=True)
def sharp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """In the working folder `in.fits`, blurred by KERNEL as `psf.fits` has it, with DQ and ERR; returns what it was."""
    monkeypatch.chdir(tmp_path)
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 1, 12, 14, generator=generator)
    x = 800 * torch.nn.functional.interpolate(coarse, size=(54, 62), mode="bilinear") - 100
    kernel = torch.from_numpy(KERNEL)[None, None]
    y = Blur(kernel / kernel.sum()) @ x
    y = (y + 2 * torch.randn(y.shape, generator=generator))[0, 0].numpy()
    flags = np.zeros(y.shape, "i2")
    flags[10:12, 20:22] = 1
    y[flags > 0] = 1e5
    sci = fits.ImageHDU(y, name="SCI")
    sci.header["BUNIT"] = "electron"
    maps = [fits.ImageHDU(flags, name="DQ"), fits.ImageHDU(np.full_like(y, 2.0), name="ERR")]
    fits.HDUList([fits.PrimaryHDU(), sci, *maps]).writeto("in.fits", checksum=True)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(KERNEL, name="PSF")]).writeto("psf.fits")
    return np.asarray(x[0, 0, 3:-3, 3:-3])


def errors(found: np.ndarray, sharp: np.ndarray, blurred: np.ndarray) -> tuple[float, float]:
    """Root mean square error inside, of the result and of the blurred picture."""
    inside = (slice(6, -6), slice(6, -6))
    there = np.abs(blurred[inside]) < 1e4
    rms = [float(np.sqrt(np.square((a - sharp)[inside][there]).mean())) for a in (found, blurred)]
    return rms[0], rms[1]


@pytest.mark.parametrize("psf", ["psf.fits", "psf.fits[PSF]", "psf.fits[1]"])
def test_a_picture_and_a_kernel(sharp: np.ndarray, psf: str) -> None:
    said = run("restore", "in.fits[SCI]", "--kernel", psf, "-o", "out.fits", *WIENER)
    assert "are flagged" in said
    assert "median" in said
    found, blurred = errors(data_of("out.fits"), sharp, data_of("in.fits"))
    assert found < 0.6 * blurred  # the kernel is turned right, and bad pixels count for nothing
    with fits.open("out.fits", checksum=True) as hdus:
        text = " ".join(hdus[1].header["HISTORY"])
        assert hdus[1].header["BUNIT"] == "electron"
    assert "deblur by wiener" in text
    assert "noise level: median of [ERR]" in text
    assert f"kernel from {psf}" in text
    for index in (2, 3):
        assert np.array_equal(data_of("in.fits", index), data_of("out.fits", index))


def test_a_kernel_the_other_way_up_does_worse(sharp: np.ndarray) -> None:
    fits.PrimaryHDU(KERNEL[::-1]).writeto("mirrored.fits")
    run("restore", "in.fits", "--kernel", "mirrored.fits", "-o", "out.fits", *WIENER)
    found, blurred = errors(data_of("out.fits"), sharp, data_of("in.fits"))
    assert found > 0.9 * blurred


def test_the_function_does_the_same() -> None:
    run("restore", "in.fits", "--kernel", "psf.fits", "-o", "out.fits", *WIENER)
    done = acutance.restore("in.fits", "psf.fits", method="wiener")
    assert np.allclose(np.asarray(done, np.float64) * done.info.scale, data_of("out.fits"), rtol=1e-5)
    acutance.write_image("again.fits", done)
    assert "kernel from psf.fits" in " ".join(fits.getheader("again.fits", 1)["HISTORY"])


@pytest.mark.parametrize(("method", "told"), [("acute:steps=1", True), ("wiener", False)])
def test_who_measures_light_is_warned_of_what_learned_from_photographs(method: str, told: bool) -> None:
    said = run("restore", "in.fits", "--kernel", "psf.fits", "--method", method, "--no-orientation", "-o", "out.fits")
    assert ("for photometry: --method richardson-lucy" in said) == told


def test_names_of_results_and_marks() -> None:
    Path("in.fits").rename("in.fit")
    fits.PrimaryHDU(data_of("in.fit")).writeto("packed.fits.gz")
    run("restore", "in.fit[SCI]", "--kernel", "psf.fits", *WIENER)
    run("restore", "packed.fits.gz", "--kernel", "psf.fits", *WIENER)
    assert Path("packed-restored.fits.gz").read_bytes().startswith(b"\x1f\x8b")
    assert read_mark(Path("in-restored.fit"), "[SCI]") is not None
    again = "restore", "in-restored.fit", "--kernel", "psf.fits", *WIENER
    assert "deblurred already" in " ".join(runner.invoke(app, again).output.split())
    assert "done already" in run("restore", "in.fit[SCI]", "--kernel", "psf.fits", *WIENER)


def test_a_folder_and_a_piece() -> None:
    Path("night").mkdir()
    for name in ("a.fits", "b.fits"):
        Path("night", name).write_bytes(Path("in.fits").read_bytes())
    Path("night/psf.fits").write_bytes(Path("psf.fits").read_bytes())
    said = run("restore", "night", "-o", "sharp/", "--kernel", "night/psf.fits", *WIENER)
    assert sorted(p.name for p in Path("sharp").glob("*.fits")) == ["a.fits", "b.fits"]
    assert "2 restored" in said
    run("restore", "in.fits", "--kernel", "psf.fits", "--preview", "8,6,20,16", "-o", "piece.fits", *WIENER)
    assert data_of("piece.fits").shape == (16, 20)


def test_other_files_in_and_out() -> None:
    run("restore", "in.fits", "--kernel", "psf.fits", "-o", "out.tif", *WIENER)
    run("restore", "in.fits", "--kernel", "psf.fits", "-o", "out.fits", *WIENER)
    tiff = acutance.read_image("out.tif")
    assert np.allclose(np.asarray(tiff) * tiff.info.scale, data_of("out.fits"), atol=1e-2)
    run("restore", "out.tif", "--kernel", "psf.fits", "-o", "from-tiff.fits", "--again", *WIENER)
    assert data_of("from-tiff.fits", 0).dtype == np.dtype(">f4")


@pytest.mark.parametrize(("suffix", "told"), [(".png", True), (".npy", False)])
def test_a_kernel_that_was_seen_upright_is_warned_of(suffix: str, told: bool) -> None:
    acutance.write_kernel(f"k{suffix}", KERNEL)
    said = run("restore", "in.fits", "--kernel", f"k{suffix}", "-o", "out.fits", "--method", "wiener")
    assert ("first row of FITS" in said) == told


def test_a_mask_of_fits() -> None:
    use = (data_of("in.fits", 2) == 0).astype("u1")
    fits.PrimaryHDU(use).writeto("use.fits")
    run("restore", "in.fits", "--kernel", "psf.fits", "--mask", "use.fits", "-o", "out.fits", "--method", "tv:steps=3")
    assert data_of("out.fits").max() < 2000


def test_a_kernel_and_its_result_are_not_the_same_file() -> None:
    with pytest.raises(AcutanceError, match="the kernel"):
        runner.invoke(
            app, ["restore", "in.fits", "--kernel", "psf.fits[PSF]", "-o", "psf.fits", *WIENER], catch_exceptions=False
        )
