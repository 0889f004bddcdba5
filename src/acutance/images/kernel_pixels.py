"""Single wrong pixels of measured kernels: hot ones, struck by a cosmic ray, and ones far below zero."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST = 5  # pixels of a plane that are repaired at most; more are no accident
HOT = 0.5  # a hot pixel exceeds all of its eight neighbours by this part of the peak of the body
ISOLATED = 2.0  # and is so many times as large as any of them
OFF = 1.5  # px from the centre of the body, else it may be the core of a sharp star
COLD = 0.05  # a wrong pixel is below zero, and below its neighbours, by this part of the peak of the body
SMALLEST, FAINT = 9, 0.1  # the body has so many pixels above this part of its peak
ROUND = 0.4  # and fills this part of the circle around it
ROUGH = 0.3
"""Mean difference between a pixel of the body and the mean of 3 x 3 around it, as a part of the pixel. Stars of a
standard deviation of 1 pixel or more, and discs, have 0.28 or less; nearly all tracks of a camera 0.31 to 0.67."""


def without_wrong_pixels(array: Array, notes: list[str]) -> Array:
    """(C, h, w) with wrong pixels replaced by the median of their neighbours, and a note if there were any.

    Only of round and smooth kernels, as a star or a lens makes: there the others tell what a pixel has to be. A few
    points or a thin track may be meant as they are.
    """
    if min(array.shape[1:]) < 5:
        return array
    result = array.copy()
    for plane in result:
        wrong, around = _wrong(plane)
        if not wrong.any():
            continue
        row, col = (int(i[0]) for i in np.nonzero(wrong))
        plane[wrong] = around[wrong]
        count = int(wrong.sum())
        which, its = ("A pixel is", "its") if count == 1 else (f"{count} pixels are", "their")
        notes.append(
            f"{which} far off {its} neighbours (hot or dead; row {row}, column {col}, counted from 0) and got the "
            f"median of them."
        )
    return result


def _wrong(plane: Array) -> tuple[NDArray[np.bool_], Array]:
    """Find the wrong pixels of (h, w), and the median of the eight neighbours of each pixel."""
    h, w = plane.shape
    values = plane - np.median(plane)
    padded = np.pad(values, 1, mode="reflect")
    near = np.stack([padded[i : i + h, j : j + w] for i in range(3) for j in range(3) if (i, j) != (1, 1)])
    around: Array = np.median(near, 0)
    body = np.median(np.concatenate([near, values[None]]), 0)
    peak = float(body.max())
    none = np.zeros(plane.shape, dtype=bool)
    if peak <= 0:
        return none, around
    rows, cols = np.mgrid[:h, :w]
    weight = np.where(body > FAINT * peak, body, 0.0)
    centre = [float((weight * line).sum() / weight.sum()) for line in (rows, cols)]
    off = np.maximum(abs(rows - centre[0]), abs(cols - centre[1])) > OFF
    hot = off & (values > near.max(0) + HOT * peak) & (values > ISOLATED * near.max(0))
    cold = (plane < 0) & (values < 3 * np.minimum(near.min(0), 0) - COLD * peak)
    wrong = hot | cold
    if not 0 < int(wrong.sum()) <= MOST or not _is_smooth(np.where(wrong, around, values)):
        return none, around
    return wrong, around + np.median(plane)


def _is_smooth(rest: Array) -> bool:
    """Tell the body of a measured kernel from a few points or a thin track."""
    h, w = rest.shape
    bright = rest > FAINT * rest.max()
    count = int(bright.sum())
    if count < SMALLEST:
        return False
    rows, cols = np.nonzero(bright)
    reach = np.hypot(rows - rows.mean(), cols - cols.mean()).max() + 0.5
    if count < ROUND * math.pi * reach**2:
        return False
    padded = np.pad(rest, 1, mode="reflect")
    mean = sum(padded[i : i + h, j : j + w] for i in range(3) for j in range(3)) / 9
    return bool(abs(rest - mean)[bright].sum() < ROUGH * rest[bright].sum())
