"""Measured point-spread functions as they come: background, noise, another corner or layout, enlarged to be seen."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from acutance.errors import KernelError
from acutance.images.kernel_file import read_kernel
from acutance.images.kernel_repair import repair_kernel

Array = NDArray[np.float64]


def gaussian(side: int = 13, sigma: float = 1.5) -> Array:
    line = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2


def measured(side: int, background: float, noise: float, peak: float = 30_000) -> Array:
    """The kernel in the middle of a frame of that side."""
    frame = np.zeros((side, side))
    c = side // 2
    frame[c - 6 : c + 7, c - 6 : c + 7] = gaussian() / gaussian().max()
    return peak * frame + background + np.random.default_rng(0).normal(0, noise, frame.shape)


def core(kernel: Array) -> Array:
    """The 13 x 13 pixels about the centre, whatever the frame."""
    wide = np.pad(kernel, 7)
    c, d = wide.shape[0] // 2, wide.shape[1] // 2
    return wide[c - 6 : c + 7, d - 6 : d + 7]


@pytest.mark.parametrize("side", [64, 65, 70, 71])
@pytest.mark.parametrize(("background", "noise"), [(0, 0), (100, 15), (800, 15), (800, 300), (5000, 100), (20_000, 15)])
@pytest.mark.parametrize("kind", ["u2", "f4", "f8"])
def test_a_flat_background_with_noise_is_none_of_the_kernel(
    side: int, background: float, noise: float, kind: str
) -> None:
    values = measured(side, background, noise).clip(0, 65535).astype(kind)
    kernel = repair_kernel(values).kernel[0, 0].double().numpy()
    assert np.abs(core(kernel) - gaussian()).max() < 0.1 * gaussian().max()
    assert core(kernel).sum() > 0.9


@pytest.mark.parametrize("noise", [30, 100])
def test_noise_around_zero_is_cleared(noise: float) -> None:
    found = repair_kernel(measured(65, 0, noise))
    assert any("noise around zero" in note for note in found.notes)
    assert core(found.kernel[0, 0].double().numpy()).sum() > 0.97


@pytest.mark.parametrize(("top", "left"), [(0, 0), (0, 80), (80, 0), (70, 85), (42, 0)])
def test_a_kernel_that_lies_beside_the_centre_is_moved_there(top: int, left: int) -> None:
    frame = np.zeros((96, 112))
    frame[top : top + 13, left : left + 13] = gaussian()
    found = repair_kernel(frame)
    assert any("nothing of the kernel reaches the centre" in note for note in found.notes)
    np.testing.assert_allclose(core(found.kernel[0, 0].double().numpy()), gaussian(), atol=1e-6)


def test_a_kernel_that_reaches_the_centre_stays() -> None:
    frame = np.zeros((31, 31))
    frame[13:26, 13:26] = gaussian()
    assert not any("reaches" in note for note in repair_kernel(frame).notes)


@pytest.mark.parametrize("factor", [2, 3, 8])
@pytest.mark.parametrize("margin", [1, 4, 5, 9])
def test_an_enlarged_kernel_in_a_margin_is_made_small(factor: int, margin: int) -> None:
    seen = np.pad(np.rint(255 * np.kron(gaussian() / gaussian().max(), np.ones((factor, factor)))), margin)
    found = repair_kernel(seen.astype(np.uint8))
    assert any(f"enlarged {factor} times" in note for note in found.notes)
    assert np.abs(core(found.kernel[0, 0].double().numpy()) - gaussian()).max() < 0.01 * gaussian().max() + 1e-3


def planes() -> Array:
    """Three planes of a volume."""
    return np.stack([0.2 * gaussian(9, 2.0), 0.6 * gaussian(9, 1.2), 0.2 * gaussian(9, 2.0)])


def test_three_planes_that_come_first_are_refused() -> None:
    with pytest.raises(KernelError, match="z-stack"):
        repair_kernel(planes())


@pytest.mark.parametrize("values", [np.moveaxis(planes(), 0, 2), planes()[None]], ids=["last", "batch"])
def test_three_planes_in_another_layout_are_told(values: Array) -> None:
    assert any("z-stack" in note for note in repair_kernel(values).notes)


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_three_planes_in_a_picture_are_told(tmp_path: Path, kind: str) -> None:
    top = np.iinfo(kind).max
    values = np.moveaxis(planes() / planes().max() * top, 0, 2).astype(kind)
    tifffile.imwrite(tmp_path / "k.tif", values, photometric="rgb")
    assert any("z-stack" in note for note in read_kernel(tmp_path / "k.tif").notes)
