"""The size that a picture or a mask claims in its first bytes: enough to refuse it before anything is decoded.

What is not understood here is no matter: the library checks everything again, in a worker.
"""

from __future__ import annotations

import ast
import struct
from pathlib import Path
from typing import BinaryIO

_JPEG_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_MARKERS = 2000
_NPY_HEADER = 1000
_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}


def declared_size(path: Path) -> tuple[int, int] | None:
    """(width, height) of a PNG, JPEG, WebP, TIFF, BMP, GIF or .npy; None where the header does not say it.

    Args:
        path: a file; a few kilobytes of it are read.
    """
    try:
        with path.open("rb") as file:
            return _size(file)
    except (struct.error, OSError, ValueError, KeyError, OverflowError, SyntaxError, RecursionError, MemoryError):
        return None


def _npy(file: BinaryIO, head: bytes) -> tuple[int, int] | None:
    """The two sides of an array that are not 1; None of another shape."""
    start = 10 if head[6] == 1 else 12
    (length,) = struct.unpack_from("<H" if start == 10 else "<I", head, 8)
    if length > _NPY_HEADER:
        return None
    file.seek(start)
    shape = ast.literal_eval(file.read(length).decode("latin1").strip())["shape"]
    sides = [n for n in shape if n != 1] if len(shape) > 2 else list(shape)
    if len(sides) != 2 or not all(isinstance(n, int) and n >= 0 for n in sides):
        return None
    return sides[1], sides[0]


def _size(file: BinaryIO) -> tuple[int, int] | None:
    head = file.read(32)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack_from(">II", head, 16)
        return width, height
    if head[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack_from("<HH", head, 6)
        return width, height
    if head.startswith(b"BM"):
        width, height = struct.unpack_from("<ii", head, 18)
        return abs(width), abs(height)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    if head.startswith(b"\xff\xd8"):
        return _jpeg(file)
    if head.startswith(b"\x93NUMPY"):
        return _npy(file, head)
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff(file, head)
    return None


def _webp(head: bytes) -> tuple[int, int] | None:
    content = head[20:]
    if head[12:16] == b"VP8X":
        return int.from_bytes(content[4:7], "little") + 1, int.from_bytes(content[7:10], "little") + 1
    if head[12:16] == b"VP8L":
        packed = int.from_bytes(content[1:5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 6)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(2)
    for _ in range(_MARKERS):
        first, marker = struct.unpack(">BB", file.read(2))
        while marker == 0xFF:
            (marker,) = struct.unpack(">B", file.read(1))
        if first != 0xFF or marker == 0xDA:
            return None
        if marker in _JPEG_WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if marker in _JPEG_FRAMES:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return width, height
        file.seek(max(0, length - 2), 1)
    return None


def _tiff(file: BinaryIO, head: bytes) -> tuple[int, int] | None:
    order = "<" if head.startswith(b"II") else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    (at,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", head, 8 if big else 4)
    file.seek(at)
    (count,) = struct.unpack(f"{order}{'Q' if big else 'H'}", file.read(8 if big else 2))
    found: dict[int, int] = {}
    for _ in range(min(count, 500)):
        entry = file.read(20 if big else 12)
        tag, kind = struct.unpack_from(f"{order}HH", entry)
        if tag in (256, 257):
            (found[tag],) = struct.unpack_from(f"{order}{_TIFF_TYPES[kind]}", entry, 12 if big else 8)
    return (found[256], found[257]) if len(found) == 2 else None
