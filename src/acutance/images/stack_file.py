"""Files of stacks: what is one, and reading it; every failure becomes an `ImageError` with a remedy."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np

from acutance.errors import AcutanceError, ImageError, MissingExtra
from acutance.images.decoded import DEFAULT_MAX_PIXELS
from acutance.images.ngff import is_zarr
from acutance.images.read import REMEDY, one_line
from acutance.images.recognise import recognise
from acutance.images.stack import Stack
from acutance.images.stack_tiff import is_tiff_stack, read_tiff_stack
from acutance.images.zarr_stack import read_zarr_stack


def is_stack(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file holds a stack: a TIFF with several grey pages of one size, as of ImageJ or OME; or OME-Zarr.

    A picture with smaller copies or masks beside it is none; pages in colour and pages of different sizes are none.
    False where the file cannot be read: reading it says why.
    """
    place = Path(path)
    if is_zarr(place):
        return True
    try:
        if not stat.S_ISREG(place.stat().st_mode):  # a pipe would have to be waited for
            return False
        with place.open("rb") as file, np.errstate(all="ignore"):
            return recognise(file.read(64), place) == "TIFF" and is_tiff_stack(file, place)
    except Exception:  # tifffile raises many kinds on damaged files
        return False


def read_stack(path: str | os.PathLike[str], *, max_voxels: int | None = DEFAULT_MAX_PIXELS) -> Stack:
    """Read a stack: a TIFF of several pages, an ImageJ hyperstack, an OME-TIFF or OME-Zarr, with its metadata.

    Pages whose axes have no name are planes. Values keep their type and their units. Those of a large file are read
    volume by volume, when they are asked for.

    Args:
        path: the file, of OME-Zarr the folder. max_voxels: refuse a volume of more voxels, before it is decoded; None:
            of OME-Zarr, any number.

    Raises:
        MissingExtra: OME-Zarr, and zarr is not installed.
        ImageError: no such file, no TIFF, pages in colour or of different sizes, several images, axes that cannot be
            told, planes in other files, too large, damaged. The message ends with the remedy.
    """
    place = Path(path)
    try:
        if is_zarr(place):
            return read_zarr_stack(place, max_voxels)
        if not place.is_file():
            raise ImageError("it is no ordinary file; check the path" if place.exists() else "there is no such file")
        with place.open("rb") as file:
            kind = recognise(file.read(64), place)
        if kind != "TIFF":
            raise ImageError(f"it is {kind}, not a stack; give a TIFF of several pages, of ImageJ or OME")
        with np.errstate(all="ignore"):
            return read_tiff_stack(place, DEFAULT_MAX_PIXELS if max_voxels is None else max_voxels)
    except MissingExtra:
        raise
    except AcutanceError as error:
        raise ImageError(f"cannot read {place}: {error}") from error.__cause__
    except OSError as error:
        raise ImageError(f"cannot read {place}: {error.strerror or error}; check who may read it") from error
    except MemoryError as error:
        raise ImageError(f"cannot read {place}: not enough memory; cut it first") from error
    except Exception as error:  # tifffile raises many kinds on damaged files
        raise ImageError(f"cannot read {place}: damaged or of an unusual kind ({one_line(error)}); {REMEDY}") from error
