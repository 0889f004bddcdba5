"""Files of kernels for several places of a picture: FITS cubes and tables, TIFFs of several pages, NumPy archives.

    .fits   a cube (n, h, w) with the cards DET_YX0 = '(y, x)', DET_YX1 ... of STPSF and photutils, from 0; or with a
            table of n rows whose columns X and Y count from 1. IMAGEW and IMAGEH are the sides of the picture.
            Or PSFEx's table PSF_DATA, see `acutance.psf.psfex`.
    .tif    n pages; the first one's description is {"positions": [[y, x], ...], "size": [H, W]}, from 0
    .npz    kernels (n, h, w), positions (n, 2), y and x from 0; size (H, W)

The size may be left out: then that of the picture counts.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from acutance.errors import KernelError, OutputError
from acutance.images.atomic import write_atomically
from acutance.images.fits_cards import joined
from acutance.images.fits_layout import BLOCK, GZIP, MAGIC, Unit, walk
from acutance.images.read_fits import check_unit, opened, unpacked
from acutance.images.tiff_directory import check_directories
from acutance.psf.placed import PlacedKernels, usable
from acutance.psf.psfex import COLUMN, TABLE, PolynomialPsf, polynomial_of

SUFFIXES = (".fits", ".fit", ".tif", ".tiff", ".npz")
"""Suffixes of files that are written."""

MOST_VALUES = 100_000_000
MOST_KERNELS = 4096

_CARD = "DET_YX"
_COLUMNS = (("Y", "X"), ("Y_IMAGE", "X_IMAGE"), ("YPOS", "XPOS"))
_PLACE = re.compile(r"\(\s*([^,()]+),\s*([^,()]+)\)")


def is_placed(path: Path) -> bool:
    """Tell whether a file holds kernels for places; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
            if head.startswith(b"PK\3\4"):
                with zipfile.ZipFile(path) as archive:
                    return {"kernels.npy", "positions.npy"} <= set(archive.namelist())
            if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
                file.seek(0)
                check_directories(file, MOST_KERNELS + 1)
                file.seek(0)
                with tifffile.TiffFile(file) as tiff:
                    return _described(tiff) is not None
        if head.startswith((MAGIC[:8], GZIP)):
            data = unpacked(path.read_bytes(), MOST_VALUES)
            units = list(walk(BytesIO(data), len(data)))
            return _psfex(units) is not None or _cube(units) is not None
    except Exception:  # readers raise whatever they like; reading it as a kernel says why
        return False
    return False


def read_placed(path: Path, notes: list[str]) -> PlacedKernels | PolynomialPsf:
    """Read kernels for places. What there is to say is added to `notes`.

    Raises:
        KernelError: damaged, too large, or kernels and places that do not go together.
    """
    try:
        data = path.read_bytes()
        if data.startswith(b"PK\3\4"):
            return _read_npz(data, notes)
        return _read_fits(data, notes) if data.startswith((MAGIC, GZIP)) else _read_tiff(data, notes)
    except KernelError as error:
        raise KernelError(f"{path.name}: {error}") from error.__cause__
    except Exception as error:  # decoders raise whatever they like on damaged files
        said = f"{type(error).__name__}: {error}"[:200]
        raise KernelError(f"{path.name}: damaged or unusual ({said}); write it again") from error


