"""A hot or dead pixel of a measured kernel is repaired; kernels that are sharp or thin are left as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from kernel_values import MOVED, SMOOTH, line, shake
from numpy.typing import NDArray

from acutance.images.kernel_file import read_kernel
from acutance.images.kernel_repair import repair_kernel

Array = NDArray[np.float64]


def told(notes: tuple[str, ...]) -> bool:
    return any("hot or dead" in note for note in notes)


def measured(name: str, width: float, background: float = 0.0, noise: float = 0.0) -> Array:
    kernel = SMOOTH[name](31, width)
    return kernel / kernel.max() * 2000 + background + np.random.default_rng(0).normal(0, noise, kernel.shape)


@pytest.mark.parametrize(
    ("name", "width"), [("gaussian", 1.5), ("gaussian", 4.0), ("moffat", 3.0), ("disc", 4.0), ("airy", 0.9)]
)
@pytest.mark.parametrize("value", [6000.0, 65535.0, -500.0, -4000.0])
@pytest.mark.parametrize("places", [[(4, 6)], [(14, 17)], [(2, 28), (20, 10)], [(0, 5)]], ids=str)
@pytest.mark.parametrize(("background", "noise"), [(0, 0), (300, 8)])
def test_a_wrong_pixel_is_repaired(
    name: str, width: float, value: float, places: list[tuple[int, int]], background: float, noise: float
) -> None:
    kernel = measured(name, width, background, noise)
    right = repair_kernel(kernel)
    bad = kernel.copy()
    for place in places:
        bad[place] += value if value < 0 or bad[place] < 800 else 65535
    if value < 0 and max(bad[place] for place in places) >= -0.06 * 2000:
        bad[places[0]] = -4000
        bad[places[-1]] = -4000
    repaired = repair_kernel(bad)
    assert told(repaired.notes)
    assert not told(right.notes)
    h, w = (max(a, b) for a, b in zip(repaired.kernel.shape[-2:], right.kernel.shape[-2:], strict=True))

    def framed(k: Array) -> Array:
        rows, cols = (h - k.shape[0]) // 2, (w - k.shape[1]) // 2
        return np.pad(k, ((rows, rows), (cols, cols)))

    got, expected = framed(repaired.kernel[0, 0].numpy()), framed(right.kernel[0, 0].numpy())
    assert float(abs(got - expected).max()) < 0.1 * expected.max()


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_in_a_file(tmp_path: Path, kind: str) -> None:
    bad = measured("gaussian", 2.0, 800, 15)
    bad[25, 3] = 60_000
    tifffile.imwrite(tmp_path / "psf.tif", np.rint(bad).astype(kind))
    found = read_kernel(tmp_path / "psf.tif")
    assert told(found.notes)
    right = SMOOTH["gaussian"](31, 2.0)
    assert float(found.kernel.max()) == pytest.approx(float((right / right.sum()).max()), rel=0.05)


TRUE = {
    "delta": np.pad(np.ones((1, 1)), 7),
    "two pixels": np.pad(np.ones((1, 2)), 7),
    "double exposure": np.pad(np.eye(2), 7).repeat(1, 0),
    "two points": np.diag([1.0, *[0.0] * 11, 0.7]),
    "sharp star": SMOOTH["gaussian"](15, 0.5),
    "star with a halo": SMOOTH["moffat"](31, 5.0) + 8 * SMOOTH["gaussian"](31, 0.4),
    "star beside the centre": np.roll(SMOOTH["gaussian"](31, 0.8), (6, -5), (0, 1)),
    "row": np.pad(np.full((1, 9), 1 / 9), 3),
    "track with a pause": shake(21, 1) + np.pad(0.5 * np.ones((1, 1)) * shake(21, 1).max(), ((17, 3), (3, 17))),
    "ring": SMOOTH["disc"](21, 6.0) - SMOOTH["disc"](21, 3.0),
    **{f"line {n}": line(21, n) for n in (3.0, 6.0, 14.0)},
    **MOVED,
    **{f"shake {n} {s}": shake(n, s) for n in (9, 15, 25, 41) for s in range(8)},
    **{f"{name} {s}": make(31, s) for name, make in SMOOTH.items() for s in (0.5, 0.8, 1.2, 2.0, 4.0, 7.0)},
}


@pytest.mark.parametrize("name", TRUE)
@pytest.mark.parametrize("counts", [False, True], ids=["floats", "counts"])
def test_what_is_meant_stays(name: str, counts: bool) -> None:
    kernel = TRUE[name] / TRUE[name].sum()
    assert not told(repair_kernel(np.rint(kernel / kernel.max() * 65535) if counts else kernel).notes)


@pytest.mark.parametrize("noise", [0.5, 2.0, 5.0])
def test_noise_is_no_wrong_pixel(noise: float) -> None:
    """Up to 5 % of the peak."""
    for name, width in (("gaussian", 1.5), ("moffat", 3.0), ("disc", 4.0)):
        assert not told(repair_kernel(measured(name, width, 500, noise * 20)).notes)
