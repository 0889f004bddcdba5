"""Kernels that a viewer enlarged are made small again; kernels that are smooth by nature stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from kernel_values import MOVED, SMOOTH, shake
from numpy.typing import NDArray
from PIL import Image

from acutance.images.kernel_file import read_kernel
from acutance.images.kernel_repair import repair_kernel

Array = NDArray[np.float64]
FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "Lanczos": Image.Resampling.LANCZOS,
}


def as_bytes(kernel: Array) -> NDArray[np.uint8]:
    return np.rint(kernel / kernel.max() * 255).astype(np.uint8)


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize("way", FILTERS)
@pytest.mark.parametrize("factor", [3, 4, 8, 12])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_an_enlargement_is_undone(tmp_path: Path, name: str, way: str, factor: int, suffix: str) -> None:
    """8 bits, cut off below zero and above white, or floats, which are not."""
    kernel = MOVED[name]
    n = len(kernel)
    grey = (
        Image.fromarray(as_bytes(kernel)) if suffix != "tif" else Image.fromarray((kernel / kernel.max()).astype("f4"))
    )
    path = tmp_path / f"seen.{suffix}"
    grey.resize((factor * n, factor * n), FILTERS[way]).save(path)
    found = read_kernel(path)
    assert any(f"enlarged {factor} times" in note and f"{n} x {n}" in note for note in found.notes), found.notes
    got = np.zeros((n, n))
    h, w = found.kernel.shape[-2:]
    got[n // 2 - h // 2 : n // 2 + h // 2 + 1, n // 2 - w // 2 : n // 2 + w // 2 + 1] = found.kernel[0, 0].numpy()
    assert float(abs(got - kernel).max()) < 0.03 * kernel.max()


@pytest.mark.parametrize("seed", [1, 2, 5])
@pytest.mark.parametrize("way", ["bilinear", "bicubic"])
def test_also_in_a_jpeg(tmp_path: Path, way: str, seed: int) -> None:
    seen = Image.fromarray(as_bytes(shake(21, seed))).resize((168, 168), FILTERS[way])
    seen.save(tmp_path / "seen.jpg", quality=95)
    assert any("enlarged 8 times" in note for note in read_kernel(tmp_path / "seen.jpg").notes)


@pytest.mark.parametrize("shape", [(21, 17), (17, 21)])
def test_sides_may_differ_and_colours_be_equal(shape: tuple[int, int]) -> None:
    kernel = shake(21, 1)[: shape[0], : shape[1]].copy()
    kernel[[0, -1]] = 0
    kernel[:, [0, -1]] = 0
    seen = Image.fromarray(as_bytes(kernel)).convert("RGB").resize((4 * shape[1], 4 * shape[0]), FILTERS["bicubic"])
    assert any("enlarged 4 times with bicubic" in note for note in repair_kernel(np.asarray(seen)).notes)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("n", [15, 24, 33, 48, 63, 84, 105, 128])
@pytest.mark.parametrize("kind", ["bytes", "words", "floats"])
def test_what_is_smooth_by_nature_stays(name: str, n: int, kind: str) -> None:
    for part in (0.03, 0.045, 0.06, 0.08, 0.1, 0.15, 0.22, 0.3):
        kernel = SMOOTH[name](n, max(0.5, part * n))
        kernel = {"bytes": as_bytes(kernel), "words": np.rint(kernel / kernel.max() * 65535), "floats": kernel}[kind]
        notes = repair_kernel(kernel).notes
        assert not any("interpolation" in note for note in notes), (part, notes)
