"""FITS in: the first picture of a file, or the one that is named, with the pixels that its own maps say are bad.

astropy decodes (BSCALE, BZERO, BLANK, unsigned integers, compressed pictures). Before it may, the headers are held
against the size of the file, and packed bytes against what their packing can make of them. Rows keep their numbers: the
first row of the file is the first row of the picture, though viewers of FITS show it at the bottom.

A pixel is missing where it is NaN, infinite or BLANK, where an extension DQ, MASK, FLAGS or BPM of the same size has
any bit set, and where the uncertainty gives it no weight. The uncertainty is an extension VAR or VARIANCE (a variance),
ERR, ERROR or SIGMA (a standard deviation) or IVAR (an inverse variance); its median is the noise level. Of several, the
extension with the EXTVER of the picture is meant.
"""

from __future__ import annotations

import gzip
import math
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acutance.errors import ImageError
from acutance.images.decoded import Decoded, check_size, file_limit
from acutance.images.fits_layout import GZIP, NOT_PICTURES, FitsFile, Unit, Where, choose, walk
from acutance.images.image import StatedNoise
from acutance.images.kernel_found import MAX_PIXELS, Found, check_pixels
from acutance.images.measured import Kind, deviation, pixels_of, stated

FLAGS = ("DQ", "MASK", "FLAGS", "BPM")
UNCERTAINTIES: dict[str, Kind] = {
    "ERR": "std", "ERROR": "std", "SIGMA": "std", "VAR": "var", "VARIANCE": "var", "IVAR": "ivar",
}  # fmt: skip

FREE, MOST_RATIO = 1 << 28, 100
"""A file may unpack to FREE bytes, and beyond that to MOST_RATIO times its own size."""

_GROWTH = {"RICE_1": 256, "RICE_ONE": 256, "GZIP_1": 1032, "GZIP_2": 1032, "PLIO_1": 8200, "NOCOMPRESS": 1}
"""Compression -> the most bytes that one packed byte can become. HCOMPRESS_1 has no bound; its decoder is not safe."""

_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Maps:
    """The maps of a picture's pixels in the other HDUs.

    Args:
        missing: (H, W). noise: the level they tell, None: none. notes: of which extension, and how many pixels.
    """

    missing: NDArray[np.bool_]
    noise: StatedNoise | None
    notes: tuple[str, ...]


def read_fits(data: bytes, where: str, max_pixels: int) -> Decoded:
    """Decode a picture of a FITS file.

    Args:
        data: the file. where: the words in brackets behind its name. max_pixels: refuse more than that.

    Raises:
        ImageError: no such picture, a cube without a plane, too large, cut short, damaged, nothing but missing pixels.
        Exception: whatever astropy raises on damaged files.
    """
    data = unpacked(data, max_pixels)
    units = list(walk(BytesIO(data), len(data)))
    unit, planes = choose(units, Where.parse(where))
    check_unit(unit, data, max_pixels)
    with opened(data) as hdus:
        values = picked(hdus[unit.index].data, planes)
        maps = maps_of(hdus, units, unit, planes, data, max_pixels)
        pixels, scale = pixels_of(values, maps.missing)
        noise = maps.noise
    missing = int(np.isnan(pixels[0]).sum() - maps.missing.sum())
    level = None if noise is None else StatedNoise(noise.level / scale, noise.source)
    decoded = Decoded("FITS", np.moveaxis(pixels, 0, -1), 1.0, 32, is_float=True, scale=scale, noise=level)
    decoded.fits = FitsFile(data, where)
    others = [u for u in units if len(u.shape) >= 2 and u is not unit and u.name not in NOT_PICTURES]
    if others and not where:
        decoded.notes.append(f"{unit} was taken, the first picture of {len(others) + 1}; FILE[EXT] names another")
    if values.dtype.itemsize > 4 or (values.dtype.kind in "ui" and values.dtype.itemsize == 4):
        decoded.notes.append(f"values of {8 * values.dtype.itemsize} bits are computed with 32-bit float")
    if missing > 0:
        decoded.notes.append(f"{missing} of {pixels[0].size} pixels are NaN, infinite or BLANK, which stays")
    decoded.notes += maps.notes
    return decoded