def write_placed(path: Path, placed: PlacedKernels, *, overwrite: bool = False) -> None:
    """Write kernels for places; the suffix tells the format. The file is there whole or not at all.

    Raises:
        OutputError: another suffix than `SUFFIXES`, a file that is there, or not writable.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OutputError(f"{path}: kernels for several places are written as {', '.join(SUFFIXES)}")
    kernels = placed.kernels.astype(np.float32)
    stream = io.BytesIO()
    if suffix == ".npz":
        np.savez(stream, kernels=kernels, positions=placed.places, size=np.array(placed.size or (), np.int64))
    elif suffix in (".tif", ".tiff"):
        about = {"positions": placed.places.round(4).tolist(), "size": placed.size}
        tifffile.imwrite(stream, kernels, photometric="minisblack", metadata=None, description=json.dumps(about))
    else:
        stream.write(_fits(kernels, placed))
    write_atomically(path, stream.getvalue(), overwrite=overwrite)


# -- FITS ---------------------------------------------------------------------------------------------------------


def _fits(kernels: NDArray[np.float32], placed: PlacedKernels) -> bytes:
    n, h, w = kernels.shape
    values: dict[str, object] = {"SIMPLE": True, "BITPIX": -32, "NAXIS": 3, "NAXIS1": w, "NAXIS2": h, "NAXIS3": n}
    values |= {"NUM_PSFS": n, "OVERSAMP": 1}
    if placed.size is not None:
        values |= {"IMAGEH": placed.size[0], "IMAGEW": placed.size[1]}
    values |= {f"{_CARD}{i}": f"({y:.3f}, {x:.3f})" for i, (y, x) in enumerate(placed.places)}
    data = kernels.astype(">f4").tobytes()
    head = joined([f"{key:<8}= {_card_value(value)}".encode().ljust(80) for key, value in values.items()])
    return head + data.ljust(-(-len(data) // BLOCK) * BLOCK, b"\0")


def _card_value(value: object) -> str:
    if isinstance(value, str):
        return f"'{value:<8}'"
    return f"{'T' if value is True else value:>20}"


def _psfex(units: Sequence[Unit]) -> Unit | None:
    """The table of PSFEx."""
    return next((u for u in units if u.name == TABLE and u.cards.get("XTENSION") == "BINTABLE"), None)


def _cube(units: Sequence[Unit]) -> Unit | None:
    """The cube of kernels that have places."""
    cubes = [u for u in units if len(u.shape) == 3 or (len(u.shape) == 4 and u.shape[0] == 1)]
    found = next(iter(cubes), None)
    if found is None:
        return None
    placed = f"{_CARD}0" in found.cards or _table(units, found.shape[-3]) is not None
    return found if placed else None


def _table(units: Sequence[Unit], count: int) -> tuple[Unit, tuple[str, str]] | None:
    """The table of places of so many kernels, and the names of its columns of y and x."""
    for unit in units:
        if unit.cards.get("XTENSION") != "BINTABLE" or unit.is_packed or unit.cards.get("NAXIS2") != count:
            continue
        names = {str(unit.cards.get(f"TTYPE{n}", "")).strip().upper() for n in range(1, 1000)}
        pair = next((pair for pair in _COLUMNS if set(pair) <= names), None)
        if pair is not None:
            return unit, pair
    return None


def _read_fits(data: bytes, notes: list[str]) -> PlacedKernels | PolynomialPsf:
    data = unpacked(data, MOST_VALUES)
    units = list(walk(BytesIO(data), len(data)))
    if table := _psfex(units):
        with opened(data) as hdus:
            columns = hdus[table.index].columns.names
            if COLUMN not in columns or not len(hdus[table.index].data):
                raise KernelError(f"its table {TABLE} has no column {COLUMN}; run PSFEx again")
            basis = np.asarray(hdus[table.index].data[COLUMN][0], np.float64)
        return polynomial_of(table.cards, basis)
    unit = _cube(units)
    if unit is None:
        raise KernelError("it holds no kernels with places; write a cube with the cards DET_YX0, DET_YX1 ...")
    count = unit.shape[-3]
    _check_count(count, math.prod(unit.shape))
    if unit.cards.get("OVERSAMP", 1) not in (1, 1.0):
        raise KernelError(
            f"its kernels have {unit.cards['OVERSAMP']} samples to a pixel (OVERSAMP); write them sampled at the "
            "pixels of the detector"
        )
    check_unit(unit, data, MOST_VALUES)
    with opened(data) as hdus:
        kernels = np.asarray(hdus[unit.index].data, np.float64).reshape(unit.shape[-3:])
        table_of_places = _table(units, count)
        if f"{_CARD}0" in unit.cards:
            places = np.array([_place(unit.cards.get(f"{_CARD}{i}"), i) for i in range(count)])
        else:
            assert table_of_places is not None
            rows, names = hdus[table_of_places[0].index].data, table_of_places[1]
            places = np.stack([np.asarray(rows[name], np.float64) for name in names], 1) - 1
    return PlacedKernels(usable(kernels, notes), places, _size([unit.cards.get(k) for k in ("IMAGEH", "IMAGEW")]))


def _place(text: object, number: int) -> tuple[float, float]:
    """(y, x) of a card."""
    found = _PLACE.search(str(text))
    try:
        if found is not None:
            return float(found[1]), float(found[2])
    except ValueError:
        pass
    raise KernelError(f"the card {_CARD}{number} is missing or not '(y, x)': give each kernel its place in pixels")


# -- TIFF and NumPy -----------------------------------------------------------------------------------------------


def _described(tiff: Any) -> dict[str, Any] | None:
    """The places in the description of the first page; None: there are none."""
    text = tiff.pages.first.description
    if not text.startswith("{") or '"positions"' not in text[:200]:
        return None
    found = json.loads(text)
    return found if isinstance(found, dict) else None


def _read_tiff(data: bytes, notes: list[str]) -> PlacedKernels:
    check_directories(BytesIO(data), MOST_KERNELS + 1)
    with tifffile.TiffFile(BytesIO(data)) as tiff:
        about = _described(tiff)
        if about is None:
            raise KernelError('its first page does not say {"positions": [[y, x], ...]}; write the places there')
        first = tiff.pages.first
        if len(first.shape) != 2:
            raise KernelError("its pages are not grey; save kernels of one channel")
        count = len(tiff.pages)
        _check_count(count, count * math.prod(first.shape))
        kernels = np.stack([page.asarray(maxworkers=1) for page in tiff.pages])
    return _placed(kernels, about["positions"], about.get("size"), notes)


def _read_npz(data: bytes, notes: list[str]) -> PlacedKernels:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        if archive.getinfo("kernels.npy").file_size > 8 * MOST_VALUES:
            raise KernelError(f"its kernels have more than {MOST_VALUES // 10**6} million values; give fewer")
    with np.load(BytesIO(data), allow_pickle=False) as arrays:
        kernels, size = arrays["kernels"], arrays["size"].tolist() if "size" in arrays else None
        _check_count(len(kernels), kernels.size)
        return _placed(kernels, arrays["positions"], size, notes)


def _placed(kernels: NDArray[Any], places: Any, size: Any, notes: list[str]) -> PlacedKernels:
    at = np.asarray(places, np.float64)
    if at.shape != (len(kernels), 2):
        raise KernelError(f"it has {len(kernels)} kernels and places of shape {at.shape}; give (y, x) of each kernel")
    return PlacedKernels(usable(kernels, notes), at, _size(size or [None]))


def _check_count(count: int, values: int) -> None:
    if not 0 < count <= MOST_KERNELS or values > MOST_VALUES:
        raise KernelError(f"{count} kernels of {values} values in all; give up to {MOST_KERNELS}, cut to their light")


def _size(sides: Sequence[Any]) -> tuple[int, int] | None:
    """(H, W), None where it is not said."""
    if len(sides) != 2 or not all(isinstance(n, int) and n > 0 for n in sides):
        return None
    return sides[0], sides[1]
