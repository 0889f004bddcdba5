"""The mark of a result: a line in its metadata that says who made it, from what, and how.

    acutance 0.2.0: deblur by acute; source <SHA-256 of the source file>; settings <16 digits>

A batch that was cut off recognises by it what is done, and no picture is restored twice by mistake. The line is a tEXt
chunk of PNG, a comment of JPEG, the tag ProcessingSoftware (11) of TIFF, a chunk of its own in WebP, and stands behind
the pixels of BMP, which has no metadata, and in the HISTORY of the FITS picture's header, where the last one counts.
Programs that save the picture anew may drop it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, cast

from acutance.errors import ImageError
from acutance.images.fits_layout import GZIP, MAGIC, Where, choose, walk
from acutance.images.ngff import is_zarr, read_mark_line
from acutance.images.zarr_stack import state_of_folder

KEY = b"Acutance"
"""Keyword of the PNG chunk."""

_PNG, _CHUNK, _TAG, _COMMENT = b"\x89PNG\r\n\x1a\n", b"ACUT", 11, 0xFE
_LONGEST = 600
_LINE = re.compile(
    r"acutance (?P<version>[\w.+-]{1,40}): (?P<tasks>[a-z]{1,20}(?:, [a-z]{1,20}){0,9}) by (?P<method>[\w.-]{1,60}); "
    r"source (?P<source>[0-9a-f]{64}); settings (?P<settings>[0-9a-f]{16})"
)


@dataclass(frozen=True)
class Mark:
    """What a result says of itself.

    Args:
        version: of Acutance. tasks: what was done to the picture, the last one last ("denoise", "deblur").
        method: that did the last. source: SHA-256 of the source file, 64 digits. settings: a hash, 16 digits.
    """

    version: str
    tasks: tuple[str, ...]
    method: str
    source: str
    settings: str

    @property
    def line(self) -> str:
        """As it stands in a file."""
        done = ", ".join(self.tasks)
        return f"acutance {self.version}: {done} by {self.method}; source {self.source}; settings {self.settings}"

    @staticmethod
    def parse(content: bytes) -> Mark | None:
        """The mark that a text is, None if it is none."""
        found = _LINE.fullmatch(content[:_LONGEST].rstrip(b"\0\n").decode("latin-1"))
        if found is None:
            return None
        tasks = tuple(found["tasks"].split(", "))
        return Mark(found["version"], tasks, found["method"], found["source"], found["settings"])


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 digits; of an OME-Zarr that of the names, sizes and times of its files."""
    if is_zarr(path):
        return state_of_folder(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_mark(data: bytes, mark: Mark) -> bytes:
    """An encoded picture with the mark in it, in the place of an earlier one; as it is where its kind has no place.

    FITS is written with its mark (`acutance.images.write_fits`).
    """
    line = mark.line.encode("ascii")
    if data.startswith(_PNG):
        return _into_png(data, line)
    if data.startswith(b"\xff\xd8"):
        return _into_jpeg(data, line)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _into_webp(data, line)
    if data.startswith(b"II*\0"):
        return _into_tiff(data, line)
    return data + b"\n" + line + b"\n" if data.startswith(b"BM") else data


def read_mark(path: Path, where: str = "") -> Mark | None:
    """The mark of a picture; None where it has none, is damaged, or cannot be read. Decodes nothing.

    Args:
        path: the file. where: which picture of a FITS file, see `acutance.images.fits_layout`.
    """
    try:
        if is_zarr(path):
            line = read_mark_line(path)
            return None if line is None else Mark.parse(line.encode("ascii", "replace"))
        if not path.is_file():  # a pipe would have to be waited for
            return None
        with path.open("rb") as file:
            return _search(file, os.fstat(file.fileno()).st_size, where)
    except (OSError, EOFError, struct.error, zlib.error, ValueError, ImageError):
        return None


def _search(file: IO[bytes], size: int, where: str) -> Mark | None:
    head = file.read(12)
    if head.startswith(MAGIC):
        return _search_fits(file, size, where)
    if head.startswith(GZIP):
        file.seek(0)
        return _search_fits(cast(IO[bytes], gzip.GzipFile(fileobj=file)), None, where)
    if head.startswith(_PNG):
        return _search_png(file)
    if head.startswith(b"\xff\xd8"):
        return _search_jpeg(file)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _search_webp(file, size)
    if head.startswith(b"II*\0"):
        return _search_tiff(file, size)
    if head.startswith(b"BM"):
        file.seek(max(0, size - _LONGEST))
        tail = file.read(_LONGEST).rstrip(b"\n")
        return Mark.parse(tail[tail.rfind(b"\n") + 1 :])
    return None


def _search_fits(file: IO[bytes], size: int | None, where: str) -> Mark | None:
    unit, _ = choose(list(walk(file, size)), Where.parse(where))
    last = None
    for last in _LINE.finditer(unit.history.decode("latin-1")):  # noqa: B007 (the last one is wanted)
        pass
    return None if last is None else Mark.parse(last[0].encode())


def _search_png(file: IO[bytes]) -> Mark | None:
    position = len(_PNG)
    for _ in range(1000):
        file.seek(position)
        length, name = struct.unpack(">I4s", file.read(8))
        if name in (b"IDAT", b"IEND"):
            return None
        if name == b"tEXt" and length <= _LONGEST:
            key, _, text = file.read(length).partition(b"\0")
            if key == KEY:
                return Mark.parse(text)
        position += 12 + length
    return None


def _into_png(data: bytes, line: bytes) -> bytes:
    text = b"tEXt" + KEY + b"\0" + line
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    kept, position = [data[:33], chunk], 33  # behind the header
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        if name == b"IDAT":
            break
        end = position + 12 + length
        if not (name == b"tEXt" and data[position + 8 : position + 9 + len(KEY)] == KEY + b"\0"):
            kept.append(data[position:end])
        position = end
    return b"".join([*kept, data[position:]])


def _jpeg_segments(file: IO[bytes]) -> list[tuple[int, int, int]]:
    """(marker, position, length with its two marker bytes) of the APP and COM segments at the start."""
    found: list[tuple[int, int, int]] = []
    position = 2
    while len(found) < 1000:
        file.seek(position)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or not (0xE0 <= head[1] <= 0xEF or head[1] == _COMMENT):
            break
        length = 2 + int.from_bytes(head[2:], "big")
        found.append((head[1], position, length))
        position += length
    return found


def _search_jpeg(file: IO[bytes]) -> Mark | None:
    for marker, position, length in _jpeg_segments(file):
        if marker == _COMMENT and length <= _LONGEST:
            file.seek(position + 4)
            mark = Mark.parse(file.read(length - 4))
            if mark is not None:
                return mark
    return None


def _into_jpeg(data: bytes, line: bytes) -> bytes:
    segments = _jpeg_segments(BytesIO(data))
    end = segments[-1][1] + segments[-1][2] if segments else 2
    first = next((i for i, (marker, _, _) in enumerate(segments) if marker == _COMMENT), len(segments))
    kept = [
        data[at : at + length]
        for marker, at, length in segments
        if marker != _COMMENT or Mark.parse(data[at + 4 : at + length]) is None
    ]  # programs that show one comment show the last one: the user's
    comment = bytes((0xFF, _COMMENT)) + struct.pack(">H", len(line) + 2) + line
    return b"".join([data[:2], *kept[:first], comment, *kept[first:], data[end:]])


def _search_webp(file: IO[bytes], size: int) -> Mark | None:
    position = 12
    for _ in range(1000):
        if position + 8 > size:
            return None
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == _CHUNK and length <= _LONGEST:
            return Mark.parse(file.read(length))
        position += 8 + length + length % 2
    return None


def _into_webp(data: bytes, line: bytes) -> bytes:
    kept, position = [], 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length + length % 2
        if name != _CHUNK:
            kept.append(data[position:end])
        position = end
    kept.append(_CHUNK + struct.pack("<I", len(line)) + line + bytes(len(line) % 2))
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _search_tiff(file: IO[bytes], size: int) -> Mark | None:
    file.seek(4)
    (first,) = struct.unpack("<I", file.read(4))
    file.seek(first)
    (count,) = struct.unpack("<H", file.read(2))
    entries = file.read(12 * count)
    for at in range(0, len(entries) - 11, 12):
        tag, kind, length, offset = struct.unpack_from("<HHII", entries, at)
        if tag == _TAG and kind == 2 and 4 < length <= _LONGEST and offset < size:
            file.seek(offset)
            return Mark.parse(file.read(length))
    return None


def _into_tiff(data: bytes, line: bytes) -> bytes:
    """The text and a new first directory go to the end of the file."""
    if len(data) > 2**32 - 2**20:
        return data
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    table = first + 2
    entries = [data[at : at + 12] for at in range(table, table + 12 * count, 12)]
    following = data[table + 12 * count : table + 12 * count + 4]
    whole = bytearray(data + bytes(len(data) % 2))
    text = line + b"\0"
    entries = [entry for entry in entries if struct.unpack_from("<H", entry)[0] != _TAG]
    entries.append(struct.pack("<HHII", _TAG, 2, len(text), len(whole)))
    entries.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    whole += text + bytes(len(text) % 2)
    struct.pack_into("<I", whole, 4, len(whole))
    return bytes(whole) + struct.pack("<H", len(entries)) + b"".join(entries) + following
