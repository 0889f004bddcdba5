"""Kernels that a viewer enlarged are made small again; kernels that are smooth by nature stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.special import j1

from acutance.images.kernel_file import read_kernel
from acutance.images.kernel_repair import repair_kernel

Array = NDArray[np.float64]
FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "Lanczos": Image.Resampling.LANCZOS,
}


def radius(n: int) -> Array:
    a = np.arange(n) - n // 2
    return np.hypot(*np.meshgrid(a, a))


def splatted(points: Array, n: int) -> Array:
    """Points (m, 2) around the centre, spread over the four pixels around each."""
    kernel = np.zeros((n, n))
    for a, b in points + n // 2:
        i, j = int(a), int(b)
        kernel[i : i + 2, j : j + 2] += np.outer([1 - a + i, a - i], [1 - b + j, b - j])
    return kernel / kernel.sum()


def shake(n: int, seed: int) -> Array:
    path = np.cumsum(np.random.default_rng(seed).normal(0, 1, (400, 2)), 0)
    path -= path.mean(0)
    return splatted(path * (n / 2 - 2) / abs(path).max(), n)


def line(n: int, length: float, angle: float = 0.6) -> Array:
    return splatted(np.linspace(-length / 2, length / 2, 500)[:, None] * [np.sin(angle), np.cos(angle)], n)


def airy(n: int, s: float) -> Array:
    r = radius(n) / s + 1e-9
    kernel: Array = (2 * j1(r) / r) ** 2
    return kernel


SMOOTH: dict[str, Callable[[int, float], Array]] = {
    "gaussian": lambda n, s: np.exp(-(radius(n) ** 2) / (2 * s * s)),
    "airy": airy,
    "moffat": lambda n, s: (1 + (radius(n) / s) ** 2) ** -2.5,
    "wide moffat": lambda n, s: (1 + (radius(n) / s) ** 2) ** -1.5,
    "disc": lambda n, s: (s + 0.5 - radius(n)).clip(0, 1),
    "line": lambda n, s: line(n, min(2 * s, 0.8 * n)),
    "shake": lambda n, s: shake(n, int(10 * s) + n),
}
MOVED = {"shake 15": shake(15, 2), "shake 21": shake(21, 1), "shake 31": shake(31, 5), "line": line(21, 12.0)}


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
