"""Where a kernel has its centre, how far it reaches, and its sum."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

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
    whole = array.sum(0)
    quarters = [n // 4 for n in whole.shape]
    if min(quarters) < 1:
        return array
    corners = [whole[at].sum() for at in product(*((slice(q), slice(-q, None)) for q in quarters))]
    everywhere = min(corners) > _EVERY_CORNER * whole.sum()
    one_sided = min(whole.shape) >= _LARGE and whole[(0,) * whole.ndim] > 0.01 * whole.max()
    if sum(corners) <= _IN_CORNERS * whole.sum() or not (everywhere or one_sided):
        return array
    notes.append("The kernel had its origin in the corner, wrapped around; it was moved to the middle.")
    return np.fft.fftshift(array, tuple(range(1, array.ndim)))


def place(array: Array, centre: bool, flip: bool, notes: list[str]) -> Array:
    """(C, h, w) -> (C, 2 r + 1, 2 s + 1), the smallest frame about the centre that holds everything; or a volume."""
    array = _odd(array, notes)
    sides = array.shape[1:]
    if flip:
        array = np.flip(array, tuple(range(1, array.ndim)))
        notes.append(
            "The kernel was rotated by 180 degrees, as asked." if len(sides) == 2 else "The kernel was flipped."
        )
    whole = array.sum(0)
    middle = [n // 2 for n in sides]
    lines = [whole.sum(_others(whole, i)) / whole.sum() for i in range(whole.ndim)]
    off = [float((p * (np.arange(p.size) - p.size // 2)).sum()) for p in lines]  # px
    beside = _is_beside(whole, middle)
    moved = (centre or beside) and max(map(abs, off)) > _OFF_CENTRE + 1e-6
    if moved:
        middle = [m + round(d) for m, d in zip(middle, off, strict=True)]
        why = "as asked" if centre else "because nothing of the kernel reaches the centre"
        notes.append(f"The centre of mass was {_where(off)}; it was moved there by whole pixels, {why}.")
    elif max(map(abs, off)) > _OFF_CENTRE + 1e-6:
        what = "picture" if len(sides) == 2 else "stack"
        notes.append(
            f"The centre of mass is {_where(off)}: the restored {what} is shifted by that against the blurred one. "
            "It was left there; centring (--centre) moves it."
        )
    return _framed_about(array, middle, None if moved else notes)


def _framed_about(array: Array, middle: list[int], notes: list[str] | None) -> Array:
    """The smallest frame of odd sides about a place that holds what is not empty; `notes` get told if it is smaller."""
    whole = array.sum(0)
    there = whole > _EMPTY * whole.max()
    lines = [np.flatnonzero(there.any(_others(whole, i))) for i in range(whole.ndim)]
    ends = [(int(line[0]), int(line[-1]) + 1) for line in lines]
    reach = [max(m - a, b - 1 - m) for m, (a, b) in zip(middle, ends, strict=True)]
    sides = [2 * r + 1 for r in reach]
    if notes is not None and tuple(sides) != whole.shape:
        was, now = (" x ".join(str(n) for n in _as_said(each)) for each in (whole.shape, sides))
        notes.append(f"Empty margins were cut off around the centre: {was} became {now} pixels.")
    framed = np.zeros((len(array), *sides))
    to = tuple(slice(a - m + r, b - m + r) for (a, b), m, r in zip(ends, middle, reach, strict=True))
    framed[(slice(None), *to)] = array[(slice(None), *(slice(a, b) for a, b in ends))]
    return framed


def _others(whole: Array, axis: int) -> tuple[int, ...]:
    return tuple(i for i in range(whole.ndim) if i != axis)


def _as_said(sides: Sequence[int]) -> Sequence[int]:
    """Width before height for pictures; (z, y, x) for volumes."""
    return sides[::-1] if len(sides) == 2 else sides


def _where(off: list[float]) -> str:
    """The distance from the centre in words; of a volume by axis."""
    if len(off) == 3:
        return ", ".join(f"{d:+.1f} px in {a}" for d, a in zip(off, "zyx", strict=True)) + " off the centre"
    where = f"{abs(off[0]):.1f} px {'below' if off[0] > 0 else 'above'} and {abs(off[1]):.1f} px "
    return where + f"{'right' if off[1] > 0 else 'left'} of the centre"


def _is_beside(whole: Array, middle: list[int]) -> bool:
    """Whether the kernel lies in another part of a large array, as one that was padded on two sides only.

    The centre is outside of the rectangle of what exceeds a thousandth of the peak, by more than that is long and by
    more than `_FAR`.
    """
    for axis, centre in enumerate(middle):
        line = np.flatnonzero((whole > 1e-3 * whole.max()).any(_others(whole, axis)))
        first, last = int(line[0]), int(line[-1])
        if max(first - centre, centre - last) > max(_FAR, last - first + 1):
            return True
    return False


def _odd(array: Array, notes: list[str]) -> Array:
    """(C, h, w) with odd sides: by half a pixel onto the centre where it is symmetric, else by zeros behind."""
    sides = array.shape[1:]
    moved, centred = centred_even(torch.from_numpy(np.ascontiguousarray(array))[None])
    if centred:
        array = moved[0].numpy()
        notes.append(EVEN_NOTE[0].upper() + EVEN_NOTE[1:] + ".")
    now = array.shape[1:]
    if any(n % 2 == 0 for n in now):
        array = np.pad(array, ((0, 0), *((0, 1 - n % 2) for n in now)))
        n, m = now[-2:]
        at = (
            f"row {n // 2}, column {m // 2}" if len(now) == 2 else f"plane {now[0] // 2}, row {n // 2}, column {m // 2}"
        )
        notes.append(
            f"A side of {' x '.join(map(str, _as_said(sides)))} is even; zeros were added behind, the centre is {at} "
            "(counted from 0)."
        )
    return array


def normalise(array: Array, step: float, notes: list[str]) -> Tensor:
    """(C, h, w) -> (1, C, h, w) float32, sum 1 in every channel; volumes (C, d, h, w) as well."""
    sums = array.sum(tuple(range(1, array.ndim)), keepdims=True)
    if (sums <= 0).any():
        raise KernelError("a channel of the kernel is empty; save the others alone, or one grey picture")
    off = float(abs(sums - 1).max())
    if off > NORMALISED and step == 0:
        notes.append(f"The values summed to {float(sums.flat[0]):.6g}; they were divided by that.")
    if off > _EXACT:
        array = array / sums
    return torch.from_numpy(array.astype(np.float32))[None]
