"""Where a kernel has its centre, how far it reaches, and its sum."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import KernelError
from acutance.kernel_fit import EVEN_NOTE, centred_even

Array = NDArray[np.float64]

NORMALISED = 1e-3  # a float array whose sum is this close to 1 was normalised by a program: its values are meant
_EXACT = 1e-6  # ... and this close, it is not even divided
_OFF_CENTRE = 0.5  # px
_EMPTY = 1e-7  # part of the peak up to which a margin is empty
_IN_CORNERS, _EVERY_CORNER = 0.95, 0.001  # parts of the mass, of a kernel whose origin is in the corner
_FAR = 8  # px
_LARGE = 16  # px; a one-sided kernel in a corner of so large an array has its origin there


def origin_in_the_middle(array: Array, notes: list[str]) -> Array:
    """Kernels of FFT programs have their origin in the corner, wrapped around; their centre of mass does not tell."""
    plane = array.sum(0)
    h, w = plane.shape
    r, s = h // 4, w // 4
    if min(r, s) < 1:
        return array
    corners = [plane[:r, :s].sum(), plane[:r, -s:].sum(), plane[-r:, :s].sum(), plane[-r:, -s:].sum()]
    everywhere = min(corners) > _EVERY_CORNER * plane.sum()
    one_sided = min(h, w) >= _LARGE and plane[0, 0] > 0.01 * plane.max()
    if sum(corners) <= _IN_CORNERS * plane.sum() or not (everywhere or one_sided):
        return array
    notes.append("The kernel had its origin in the corner, wrapped around; it was moved to the middle.")
    return np.fft.fftshift(array, (1, 2))


def place(array: Array, centre: bool, flip: bool, notes: list[str]) -> Array:
    """(C, h, w) -> (C, 2 r + 1, 2 s + 1), the smallest frame about the centre that holds everything."""
    array = _odd(array, notes)
    h, w = array.shape[1:]
    if flip:
        array = array[:, ::-1, ::-1]
        notes.append("The kernel was rotated by 180 degrees, as asked.")
    plane = array.sum(0)
    middle = [h // 2, w // 2]
    there = plane > _EMPTY * plane.max()
    rows, cols = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    shares = [plane.sum(1) / plane.sum(), plane.sum(0) / plane.sum()]
    off = [float((p * (np.arange(p.size) - p.size // 2)).sum()) for p in shares]  # px, (rows, columns)
    where = f"{abs(off[0]):.1f} px {'below' if off[0] > 0 else 'above'} and {abs(off[1]):.1f} px "
    where += f"{'right' if off[1] > 0 else 'left'} of the centre"
    beside = _is_beside(plane, middle)
    moved = (centre or beside) and max(map(abs, off)) > _OFF_CENTRE + 1e-6
    if moved:
        middle = [m + round(d) for m, d in zip(middle, off, strict=True)]
        why = "as asked" if centre else "because nothing of the kernel reaches the centre"
        notes.append(f"The centre of mass was {where}; it was moved there by whole pixels, {why}.")
    elif max(map(abs, off)) > _OFF_CENTRE + 1e-6:
        notes.append(
            f"The centre of mass is {where}: the restored picture is shifted by that against the blurred one. "
            "It was left there; centring (--centre) moves it."
        )
    r = max(middle[0] - int(rows[0]), int(rows[-1]) - middle[0])
    s = max(middle[1] - int(cols[0]), int(cols[-1]) - middle[1])
    if not moved and (2 * r + 1, 2 * s + 1) != (h, w):
        notes.append(
            f"Empty margins were cut off around the centre: {w} x {h} became {2 * s + 1} x {2 * r + 1} pixels."
        )
    top, left = middle[0] - r, middle[1] - s
    framed = np.zeros((len(array), 2 * r + 1, 2 * s + 1))
    inner = array[:, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    framed[:, rows[0] - top : rows[-1] + 1 - top, cols[0] - left : cols[-1] + 1 - left] = inner
    return framed


def _is_beside(plane: Array, middle: list[int]) -> bool:
    """Whether the kernel lies in another part of a large array, as one that was padded on two sides only.

    The centre is outside of the rectangle of what exceeds a thousandth of the peak, by more than that is long and by
    more than `_FAR`.
    """
    for dim, centre in ((1, middle[0]), (0, middle[1])):
        line = np.flatnonzero((plane > 1e-3 * plane.max()).any(dim))
        first, last = int(line[0]), int(line[-1])
        if max(first - centre, centre - last) > max(_FAR, last - first + 1):
            return True
    return False


def _odd(array: Array, notes: list[str]) -> Array:
    """(C, h, w) with odd sides: by half a pixel onto the centre where it is symmetric, else by zeros behind."""
    h, w = array.shape[1:]
    moved, centred = centred_even(torch.from_numpy(np.ascontiguousarray(array))[None])
    if centred:
        array = moved[0].numpy()
        notes.append(EVEN_NOTE[0].upper() + EVEN_NOTE[1:] + ".")
    n, m = array.shape[1:]
    if n % 2 == 0 or m % 2 == 0:
        array = np.pad(array, ((0, 0), (0, 1 - n % 2), (0, 1 - m % 2)))
        notes.append(
            f"A side of {w} x {h} is even; zeros were added behind, the centre is row {n // 2}, column {m // 2} "
            "(counted from 0)."
        )
    return array


def normalise(array: Array, step: float, notes: list[str]) -> Tensor:
    """(C, h, w) -> (1, C, h, w) float32, sum 1 in every channel."""
    sums = array.sum((1, 2), keepdims=True)
    if (sums <= 0).any():
        raise KernelError("a channel of the kernel is empty; save the others alone, or one grey picture")
    off = float(abs(sums - 1).max())
    if off > NORMALISED and step == 0:
        notes.append(f"The values summed to {float(sums.flat[0]):.6g}; they were divided by that.")
    if off > _EXACT:
        array = array / sums
    return torch.from_numpy(array.astype(np.float32))[None]
