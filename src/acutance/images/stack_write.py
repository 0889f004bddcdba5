"""Writing stacks: in the form of their source, uncompressed, volume by volume, whole or not at all."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile

from acutance.errors import OutputError
from acutance.images.atomic import check_target, file_to_be
from acutance.images.mark import Mark
from acutance.images.ome import ome_of_result
from acutance.images.stack import AXES, Stack, StackForm
from acutance.images.zarr_write import write_zarr_stack

SUFFIXES = (".tif", ".tiff")
ZARR = ".zarr"

_LARGEST = 2**32 - 2**26  # bytes of values in a TIFF whose offsets have 32 bits
_MARK, _ASCII = 11, 2
_IMAGEJ = ("uint8", "uint16", "float32")


def write_stack(
    path: str | os.PathLike[str], stack: Stack, *, overwrite: bool = False, mark: Mark | None = None
) -> None:
    """Write a stack with its axes, voxel size, unit, channel names and type, in the form of its source.

    A stack that was not read from a file is written as OME-TIFF where the name ends in `.ome.tif`, else for ImageJ,
    else, as ImageJ has 8 and 16 bits and float32 only, as a plain TIFF. Volumes are asked for one by one. TIFFs are not
    compressed; above 4 GB they are BigTIFFs.

    Args:
        path: .tif, .tiff, or .zarr for OME-Zarr. stack: what to write. overwrite: replace a file that exists.
        mark: what the file is to say of its origin, see `acutance.images.mark`.

    Raises:
        OutputError: the file exists; another suffix; not enough space.
    """
    place = Path(path)
    check_suffix(place)
    if is_zarr_name(place):
        write_zarr_stack(place, stack, overwrite=overwrite, mark=None if mark is None else mark.line)
        return
    check_target(place, overwrite=overwrite)
    form = stack.like or StackForm("OME" if _is_ome(place) else "plain", order="TCZ" if _is_ome(place) else "TZC")
    order = "".join(a for a in form.order if a in stack.axes)
    dtype = stack.dtype.newbyteorder(form.byteorder)
    lengths = [stack.values.shape[AXES.index(a)] for a in order]
    count, sides = math.prod(lengths), stack.values.shape[3:]
    step = math.prod(sides) * dtype.itemsize
    _check_space(place, count * step)
    with file_to_be(path, overwrite=overwrite) as file:
        kept = _new_form(stack, form, order, dtype) if stack.like is None else _as_before(form, (count, *sides))
        kept["extratags"] = (
            *kept.get("extratags", ()),
            *([] if mark is None else [(_MARK, _ASCII, 0, mark.line, True)]),
        )
        offset = _begin(file, kept, form, count * step, dtype)
        for t, c in stack.places:
            for z, plane in enumerate(stack.volume(t, c)):
                at = {"T": t, "C": c, "Z": z}
                index = int(np.ravel_multi_index([at[a] for a in order], lengths)) if order else 0
                file.seek(offset + index * step)
                file.write(np.ascontiguousarray(plane, dtype).tobytes())


def check_suffix(path: Path) -> None:
    """Refuse a name that is neither that of a TIFF nor of OME-Zarr.

    Raises:
        OutputError: it is not.
    """
    if path.suffix.lower() not in SUFFIXES and not is_zarr_name(path):
        raise OutputError(
            f"cannot write {path}: a stack of planes is written as TIFF or OME-Zarr; give a name that ends in .tif or "
            ".ome.zarr"
        )


def is_zarr_name(path: Path) -> bool:
    """Tell whether a name is that of an OME-Zarr."""
    return path.suffix.lower() == ZARR


def _is_ome(path: Path) -> bool:
    return Path(path.stem).suffix.lower() == ".ome"


def _check_space(path: Path, needed: int) -> None:
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return
    if needed > free:
        raise OutputError(f"cannot write {path}: it takes {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")


def _begin(file: IO[bytes], kept: dict[str, Any], form: StackForm, nbytes: int, dtype: np.dtype[Any]) -> int:
    """Write the directories; returns where the values begin."""
    offset, _ = tifffile.imwrite(
        file, None, dtype=dtype, byteorder=form.byteorder, bigtiff=nbytes > _LARGEST, returnoffset=True,
        photometric="miniswhite" if form.inverted else "minisblack", **kept,
    )  # fmt: skip
    return int(offset)


def _as_before(form: StackForm, shape: tuple[int, ...]) -> dict[str, Any]:
    """The options of tifffile by which the file says what its source said."""
    text = ome_of_result(form.text, shape[0]) if form.form == "OME" and form.text is not None else form.text
    kept: dict[str, Any] = {"shape": shape, "description": text, "metadata": None}
    kept["extratags"] = tuple((code, kind, n, value, True) for code, kind, n, value in form.tags)
    if form.resolution is not None:
        x, y, unit = form.resolution
        kept |= {"resolution": (x, y), "resolutionunit": unit}
    return kept


def _new_form(stack: Stack, form: StackForm, order: str, dtype: np.dtype[Any]) -> dict[str, Any]:
    """The same for a stack that comes from no file."""
    lengths = [stack.values.shape[AXES.index(a)] for a in (*order, "Y", "X")]
    about: dict[str, Any] = {"axes": f"{order}YX"}
    voxel = stack.voxel
    if form.form == "OME":
        sides = () if voxel is None else (("Z", voxel.z), ("Y", voxel.y), ("X", voxel.x))
        for axis, side in sides:
            if side is not None and voxel is not None:
                about |= {f"PhysicalSize{axis}": side, f"PhysicalSize{axis}Unit": voxel.unit}
        if stack.channels:
            about["Channel"] = {"Name": list(stack.channels)}
        return {"shape": lengths, "ome": True, "metadata": about}
    kept: dict[str, Any] = {"shape": lengths, "metadata": about}
    if dtype.name in _IMAGEJ and math.prod(lengths) * dtype.itemsize <= _LARGEST:
        kept["imagej"] = True
        if voxel is not None:
            unit = "".join(c if c.isascii() else f"\\u{ord(c):04X}" for c in voxel.unit)  # as ImageJ writes µ
            about |= {"unit": unit} | ({} if voxel.z is None else {"spacing": voxel.z})
            kept["resolution"] = (1 / voxel.x, 1 / voxel.y)
    return kept
