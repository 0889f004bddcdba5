"""How large a picture is, by its first bytes: what needs no decoding is told before anything is decoded."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import IO, cast

from acutance.errors import ImageError
from acutance.images.fits_layout import GZIP, MAGIC, Where, choose, split, walk
from acutance.images.recognise import RAW_SUFFIXES

_NO_FRAME = (0xC4, 0xC8, 0xCC)
"""Markers of JPEG between those of its frames that are none."""

FAR = 1 << 28
"""Bytes of a packed FITS file that are unpacked to see its sizes."""


def peek_size(name: Path) -> tuple[int, int] | None:
    """Width and height as stored, before any turning; None where the first bytes do not tell.

    Args:
        name: of the file; of FITS also FILE[EXT].
    """
    path, where = split(name)
    try:
        if not path.is_file() or path.suffix.lower() in RAW_SUFFIXES:  # a pipe would have to be waited for
            return None  # what comes first in a raw file is its small preview
        with path.open("rb") as file:
            return _fits(file, where) if file.read(len(MAGIC)).startswith((MAGIC, GZIP)) else _size(file)
    except (OSError, EOFError, struct.error, zlib.error, ValueError, ImageError):
        return None


def _size(file: IO[bytes]) -> tuple[int, int] | None:
    file.seek(0)
    head = file.read(32)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        found: tuple[int, int] = struct.unpack_from(">II", head, 16)
    elif head.startswith((b"GIF87a", b"GIF89a")):
        found = struct.unpack_from("<HH", head, 6)
    elif head.startswith(b"BM"):
        width, height = struct.unpack_from("<ii", head, 18)
        found = width, abs(height)
    elif head.startswith(b"\xff\xd8\xff"):
        return _jpeg(file)
    elif head.startswith((b"II*\0", b"MM\0*")):
        return _tiff(file, "<" if head.startswith(b"II") else ">")
    elif head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8X":
        found = int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    elif head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        found = width & 0x3FFF, height & 0x3FFF
    elif head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8L":
        packed = int.from_bytes(head[21:25], "little")
        found = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        return None
    return found if min(found) > 0 else None


def _fits(file: IO[bytes], where: str) -> tuple[int, int] | None:
    """The height and width of the picture that is meant, as far as it comes before `FAR`."""
    file.seek(0)
    packed = file.read(2) == GZIP
    source = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file
    file.seek(0)
    units = []
    for unit in walk(source):
        units.append(unit)
        if unit.end > FAR and packed:
            break
    shape = choose(units, Where.parse(where))[0].shape
    return shape[-1], shape[-2]


def _jpeg(file: IO[bytes]) -> tuple[int, int] | None:
    position = 2
    for _ in range(1000):
        file.seek(position)
        mark, marker, length = struct.unpack(">BBH", file.read(4))
        if mark != 0xFF:
            return None
        if marker == 0xFF:  # a byte to fill up
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack(">xHH", file.read(5))
            return (width, height) if width and height else None
        position += 2 + length
    return None


def _tiff(file: IO[bytes], order: str) -> tuple[int, int] | None:
    file.seek(4)
    file.seek(struct.unpack(order + "I", file.read(4))[0])
    (count,) = struct.unpack(order + "H", file.read(2))
    sides: dict[int, int] = {}
    for _ in range(min(count, 500)):
        entry = file.read(12)
        tag, kind, number = struct.unpack_from(order + "HHI", entry)
        if tag in (256, 257) and number == 1 and kind in (3, 4):
            (sides[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), entry, 8)
    return (sides[256], sides[257]) if len(sides) == 2 and min(sides.values()) > 0 else None
