"""Arrays as users have them, made into kernels of one or three channels: layout, colour, enlargement."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import KernelError
from acutance.images.kernel_interpolated import interpolated

Array = NDArray[np.float64]

_ALIKE = 0.03  # channels are one kernel if their shapes differ by at most this fraction of the peak
_SAME_LIGHT = 0.02  # sums of colours differ by at most this part; with more, planes are those of a volume
_TELLING = 4  # values that an enlarged kernel has at least


def as_channels(values: Tensor | NDArray[np.generic], bits: int | None, notes: list[str]) -> tuple[Array, int | None]:
    """Any accepted layout -> (C, h, w) float64, and the depth."""
    if isinstance(values, Tensor):
        if values.is_complex():
            raise KernelError("a kernel must be real, not complex; give its real part, or the PSF instead of the OTF")
        # bfloat16 is unknown to numpy
        given = (values.double() if values.is_floating_point() else values).detach().cpu().numpy()
    else:
        given = np.asarray(values)
    if given.dtype.kind not in "biuf":
        raise KernelError(f"a kernel must be an array of real numbers, not of {given.dtype}")
    if bits is not None and not 1 <= bits <= 64:
        raise KernelError(f"bits={bits} is not a depth; give 8 or 16, or leave it out")
    if bits is None:
        bits = {"bool": 1, "uint8": 8, "uint16": 16}.get(given.dtype.name)
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused below
        array = _layout(given, notes).astype(np.float64)
    if array.size == 0:
        raise KernelError(f"a kernel of shape {given.shape} is empty")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise KernelError(f"{bad} of the kernel's {array.size} values are NaN or infinite; set them to zero first")
    peak = float(abs(array).max())
    if peak < 1e-30:
        raise KernelError("all values of the kernel are zero; is it the right file, and the right channel?")
    if peak > 1e30:
        raise KernelError(f"the kernel's largest value is {peak:.3g}; that is no blur kernel, check how it was saved")
    return array, bits


def _layout(given: NDArray[np.generic], notes: list[str]) -> NDArray[np.generic]:
    """(h, w), (h, w, 1|3|4), (1|3, h, w) or (1, 1|3, h, w) -> (C, h, w)."""
    shape = given.shape
    if given.ndim == 2:
        return np.expand_dims(given, 0)
    if given.ndim < 2:
        raise KernelError(f"a kernel has two dimensions, not {given.ndim}; a row of n values has the shape (1, n)")
    if given.ndim == 4 and shape[0] == 1 and shape[1] in (1, 3):
        return np.squeeze(given, 0)
    if given.ndim == 3:
        first = shape[0] in (1, 3)
        last = shape[2] in (1, 3) or (shape[2] == 4 and given.dtype.kind == "u")
        if first and last:
            raise KernelError(f"which side of a {shape} array is colour cannot be told; give it as (1, C, h, w)")
        if first:
            return given
        if last:
            if shape[2] == 4:
                notes.append("The alpha channel was dropped.")
            return np.moveaxis(given, 2, 0)[:3]
    raise KernelError(
        f"an array of shape {shape} is not one kernel; give one (h, w) slice of a volume or a batch, or three channels"
    )


def is_stack(values: Tensor | NDArray[np.generic]) -> bool:
    """Whether an array of three planes, (3, h, w), may be a volume as well as three colours."""
    return values.ndim == 3 and values.shape[0] == 3 and values.shape[2] not in (1, 3)


def made_small(array: Array, enlarged: int, notes: list[str]) -> Array:
    """(C, h, w) without the repetitions of a kernel that was enlarged to be seen: each pixel once.

    A kernel is taken for enlarged if its rows and columns come in runs of a common length of equal ones, and if it has
    at least `_TELLING` different values (a box, a disc or a line of two values may be meant as it is); or if its file
    says so. One that was enlarged smoothly is looked for last.
    """
    h, w = array.shape[1:]
    factor = enlarged
    if enlarged <= 1 or h % enlarged or w % enlarged:
        if np.unique(array).size < _TELLING:
            return array
        array = _whole_runs(array)
        h, w = array.shape[1:]
        rows, cols = _changes(array)
        factor = math.gcd(h, w, *rows.tolist(), *cols.tolist())
        factor = 1 if factor in (h, w) else factor
    if factor <= 1:
        return _without_interpolation(array, notes)
    small: Array = array.reshape(len(array), h // factor, factor, w // factor, factor).mean((2, 4))
    notes.append(
        f"The kernel was enlarged {factor} times, each value a square of {factor} x {factor} pixels; it was made "
        f"{w // factor} x {h // factor} pixels again (width x height)."
    )
    return small


def _without_interpolation(array: Array, notes: list[str]) -> Array:
    """(C, h, w) as it was before a viewer enlarged it smoothly, see `acutance.images.kernel_interpolated`."""
    found = interpolated(array)
    if found is None:
        return array
    sides = f"{found.small.shape[2]} x {found.small.shape[1]} pixels"
    if not found.sure:
        notes.append(
            f"The kernel looks as if it had been enlarged about {found.times:g} times with {found.way} interpolation; "
            f"it was left as it is. If it had {sides} (width x height) before, give that file."
        )
        return array
    notes.append(
        f"The kernel was enlarged {found.times:g} times with {found.way} interpolation, as viewers do; it was made "
        f"{sides} again (width x height). The original file is more exact."
    )
    return found.small


def _changes(array: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of (C, h, w) that differ from the one before them."""
    rows = np.flatnonzero((array[:, 1:] != array[:, :-1]).any((0, 2))) + 1
    cols = np.flatnonzero((array[:, :, 1:] != array[:, :, :-1]).any((0, 1))) + 1
    return rows, cols


