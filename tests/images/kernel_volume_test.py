"""Point-spread functions of three axes: repair, another voxel size, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from acutance.errors import KernelError
from acutance.images.kernel_file import read_kernel
from acutance.images.kernel_volume import VolumeKernel, holds_volume, read_volume_kernel, repair_volume
from acutance.images.stack import Voxel

Array = NDArray[np.float64]


def gaussian(sides: tuple[int, int, int], widths: tuple[float, float, float], off: float = 0.0) -> Array:
    """Centred on (n - 1) / 2 + off along each axis."""
    axes = np.meshgrid(*(np.arange(n) - (n - 1) / 2 - off for n in sides), indexing="ij")
    return np.asarray(np.exp(-0.5 * sum((a / s) ** 2 for a, s in zip(axes, widths, strict=True))))


def centre_of(kernel: Any) -> list[float]:
    """Of mass, against the middle of each axis."""
    k = np.asarray(kernel[0, 0], np.float64)
    lines = [k.sum(tuple(j for j in range(3) if j != i)) for i in range(3)]
    return [float((line * (np.arange(line.size) - line.size // 2)).sum()) for line in lines]


BALL = gaussian((7, 9, 11), (1.0, 1.3, 1.5))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (BALL, None),
        (np.pad(BALL, ((2, 2), (4, 4), (1, 1))), "Empty margins"),
        (np.rint(20_000 * np.pad(BALL, 4)) + 500, "background was not zero"),
        (BALL - 0.01 * BALL.max() * (BALL < 1e-4), "Negative values"),
        (np.fft.ifftshift(np.pad(BALL, 5)), "origin in the corner"),
        (gaussian((8, 10, 12), (1.0, 1.3, 1.5)), "even side and is symmetric"),
        (np.pad(BALL, ((1, 0), (1, 0), (1, 0))), "zeros were added behind"),
    ],
)
def test_measured_kernels_are_repaired(values: Array, words: str | None) -> None:
    found = repair_volume(values)
    assert (words is None and not found.notes) or words in " ".join(found.notes)
    sides = found.kernel.shape[2:]
    assert all(n % 2 for n in sides)
    assert float(found.kernel.sum()) == pytest.approx(1)
    assert float(found.kernel.min()) >= 0
    assert centre_of(found.kernel) == pytest.approx([0, 0, 0], abs=0.02)
    assert np.unravel_index(int(found.kernel.argmax()), sides) == tuple(n // 2 for n in sides)


def test_a_kernel_beside_the_centre_is_told_and_moved_when_asked() -> None:
    values = np.pad(BALL, ((4, 0), (0, 0), (0, 6)))
    left, moved = repair_volume(values), repair_volume(values, centre=True)
    assert "+2.0 px in z" in " ".join(left.notes)
    assert centre_of(left.kernel) == pytest.approx([2, 0, -3], abs=0.01)
    assert centre_of(moved.kernel) == pytest.approx([0, 0, 0], abs=0.01)
    flipped = repair_volume(values, flip=True)
    assert centre_of(flipped.kernel) == pytest.approx([-2, 0, 3], abs=1.01)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((3, 3, 3)), "zero"),
        (np.full((3, 3, 3), np.nan), "NaN"),
        (-BALL, "negative"),
        (np.ones((3, 3)), r"give \(d, h, w\)"),
        (np.ones((3, 3, 3), complex), r"give \(d, h, w\)"),
    ],
)
def test_what_is_no_kernel_is_refused(values: Any, words: str) -> None:
    with pytest.raises(KernelError, match=words):
        repair_volume(values)


@pytest.mark.parametrize("factor", [0.5, 0.77, 1.0, 1.6, 3.0])
def test_another_voxel_size_keeps_sum_centre_and_width(factor: float) -> None:
    kernel = VolumeKernel(repair_volume(gaussian((25, 25, 25), (3.0, 3.0, 3.0))).kernel, Voxel(100, 100, 100, "nm"))
    size = 0.1 * factor
    found = kernel.at(Voxel(0.1, size, size, "µm"))
    assert float(found.kernel.sum()) == pytest.approx(1, abs=1e-5)
    assert centre_of(found.kernel) == pytest.approx([0, 0, 0], abs=1e-4)
    line = found.kernel[0, 0].sum((0, 1)).double().numpy()
    width = float(np.sqrt((line * (np.arange(line.size) - line.size // 2) ** 2).sum()))
    assert width * factor == pytest.approx(3.0, rel=0.06)
    assert ("resampled" in " ".join(found.notes)) is (factor != 1.0)
    assert found.kernel.shape[2] == 25


@pytest.mark.parametrize("voxel", [None, Voxel(1, 1, 1, "pixel")])
def test_where_a_size_is_unknown_the_kernel_stays(voxel: Voxel | None) -> None:
    kernel = VolumeKernel(repair_volume(BALL).kernel, Voxel(0.1, 0.1, 0.1))
    assert kernel.at(voxel) is kernel
    assert VolumeKernel(kernel.kernel).at(Voxel(0.3, 0.1, 0.1)).kernel is kernel.kernel


def test_sizes_of_two_worlds_are_refused() -> None:
    with pytest.raises(KernelError, match="mend the size"):
        VolumeKernel(repair_volume(BALL).kernel, Voxel(100, 100, 100, "nm")).at(Voxel(100, 100, 100, "µm"))


def test_a_kernel_that_is_too_large_is_cut_or_refused() -> None:
    kernel = repair_volume(BALL)
    cut = kernel.within((3, 40, 40))
    assert cut.kernel.shape[2:] == (5, 9, 11)
    assert float(cut.kernel.sum()) == pytest.approx(1)
    assert "was cut" in " ".join(cut.notes)
    with pytest.raises(KernelError, match="two axes"):
        kernel.within((1, 40, 40))


@pytest.mark.parametrize("name", ["psf.tif", "psf.npy", "psf.npz"])
def test_files_of_kernels(tmp_path: Path, name: str) -> None:
    values = BALL.astype(np.float32)
    match name[-3:]:
        case "tif":
            about = {"axes": "ZYX", "spacing": 0.3, "unit": "um"}
            tifffile.imwrite(tmp_path / name, values, imagej=True, resolution=(10.0, 10.0), metadata=about)
        case "npy":
            np.save(tmp_path / name, values)
        case _:
            np.savez(tmp_path / name, psf=values)
    assert holds_volume(tmp_path / name)
    found = read_volume_kernel(tmp_path / name)
    np.testing.assert_allclose(found.kernel[0, 0].numpy(), values / values.sum(), atol=1e-6)
    assert found.voxel == (Voxel(0.3, 0.1, 0.1, "um") if name == "psf.tif" else None)


def test_files_that_hold_no_kernel_of_a_volume(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", BALL[3])
    (tmp_path / "text.npy").write_text("psf")
    tifffile.imwrite(tmp_path / "two.tif", np.ones((2, 3, 4, 5), "u2"), imagej=True, metadata={"axes": "ZCYX"})
    assert not holds_volume(tmp_path / "flat.npy")
    assert not holds_volume(tmp_path / "text.npy")
    with pytest.raises(KernelError, match="3 volumes"):
        read_volume_kernel(tmp_path / "two.tif")


@pytest.mark.parametrize("kind", ["float32", "uint16"])
def test_a_tiff_of_three_planes_is_a_volume_for_stacks_and_refused_for_pictures(tmp_path: Path, kind: str) -> None:
    """Some programs write three planes as red, green and blue, each a plane of its own."""
    plane = gaussian((1, 9, 11), (1.0, 1.3, 1.5))
    planes = np.concatenate([plane * 0.25, plane * 0.5, plane * 0.25])
    values = planes.astype(kind) if kind == "float32" else (planes * 60_000).astype(kind)
    tifffile.imwrite(tmp_path / "k.tif", values, photometric="rgb", planarconfig="separate")
    assert holds_volume(tmp_path / "k.tif")
    assert read_volume_kernel(tmp_path / "k.tif").kernel.shape[2:] == (3, 9, 11)
    with pytest.raises(KernelError, match="a volume"):
        read_kernel(tmp_path / "k.tif")


def test_a_tiff_of_three_equal_planes_is_a_grey_kernel_in_colour(tmp_path: Path) -> None:
    plane = gaussian((1, 9, 11), (1.0, 1.3, 1.5))
    values = np.repeat(plane, 3, 0).astype("float32")
    tifffile.imwrite(tmp_path / "k.tif", values, photometric="rgb", planarconfig="separate")
    assert not holds_volume(tmp_path / "k.tif")
    assert read_kernel(tmp_path / "k.tif").kernel.shape == (1, 1, 9, 11)
