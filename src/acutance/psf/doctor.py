"""The doctor: faults of a point-spread function as it stands in a file, before anything is mended.

`examine` takes the raw values. What `acutance.images.kernel_repair` mends on reading is said by its own notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from acutance.errors import KernelError

Array = NDArray[np.float64]

NYQUIST_WIDTH = 2.0
"""Full width at half maximum, pixels, below which a profile is undersampled."""

WING = 1.0
"""Power by which wings fall, at least; what falls more slowly towards the border is a background. Those of Gibson and
Lanni's model fell by 1.1 to 2.9 from half the size to the border, those of Moffat and Airy by 2 or faster."""

_OFF_CENTRE = 0.5  # px from which on a picture is seen to move
_CUT_OFF = 0.02  # of the peak, on the border, from which on light is missing outside
_FINE = 1e-3  # part of the sum or of the peak that is not worth a remark


@dataclass(frozen=True)
class Finding:
    """One line of the report. Args: what: its name. value: as measured. remark: what is wrong; "": nothing."""

    what: str
    value: str
    remark: str = ""


def examine(values: NDArray[np.generic]) -> tuple[Finding, ...]:
    """Measure a kernel as it is.

    Args:
        values: (h, w) or (d, h, w), real.

    Returns:
        Size, sum, centre of mass, symmetry, background, negative part, noise, width, border, and wrap-around. Widths
        and places are in pixels, along (z,) y, x.

    Raises:
        KernelError: other shapes, NaN, or a sum that is not above 0.

    Example:
        >>> print(examine(np.full((3, 3), 1 / 9))[0].value)
        3 x 3
    """
    array = np.asarray(values, np.float64)
    if array.ndim not in (2, 3) or array.size == 0:
        raise KernelError(f"an array of shape {array.shape} is no point-spread function; give (h, w) or (d, h, w)")
    if not np.isfinite(array).all() or array.max() <= 0 or array.sum() <= 0:
        raise KernelError("a point-spread function has finite values and a sum above 0; is it the right file?")
    return (
        _size(array), _sum(array), _centre(array), _symmetry(array), *_ground(array), _negative(array),
        _sampling(array), _border(array), _wrap(array),
    )  # fmt: skip


def widths(array: Array) -> tuple[float, ...]:
    """Full width at half maximum along each axis through the peak, pixels; linear between pixels."""
    peak = np.unravel_index(int(array.argmax()), array.shape)
    found = []
    for axis in range(array.ndim):
        line = array[tuple(slice(None) if i == axis else p for i, p in enumerate(peak))]
        half, top = array.max() / 2, int(peak[axis])
        found.append(_reach(line[top:], half) + _reach(line[top::-1], half))
    return tuple(found)


def _reach(line: Array, half: float) -> float:
    """Pixels from the first value to where the line falls to `half`; to half a pixel beyond its end if it does not."""
    below = np.flatnonzero(line < half)
    if not below.size:
        return len(line) - 0.5
    n = int(below[0])
    return float(n - 1 + (line[n - 1] - half) / (line[n - 1] - line[n]))


def _size(array: Array) -> Finding:
    even = any(side % 2 == 0 for side in array.shape)
    remark = "a side is even: its centre lies between two pixels" if even else ""
    return Finding("size", " x ".join(map(str, array.shape)), remark)


def _sum(array: Array) -> Finding:
    total = float(array.sum())
    return Finding("sum", f"{total:.6g}", "" if abs(total - 1) <= _FINE else "not 1")


