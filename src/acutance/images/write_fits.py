"""FITS out: the file that the picture came from, with the restored pixels in their place.

All other HDUs are written again byte for byte, and so are the cards of the picture's own, behind which HISTORY says
what was done. The samples keep their type: whole numbers are rounded and clipped, by BSCALE and BZERO of the file. A
pixel that is NaN or BLANK in the file stays so; one that another extension flags gets its estimate, and stays flagged.
A compressed picture is compressed again, without loss.
"""

from __future__ import annotations

import gzip
import math
import re
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acutance.errors import ImageError, OutputError
from acutance.images.fits_cards import Cards, has, joined, put, split_cards, with_history, with_structure, without
from acutance.images.fits_layout import BLOCK, FitsFile, Unit, Where, choose, unit_of, walk
from acutance.images.image import Image
from acutance.images.mark import Mark
from acutance.images.read_fits import maps_of, opened, picked

LOSSLESS = {"RICE_1": "RICE_1", "RICE_ONE": "RICE_1", "GZIP_1": "GZIP_1", "GZIP_2": "GZIP_2"}
"""Compression of whole numbers -> that of the result; of others and of floats it is GZIP_2."""

Array = NDArray[Any]

_LEFT_OUT = "EXIF", "colour profile", "XMP", "IPTC", "comment", "texts", "description by the microscope"


@dataclass
class Written:
    """A FITS file. Args: data: its bytes. notes: what it could not hold, or what was changed."""

    data: bytes
    notes: list[str] = field(default_factory=list)


def encode_fits(picture: Image, bits: int | None, depth: int, mark: Mark | None, *, packed: bool) -> Written:
    """A picture as the bytes of a FITS file.

    Args:
        picture: with the file that it came from in `info.fits`, if it came from one.
        bits: 8, 16 (whole numbers, not below 0) or 32 (float) instead of the file's own type.
        depth: of a picture that came from another kind of file. mark: see there. packed: by gzip.

    Raises:
        ImageError: NaN or infinite where the file has a value.
    """
    history = ([mark.line] if mark is not None else []) + list(picture.info.history)
    origin, size = picture.info.fits, picture.size
    written = None
    if origin is not None:
        written = _in_its_file(picture, origin, bits, history)
    if written is None:
        written = _alone(picture, depth, history)
        if origin is not None:
            written.notes.append(f"the header is left out: {size[1]} x {size[0]} pixels are not those of the FITS file")
    if packed:
        written.data = gzip.compress(written.data, 6, mtime=0)
    return written


def _values(picture: Image) -> NDArray[np.float64]:
    """(C, H, W) in the units of the file."""
    return picture.pixels[0].detach().cpu().double().numpy() * picture.info.scale


def _in_its_file(picture: Image, origin: FitsFile, bits: int | None, history: list[str]) -> Written | None:
    """The file again, with other pixels; None where they are not of its picture's size."""
    data, units = origin.data, list(walk(BytesIO(origin.data), len(origin.data)))
    unit, planes = choose(units, Where.parse(origin.where))
    x, y, w, h = origin.box or (0, 0, unit.shape[-1], unit.shape[-2])
    if picture.size != (h, w) or picture.channels != len(planes):
        return None
    box = (..., slice(y, y + h), slice(x, x + w))
    with opened(data) as hdus:
        known = np.isfinite(picked(hdus[unit.index].data, planes)[box])
        flagged = maps_of(hdus, units, unit, planes, data, 10**12).missing[box]
    with opened(data, do_not_scale_image_data=True) as hdus:
        raw = np.array(hdus[unit.index].data)
    values = _values(picture)
    lost = known & ~flagged & ~np.isfinite(values)
    if lost.any():
        raise ImageError(f"{int(lost.sum())} samples are NaN or infinite; look for where they came from")
    written = Written(b"")
    cards = split_cards(data[unit.start : unit.data])
    pack = _Packing.of(unit, bits)
    raw = np.ascontiguousarray(raw[box])
    if bits is not None:
        cards, raw = pack.retyped(cards, raw, unit)
    cube = raw.reshape(-1, h, w)
    changed = known & np.isfinite(values)
    for n, plane in enumerate(planes):
        packed = pack.packed(values[n], changed[n], written.notes)
        cube[plane] = np.where(changed[n], packed, cube[plane])
    cards = _cards_of(cards, unit, origin.box, cube.reshape(raw.shape), pack)
    inside = _unit_bytes(unit, with_history(cards, history), cube.reshape(raw.shape), written.notes)
    written.data = _around(data, units, unit, inside, whole=origin.box is None, notes=written.notes)
    beside = [u for u in units if u.name in ("ERR", "ERROR", "SIGMA", "VAR", "VARIANCE", "IVAR")]
    if beside and origin.box is None:
        written.notes.append(f"{', '.join(map(str, beside))}: as in the file, so the noise of the blurred picture")
    return written


