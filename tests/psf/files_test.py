"""Blur fields in files, and from there into a restored picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.errors import ConfigError, KernelError, OutputError
from acutance.images import Image, read_image, write_image
from acutance.metrics import psnr
from acutance.operators import BlurField
from acutance.psf import CameraPoses
from acutance.psf.files import is_field, read_field, write_field
from acutance.restoration.restorer import Restorer

SIZE = (96, 120)


def turning() -> BlurField:
    t = torch.linspace(-1, 1, 41)
    return CameraPoses(0.05 * t, 3 * torch.stack((t, t.square()), -1), torch.ones(41)).centred().field((3, 4), SIZE)


def scene(field: BlurField) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture and what the field makes of it."""
    g = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 3, 20, 24, generator=g)
    x = torch.nn.functional.interpolate(coarse, size=field.domain_size(*SIZE), mode="nearest")
    return field.crop(x), field.forward(x)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_field_comes_back_from_its_file(tmp_path: Path, channels: int) -> None:
    field = BlurField(turning().kernels.expand(-1, -1, channels, -1, -1))
    write_field(tmp_path / "blur.npz", field)
    assert is_field(tmp_path / "blur.npz")
    found = read_field(tmp_path / "blur.npz")
    torch.testing.assert_close(found.kernel.kernels, field.kernels)
    assert "3 x 4 kernels" in found.notes[0]
    with pytest.raises(OutputError, match="exists"):
        write_field(tmp_path / "blur.npz", field)
    with pytest.raises(OutputError, match="npz"):
        write_field(tmp_path / "blur.npy", field)


@pytest.mark.parametrize(
    "values",
    [np.ones((3, 5, 5)), np.ones((2, 2, 2, 5, 5)), -np.ones((2, 2, 3, 3)), np.zeros((2, 2, 3, 3)),
     np.full((1, 1, 3, 3), np.nan), np.array(["a"])],
)  # fmt: skip
def test_other_arrays_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    np.savez(tmp_path / "blur.npz", field=values)
    with pytest.raises(KernelError, match=r"blur\.npz"):
        read_field(tmp_path / "blur.npz")


def test_other_files_are_no_fields(tmp_path: Path) -> None:
    np.savez(tmp_path / "kernel.npz", psf=np.ones((3, 3)))
    (tmp_path / "text.npz").write_text("no archive")
    assert not is_field(tmp_path / "kernel.npz")
    assert not is_field(tmp_path / "text.npz")
    assert not is_field(tmp_path / "missing.npz")
    with pytest.raises(KernelError, match=r"numpy\.savez"):
        read_field(tmp_path / "kernel.npz")


def test_acute_restores_with_a_field_better_than_with_its_mean() -> None:
    field = turning()
    sharp, blurred = scene(field)
    restorer = Restorer.load("acute", precision="float32", steps=3)
    local = restorer(blurred, field, sigma=0.003).image.pixels
    mean = restorer(blurred, field.mean().kernel, sigma=0.003).image.pixels
    before, after, with_mean = (float(psnr(x.clamp(0, 1), sharp)) for x in (blurred, local, mean))
    assert after > before + 3
    assert after > with_mean + 2


def test_a_method_for_one_kernel_says_so() -> None:
    field = turning()
    with pytest.raises(ConfigError, match="one kernel"):
        Restorer.load("wiener")(scene(field)[1], field, sigma=0.01)


def test_the_program_takes_a_field(tmp_path: Path) -> None:
    field = turning()
    sharp, blurred = scene(field)
    write_image(tmp_path / "blurred.png", Image(blurred))
    write_field(tmp_path / "blur.npz", field)
    command = ["restore", str(tmp_path / "blurred.png"), "--kernel", str(tmp_path / "blur.npz"), "--method"]
    command += ["richardson-lucy", "--steps", "20", "-o", str(tmp_path / "sharp.png")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    restored = read_image(tmp_path / "sharp.png").pixels
    assert float(psnr(restored, sharp)) > float(psnr(blurred, sharp)) + 1
    refused = CliRunner().invoke(app, [*command, "--disc", "3", "--overwrite"])
    assert refused.exit_code != 0