def _centre(array: Array) -> Finding:
    light = np.maximum(array, 0)
    off = [float((light.sum(_others(light, i)) * (np.arange(n) - n // 2)).sum() / light.sum())
           for i, n in enumerate(light.shape)]  # fmt: skip
    said = "beside the centre: the result is shifted; --centre moves it" if max(map(abs, off)) > _OFF_CENTRE else ""
    return Finding("centre of mass", ", ".join(f"{d:+.2f}" for d in off) + " from the centre", said)


def _symmetry(array: Array) -> Finding:
    """Correlation with the rotated self, at the best shift: 1 for a symmetric one."""
    shape, axes = [2 * n for n in array.shape], range(array.ndim)
    spectrum = np.fft.rfftn(array, shape, axes)
    best = float(np.fft.irfftn(spectrum**2, shape, axes).max() / (array**2).sum())
    said = "" if best >= 0.98 else "not symmetric: its orientation matters; check it with a picture"
    return Finding("symmetry", f"{best:.3f}", said)


def _ground(array: Array) -> tuple[Finding, Finding]:
    """The border's level above wings that still fall there, and its noise, against the peak."""
    ring, peak = _shell(array, 1.0), float(array.max())
    border, level = float(np.median(ring)), _pedestal(array)
    noise = 1.4826 * float(np.median(abs(ring - border)))
    share = level * array.size / float(array.sum())
    said = "holds light that does not belong to the blur" if abs(share) > 0.01 else ""
    ratio = f"peak / noise {peak / noise:.0f}" if noise > 0 else "none"
    loud = "noisy: average more points, or cut it smaller" if noise > 0.01 * peak else ""
    return (
        Finding("background", f"{level / peak:.2%} of the peak, {share:.1%} of the sum", said),
        Finding("noise of the border", f"{noise / peak:.2%} of the peak ({ratio})", loud),
    )


def _pedestal(array: Array) -> float:
    """b of b + a r^-WING through the border and the shell of half its size; the border's level where it is below 0.

    A background weaker than half of the light that the kernel itself still has at half its size is not told.
    """
    border, halfway = (float(np.median(_shell(array, part))) for part in (1.0, 0.5))
    fallen = 0.5**WING
    return border if border <= 0 else max((border - fallen * max(halfway, border)) / (1 - fallen), 0.0)


def _shell(array: Array, part: float) -> Array:
    """The outermost values of the middle box whose sides are `part` of the whole."""
    halves = [max(1, round(part * (n // 2))) for n in array.shape]
    box = array[tuple(slice(max(n // 2 - h, 0), n // 2 + h + 1) for n, h in zip(array.shape, halves, strict=True))]
    outer = np.ones(box.shape, bool)
    outer[(slice(1, -1),) * array.ndim] = False
    return np.asarray(box[outer])


def _negative(array: Array) -> Finding:
    below = abs(float(np.minimum(array, 0).sum())) / float(np.maximum(array, 0).sum())
    said = "a point-spread function is not negative" if below > _FINE else ""
    return Finding("negative part", f"{below:.2%} of the light", said)


def _sampling(array: Array) -> Finding:
    found = widths(array)
    said = (
        f"undersampled: below {NYQUIST_WIDTH:g} pixels details are lost between pixels"
        if min(found) < NYQUIST_WIDTH else "oversampled: fewer pixels would do" if min(found) > 12 else ""
    )  # fmt: skip
    return Finding("width at half maximum", " x ".join(f"{w:.2f}" for w in found) + " pixels", said)


def _border(array: Array) -> Finding:
    """The largest value on the border above its median."""
    outer = np.ones(array.shape, bool)
    outer[(slice(1, -1),) * array.ndim] = False
    top = float(array[outer].max() - np.median(array[outer])) / float(array.max())
    return Finding("light at the border", f"{top:.2%} of the peak", "cut off there" if top > _CUT_OFF else "")


def _wrap(array: Array) -> Finding:
    """The part of the light in the outer quarters of all corners."""
    quarters = [n // 4 for n in array.shape]
    if min(quarters) < 1:
        return Finding("wrap-around", "too small to tell")
    corners = product(*((slice(q), slice(-q, None)) for q in quarters))
    share = float(sum(array[at].sum() for at in corners) / array.sum())
    said = "its origin is in the corner" if share > 0.5 else ""
    return Finding("wrap-around", f"{max(share, 0):.1%} of the light in the corners", said)


def _others(array: Array, axis: int) -> tuple[int, ...]:
    return tuple(i for i in range(array.ndim) if i != axis)
