r"""Kernels that a viewer, an editor or a script enlarged smoothly, made small again.

An enlargement of n samples to N, f = N / n times, is X = R S R', R (N, n) holding the weights of the interpolation:

    R[j, i] = w(u(j) - i) / sum_i w(u(j) - i)
    u(j) = (j + 1/2) n / N - 1/2              pixels are squares: viewers, Pillow, OpenCV
    u(j) = j (n - 1) / (N - 1)                the outer samples stay in the corners: `scipy.ndimage.zoom`, align_corners

A smooth kernel is nearly of that form as well, but on any grid; an enlarged one is on a single one. So X is fitted by
least squares on the right grid and on others beside it, and counts as enlarged if the first fit is good and all others
are much worse. Smooth kernels, such as a Gaussian, an Airy pattern or a disc, fit all or none; an enlarged Gaussian
therefore is left, as is some of what was enlarged twice only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST, LARGEST_RARE = 1024, 256  # px; side up to which it is tried, and up to which the rarer ways are
MOST_TIMES = 32
RARE_TIMES = (12.0, 10.0, 8.0, 6.0, 5.0, 4.0, 3.5, 3.0, 2.5, 2.0, 1.5)
"""Factors that are tried with samples in the corners, and where they are not whole with squares."""

FITS, BESIDE = 0.02, 0.2
"""Largest root mean square error of the fit, as a part of that of the kernel, and as a part of the other grid's. Of
enlarged kernels of 8 bits the first is up to 0.014 and the second up to 0.2."""

BESIDE_RARE, BESIDE_TOLD = 0.08, 0.17
"""The second of the rarer ways, and that up to which an enlargement by a fraction is told and left: at most 0.07 for
shakes of 21 pixels with linear, cubic and spline interpolation, and 0.16 with Lanczos."""

SYMMETRIC = 0.1
"""Root mean square difference to the kernel turned by 180 degrees, as a part of the kernel, up to which the rarer ways
are not tried: a Moffat of 33 pixels fits a spline through every second sample as well as an enlargement does."""

GRIDS = (1 / 3, 1 / 2, 2 / 3)
"""The distances of the other grids from the right one, in samples."""

EMPTY = 0.02
"""Largest value of the border, as a part of the peak: a tail that is cut off fits a grid by chance."""

NODES, BRIGHT = 12, 0.1
"""The small kernel has at least so many samples above this part of its peak; less may be meant: a tent is one sample
enlarged linearly."""

TINY = 1e-12  # keeps a sample that no pixel sees from being divided by zero
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


def _spline(t: Array) -> Array:
    """The cubic B-spline; what it stands for is the spline through the samples, see `_Grid.samples`."""
    t = abs(t)
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.where(t < 2, (2 - t) ** 3 / 6, 0.0))


INTERPOLATIONS: dict[str, Callable[[Array], Array]] = {
    "bilinear": _linear,
    "bicubic": _cubic(-0.5),
    "a bicubic": _cubic(-0.75),
    "Lanczos": _lanczos,
}
CORNERS = {name: INTERPOLATIONS[name] for name in ("bilinear", "bicubic", "a bicubic")} | {"cubic spline": _spline}
"""The interpolations that are tried with samples in the corners."""


@dataclass(frozen=True)
class Enlargement:
    """An enlargement. Args: small: (C, n, m), before. times: f. way: of interpolation. sure: or perhaps."""

    small: Array
    times: float
    way: str
    sure: bool = True


@dataclass(frozen=True)
class _Grid:
    """A way to enlarge. Args: times: f. sides: n, m. corners: where the outer samples stay. rare: is it seldom so."""

    times: float
    sides: tuple[int, int]
    corners: bool
    rare: bool

    @property
    def ways(self) -> dict[str, Callable[[Array], Array]]:
        return CORNERS if self.corners else INTERPOLATIONS

    def places(self, size: int, n: int) -> Array:
        """u of `size` pixels."""
        j = np.arange(size)
        return j * (n - 1) / (size - 1) if self.corners else (j + 0.5) * n / size - 0.5

    def samples(self, small: Array, way: str) -> Array:
        """The values at the samples, of what was fitted."""
        if way != "cubic spline":
            return small
        padded = np.pad(small, ((0, 0), (1, 1), (1, 1)))
        rows = (padded[:, :-2] + 4 * padded[:, 1:-1] + padded[:, 2:]) / 6
        found: Array = (rows[..., :-2] + 4 * rows[..., 1:-1] + rows[..., 2:]) / 6
        return found


def interpolated(array: Array) -> Enlargement | None:
    """Find the kernel behind a smooth enlargement.

    Args:
        array: (C, h, w), as the file has it.

    Returns:
        What was enlarged, and how; None if nothing is like that.
    """
    h, w = array.shape[1:]
    if max(h, w) > LARGEST or min(h, w) < 6:
        return None
    border = max(abs(array[:, [0, -1]]).max(), abs(array[:, :, [0, -1]]).max())
    if border > EMPTY * array.max():
        return None
    energy = float(np.square(array).mean())
    perhaps: Enlargement | None = None
    alike = _is_symmetric(array)
    for grid in _grids(h, w):
        if grid.rare and alike:
            break  # the usual ones come first
        found = [(_fitted(array, grid, weights, 0.0), way) for way, weights in grid.ways.items()]
        (small, error), way = min(found, key=lambda each: each[0][1])
        small = grid.samples(small, way)
        if error > FITS * math.sqrt(energy) or int((small.max(0) > BRIGHT * small.max()).sum()) < NODES:
            continue
        beside = min(_fitted(array, grid, weights, d)[1] for d in GRIDS for weights in grid.ways.values())
        made = Enlargement(np.maximum(small, 0), grid.times, way.removeprefix("a "))
        if error < (BESIDE_RARE if grid.rare else BESIDE) * beside:
            return made
        if not grid.corners and error < BESIDE_TOLD * beside and perhaps is None:
            perhaps = Enlargement(made.small, made.times, made.way, sure=False)
    return perhaps


def _is_symmetric(array: Array) -> bool:
    """Tell whether a kernel is its own rotation by 180 degrees, about the middle or about (h // 2, w // 2)."""
    turned, size = array[:, ::-1, ::-1], np.square(array).mean()
    shifts = {(0, 0), tuple(1 - n % 2 for n in array.shape[1:])}
    differences = (np.square(np.roll(turned, shift, (1, 2)) - array).mean() for shift in shifts)
    return bool(min(differences) < SYMMETRIC**2 * size)


def _grids(h: int, w: int) -> Iterator[_Grid]:
    """The ways to enlarge to h x w, the usual ones and the largest factors first: 8 times nearly is 4 times as well."""
    common = math.gcd(h, w)
    for f in range(min(h // 3, w // 3, MOST_TIMES), 1, -1):
        if common % f == 0:
            yield _Grid(f, (h // f, w // f), corners=False, rare=False)
    if max(h, w) > LARGEST_RARE:
        return
    for times in RARE_TIMES:
        for whole in {math.floor, math.ceil}:  # N = f n, rounded
            sides = whole(h / times), whole(w / times)
            if min(sides) < 3 or max(abs(n * times - size) for n, size in zip(sides, (h, w), strict=True)) >= 1:
                continue
            if times % 1:
                yield _Grid(times, sides, corners=False, rare=True)
            yield _Grid(times, sides, corners=True, rare=True)
        between = (h - 1) / times + 1, (w - 1) / times + 1
        if all(n == int(n) and n >= 3 for n in between):  # N - 1 = f (n - 1)
            yield _Grid(times, (int(between[0]), int(between[1])), corners=True, rare=True)


def _fitted(array: Array, grid: _Grid, weights: Callable[[Array], Array], beside: float) -> tuple[Array, float]:
    """S (C, n, m) by least squares and the root mean square of R S R' - X; a grid `beside` so many samples."""
    (h, w), (n, m) = array.shape[1:], grid.sides
    rows = _projector(grid.places(h, n) + beside, n, weights, beside)
    cols = rows if h == w and n == m else _projector(grid.places(w, m) + beside, m, weights, beside)
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


def _projector(u: Array, n: int, weights: Callable[[Array], Array], beside: float) -> tuple[Array, Array]:
    """The pseudo-inverse of R (N, n), and R, for the places u (N,)."""
    nodes = np.arange(n + (beside > 0))  # half a sample beside, one more reaches in
    r = weights(u[:, None] - nodes)
    r = r / r.sum(1, keepdims=True)
    inverse: Array = np.linalg.solve(r.T @ r + TINY * np.eye(len(nodes)), r.T)
    return inverse, r
