"""`acutance.restore_stack`: volumes by channel and moment, units decided once for each channel, kernels from files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

import acutance
from acutance.errors import AcutanceError, ConfigError, ImageError, KernelError
from acutance.images.stack import Stack, Voxel
from acutance.restoration.stack import StackRun, restore_stack
from acutance.restoration.volume import VolumeMethod, restore_volume

Floats = NDArray[np.float64]


def psf(sides: tuple[int, int, int] = (3, 5, 5)) -> Floats:
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in sides), indexing="ij")
    k = np.exp(-0.5 * sum((a / 1.2) ** 2 for a in axes))
    return np.asarray(k / k.sum())


def counts(shape: tuple[int, ...] = (2, 2, 6, 20, 22)) -> Floats:
    """T C Z Y X; the second channel is ten times as bright as the first, the second moment half as bright."""
    rng = np.random.default_rng(3)
    x = 20.0 + 4 * rng.standard_normal(shape)
    x[..., 2:4, 6:14, 8:11] += 300
    x[1] /= 2
    x[:, 1] *= 10
    return np.asarray(x.clip(0))


def test_a_stack_of_one_volume_is_a_volume() -> None:
    y = counts()[0, 0]
    stack = restore_stack(Stack.of(y), psf(), method="wiener")
    np.testing.assert_allclose(np.asarray(stack), restore_volume(y, psf(), method="wiener"), rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-5, 1.0, 65535.0])
def test_results_are_true_to_their_units(factor: float) -> None:
    one, other = (
        np.asarray(restore_stack(Stack.of((f * counts()).astype(np.float32), "TCZYX"), psf(), method="wiener"))
        for f in (1.0, factor)
    )
    np.testing.assert_allclose(other / factor, one, rtol=0, atol=1e-4 * one.max())


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f2", "f4", "f8"])
def test_a_stack_keeps_its_type_and_what_it_knows(dtype: str) -> None:
    y = (counts().clip(0, 6000) / (30 if dtype == "u1" else 1)).astype(dtype)
    stack = restore_stack(Stack.of(y, "TCZYX", voxel=Voxel(0.3, 0.1, 0.1)), psf(), method="wiener")
    assert (stack.dtype, stack.axes, stack.shape, stack.voxel) == (y.dtype, "TCZYX", y.shape, Voxel(0.3, 0.1, 0.1))
    assert np.isfinite(np.asarray(stack, np.float64)).all()


def test_units_are_decided_once_for_each_channel() -> None:
    run = StackRun.begin(Stack.of(counts(), "TCZYX"), VolumeMethod.load(psf(), "wiener"))
    first, second = run.units
    assert second.scale == pytest.approx(10 * first.scale, rel=0.2)
    alone = StackRun.begin(Stack.of(counts()[1], "CZYX"), VolumeMethod.load(psf(), "wiener")).units[0]
    assert first.scale > 1.5 * alone.scale  # moments share the brightness of the brightest
    assert len(run.said()) == 2
    assert "channel 2" in run.said()[1]


def test_volumes_are_computed_when_they_are_asked_for() -> None:
    asked: list[tuple[int, int]] = []
    run = StackRun.begin(Stack.of(counts(), "TCZYX"), VolumeMethod.load(psf(), "wiener"), 0.01)
    volumes = run.volumes(on_volume=lambda t, c: asked.append((t, c)))
    assert asked == []
    assert volumes[1, 0].shape == (6, 20, 22)
    assert asked == [(1, 0)]


def test_planes_and_empty_moments() -> None:
    y = counts()
    y[1, 0] = np.nan
    planes: list[tuple[int, int]] = []
    run = StackRun.begin(Stack.of(y, "TCZYX"), VolumeMethod.load(psf().sum(0), "wiener"))
    volumes = run.volumes(on_plane=lambda *at: planes.append(at))
    assert "on its own" in run.said()[-1]
    assert np.isnan(volumes[1, 0]).all()
    assert planes == []
    assert np.isfinite(volumes[0, 0]).all()
    assert planes == [(n, 6) for n in range(1, 7)]


def test_files_in_and_a_kernel_of_other_voxels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    y = counts()[0].astype("u2")
    about = {"axes": "ZCYX", "spacing": 0.3, "unit": "um"}
    tifffile.imwrite(tmp_path / "y.tif", y.transpose(1, 0, 2, 3), imagej=True, resolution=(10.0, 10.0), metadata=about)
    about = {"axes": "ZYX", "spacing": 300, "unit": "nm"}
    fine = psf((5, 11, 11)).astype("f4")
    tifffile.imwrite(tmp_path / "psf.tif", fine, imagej=True, resolution=(0.02, 0.02), metadata=about)
    with caplog.at_level(logging.INFO):
        stack = acutance.restore_stack(tmp_path / "y.tif", tmp_path / "psf.tif", method="wiener")
    assert "resampled" in caplog.text
    acutance.write_stack(tmp_path / "x.tif", stack)
    with tifffile.TiffFile(tmp_path / "x.tif") as found:
        assert found.series[0].axes == "ZCYX"
        assert found.imagej_metadata["unit"] == "um"
    assert acutance.read_stack(tmp_path / "x.tif").voxel == stack.voxel


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"kernel": np.ones((13, 3, 3))}, KernelError, "cut the kernel"),
        ({"kernel": "none.tif"}, KernelError, "no such file"),
        ({"stack": "none.tif"}, ImageError, "no such file"),
        ({"stack": Stack.of(np.full((4, 9, 9), np.nan))}, ImageError, "channel 1 has no values"),
        ({"method": "acute"}, ConfigError, "single planes only"),
        ({"sigma": 2.0}, ConfigError, "above 0"),
        ({"method": "wienr"}, AcutanceError, "wiener"),
    ],
)
def test_what_cannot_be_used_is_refused(given: dict[str, Any], kind: type[Exception], message: str) -> None:
    whole = {"stack": Stack.of(counts(), "TCZYX"), "kernel": psf(), "method": "wiener"} | given
    with pytest.raises(kind, match=message):
        restore_stack(whole.pop("stack"), whole.pop("kernel"), **whole)