def _whole_runs(array: Array) -> Array:
    """An enlarged kernel whose empty margins are no whole number of its squares: with margins that are.

    The margins are cut, or grow, by the same number on opposite sides, so that the centre stays.
    """
    rows, cols = _changes(array)
    inner = [int(d) for line in (rows, cols) for d in np.diff(line)]
    factor = math.gcd(*inner) if inner else 1
    h, w = array.shape[1:]
    empty = array[:, [0, -1]].max() <= 0 and array[:, :, [0, -1]].max() <= 0 and array.min() >= 0
    if factor <= 1 or not empty or factor == math.gcd(h, w, *rows.tolist(), *cols.tolist()):
        return array
    before = [-int(line[0]) % factor for line in (rows, cols)]
    after = [(int(line[-1]) - n) % factor for line, n in ((rows, h), (cols, w))]
    if before != after:
        return array
    return np.pad(array, ((0, 0), (before[0], after[0]), (before[1], after[1])))


def merge_channels(array: Array, step: float, notes: list[str], *, of_planes: bool = False) -> Array:
    """(3, h, w) -> (1, h, w) unless the channels are really three kernels.

    Args:
        of_planes: the array may be a volume of three planes instead.

    Raises:
        KernelError: it is one, as its planes hold different amounts of light.
    """
    if len(array) == 1:
        return array
    if (array == array[0]).all():
        notes.append("The file is in colour but its channels are equal; it was read as one grey kernel.")
        return array[:1]
    if of_planes:
        _refuse_volume(array)
    peaks = abs(array).max((1, 2))
    if (peaks <= 2 * step).any() or (peaks <= 1e-6 * peaks.max()).any():
        kept = peaks > max(2 * step, 1e-6 * peaks.max())
        names = " and ".join(name for name, k in zip(("red", "green", "blue"), kept, strict=True) if not k)
        if kept.any() and not kept.all():
            notes.append(f"Nothing is in {names}; what is in colour was read as one grey kernel.")
            coloured: Array = array[kept].mean(0, keepdims=True)
            return coloured
    mean: Array = array.mean(0, keepdims=True)
    difference = float(abs(array - mean).max() / peaks.max())
    if difference <= max(_ALIKE, 2 * step / peaks.max()):
        notes.append(
            f"The channels differ slightly (by up to {difference:.1%} of the peak); they were averaged to one kernel."
        )
        return mean
    sums = array.sum((1, 2), keepdims=True)
    if (sums > 0).all():
        shapes = array / sums
        mean = shapes.mean(0, keepdims=True)
        if float(abs(shapes - mean).max() / mean.max()) <= _ALIKE:
            notes.append("The channels differ in brightness only (a tint); they were averaged to one kernel.")
            tinted: Array = mean * sums.max()
            return tinted
    notes.append(
        "The channels differ, so each colour gets its own kernel; if the colours are only those of a display "
        "(a colour map), save the grey values instead."
        " If they are three planes of a volume (a z-stack), give the plane in focus alone."
    )
    return array


def _refuse_volume(array: Array) -> None:
    """Planes of a volume share the light of one point among them; colours have it each."""
    sums = array.sum((1, 2))
    if sums.max() - sums.min() > _SAME_LIGHT * abs(sums).max():
        listed = ", ".join(f"{v:.3g}" for v in sums)
        raise KernelError(
            f"three planes that sum to {listed}: a volume (a z-stack)? Give the plane in focus alone, as (h, w); "
            "if they are red, green and blue, divide each by its sum"
        )