def read_kernel_values(data: bytes, where: str) -> Found:
    """The kernel in a FITS file, (h, w), or (1, 3, h, w) where three planes are named.

    Raises:
        ImageError: as `read_fits`. KernelError: more values than a kernel has.
    """
    data = unpacked(data, MAX_PIXELS)
    unit, planes = choose(list(walk(BytesIO(data), len(data))), Where.parse(where))
    check_pixels(*unit.shape[-2:], len(planes))
    check_unit(unit, data, MAX_PIXELS)
    with opened(data) as hdus:
        values = picked(hdus[unit.index].data, planes).astype(np.float64)
    return Found(values[0] if len(planes) == 1 else values[None])


def unpacked(data: bytes, max_pixels: int) -> bytes:
    """A file without the gzip around it, unpacked no further than a picture of `max_pixels` may need.

    Raises:
        ImageError: too large, or cut short.
    """
    if not data.startswith(GZIP):
        return data
    most = min(file_limit(max_pixels), max(FREE, MOST_RATIO * len(data)))
    parts: list[bytes] = []
    length, rest = 0, data
    while rest.startswith(GZIP):
        inflater = zlib.decompressobj(31)
        while not inflater.eof:
            part = inflater.decompress(rest, min(_CHUNK, most + 1 - length))
            rest = inflater.unconsumed_tail
            length += len(part)
            parts.append(part)
            if length > most:
                raise ImageError(f"it unpacks to more than {most / 1e6:.0f} MB; unpack it first (gunzip), or cut it")
            if not part and not rest and not inflater.eof:
                raise ImageError("it is cut short; get an intact copy")
        rest = inflater.unused_data
    return b"".join(parts)


@contextmanager
def opened(data: bytes, **options: Any) -> Iterator[Any]:
    """The file as astropy reads it, which is silent on what is odd in headers."""
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(BytesIO(data), memmap=False, lazy_load_hdus=True, **options) as hdus:
            yield hdus


def picked(array: NDArray[Any], planes: Sequence[int]) -> NDArray[Any]:
    """One plane or three, (1 or 3, H, W), in the byte order of the machine."""
    cube = array.reshape(-1, *array.shape[-2:])
    some = cube[list(planes)]
    return some.astype(some.dtype.newbyteorder("="), copy=False)


def maps_of(hdus: Any, units: Sequence[Unit], unit: Unit, planes: Sequence[int], data: bytes, max_pixels: int) -> Maps:
    """The missing pixels of a picture, and its noise level in the units of the file.

    Raises:
        ImageError: every pixel is flagged.
    """
    missing = np.zeros(unit.shape[-2:], np.bool_)
    notes: list[str] = []
    if flags := _beside(units, unit, FLAGS):
        check_unit(flags, data, max_pixels)
        values, header = _plane_like(hdus[flags.index], planes), hdus[flags.index].header
        told = (values.astype(np.int64) & ~_harmless(header)) != 0 if values.dtype.kind in "uib" else values != 0
        missing = told.any(0)
        if missing.all():
            raise ImageError(f"{flags} flags every pixel as bad; if it means the good ones, take that extension out")
        share = f"{100 * missing.mean():.2g} %" if missing.any() else "none"
        notes.append(f"{flags}: {share} of the pixels are flagged and count as missing")
    level = None
    if errors := _beside(units, unit, tuple(UNCERTAINTIES)):
        check_unit(errors, data, max_pixels)
        kind = UNCERTAINTIES[errors.name]
        sigma = deviation(_plane_like(hdus[errors.index], planes).astype(np.float64), kind).max(0)
        without = ~np.isfinite(sigma)
        if without.all():
            raise ImageError(f"{errors} gives no pixel any weight; take that extension out, or correct it")
        level = stated(sigma, missing, 1.0, f"median of {errors}")
        said = [] if level is None else [f"the noise level is its median, {level.level:.4g}"]
        if (without & ~missing).any():
            said.append(f"{100 * (without & ~missing).mean():.2g} % of the pixels have no weight and count as missing")
        notes.append(f"{errors}: {'; '.join(said) or 'its median is 0, and it is not used'}")
        missing = missing | without
    return Maps(missing, level, tuple(notes))


