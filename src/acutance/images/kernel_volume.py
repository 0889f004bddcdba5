"""Point-spread functions of three axes in users' files: reading, repair, and another voxel size.

A kernel of a volume is (1, 1, d, h, w): non-negative, sum 1, true convolution, centre at (d // 2, h // 2, w // 2). What
is done to measured ones is what is done to those of pictures (`acutance.images.kernel_repair`), along three axes.
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import KernelError, OutputError
from acutance.images.atomic import write_atomically
from acutance.images.kernel_file import read_values
from acutance.images.kernel_found import MAX_PIXELS, check_pixels
from acutance.images.kernel_place import NORMALISED, normalise, origin_in_the_middle, place
from acutance.images.kernel_repair import clip_negative, note_pedestal, subtract_background
from acutance.images.stack import Stack, Voxel
from acutance.images.stack_file import is_stack, read_stack
from acutance.images.stack_write import write_stack
from acutance.kernel_fit import TAIL

Array = NDArray[np.float64]

ARRAYS = (".npy", ".npz", ".mat", ".tif", ".tiff")
"""Suffixes of files that hold a kernel of three axes as an array: also a TIFF of three planes, which claims colour."""

SAME_SIZE = 1e-3
"""Two voxel sizes that differ by a smaller part than this are one."""

MOST_FINE = 50.0
"""Two voxel sizes that differ by more than this factor do not belong together: a unit is wrong."""


@dataclass(frozen=True, eq=False)
class VolumeKernel:
    """A usable kernel of a volume.

    Args:
        kernel: (1, 1, d, h, w) float32, sides odd, sum 1. voxel: its size; None: unknown.
        notes: what was repaired or observed, one sentence each, for the user.
    """

    kernel: Tensor
    voxel: Voxel | None = None
    notes: tuple[str, ...] = ()

    def at(self, voxel: Voxel | None) -> VolumeKernel:
        """The kernel for voxels of another size, its centre and its sum kept; as it is where a size is unknown.

        Each axis is resampled by cubic interpolation (Keys 1981, a = -1/2), widened by the factor of the sizes where
        the new voxels are the larger ones, so that nothing is skipped.

        Raises:
            KernelError: the sizes differ by more than `MOST_FINE`, or the result is too large.
        """
        mine, theirs = (None if v is None else v.micrometres for v in (self.voxel, voxel))
        if mine is None or theirs is None or voxel is None:
            return self
        ratios = [1.0 if a is None or b is None else b / a for a, b in zip(mine, theirs, strict=True)]
        if all(abs(r - 1) < SAME_SIZE for r in ratios):
            return self
        if not all(1 / MOST_FINE < r < MOST_FINE for r in ratios):
            raise KernelError(
                f"its voxels are {self.voxel}, those of the stack {voxel}: too different for one microscope; mend the "
                "size in one of the files"
            )
        values = resampled(self.kernel[0, 0].double().numpy(), ratios)
        notes: list[str] = []
        kernel = normalise(values[None], 1.0, notes)
        was, now = (" x ".join(map(str, k.shape[2:])) for k in (self.kernel, kernel))
        said = f"Its voxels are {self.voxel}, those of the stack {voxel}: it was resampled from {was} to {now} voxels."
        return replace(self, kernel=kernel, voxel=voxel, notes=(*self.notes, said))

    def within(self, size: tuple[int, int, int]) -> VolumeKernel:
        """Cut about its centre to at most 2 n - 1 voxels a side, n being that of a volume.

        Raises:
            KernelError: it would lose more than `TAIL` of its light.
        """
        sides = self.kernel.shape[2:]
        wanted = [min(k, 2 * n - 1) for k, n in zip(sides, size, strict=True)]
        if list(sides) == wanted:
            return self
        inner = (
            slice(None),
            slice(None),
            *(slice((k - m) // 2, (k + m) // 2) for k, m in zip(sides, wanted, strict=True)),
        )
        part = self.kernel[inner]
        lost = 1 - float(part.sum())
        was, now, volume = (" x ".join(map(str, s)) for s in (sides, wanted, size))
        if lost > TAIL:
            raise KernelError(
                f"a kernel of {was} voxels for volumes of {volume}: cut to fit it would lose {100 * lost:.0f} % of its "
                "light; give the kernel of this stack, or one of two axes (h, w) to restore plane by plane"
            )
        said = f"It was cut from {was} to {now} voxels about its centre; {100 * lost:.2g} % of its light lay outside."
        return replace(self, kernel=part / part.sum(), notes=(*self.notes, said))


def holds_volume(path: Path) -> bool:
    """Tell whether a kernel's file holds three axes: a stack, or an array of three. False where it cannot be read."""
    if is_stack(path):
        return True
    if path.suffix.lower() not in ARRAYS:
        return False
    try:
        values = read_values(path).values
        grey = path.suffix.lower().startswith(".tif") and bool((values == values[:1]).all())  # three equal channels
        return values.ndim == 3 and not grey
    except Exception:  # decoders raise whatever they like; reading it as a kernel says why
        return False


