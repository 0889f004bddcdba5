"""Cubes of stamps: many small pictures of one size in one FITS file, such as galaxies cut out of a survey."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acutance.errors import AcutanceError, ImageError, KernelError
from acutance.images.atomic import write_atomically
from acutance.images.decoded import DEFAULT_MAX_PIXELS
from acutance.images.fits_layout import GZIP, MAGIC, FitsFile, Unit, Where, split, unit_of, walk
from acutance.images.mark import Mark
from acutance.images.read_fits import check_unit, opened, unpacked
from acutance.images.write_fits import encode_planes


@dataclass(frozen=True, eq=False)
class Stamps:
    """Stamps and the file that they come from.

    Args:
        values: (n, H, W), in the units of the file, NaN where missing. file: it, unpacked.
    """

    values: NDArray[np.float64]
    file: FitsFile


def count_of_stamps(name: Path) -> int:
    """Number of planes of the cube that a name means; 0: it means no FITS cube, or one plane of it."""
    path, where = split(name)
    try:
        with path.open("rb") as file:
            if not file.read(len(MAGIC)).startswith((MAGIC, GZIP)):
                return 0
        data = unpacked(path.read_bytes(), DEFAULT_MAX_PIXELS)
        unit = _cube(data, where)
    except (OSError, ImageError, EOFError, ValueError):
        return 0
    return 0 if unit is None else unit.shape[0]


def read_stamps(name: Path) -> Stamps:
    """Read a cube of stamps; FILE[EXT] names an extension.

    Raises:
        ImageError: no such file, no cube of three axes, damaged, or too large.
    """
    path, where = split(name)
    try:
        data = unpacked(path.read_bytes(), DEFAULT_MAX_PIXELS)
        unit = _cube(data, where)
        if unit is None:
            raise ImageError("it is no cube of three axes; give stamps as (n, H, W)")
        check_unit(unit, data, DEFAULT_MAX_PIXELS)
        with opened(data) as hdus:
            values = np.asarray(hdus[unit.index].data, np.float64).reshape(unit.shape)
    except AcutanceError as error:
        raise ImageError(f"cannot read {name}: {error}") from error.__cause__
    except OSError as error:
        raise ImageError(f"cannot read {name}: {error.strerror or error}; check the path") from error
    except Exception as error:  # astropy raises many kinds on damaged files
        raise ImageError(f"cannot read {name}: damaged or unusual ({str(error)[:200]}); get an intact copy") from error
    return Stamps(values, FitsFile(data, where))


def read_kernels(name: Path, count: int) -> NDArray[np.float64]:
    """Kernels (n, h, w), one for each of `count` stamps, as they stand in a FITS cube or a `.npy`.

    Raises:
        KernelError: another number of them, or not readable.
    """
    try:
        if name.suffix.lower() == ".npy":
            values = np.asarray(np.load(name, allow_pickle=False), np.float64)
        else:
            values = read_stamps(name).values
    except (ImageError, OSError, ValueError) as error:
        raise KernelError(f"{name.name}: {error}") from error
    if values.ndim != 3 or len(values) != count:
        raise KernelError(f"{name.name}: kernels of shape {values.shape} for {count} stamps; give one for each")
    return values


def write_stamps(
    path: Path, stamps: Stamps, values: NDArray[np.float64], *, mark: Mark | None, history: list[str], overwrite: bool
) -> tuple[str, ...]:
    """Write the file again, with other values; `.gz` packs it. Returns notes for people.

    Raises:
        OutputError: a file that is there, or not writable.
    """
    written = encode_planes(stamps.file, values, mark, history)
    data = gzip.compress(written.data, 6, mtime=0) if path.suffix.lower() == ".gz" else written.data
    write_atomically(path, data, overwrite=overwrite)
    return tuple(written.notes)


def _cube(data: bytes, where: str) -> Unit | None:
    meant = Where.parse(where)
    if meant.planes is not None:
        return None
    unit = unit_of(list(walk(BytesIO(data), len(data))), meant)
    return unit if len(unit.shape) == 3 else None
