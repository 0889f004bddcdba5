"""Blur kernels as users have them, made into what the library convolves with.

A kernel is (1, C, h, w): non-negative, sum 1 in every channel, true convolution, centre at (h // 2, w // 2). Arrays
from elsewhere have a background, an even size, empty margins, three equal channels. `repair_kernel` mends what has
one right answer, says each time what it did, and refuses the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import KernelError
from acutance.images.kernel_channels import as_channels, is_stack, made_small, merge_channels
from acutance.images.kernel_pixels import without_wrong_pixels
from acutance.images.kernel_place import NORMALISED, normalise, origin_in_the_middle, place

Array = NDArray[np.float64]

_PEDESTAL = 1.0  # a background is at most this fraction of the peak above it
_NEGATIVE = 0.05  # negative lobes of at most this fraction of the peak, and of the mass, are clipped
_CLEAR = 2.0  # a background is this many times its noise; noise that was cut off at zero has a mean of 0.7 to 1.8 times
_SMALLEST_FRAME = 5  # px; the border of a smaller kernel says nothing about a background


@dataclass(frozen=True, eq=False)
class KernelFile:
    """A usable kernel and what there is to say about it.

    Args:
        kernel: (1, C, h, w) float32 on the CPU, C = 1 or 3, h and w odd, non-negative, sum 1 in every channel, true
            convolution, centre at (h // 2, w // 2).
        notes: What was repaired or observed, one sentence each, for the user. Empty if there is nothing to say.
    """

    kernel: Tensor
    notes: tuple[str, ...] = ()


def repair_kernel(
    values: Tensor | NDArray[np.generic],
    *,
    centre: bool = False,
    flip: bool = False,
    bits: int | None = None,
    enlarged: int = 1,
) -> KernelFile:
    """Make a kernel out of an array; what is changed is said in the notes.

    In this order: a kernel enlarged by repeating its pixels or by interpolation is made small again, channels that
    tell the same are merged, single hot or dead pixels of a smooth kernel are replaced, a dark kernel on white is
    inverted, a flat background is subtracted, small negative values are clipped, an origin in the corner is moved
    to the middle, a symmetric kernel with an even side is moved by half a pixel onto the centre, another even side
    gets one zero row or column behind, `flip`, `centre`, empty margins are cut off symmetrically about the centre,
    the sum is made 1. A floating-point array that is non-negative and sums to 1 is taken at its word: no
    background is subtracted and nothing is inverted. Integers have no scale, so dividing them by their sum is not
    worth a note.

    Args:
        values: (h, w), (h, w, 3), (3, h, w) or (1, C, h, w) with C = 1 or 3, any real type, any scale; (h, w, 4) if
            the type is an integer one (RGBA, alpha is dropped).
        centre: Move the centre of mass to the centre, by whole pixels; the kernel grows where needed, no mass is lost.
        flip: Rotate by 180 degrees: for kernels that were meant for correlation.
        bits: Depth of the file the values come from; tells how coarse they are. Taken from uint8, uint16 and bool
            arrays by itself. Values are then 0 ... 2^bits - 1, or 0 ... 1 in steps of 1 / (2^bits - 1).
        enlarged: How many times the file says that it is enlarged; else that is found.

    Returns:
        The kernel, (1, C, h', w') float32, and the notes.

    Raises:
        KernelError: no or too many dimensions, not real, empty, all zero, not finite, clearly negative.

    Example:
        >>> repair_kernel(np.full((3, 3), 1 / 9)).kernel.sum()
        tensor(1.)
    """
    notes: list[str] = []
    array, bits = as_channels(values, bits, notes)
    array = made_small(array, enlarged, notes)
    integral = float(array.max()) > 1 and bool((array == np.rint(array)).all())
    step = 1.0 if integral else 1 / (2**bits - 1) if bits else 0.0
    array = merge_channels(array, step, notes, of_planes=is_stack(values))
    trusted = step == 0 and array.min() >= 0 and bool((abs(array.sum((1, 2)) - 1) <= NORMALISED).all())
    array = without_wrong_pixels(array, notes)
    if trusted:
        note_pedestal(array, notes)
    else:
        array = _uninvert(array, notes)
        full = bits is not None and bits >= 8 and float(array.max()) in (1.0, 2.0**bits - 1)
        array = subtract_background(array, step, notes)
        if full:
            _note_plateau(array, notes)
    array = clip_negative(array, notes)
    array = origin_in_the_middle(array, notes)
    array = place(array, centre, flip, notes)
    return KernelFile(normalise(array, step, notes), tuple(notes))


# -- the ground -------------------------------------------------------------------------------------------------------


def _ring(plane: Array) -> Array:
    """The outermost pixels of (h, w), or voxels of (d, h, w) -> (n,)."""
    outer = np.ones(plane.shape, dtype=bool)
    outer[(slice(1, -1),) * plane.ndim] = False
    ring: Array = plane[outer]
    return ring


def _lift(plane: Array, level: float, noise: float) -> Array:
    """Subtract the ground and clear what does not stand out of its noise."""
    lifted: Array = plane - level
    lifted[lifted <= 3 * noise] = 0
    return lifted


def _uninvert(array: Array, notes: list[str]) -> Array:
    """A dark kernel on a white ground becomes a bright one on black, where that is certain."""
    if min(array.shape[1:]) < _SMALLEST_FRAME:
        return array
    planes = []
    for plane in array:
        top, span = float(plane.max()), float(plane.max() - plane.min())
        ring = _ring(plane)
        white = ring >= top - 0.1 * span
        if top <= 0 or span < 0.5 * top or white.mean() < 0.95:
            return array
        if _framed(plane, top - 0.5 * span):
            raise KernelError("the kernel has a bright frame around it; cut the picture to the kernel itself")
        if (plane >= top - 0.1 * span).mean() < 0.5:
            notes.append(
                "The border is as bright as the peak; if this is a dark kernel on a white ground, invert the picture."
            )
            return array
        ground = ring[white]
        planes.append(_lift(-plane, -float(np.median(ground)), float(ground.std())))
    notes.append("The picture is a dark kernel on a white ground; it was inverted.")
    return np.stack(planes)


def _framed(plane: Array, half: float) -> bool:
    """Whether the dark part is a rectangle with something bright inside: a picture within a picture."""
    dark = plane < half
    rows, cols = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    inner = dark[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    if min(inner.shape) < _SMALLEST_FRAME:
        return False
    return bool(_ring(inner.astype(np.float64)).mean() > 0.9 and not inner.all())


def _pedestal(plane: Array, step: float) -> tuple[float, float] | None:
    """(level, noise) of a flat background other than zero; None if there is none.

    The border must be constant up to noise and steps, low against the peak, clear of zero (a noisy estimate that was
    clipped at zero has its zero where it belongs), the same in the corners as between them (a tail that falls off is
    not a background), the level of the dark pixels inside as well, and the floor of the picture.
    """
    if min(plane.shape) < _SMALLEST_FRAME:
        return None
    ring = _ring(plane)
    level = float(np.median(ring))
    peak = float(plane.max()) - level
    fine = 1e-6 * peak
    deviation = abs(ring - level)
    tolerance = max(1.5 * step, 4 * 1.4826 * float(np.median(deviation)), fine)
    if abs(level) <= fine or abs(level) > _PEDESTAL * peak or tolerance > 0.1 * peak:
        return None
    flat = deviation <= tolerance
    if flat.mean() < 0.9:
        return None
    noise = float(ring[flat].std())
    if abs(level) <= _CLEAR * noise or (level > 0 and (plane <= 0).mean() > 0.005):
        return None
    floor = plane[plane <= level + tolerance]
    dips = plane < level - max(tolerance, 0.5 * abs(level))  # JPEG rings below the ground as well
    if floor.size < plane.size / 4 or dips.mean() > 0.02:
        return None
    if abs(float(np.median(floor)) - level) > max(0.5 * step, 5 * noise / math.sqrt(ring.size), fine):
        return None
    distance = _ring(reduce(np.add.outer, [np.linspace(-1, 1, n) ** 2 for n in plane.shape]))
    near, far = np.quantile(distance, (1 / 3, 2 / 3))
    corners, edges = ring[flat & (distance >= far)], ring[flat & (distance <= near)]
    if corners.size == 0 or edges.size == 0:
        return None
    slack = max(0.25 * step, 4 * noise * math.sqrt(1 / corners.size + 1 / edges.size), fine)
    return None if abs(float(corners.mean() - edges.mean())) > slack else (level, noise)


def subtract_background(array: Array, step: float, notes: list[str]) -> Array:
    """(C, h, w) or (C, d, h, w) without a flat background, and a note if there was one."""
    planes, levels = [], []
    for plane in array:
        found = _pedestal(plane, step)
        planes.append(plane if found is None else _lift(plane, *found))
        levels.append(0.0 if found is None else found[0] / (float(plane.max()) - found[0]))
    if not any(levels):
        return array
    result = np.stack(planes)
    share = float((abs(array - result)).sum() / abs(array).sum())
    level = max(levels, key=abs)
    notes.append(f"The background was not zero ({level:.2%} of the peak); it was subtracted, {share:.1%} of the mass.")
    return result


def note_pedestal(array: Array, notes: list[str]) -> None:
    """Say that there is a background in values that are left as they are."""
    for plane in array:
        found = _pedestal(plane, 0.0)
        share = 0.0 if found is None else found[0] * plane.size / float(plane.sum())
        if share > 0.01:
            notes.append(
                f"A constant background holds {share:.1%} of the mass; it was left, because the values sum to 1. "
                "If it does not belong to the blur, subtract it before normalising."
            )
            return


def clip_negative(array: Array, notes: list[str]) -> Array:
    """(C, h, w) or (C, d, h, w) without negative values.

    Raises:
        KernelError: they are no ripples and no noise.
    """
    if array.min() >= 0:
        return array
    positive = np.maximum(array, 0)
    peak, mass = float(positive.max()), float(positive.sum())
    depth = -float(array.min()) / peak if peak else math.inf
    share = float(mass - array.sum()) / mass if mass else math.inf
    if share > _NEGATIVE >= depth and (cleared := _without_noise(array)) is not None:
        notes.append(
            "There is noise around zero, as a subtracted background leaves it; what does not exceed it was cleared."
        )
        return cleared
    if depth > _NEGATIVE or share > _NEGATIVE:
        raise KernelError(
            f"the kernel is negative down to {float(array.min()):.3g} (its peak is {peak:.3g}), but a point spread "
            "function cannot be; subtract its background, or clip it yourself if you know that it is right"
        )
    notes.append(f"Negative values (down to -{depth:.2g} of the peak, {share:.2g} of the mass) were set to zero.")
    return positive


def _without_noise(array: Array) -> Array | None:
    """Planes with noise around zero, cleared up to 4 deviations; None where the border is not such noise."""
    planes = []
    for plane in array:
        ring = _ring(plane)
        noise = 1.4826 * float(np.median(abs(ring - np.median(ring))))
        even = 0.3 < float((ring < 0).mean()) < 0.7
        if ring.size < 16 or not even or noise <= 0 or -float(plane.min()) > 6 * noise:
            return None
        planes.append(np.where(plane > 4 * noise, plane, 0.0))
    return np.stack(planes)


# -- observations -----------------------------------------------------------------------------------------------------


def _note_plateau(array: Array, notes: list[str]) -> None:
    """What a file clipped at its largest value looks like."""
    plane = array.max(0)
    flat, support = int((plane == plane.max()).sum()), int((plane > 0).sum())
    if flat >= 4 and 0.03 * support <= flat < support:
        notes.append(
            f"{flat} pixels are at the largest value of the file: right for a box or a disc, but any other kernel was "
            "cut off there; save it scaled to its maximum."
        )
