"""Layers' values restored without a window."""

from __future__ import annotations

import numpy as np
import pytest
from napari_acutance._work import Cancelled, Request, box_around, message_of, methods_for, restore
from numpy.typing import NDArray

import acutance
from acutance.errors import ConfigError, KernelError

PSF = np.outer([1.0, 2, 1], [1, 2, 1])
CUBE = np.stack([PSF, 2 * PSF, PSF])


def counts(*shape: int) -> NDArray[np.uint16]:
    return np.random.default_rng(0).poisson(40, shape).astype(np.uint16)


def run(request: Request) -> tuple[NDArray[np.generic], list[float]]:
    told: list[float] = []
    return restore(request, told.append, lambda: False), told


@pytest.mark.parametrize(
    ("shape", "psf", "rgb"),
    [((30, 40), PSF, False), ((30, 40, 3), PSF, True), ((2, 30, 40), PSF, False), ((6, 20, 24), CUBE, False),
     ((2, 4, 20, 24), CUBE, False)],
)  # fmt: skip
def test_shape_and_type_are_kept_and_progress_is_told(
    shape: tuple[int, ...], psf: NDArray[np.float64], rgb: bool
) -> None:
    data = counts(*shape)
    found, told = run(Request(data, psf, "richardson-lucy:steps=3", rgb))
    assert found.shape == shape
    assert found.dtype == data.dtype
    assert (found != data).any()
    assert told == sorted(told)
    assert told[-1] == 1


def test_it_is_what_the_library_makes() -> None:
    data = counts(6, 20, 24).astype(np.float32)
    found, _ = run(Request(data, CUBE, "wiener"))
    np.testing.assert_array_equal(found, acutance.restore_volume(data, CUBE, method="wiener"))


@pytest.mark.parametrize("rgb", [False, True])
def test_a_piece_is_that_of_the_whole(rgb: bool) -> None:
    data = counts(60, 70, 3).astype(np.float32)[..., slice(None) if rgb else 0]
    piece, _ = run(Request(data, PSF, "richardson-lucy:steps=2,background=0.5,strength=0", rgb, (20, 30, 24, 16)))
    whole, _ = run(Request(data, PSF, "richardson-lucy:steps=2,background=0.5,strength=0", rgb))
    assert piece.shape == ((24, 16, 3) if rgb else (24, 16))
    assert abs(piece - whole[20:44, 30:46]).mean() < 0.05 * float(whole.std())


def test_it_stops_after_a_step() -> None:
    steps: list[float] = []
    with pytest.raises(Cancelled):
        restore(Request(counts(40, 40), PSF, "richardson-lucy:steps=50"), steps.append, lambda: len(steps) > 3)
    assert len(steps) == 4


def test_a_box_lies_inside() -> None:
    assert box_around((5, 95), 32, (100, 100)) == (0, 68, 32, 32)
    assert box_around((50, 50), 256, (100, 80)) == (0, 0, 100, 80)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(KernelError, match="2 or 3 axes"):
        run(Request(counts(30, 30), np.ones(4)))
    with pytest.raises(ConfigError, match="give one of 2 axes"):
        run(Request(counts(30, 30), CUBE))
    assert message_of(ConfigError("no")) == "no"
    assert "report" in message_of(ValueError("x"))
    assert "acute" in methods_for(2)
    assert "acute" not in methods_for(3)
