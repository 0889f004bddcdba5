"""Cubes of stamps with a kernel for each, in one call of the program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.images import Image, ImageInfo
from acutance.operators import Blur
from acutance.psf.shapes import gaussian
from acutance.restoration.restorer import Restorer


@pytest.fixture
def cubes(tmp_path: Path) -> Path:
    """stamps.fits, whole numbers in an extension, and psfs.fits, a bell of another width for each."""
    rng = np.random.default_rng(0)
    sharp = 300 * (rng.uniform(0, 1, (4, 1, 10, 10)) > 0.7).repeat(3, 2).repeat(3, 3)
    bells = [gaussian(0.8 + 0.3 * i, 13) for i in range(4)]
    blurred = [Blur(k, "replicate").forward(torch.from_numpy(x)[None].float())[0, 0].numpy()
               for k, x in zip(bells, sharp, strict=True)]  # fmt: skip
    values = rng.poisson(np.clip(blurred, 0, None)).astype(np.int16)
    head = fits.Header([("BUNIT", "electron"), ("OBJECT", "galaxies")])
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(values, head, name="SCI")]).writeto(tmp_path / "stamps.fits")
    fits.PrimaryHDU(torch.cat(bells)[:, 0].numpy()).writeto(tmp_path / "psfs.fits")
    return tmp_path


def run(folder: Path, *options: str) -> tuple[int, str]:
    command = ["restore", f"{folder}/stamps.fits", "--kernel", f"{folder}/psfs.fits", "-o", f"{folder}/sharp.fits"]
    done = CliRunner().invoke(app, [*command, *options])
    return done.exit_code, f"{done.output} {done.exception}"


def test_each_stamp_is_restored_with_its_kernel(cubes: Path) -> None:
    code, said = run(cubes, "--method", "richardson-lucy:steps=8")
    assert code == 0, said
    assert "4 stamps of 30 x 30 pixels" in said
    with fits.open(cubes / "sharp.fits") as hdus, fits.open(cubes / "stamps.fits") as before:
        hdus.verify("exception")
        restored, blurred = np.array(hdus["SCI"].data), np.array(before["SCI"].data)
        assert hdus["SCI"].header["OBJECT"] == "galaxies"
        assert "kernels from psfs.fits" in str(hdus["SCI"].header["HISTORY"])
        assert restored.dtype == blurred.dtype
    restorer, kernels = Restorer.load("richardson-lucy", steps=8), fits.getdata(cubes / "psfs.fits").astype("f4")
    for stamp, kernel, found in zip(blurred, kernels, restored, strict=True):
        image = Image(torch.from_numpy(stamp.astype("f4"))[None, None], None, ImageInfo("FITS", 32, is_float=True))
        alone = restorer(image, torch.from_numpy(kernel)[None, None]).image.pixels[0, 0].numpy()
        assert abs(found - alone).max() <= 0.51


def test_json_tells_the_fit_of_each(cubes: Path) -> None:
    code, said = run(cubes, "--method", "wiener", "--json")
    assert code == 0, said
    assert '"stamps": 4' in said
    assert said.count("fitting_errors") == 1


def test_what_does_not_go_together_is_refused(cubes: Path) -> None:
    fits.PrimaryHDU(fits.getdata(cubes / "psfs.fits")[:3]).writeto(cubes / "few.fits")
    code, said = run(cubes, "--kernel", f"{cubes}/few.fits")
    assert code != 0
    assert "holds 3 kernels" in said
    for options in (["--bits", "8"], ["--preview", "0,0,9,9"], ["-o", f"{cubes}/sharp.png"]):
        assert run(cubes, *options)[0] != 0
    assert not (cubes / "sharp.fits").exists()