def encode_planes(origin: FitsFile, values: NDArray[np.float64], mark: Mark | None, history: list[str]) -> Written:
    """The file again, with other values in all planes of its cube.

    Args:
        origin: without a box; its picture has three axes. values: (n, H, W), of the cube's size, NaN where it stays.

    Raises:
        ImageError: another size.
    """
    units = list(walk(BytesIO(origin.data), len(origin.data)))
    unit = unit_of(units, Where.parse(origin.where))
    with opened(origin.data, do_not_scale_image_data=True) as hdus:
        raw = np.array(hdus[unit.index].data)
    if raw.shape != values.shape:
        raise ImageError(f"{values.shape} values for a cube of {raw.shape}; restore all of its planes")
    written, pack = Written(b""), _Packing.of(unit, None)
    there = np.isfinite(values) & (np.isfinite(raw) if pack.blank is None else raw != pack.blank)
    notes: list[str] = []
    raw = np.where(there, pack.packed(np.where(there, values, 0), there, notes), raw)
    written.notes += notes
    cards = _cards_of(split_cards(origin.data[unit.start : unit.data]), unit, None, raw, pack)
    lines = ([mark.line] if mark is not None else []) + history
    inside = _unit_bytes(unit, with_history(cards, lines), raw, written.notes)
    written.data = _around(origin.data, units, unit, inside, whole=True, notes=written.notes)
    return written


@dataclass(frozen=True)
class _Packing:
    """The way in which values become samples. Args: dtype: of a sample. scale, zero: BSCALE, BZERO. blank: BLANK."""

    dtype: np.dtype[Any]
    scale: float = 1.0
    zero: float = 0.0
    blank: int | None = None

    @staticmethod
    def of(unit: Unit, bits: int | None) -> _Packing:
        """The type of the file, or of so many bits: 16 are unsigned."""
        if bits is not None:
            return _Packing(np.dtype({8: "u1", 16: "i2", 32: "f4"}[bits]), 1.0, 32768.0 if bits == 16 else 0.0)
        kind = {8: "u1", 16: "i2", 32: "i4", 64: "i8", -32: "f4", -64: "f8"}[unit.bits]
        scale, zero = (_number(unit, key, value) for key, value in (("BSCALE", 1.0), ("BZERO", 0.0)))
        blank = unit.cards.get("ZBLANK", unit.cards.get("BLANK")) if unit.is_packed else unit.cards.get("BLANK")
        whole = isinstance(blank, int) and unit.bits > 0
        return _Packing(np.dtype(kind), scale or 1.0, zero, int(blank) if whole else None)  # type: ignore[call-overload]

    def packed(self, values: NDArray[np.float64], which: NDArray[np.bool_], notes: list[str]) -> Array:
        """Samples (H, W) of values; of whole numbers those in `which` are rounded and clipped, with a note."""
        with np.errstate(all="ignore"):
            raw = (values - self.zero) / self.scale
        if self.dtype.kind == "f":
            return raw.astype(self.dtype)
        least, most = (int(v) for v in (np.iinfo(self.dtype).min, np.iinfo(self.dtype).max))
        top = float(most) if int(float(most)) <= most else math.nextafter(float(most), 0)
        rounded = np.rint(np.where(which, raw, 0))
        beyond = int(((rounded < least) | (rounded > most)).sum())
        if beyond:
            notes.append(f"{beyond} pixels are beyond what the file's {8 * self.dtype.itemsize}-bit integers hold and "
                         "were clipped; write 32 bits to keep them")  # fmt: skip
        if (rounded != np.where(which, raw, 0)).any():
            notes.append(f"rounded to the file's {8 * self.dtype.itemsize}-bit integers")
        samples = np.clip(rounded, float(least), top).astype(self.dtype)
        if self.blank is not None and least <= self.blank <= most:  # what is there must not become missing
            samples[samples == self.blank] = self.blank + 1 if self.blank < most else self.blank - 1
        return samples

    def retyped(self, cards: Cards, raw: Array, unit: Unit) -> tuple[Cards, Array]:
        """The cards and all planes of the file in this type instead of its own."""
        before = _Packing.of(unit, None)
        values = raw.astype(np.float64) * before.scale + before.zero
        there = np.isfinite(values) if before.blank is None else raw != before.blank
        if before.blank is not None:
            values[~there] = np.nan if self.dtype.kind == "f" else 0
        cards = without(cards, "BSCALE", "BZERO", "BLANK", "ZBLANK")
        cards = (
            put(cards, "BITPIX", {"u1": 8, "i2": 16, "f4": -32}[self.dtype.str[1:]]) if not unit.is_packed else cards
        )
        if self.zero:
            cards = [*cards, b"BZERO   =".ljust(10) + b"32768".rjust(20) + b" " * 50]
        return cards, self.packed(np.nan_to_num(values) if self.dtype.kind != "f" else values, there, [])