def read_volume_kernel(path: Path, *, centre: bool = False, flip: bool = False) -> VolumeKernel:
    """Read a point-spread function of three axes from a stack (TIFF, ImageJ, OME) or an array (`.npy`), and repair it.

    Args:
        path: the file. centre, flip: see `repair_volume`.

    Raises:
        KernelError: unreadable, several channels or moments, too large, or not repairable.
    """
    try:
        if is_stack(path):
            stack = read_stack(path, max_voxels=MAX_PIXELS)
            if len(stack.places) > 1:
                raise KernelError(
                    f"it has {len(stack.places)} volumes; save the kernel alone, and restore channel by channel"
                )
            return replace(repair_volume(stack.volume(), centre=centre, flip=flip), voxel=stack.voxel)
        return repair_volume(read_values(path).values, centre=centre, flip=flip)
    except KernelError as error:
        raise KernelError(f"{path.name}: {error}") from error.__cause__
    except Exception as error:  # decoders raise whatever they like on damaged files
        said = re.sub("<[^>]*>", "it", f"{error}"[:300])
        raise KernelError(f"{path.name}: {said}") from error


def write_volume_kernel(path: Path, kernel: Tensor, *, voxel: Voxel | None = None, overwrite: bool = False) -> None:
    """Write a kernel of three axes, float32: `.tif` (a stack, with its voxel size) or `.npy`.

    Args:
        path: the file. kernel: (1, 1, d, h, w). voxel: its size, for a `.tif`. overwrite: replace a file.

    Raises:
        KernelError: another shape. OutputError: another suffix, the file is there, or not writable.
    """
    if kernel.ndim != 5 or kernel.shape[:2] != (1, 1):
        raise KernelError(f"a kernel of a volume to write is (1, 1, d, h, w), not {tuple(kernel.shape)}")
    values = kernel[0, 0].detach().float().cpu().numpy()
    match path.suffix.lower():
        case ".tif" | ".tiff":
            write_stack(path, Stack.of(values, voxel=voxel), overwrite=overwrite)
        case ".npy":
            stream = io.BytesIO()
            np.save(stream, values, allow_pickle=False)
            write_atomically(path, stream.getvalue(), overwrite=overwrite)
        case other:
            raise OutputError(f"{path}: a kernel of three axes is written as .tif or .npy, not {other or 'so'}")


def repair_volume(values: NDArray[np.generic], *, centre: bool = False, flip: bool = False) -> VolumeKernel:
    """Make a kernel out of an array of three axes; what is changed is said in the notes.

    In this order: a flat background is subtracted, small negative values are clipped, an origin in the corner is moved
    to the middle, a symmetric kernel with an even side is moved by half a voxel onto the centre, another even side gets
    zeros behind, `flip`, `centre`, empty margins are cut off about the centre, the sum is made 1. Floating-point values
    that are not negative and sum to 1 keep their background.

    Args:
        values: (d, h, w), any real type. centre: move the centre of mass to the centre. flip: turn every axis round.

    Raises:
        KernelError: not three axes, too large, NaN, all zero, clearly negative.
    """
    if values.ndim != 3 or values.dtype.kind not in "biuf":
        raise KernelError(f"an array of {values.dtype}, shape {values.shape}, is no kernel of a volume; give (d, h, w)")
    check_pixels(*values.shape)
    array: Array = values.astype(np.float64)[None]
    if not np.isfinite(array).all():
        raise KernelError(
            f"{int((~np.isfinite(array)).sum())} of its values are NaN or infinite; set them to zero first"
        )
    if not array.any():
        raise KernelError("all of its values are zero; is it the right file, and the right channel?")
    notes: list[str] = []
    step = 1.0 if float(array.max()) > 1 and bool((array == np.rint(array)).all()) else 0.0
    if step == 0 and array.min() >= 0 and abs(float(array.sum()) - 1) <= NORMALISED:
        note_pedestal(array, notes)
    else:
        array = subtract_background(array, step, notes)
    array = origin_in_the_middle(clip_negative(array, notes), notes)
    array = place(array, centre, flip, notes)
    return VolumeKernel(normalise(array, 1.0, notes), None, tuple(notes))


def resampled(values: Array, ratios: list[float]) -> Array:
    """(d, h, w) at steps of `ratios` voxels from its centre on, odd sides, not negative, the sum made 1.

    Raises:
        KernelError: the result is too large.
    """
    sides = [
        n if abs(r - 1) < SAME_SIZE else 2 * math.ceil((n // 2 + 0.5) / r) + 1
        for n, r in zip(values.shape, ratios, strict=True)
    ]
    check_pixels(*sides)
    for axis, (n, m, r) in enumerate(zip(values.shape, sides, ratios, strict=True)):
        if abs(r - 1) >= SAME_SIZE:
            values = np.moveaxis(np.tensordot(_cubic(n, m, r), values, (1, axis)), 0, axis)
    values = np.maximum(values, 0)
    whole: Array = place((values / values.sum())[None], False, False, [])[0]
    return whole


def _cubic(n: int, m: int, ratio: float) -> Array:
    """(m, n): what each of n samples gives to each of m, both about their centres."""
    away = np.arange(n) - n // 2 - ratio * (np.arange(m) - m // 2)[:, None]
    t = np.abs(away) / max(1.0, ratio)
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.asarray(np.where(t < 1, near, np.where(t < 2, far, 0.0)))
