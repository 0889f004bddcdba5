r"""Kernels that a viewer or an editor enlarged smoothly, made small again.

An enlargement of n samples to N = f n is X = R S R', R (N, n) holding the weights of the interpolation:

    R[j, i] = w(u(j) - i) / sum_i w(u(j) - i),          u(j) = (j + 1/2) / f - 1/2

A smooth kernel is nearly of that form as well, but on any grid; an enlarged one is on a single one. So X is fitted by
least squares on the grid above and on others beside it, and counts as enlarged if the first fit is good and all others
are much worse. Smooth kernels, such as a Gaussian, an Airy pattern or a disc, fit all or none; an enlarged Gaussian
therefore is left, as is some of what was enlarged twice only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST = 1024  # px; side up to which it is tried
MOST_TIMES = 32
FITS, BESIDE = 0.02, 0.2
"""Largest root mean square error of the fit, as a part of that of the kernel, and as a part of the other grid's. Of
enlarged kernels of 8 bits the first is up to 0.010 and the second up to 0.2."""

GRIDS = (1 / 3, 1 / 2, 2 / 3)
"""The distances of the other grids from the right one, in samples."""

EMPTY = 0.02
"""Largest value of the border, as a part of the peak: a tail that is cut off fits a grid by chance."""

NODES, BRIGHT = 12, 0.1
"""The small kernel has at least so many samples above this part of its peak; less may be meant: a tent is one sample
enlarged linearly."""

_REFITS = 4  # what was cut off there is taken from the fit


def _linear(t: Array) -> Array:
    return np.maximum(1 - abs(t), 0)


def _cubic(a: float) -> Callable[[Array], Array]:
    """Keys's cubic convolution; a = -1/2 in Pillow, ImageMagick and MATLAB, -3/4 in OpenCV and editors."""

    def weights(t: Array) -> Array:
        t = abs(t)
        near = (a + 2) * t**3 - (a + 3) * t**2 + 1
        far = a * (t**3 - 5 * t**2 + 8 * t - 4)
        return np.where(t < 1, near, np.where(t < 2, far, 0.0))

    return weights


def _lanczos(t: Array) -> Array:
    return np.where(abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0.0)


INTERPOLATIONS: dict[str, Callable[[Array], Array]] = {
    "bilinear": _linear,
    "bicubic": _cubic(-0.5),
    "a bicubic": _cubic(-0.75),
    "Lanczos": _lanczos,
}


def interpolated(array: Array) -> tuple[Array, int, str] | None:
    """Find the kernel behind a smooth enlargement.

    Args:
        array: (C, h, w), as the file has it.

    Returns:
        (C, h / f, w / f), f and the name of the interpolation; None if there is no such f.
    """
    h, w = array.shape[1:]
    if max(h, w) > LARGEST or min(h, w) < 6:
        return None
    border = max(abs(array[:, [0, -1]]).max(), abs(array[:, :, [0, -1]]).max())
    if border > EMPTY * array.max():
        return None
    energy = float(np.square(array).mean())
    common = math.gcd(h, w)
    times = [f for f in range(min(h // 3, w // 3, MOST_TIMES), 1, -1) if common % f == 0]
    for f in times:  # the largest first: an enlargement by 8 nearly is one by 4 of a smooth kernel
        found = [(_fitted(array, f, weights, 0.0), name) for name, weights in INTERPOLATIONS.items()]
        (small, error), name = min(found, key=lambda each: each[0][1])
        if error > FITS * math.sqrt(energy) or int((small.max(0) > BRIGHT * small.max()).sum()) < NODES:
            continue
        beside = min(_fitted(array, f, weights, d)[1] for d in GRIDS for weights in INTERPOLATIONS.values())
        if error < BESIDE * beside:
            return np.maximum(small, 0), f, name.removeprefix("a ")
    return None


def _fitted(array: Array, f: int, weights: Callable[[Array], Array], beside: float) -> tuple[Array, float]:
    """S (C, h / f, w / f) by least squares and the root mean square of R S R' - X; a grid `beside` so many samples."""
    rows = _projector(array.shape[1], f, weights, beside)
    cols = rows if array.shape[2] == array.shape[1] else _projector(array.shape[2], f, weights, beside)
    values, top, whole = array, array.max(), array.min() < 0  # floats keep what swings below zero
    for _ in range(_REFITS):  # interpolations swing below zero and above the peak, and files cannot
        small = rows[0] @ values @ cols[0].T
        model = rows[1] @ small @ cols[1].T
        cut = ((array <= 0) & (model < 0)) | ((array >= top) & (model > top))
        cut &= not whole
        if not cut.any():
            break
        values = np.where(cut, model, array)
    error = float(np.sqrt(np.square(np.where(cut, 0.0, model - array)).mean()))
    return small, error


def _projector(size: int, f: int, weights: Callable[[Array], Array], beside: float) -> tuple[Array, Array]:
    """The pseudo-inverse of R (n, N), and R (N, n)."""
    u = (np.arange(size) + 0.5) / f - 0.5 + beside
    nodes = np.arange(size // f + (beside > 0))  # half a sample beside, one more reaches in
    r = weights(u[:, None] - nodes)
    r = r / r.sum(1, keepdims=True)
    inverse: Array = np.linalg.solve(r.T @ r, r.T)
    return inverse, r
