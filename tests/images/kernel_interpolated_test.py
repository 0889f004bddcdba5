"""Kernels that a viewer enlarged are made small again; kernels that are smooth by nature stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from kernel_values import MOVED, SMOOTH, shake
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from acutance.images.kernel_file import read_kernel
from acutance.images.kernel_repair import repair_kernel

Array = NDArray[np.float64]
FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "Lanczos": Image.Resampling.LANCZOS,
}


def as_bytes(kernel: Array) -> NDArray[np.uint8]:
    return np.rint((kernel / kernel.max()).clip(0, 1) * 255).astype(np.uint8)


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


def in_corners(kernel: Array, size: int, mode: str) -> Array:
    """Enlarged with its outer samples in the corners."""
    grown = F.interpolate(torch.from_numpy(kernel)[None, None], size=(size, size), mode=mode, align_corners=True)
    found: Array = grown[0, 0].numpy()
    return found


def by_spline(order: int) -> Callable[[Array, int], Array]:
    return lambda kernel, size: ndimage.zoom(kernel, size / len(kernel), order=order)


def by_pillow(way: str) -> Callable[[Array, int], Array]:
    return lambda kernel, size: np.asarray(Image.fromarray(as_bytes(kernel)).resize((size, size), FILTERS[way])) / 1.0


def by_opencv(kernel: Array, size: int) -> Array:
    """Bicubic with a = -3/4, square pixels."""
    grown = F.interpolate(torch.from_numpy(kernel)[None, None], size=(size, size), mode="bicubic", align_corners=False)
    found: Array = grown[0, 0].numpy()
    return found


RARE: dict[str, tuple[Callable[[Array, int], Array], str]] = {
    "Pillow bilinear": (by_pillow("bilinear"), "bilinear"),
    "Pillow bicubic": (by_pillow("bicubic"), "bicubic"),
    "OpenCV bicubic": (by_opencv, "bicubic"),
    "corners bilinear": (partial(in_corners, mode="bilinear"), "bilinear"),
    "corners bicubic": (partial(in_corners, mode="bicubic"), "bicubic"),
    "zoom 1": (by_spline(1), "bilinear"),
    "zoom 3": (by_spline(3), "cubic spline"),
}


@pytest.mark.parametrize("name", ["shake 21", "shake 31"])
@pytest.mark.parametrize("way", RARE)
@pytest.mark.parametrize("factor", [1.5, 2.5, 4.0])
def test_fractions_and_other_grids_are_undone(name: str, way: str, factor: float) -> None:
    kernel, (enlarge, said) = MOVED[name], RARE[way]
    n = len(kernel)
    found = repair_kernel(as_bytes(enlarge(kernel, round(factor * n))))
    assert any(f"enlarged {factor:g} times with {said}" in note and f"{n} x {n}" in note for note in found.notes)
    h, w = found.kernel.shape[-2:]
    got = np.zeros((n, n))
    got[n // 2 - h // 2 : n // 2 + h // 2 + 1, n // 2 - w // 2 : n // 2 + w // 2 + 1] = found.kernel[0, 0].numpy()
    assert float(abs(got - kernel).max()) < 0.04 * kernel.max()


@pytest.mark.parametrize("factor", [1.5, 4.0])
def test_samples_between_which_others_were_put(factor: float) -> None:
    """N - 1 = f (n - 1)."""
    size = round(factor * 20) + 1
    found = repair_kernel(as_bytes(in_corners(shake(21, 1), size, "bicubic")))
    assert any(f"enlarged {factor:g} times" in note and "21 x 21" in note for note in found.notes)


@pytest.mark.parametrize("factor", [1.5, 2.5])
def test_what_may_be_an_enlargement_is_told_and_left(factor: float) -> None:
    size = round(factor * 21)
    found = repair_kernel(as_bytes(by_pillow("Lanczos")(shake(21, 1), size)))
    assert any(f"as if it had been enlarged about {factor:g} times with Lanczos" in note for note in found.notes)
    assert max(found.kernel.shape[-2:]) >= size - 2


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("way", FILTERS)
@pytest.mark.parametrize("factor", [1.5, 4.0])
def test_a_jpeg_is_made_small_or_told(tmp_path: Path, way: str, factor: float, quality: int) -> None:
    size = round(factor * 21)
    seen = Image.fromarray(as_bytes(shake(21, 1))).resize((size, size), FILTERS[way])
    seen.save(tmp_path / "seen.jpg", quality=quality)
    notes = read_kernel(tmp_path / "seen.jpg").notes
    assert any("enlarged" in note for note in notes)


LARGE = {
    **{f"shake {seed}": shake(45 + 2 * seed, 100 + seed) for seed in range(20)},
    **{f"disc {s}": SMOOTH["disc"](4 * s + 9, s) for s in (6, 11, 17)},
    **{f"gaussian {s}": SMOOTH["gaussian"](8 * s + 5, s) for s in (3, 6, 9)},
    **{f"soft shake {s}": ndimage.gaussian_filter(np.pad(shake(41, s), 6), 0.8) for s in range(3)},
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("as_file", [True, False])
def test_kernels_that_are_so_large_stay(name: str, as_file: bool) -> None:
    kernel = LARGE[name]
    found = repair_kernel(as_bytes(kernel) if as_file else kernel)
    assert not any("made" in note and "again" in note for note in found.notes), found.notes
    assert not any("enlarged" in note for note in found.notes), found.notes


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
