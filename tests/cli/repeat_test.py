"""`--sidecar` and `acutance repeat` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from cli_restore import refused, run
from click.testing import Result
from typer.testing import CliRunner

import acutance
from acutance.cli.app import app
from acutance.errors import ConfigError, OutputError
from acutance.images import read_image, write_image
from acutance.images.kernel_file import write_kernel
from acutance.operators import Blur

METHODS = {
    "acute": True, "fd": True, "wiener": True, "levin": True, "richardson-lucy:steps=4": True, "tv:steps=9": True,
    "rgdn:steps=4": True, "nlm": False, "bm3d": False, "blind:method=wiener": False,
}  # fmt: skip
"""Method -> whether it takes a kernel."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A blurred picture and its kernel."""
    kernel = torch.zeros(1, 1, 5, 5)
    kernel[0, 0, 2] = 0.2
    write_kernel(tmp_path / "psf.npy", kernel)
    rows, cols = torch.meshgrid(torch.arange(44), torch.arange(56), indexing="ij")
    sharp = torch.stack([(rows // 9 + cols // 7) % 2, (rows // 5) % 2, (cols // 11) % 2])[None] * 0.7 + 0.1
    noise = 0.01 * torch.randn(1, 3, 40, 52, generator=torch.Generator().manual_seed(0))
    write_image(tmp_path / "in.png", (Blur(kernel).forward(sharp) + noise).clamp(0, 1))
    return tmp_path


def repeat(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["repeat", *map(str, arguments)], catch_exceptions=False)


def restored(folder: Path, *more: object) -> Path:
    """A result by Wiener's method, and its side-car."""
    run(folder / "in.png", "-o", folder / "out.png", "--kernel", folder / "psf.npy", "--method", "wiener", "--sidecar",
        *more)  # fmt: skip
    return folder / "out.acutance.json"


@pytest.mark.parametrize("method", METHODS)
def test_a_result_is_made_again_bit_for_bit(method: str, folder: Path) -> None:
    kernel = ["--kernel", folder / "psf.npy"] if METHODS[method] else []
    task = {"nlm": "denoise", "bm3d": "denoise"}.get(method, "deblur")
    run(folder / "in.png", "-o", folder / "out.png", *kernel, "--method", method, "--task", task, "--sidecar")
    result = repeat(folder / "out.acutance.json", "--json", "-o", folder / "again.png")
    told = json.loads(result.stdout)
    assert (told["pixels"], told["bytes"], told["reasons"]) == (True, True, [])
    assert (folder / "again.png").read_bytes() == (folder / "out.png").read_bytes()
    assert result.exit_code == 0


def test_what_changed_is_said(folder: Path) -> None:
    path = restored(folder)
    threads = json.loads(path.read_text())["machine"]["threads"]
    told = json.loads(repeat(path, "--threads", threads + 1, "--json").stdout)
    assert f"threads: {threads + 1} instead of {threads}" in told["reasons"]
    torch.set_num_threads(threads)

    narrow = torch.zeros(1, 1, 5, 5)
    narrow[0, 0, 2, 1:4] = 1 / 3
    write_kernel(folder / "other.npy", narrow)
    result = repeat(path, "--kernel", folder / "other.npy")
    assert result.exit_code == 1
    assert "the kernel is another file" in result.output
    assert "samples, by" in result.output

    image = read_image(folder / "in.png")
    write_image(folder / "in.png", image.pixels * 0.9, overwrite=True)
    result = repeat(path)
    assert result.exit_code == 1
    assert "the input is another file" in result.output


def test_other_weights_are_said(folder: Path) -> None:
    shipped = Path(acutance.__file__).parent / "weights" / "rgdn"
    for suffix in (".safetensors", ".json"):
        (folder / f"mine{suffix}").write_bytes(shipped.with_suffix(suffix).read_bytes())
    run(folder / "in.png", "-o", folder / "out.png", "--kernel", folder / "psf.npy", "--method", "rgdn", "--steps", 1,
        "--weights", folder / "mine.safetensors", "--sidecar")  # fmt: skip
    path = folder / "out.acutance.json"
    assert repeat(path).exit_code == 0
    table = json.loads(path.read_text())
    table["weights"]["sha256"] = table["run"]["weights_sha256"]["rgdn"] = "0" * 64
    table["run"]["weights_sha256"] = dict.fromkeys(table["run"]["weights_sha256"], "0" * 64)
    path.write_text(json.dumps(table))
    result = repeat(path)
    assert "the weights is another file" in result.output
    assert "other weights: " in result.output


def test_files_are_looked_for_beside_the_side_car_only(folder: Path, tmp_path: Path) -> None:
    path = restored(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = path.rename(elsewhere / path.name)
    with pytest.raises(
        ConfigError, match=r"the picture in\.png is not beside the side-car; say where it is: --picture"
    ):
        repeat(moved)
    (elsewhere / "in.png").symlink_to(folder / "in.png")
    with pytest.raises(ConfigError, match="is a link"):
        repeat(moved)
    result = repeat(moved, "--picture", folder / "in.png", "--kernel", folder / "psf.npy")
    assert result.exit_code == 0
    assert "identical, pixels and bytes" in result.output


def test_what_would_be_lost_is_refused(folder: Path) -> None:
    path = restored(folder)
    for output in ("in.png", "out.png", "psf.npy", "again.tif"):
        with pytest.raises(OutputError):
            repeat(path, "-o", folder / output)
    result = run(folder / "in.png", "-o", folder / "out.tif", "--kernel", folder / "psf.npy", "--method", "wiener",
                 "--sidecar", status=1)  # fmt: skip
    assert "out.acutance.json exists; give --overwrite" in result.output
    assert not (folder / "out.tif").exists()
    assert "nothing can be repeated" in refused(folder / "in.png", "--in-place", "--disc", 2, "--sidecar")


def test_two_results_of_one_stem_have_side_cars_of_their_own(folder: Path) -> None:
    write_image(folder / "in.tif", read_image(folder / "in.png").pixels)
    run(folder / "in.png", folder / "in.tif", "-o", f"{folder}/sharp/", "--kernel", folder / "psf.npy", "--method",
        "wiener", "--sidecar")  # fmt: skip
    names = sorted(p.name for p in (folder / "sharp").iterdir() if p.name.endswith(".acutance.json"))
    assert names == ["in.png.acutance.json", "in.tif.acutance.json"]
    again = run(folder / "in.png", folder / "in.tif", "-o", f"{folder}/sharp/", "--kernel", folder / "psf.npy",
                "--method", "wiener", "--sidecar")  # fmt: skip
    assert again.output.count(": done already") == 2
