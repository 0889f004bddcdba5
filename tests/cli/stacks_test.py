"""`acutance restore` of stacks: what a microscopist types, what is refused before the work, folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from cli_restore import refused, run

from acutance.images import write_image
from acutance.images.mark import read_mark
from acutance.images.stack_file import read_stack

WIENER = ("--method", "wiener", "--sigma", "1%")


def kernel(sides: tuple[int, ...]) -> Any:
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in sides), indexing="ij")
    return np.rint(1000 * np.exp(-0.5 * sum((a / 1.1) ** 2 for a in axes)))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `in` with a stack of two channels, an OME stack, a picture, and kernels of three and of two axes."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    rng = np.random.default_rng(1)
    y = rng.poisson(50, (2, 6, 24, 26)).astype("u2")
    y[:, 2:4, 6:12, 8:14] += 400
    about: dict[str, Any] = {"axes": "ZCYX", "spacing": 0.3, "unit": "um"}
    tifffile.imwrite("in/a.tif", y.transpose(1, 0, 2, 3), imagej=True, resolution=(10.0, 10.0), metadata=about)
    about = {"axes": "ZYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "PhysicalSizeZ": 0.3}
    tifffile.imwrite("in/b.ome.tif", y[0].astype("i2"), ome=True, photometric="minisblack", metadata=about)
    write_image("in/c.png", torch.rand(1, 1, 24, 26))
    tifffile.imwrite("psf3d.tif", kernel((3, 5, 5)).astype("u2"), photometric="minisblack")
    tifffile.imwrite("psf2d.tif", kernel((5, 5)).astype("u2"), photometric="minisblack", metadata=None)
    return tmp_path


def test_a_stack_is_restored_in_the_form_of_its_source() -> None:
    said = run("in/a.tif", "--kernel", "psf3d.tif", "-o", "sharp.tif", "--method", "richardson-lucy:steps=2").output
    assert "2 volumes of 6 x 24 x 26 voxels, restored by richardson-lucy" in said
    assert "noise level estimated" in said
    before, after = read_stack("in/a.tif"), read_stack("sharp.tif")
    assert (after.axes, after.dtype, after.voxel) == (before.axes, before.dtype, before.voxel)
    assert not np.array_equal(np.asarray(after), np.asarray(before))
    with tifffile.TiffFile("sharp.tif") as found:
        assert found.is_imagej
    mark = read_mark(Path("sharp.tif"))
    assert mark is not None
    assert mark.method == "richardson-lucy"
    assert (
        "done already"
        in run("in/a.tif", "--kernel", "psf3d.tif", "-o", "sharp.tif", "--method", "richardson-lucy:steps=2").output
    )
    there = run("in/a.tif", "--kernel", "psf3d.tif", "-o", "sharp.tif", *WIENER, status=1)
    assert "exists" in there.output
    twice = run("sharp.tif", "--kernel", "psf3d.tif", "-o", "again.tif", *WIENER, status=1)
    assert "twice makes it worse" in twice.output


@pytest.mark.parametrize("blur", [("--kernel", "psf2d.tif"), ("--gaussian", "1.1"), ("--disc", "2")])
def test_with_a_kernel_of_two_axes_it_goes_plane_by_plane(blur: tuple[str, str]) -> None:
    said = run("in/b.ome.tif", *blur, *WIENER).output
    assert "every plane is restored on its own" in said
    after = read_stack("in/b-restored.ome.tif")
    assert (after.dtype, after.axes) == (np.dtype("i2"), "ZYX")
    with tifffile.TiffFile("in/b-restored.ome.tif") as found:
        assert found.is_ome


def test_json_has_a_row() -> None:
    row = json.loads(run("in/a.tif", "--kernel", "psf3d.tif", "-o", "s.tif", "--json", *WIENER).stdout)
    assert (row["axes"], row["shape"], row["dtype"]) == ("CZYX", [2, 6, 24, 26], "uint16")
    assert row["voxel"] == {"z": 0.3, "y": 0.1, "x": 0.1, "unit": "um"}
    assert [c["noise_level"] for c in row["channels"]] == [0.01, 0.01]
    assert "given" in row["channels"][0]["noise_reason"]
    assert (row["status"], row["method"], row["by_planes"]) == ("restored", "wiener", False)
    assert row["seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "point-spread function"),
        (("--method", "wiener"), "point-spread function"),
        (("--kernel", "psf3d.tif", "--linear"), "--linear: not for a.tif"),
        (("--kernel", "psf3d.tif", "--compare", "c.png"), "--compare: not for a.tif"),
        (("--kernel", "psf3d.tif", "--preview", "0,0,8,8"), "cut a piece out"),
        (("--kernel", "psf3d.tif", "--in-place"), "never replaced"),
        (("--kernel", "psf3d.tif", "--mask", "psf2d.tif"), "NaN"),
        (("--kernel", "psf3d.tif", "--bits", "16"), "keeps its type"),
        (("--kernel", "psf3d.tif", "--strength", "0.5"), "settings"),
        (("--kernel", "psf3d.tif", "-o", "sharp.png"), r"ends in .tif"),
        (("--kernel", "psf3d.tif", "--method", "acute"), "single planes only"),
        (("--kernel", "psf3d.tif", "--gaussian", "2"), "give one kernel"),
        (("--gaussian", "2", "--centre"), "kernel of a file"),
        (("--kernel", "none.tif"), "no such file"),
        (("--kernel", "psf3d.tif", "--method", "bm3d"), "does not take"),
        (("--kernel", "psf3d.tif", "-o", "in/a.tif"), "would replace"),
    ],
)
def test_what_means_nothing_for_a_stack_is_refused_before_the_work(
    arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the stack was read")

    monkeypatch.setattr("acutance.cli.stacks.read_stack", never)
    assert words in refused("in/a.tif", *arguments)
    assert sorted(p.name for p in Path("in").iterdir()) == ["a.tif", "b.ome.tif", "c.png"]


def test_a_folder_of_stacks_and_pictures() -> None:
    said = run("in", "--kernel", "psf2d.tif", "-o", "out", *WIENER).output
    assert {p.name for p in Path("out").glob("[!.]*")} == {"a.tif", "b.ome.tif", "c.png"}
    assert "3 restored" in said
    assert "3 done already" in run("in", "--kernel", "psf2d.tif", "-o", "out", *WIENER).output


def test_a_folder_where_the_kernel_is_for_stacks() -> None:
    said = run("in", "--kernel", "psf3d.tif", "-o", "out", *WIENER).output
    assert {p.name for p in Path("out").glob("[!.]*")} == {"a.tif", "b.ome.tif"}
    assert "a picture, and the kernel has three axes" in said
    assert "the kernel has three axes" in refused("in/a.tif", "in/c.png", "--kernel", "psf3d.tif", "-o", "two/")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--method", "blind:size=9"), "no --kernel was given"),
        (("--gaussian", "1", "--linear", *WIENER), "is for pictures"),
    ],
)
def test_stacks_of_a_folder_that_are_left_out_have_a_reason(arguments: tuple[str, ...], words: str) -> None:
    Path("in/c.png").unlink()
    said = run("in", "-o", "out", *arguments).output
    assert words in said
    assert "2 skipped" in said


def test_a_damaged_stack_of_a_folder_does_not_stop_the_rest() -> None:
    data = Path("in/a.tif").read_bytes()
    Path("in/d.tif").write_bytes(data[:-3000])
    said = run("in", "--kernel", "psf3d.tif", "-o", "out", *WIENER, status=1).output
    assert {p.name for p in Path("out").glob("[!.]*")} == {"a.tif", "b.ome.tif"}
    assert "d.tif" in said


def test_ome_zarr_by_blocks() -> None:
    pytest.importorskip("zarr")
    options = ("--kernel", "psf3d.tif", *WIENER)
    said = run("in/a.tif", *options, "-o", "a.ome.zarr").output
    assert "2 whole volumes" in said
    assert read_mark(Path("a.ome.zarr")) is not None
    said = run("a.ome.zarr", *options, "--again", "--block", "6,12,26").output
    assert "4 blocks of 6 x 12 x 26 voxels" in said
    before, after = read_stack("a.ome.zarr"), read_stack("a-restored.ome.zarr")
    assert (after.axes, after.dtype, after.voxel) == (before.axes, before.dtype, before.voxel)
    assert "done already" in run("a.ome.zarr", *options, "--again", "--block", "6,12,26").output
    for arguments, words in (
        (("a.ome.zarr", *options, "--again", "-o", "a.ome.zarr/b.ome.zarr"), "would lie in"),
        (("in/a.tif", *options, "-o", "b.tif", "--block", "6,12,26"), "the result is an OME-Zarr"),
        (("in/c.png", "--kernel", "psf2d.tif", "-o", "c.zarr"), "no stack"),
    ):
        assert words in refused(*arguments)