def _number(unit: Unit, key: str, otherwise: float) -> float:
    value = unit.cards.get(key, otherwise)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else otherwise


def _cards_of(cards: Cards, unit: Unit, box: tuple[int, int, int, int] | None, raw: Array, pack: _Packing) -> Cards:
    """The cards for other pixels: their range where it stands there; of a piece its sides and reference pixels."""
    values = raw[raw != pack.blank] if pack.blank is not None else raw[np.isfinite(raw)]
    if values.size and (has(cards, "DATAMIN") or has(cards, "DATAMAX")):
        ends = [float(v) * pack.scale + pack.zero for v in (values.min(), values.max())]
        cards = put(put(cards, "DATAMIN", min(ends)), "DATAMAX", max(ends))
    if box is None:
        return cards
    for axis, (corner, side) in enumerate(zip(box[:2], box[2:], strict=True), 1):
        cards = put(cards, f"NAXIS{axis}", side)
        for key, value in unit.cards.items():
            moves = re.fullmatch(rf"CRPIX{axis}[A-Z]?|LTV{axis}", key)
            if moves and isinstance(value, int | float) and not isinstance(value, bool):
                cards = put(cards, key, float(value) - corner)
    return cards


def _unit_bytes(unit: Unit, cards: Cards, raw: Array, notes: list[str]) -> bytes:
    """Header and data of the picture's HDU, its checksums made anew where it had them."""
    if unit.is_packed:
        head, body = _compressed(unit, cards, raw, notes)
    else:
        head, body = joined(cards), raw.astype(raw.dtype.newbyteorder(">")).tobytes()
    body = body.ljust(-(-len(body) // BLOCK) * BLOCK, b"\0")
    cards = split_cards(head)
    for key in ("DATASUM", "CHECKSUM"):
        if has(cards, key):
            cards = _with_sums(cards, body, whole=has(cards, "CHECKSUM"), first=unit.index == 0)
            break
    return joined(cards) + body


def _compressed(unit: Unit, cards: Cards, raw: Array, notes: list[str]) -> tuple[bytes, bytes]:
    """A table that holds a picture, packed without loss."""
    from astropy.io import fits

    before = str(unit.cards.get("ZCMPTYPE"))
    whole = raw.dtype.kind in "iu" and raw.dtype.itemsize <= 4
    kind = LOSSLESS.get(before, "GZIP_2") if whole else before if before in ("GZIP_1", "GZIP_2") else "GZIP_2"
    if kind != LOSSLESS.get(before, before):
        notes.append(f"compressed by {kind}, which loses nothing, instead of {before}")
    if has(cards, "ZHECKSUM") or has(cards, "ZDATASUM"):
        notes.append("the checksums of the picture as it was before it was compressed are left out")
    tile = tuple(min(t, side) for t, side in zip(unit.tile, raw.shape, strict=True))
    made = fits.CompImageHDU(
        raw.astype(raw.dtype.newbyteorder("=")), compression_type=kind, tile_shape=tile, quantize_level=0
    )
    file = BytesIO()
    fits.HDUList([fits.PrimaryHDU(), made]).writeto(file)
    data = file.getvalue()
    new = list(walk(BytesIO(data), len(data)))[1]
    return joined(with_structure(split_cards(data[new.start : new.data]), cards)), data[new.data : new.end]


def _with_sums(cards: Cards, body: bytes, *, whole: bool, first: bool) -> Cards:
    """Cards with DATASUM, and CHECKSUM where `whole`, as they are with these data."""
    from astropy.io import fits

    file = BytesIO()
    if not first:
        fits.PrimaryHDU().writeto(file)
    with opened(file.getvalue() + joined(cards) + body, disable_image_compression=True) as hdus:
        hdu = hdus[0 if first else 1]
        hdu.add_checksum() if whole else hdu.add_datasum()
        made = {card.keyword.encode().ljust(8): str(card).encode().ljust(80) for card in hdu.header.cards[:]
                if card.keyword in ("CHECKSUM", "DATASUM")}  # fmt: skip
    kept = [made.pop(card[:8], card) for card in cards]
    return kept + list(made.values())


def _around(data: bytes, units: list[Unit], unit: Unit, inside: bytes, *, whole: bool, notes: list[str]) -> bytes:
    """The file with a new HDU in the place of one; of a piece that one alone, behind a primary HDU without data."""
    if whole:
        return data[: unit.start] + inside + data[unit.end :]
    if len(units) > 1:
        notes.append("a piece: the other HDUs of the file are left out")
    if unit.index == 0:
        return inside
    first = units[0]
    if first.shape:
        from astropy.io import fits

        file = BytesIO()
        fits.PrimaryHDU().writeto(file)
        return file.getvalue() + inside
    return data[: first.data] + inside


def _alone(picture: Image, depth: int, history: list[str]) -> Written:
    """A new file of one HDU, of a picture that comes from elsewhere: (H, W), or (3, H, W) red, green, blue.

    Raises:
        OutputError: the package that writes it is not installed.
    """
    try:
        from astropy.io import fits
    except ImportError:
        raise OutputError("FITS is written by astropy: pip install 'acutance[fits]', or write a .tif") from None
    if not bool(np.isfinite(values := _values(picture)).all()):
        raise ImageError("some samples are NaN or infinite; look for where they came from")
    info, notes = picture.info, list[str]()
    if depth == 32:
        samples: Array = values.astype(np.float32)
    else:
        peak = 2**depth - 1
        samples = np.rint(np.clip(values / info.scale, 0, 1) * peak).astype(np.uint8 if depth == 8 else np.uint16)
    if picture.alpha is not None:
        notes.append("alpha left out: FITS has none")
    there = (info.exif, info.icc, info.carried.xmp, info.carried.iptc, info.carried.comment, info.carried.texts,
             info.carried.microscope)  # fmt: skip
    lost = [name for name, value in zip(_LEFT_OUT, there, strict=True) if value]
    if lost:
        notes.append(f"{' and '.join(lost)} left out: FITS has no place for them")
    if len(samples) == 3:
        notes.append("written as a cube of three planes, red, green and blue")
    file = BytesIO()
    fits.PrimaryHDU(samples[0] if len(samples) == 1 else samples).writeto(file)
    data = file.getvalue()
    unit = next(walk(BytesIO(data), len(data)))
    return Written(joined(with_history(split_cards(data[: unit.data]), history)) + data[unit.data :], notes)
