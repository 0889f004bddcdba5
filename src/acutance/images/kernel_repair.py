"""Blur kernels as users have them, made into what the library convolves with.

A kernel is (1, C, h, w): non-negative, sum 1 in every channel, true convolution, centre at (h // 2, w // 2). Arrays
from elsewhere have a background, an even size, empty margins, three equal channels. `repair_kernel` mends what has
one right answer, says each time what it did, and refuses the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import KernelError

Array = NDArray[np.float64]

_NORMALISED = 1e-3  # a float array whose sum is this close to 1 was normalised by a program: its values are meant
_EXACT = 1e-6  # ... and this close, it is not even divided
_ALIKE = 0.03  # channels are one kernel if their shapes differ by at most this fraction of the peak
_PEDESTAL = 0.2  # a background is at most this fraction of the peak
_NEGATIVE = 0.05  # negative lobes of at most this fraction of the peak, and of the mass, are clipped
_OFF_CENTRE = 0.5  # px
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
    values: Tensor | NDArray[np.generic], *, centre: bool = False, flip: bool = False, bits: int | None = None
) -> KernelFile:
    """Make a kernel out of an array; what is changed is said in the notes.

    In this order: channels that tell the same are merged, a dark kernel on white is inverted, a flat background is
    subtracted, small negative values are clipped, an even side gets one zero row or column behind, `flip`, `centre`,
    empty margins are cut off symmetrically about the centre, the sum is made 1. Apart from `flip` and `centre` nothing
    moves the kernel. A floating-point array that is non-negative and sums to 1 is taken at its word: no background is
    subtracted and nothing is inverted. Integers have no scale, so dividing them by their sum is not worth a note.

    Args:
        values: (h, w), (h, w, 3), (3, h, w) or (1, C, h, w) with C = 1 or 3, any real type, any scale; (h, w, 4) if
            the type is an integer one (RGBA, alpha is dropped).
        centre: Move the centre of mass to the centre, by whole pixels; the kernel grows where needed, no mass is lost.
        flip: Rotate by 180 degrees: for kernels that were meant for correlation.
        bits: Depth of the file the values come from; tells how coarse they are. Taken from uint8, uint16 and bool
            arrays by itself. Values are then 0 ... 2^bits - 1, or 0 ... 1 in steps of 1 / (2^bits - 1).

    Returns:
        The kernel, (1, C, h', w') float32, and the notes.

    Raises:
        KernelError: no or too many dimensions, not real, empty, all zero, not finite, clearly negative.

    Example:
        >>> repair_kernel(np.full((3, 3), 1 / 9)).kernel.sum()
        tensor(1.)
    """
    notes: list[str] = []
    array, bits = _as_channels(values, bits, notes)
    integral = float(array.max()) > 1 and bool((array == np.rint(array)).all())
    step = 1.0 if integral else 1 / (2**bits - 1) if bits else 0.0
    array = _merge_channels(array, step, notes)
    trusted = step == 0 and array.min() >= 0 and bool((abs(array.sum((1, 2)) - 1) <= _NORMALISED).all())
    if trusted:
        _note_pedestal(array, notes)
    else:
        array = _uninvert(array, notes)
        full = bits is not None and bits >= 8 and float(array.max()) in (1.0, 2.0**bits - 1)
        array = _subtract_background(array, step, notes)
        if full:
            _note_plateau(array, notes)
    array = _clip_negative(array, notes)
    _note_corner_origin(array, notes)
    array = _place(array, centre, flip, notes)
    return KernelFile(_normalise(array, step, notes), tuple(notes))


# -- what was given ---------------------------------------------------------------------------------------------------


def _as_channels(values: Tensor | NDArray[np.generic], bits: int | None, notes: list[str]) -> tuple[Array, int | None]:
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


def _merge_channels(array: Array, step: float, notes: list[str]) -> Array:
    """(3, h, w) -> (1, h, w) unless the channels are really three kernels."""
    if len(array) == 1:
        return array
    if (array == array[0]).all():
        notes.append("The file is in colour but its channels are equal; it was read as one grey kernel.")
        return array[:1]
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
    )
    return array


# -- the ground -------------------------------------------------------------------------------------------------------


def _ring(plane: Array) -> Array:
    """The outermost pixels of (h, w), clockwise -> (n,)."""
    ring: Array = np.concatenate([plane[0], plane[1:, -1], plane[-1, -2::-1], plane[-2:0:-1, 0]])
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
    h, w = plane.shape
    if min(h, w) < _SMALLEST_FRAME:
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
    if abs(level) <= 3 * noise or (level > 0 and (plane <= 0).mean() > 0.005):
        return None
    floor = plane[plane <= level + tolerance]
    dips = plane < level - max(tolerance, 0.5 * abs(level))  # JPEG rings below the ground as well
    if floor.size < plane.size / 4 or dips.mean() > 0.02:
        return None
    if abs(float(np.median(floor)) - level) > max(0.5 * step, 5 * noise / math.sqrt(ring.size), fine):
        return None
    distance = _ring(np.add.outer(np.linspace(-1, 1, h) ** 2, np.linspace(-1, 1, w) ** 2))
    near, far = np.quantile(distance, (1 / 3, 2 / 3))
    corners, edges = ring[flat & (distance >= far)], ring[flat & (distance <= near)]
    if corners.size == 0 or edges.size == 0:
        return None
    slack = max(0.25 * step, 4 * noise * math.sqrt(1 / corners.size + 1 / edges.size), fine)
    return None if abs(float(corners.mean() - edges.mean())) > slack else (level, noise)


def _subtract_background(array: Array, step: float, notes: list[str]) -> Array:
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


def _note_pedestal(array: Array, notes: list[str]) -> None:
    for plane in array:
        found = _pedestal(plane, 0.0)
        share = 0.0 if found is None else found[0] * plane.size / float(plane.sum())
        if share > 0.01:
            notes.append(
                f"A constant background holds {share:.1%} of the mass; it was left, because the values sum to 1. "
                "If it does not belong to the blur, subtract it before normalising."
            )
            return


def _clip_negative(array: Array, notes: list[str]) -> Array:
    if array.min() >= 0:
        return array
    positive = np.maximum(array, 0)
    peak, mass = float(positive.max()), float(positive.sum())
    depth = -float(array.min()) / peak if peak else math.inf
    share = float(mass - array.sum()) / mass if mass else math.inf
    if depth > _NEGATIVE or share > _NEGATIVE:
        raise KernelError(
            f"the kernel is negative down to {float(array.min()):.3g} (its peak is {peak:.3g}), but a point spread "
            "function cannot be; subtract its background, or clip it yourself if you know that it is right"
        )
    notes.append(f"Negative values (down to -{depth:.2g} of the peak, {share:.2g} of the mass) were set to zero.")
    return positive


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


def _note_corner_origin(array: Array, notes: list[str]) -> None:
    """Kernels of FFT programs have their origin in the corner, wrapped around; their centre of mass does not tell."""
    plane = array.sum(0)
    h, w = plane.shape
    r, s = h // 4, w // 4
    if min(r, s) < 1:
        return
    corners = [plane[:r, :s].sum(), plane[:r, -s:].sum(), plane[-r:, :s].sum(), plane[-r:, -s:].sum()]
    if sum(corners) > 0.95 * plane.sum() and min(corners) > 0.001 * plane.sum():
        notes.append(
            "The mass sits in the four corners, as if the origin were in the corner; "
            "shift it to the middle with fftshift if so."
        )


# -- place and scale --------------------------------------------------------------------------------------------------


def _place(array: Array, centre: bool, flip: bool, notes: list[str]) -> Array:
    """(C, h, w) -> (C, 2 r + 1, 2 s + 1), the smallest frame about the centre that holds everything."""
    h, w = array.shape[1:]
    if h % 2 == 0 or w % 2 == 0:
        array = np.pad(array, ((0, 0), (0, 1 - h % 2), (0, 1 - w % 2)))
        notes.append(
            f"A side of {h} x {w} is even; zeros were added behind, the centre is row {h // 2}, column {w // 2} "
            "(counted from 0)."
        )
        h, w = array.shape[1:]
    if flip:
        array = array[:, ::-1, ::-1]
        notes.append("The kernel was rotated by 180 degrees, as asked.")
    plane = array.sum(0)
    middle = [h // 2, w // 2]
    rows, cols = np.flatnonzero(plane.any(1)), np.flatnonzero(plane.any(0))
    shares = [plane.sum(1) / plane.sum(), plane.sum(0) / plane.sum()]
    off = [float((p * (np.arange(p.size) - p.size // 2)).sum()) for p in shares]  # px, (rows, columns)
    where = f"{abs(off[0]):.1f} px {'below' if off[0] > 0 else 'above'} and {abs(off[1]):.1f} px "
    where += f"{'right' if off[1] > 0 else 'left'} of the centre"
    moved = centre and max(map(abs, off)) > _OFF_CENTRE + 1e-6
    if moved:
        middle = [m + round(d) for m, d in zip(middle, off, strict=True)]
        notes.append(f"The centre of mass was {where}; it was moved there by whole pixels, as asked.")
    elif max(map(abs, off)) > _OFF_CENTRE + 1e-6:
        notes.append(
            f"The centre of mass is {where}: the restored picture is shifted by that against the blurred one. "
            "It was left there; centring (--centre) moves it."
        )
    r = max(middle[0] - int(rows[0]), int(rows[-1]) - middle[0])
    s = max(middle[1] - int(cols[0]), int(cols[-1]) - middle[1])
    if not moved and (2 * r + 1, 2 * s + 1) != (h, w):
        notes.append(f"Empty margins were cut off around the centre: {h} x {w} became {2 * r + 1} x {2 * s + 1}.")
    top, left = middle[0] - r, middle[1] - s
    framed = np.zeros((len(array), 2 * r + 1, 2 * s + 1))
    inner = array[:, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    framed[:, rows[0] - top : rows[-1] + 1 - top, cols[0] - left : cols[-1] + 1 - left] = inner
    return framed


def _normalise(array: Array, step: float, notes: list[str]) -> Tensor:
    """(C, h, w) -> (1, C, h, w) float32, sum 1 in every channel."""
    sums = array.sum((1, 2), keepdims=True)
    if (sums <= 0).any():
        raise KernelError("a channel of the kernel is empty; save the others alone, or one grey picture")
    off = float(abs(sums - 1).max())
    if off > _NORMALISED and step == 0:
        notes.append(f"The values summed to {float(sums.flat[0]):.6g}; they were divided by that.")
    if off > _EXACT:
        array = array / sums
    return torch.from_numpy(array.astype(np.float32))[None]