def _beside(units: Sequence[Unit], unit: Unit, names: Sequence[str]) -> Unit | None:
    """The extension of one of these names that belongs to a picture: of its size, and of its version if any is."""
    fitting = [u for u in units if u is not unit and u.name in names and _fits(u.shape, unit.shape)]
    alike = [u for u in fitting if u.version == unit.version] or fitting
    return min(alike, key=lambda u: names.index(u.name), default=None)


def _fits(shape: tuple[int, ...], picture: tuple[int, ...]) -> bool:
    """Tell whether a map is of the size of the picture, or of one plane of it."""
    return len(shape) >= 2 and shape[-2:] == picture[-2:] and math.prod(shape[:-2]) in (1, math.prod(picture[:-2]))


def _plane_like(hdu: Any, planes: Sequence[int]) -> NDArray[Any]:
    """The planes of a map that go with those of the picture."""
    count = math.prod(hdu.data.shape[:-2])
    return picked(hdu.data, planes if count > 1 else (0,))


def _harmless(header: Any) -> int:
    """Bits that say where something was seen, not that it is bad, where the mask names its bits (MP_DETECTED = 5)."""
    bits = [header.get(f"MP_{name}") for name in ("DETECTED", "DETECTED_NEGATIVE")]
    return sum(1 << bit for bit in bits if isinstance(bit, int) and 0 <= bit < 63)


# -- what a header claims -----------------------------------------------------------------------------------------


def check_unit(unit: Unit, data: bytes, max_pixels: int) -> None:
    """Refuse, before it is decoded, a picture that is too large or cannot be in the bytes that it has.

    Raises:
        ImageError: see above.
    """
    count, size = math.prod(unit.shape), abs(unit.bits) // 8
    check_size(unit.shape[-1], unit.shape[-2], max_pixels, size)
    if unit.is_packed:
        check_size(count // unit.shape[-2], unit.shape[-2], max_pixels, size)
        _check_packed(unit, count * size, data)
    elif count * size > unit.end - unit.data:
        raise ImageError(f"{unit} claims {count * size} bytes and has {unit.end - unit.data}: damaged")


def _check_packed(unit: Unit, size: int, data: bytes) -> None:
    """Hold a compressed picture against the packed bytes, tile by tile.

    Raises:
        ImageError: a compression that is not read, sides of tiles that cannot be, more than can be unpacked.
    """
    method = unit.cards.get("ZCMPTYPE")
    if not isinstance(method, str) or method not in _GROWTH:
        raise ImageError(f"{unit} is compressed by {method}, which is not read; unpack it first: funpack")
    packed = unit.end - unit.data
    if size > packed * _GROWTH[method] + _CHUNK:
        raise ImageError(f"{unit} claims {size} bytes, more than {packed} packed ones can hold: damaged")
    tile, rows = unit.tile, unit.cards.get("NAXIS2")
    if rows != math.prod(-(-side // t) for t, side in zip(tile, unit.shape, strict=True)):
        raise ImageError(f"{unit} has {rows} tiles, another number than its sides ask for: damaged")
    if method.startswith("GZIP") or any(v == "GZIP_COMPRESSED_DATA" for v in unit.cards.values()):
        _check_tiles(unit, data, math.prod(tile) * abs(unit.bits) // 8)


def _check_tiles(unit: Unit, data: bytes, most: int) -> None:
    """Unpack the gzip tiles of a picture piece by piece, keeping nothing, to see that none is larger than a tile.

    Raises:
        ImageError: one is.
    """
    with opened(data, disable_image_compression=True) as hdus:
        table = hdus[unit.index]
        for name in ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA"):
            for tile in table.data[name] if name in table.columns.names else ():
                packed = np.asarray(tile).tobytes()
                if not packed.startswith(GZIP):
                    continue
                with gzip.open(BytesIO(packed)) as file:
                    length = 0
                    while part := file.read(_CHUNK):
                        length += len(part)
                        if length > 2 * most:  # quantised tiles are of 32 bits, whatever the picture has
                            raise ImageError(f"a tile of {unit} unpacks to more than its pixels: damaged")
