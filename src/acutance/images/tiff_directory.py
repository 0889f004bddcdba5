"""A walk through the directories of a TIFF before anybody loads a tag: what they claim is held against the file.

Readers load the values of tags as soon as they open a file. Five hundred tags that all point to the same 4 MB make 2 GB
of that, and every number of a tag is an object of its own. So the bytes of all tags together must fit into the file,
no directory has a tag twice (but for the description), and there is a limit for the numbers.
"""

from __future__ import annotations

import os
import struct
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from acutance.errors import ImageError

MAX_ENTRIES = 4096
"""Tags of one directory; tifffile takes no more."""

MAX_DIRECTORIES = 64
"""Directories of a picture that are looked into: of pages, and those below the first page (EXIF, GPS)."""

MAX_DESCRIPTIONS = 3
"""Times that the description may be there: tifffile writes one for people and one with the shape of the array."""

MAX_NUMBERS = 1 << 23
"""Numbers in all tags together, at about 40 bytes each in memory; a tile of 16 x 16 in 250 megapixels takes two."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_BYTES = (1, 2, 6, 7)
_DESCRIPTION = 270
_BELOW = (34665, 34853, 40965)
"""Tags that point to a directory: EXIF, GPS, interoperability."""

_SUB_IFDS, _OFFSETS = 330, (4, 13, 16, 18)
"""The tag that points to directories of smaller copies, and the types that offsets have."""


@dataclass(frozen=True)
class _Form:
    """How a TIFF counts: byte order, formats of an offset and of the number of entries, bytes of an entry."""

    order: str
    offset: str
    number: str
    entry: str

    @property
    def inline(self) -> int:
        """Bytes of a value that stand in the entry itself."""
        return struct.calcsize(self.offset)


def check_directories(file: IO[bytes], most: int = MAX_DIRECTORIES, *, copies: bool = False) -> int:
    """Refuse a TIFF whose tags claim more than the file has. Leaves the file at its start.

    Args:
        file: open. most: directories that are looked into. copies: look into those of smaller copies (SubIFDs) as well.

    Returns:
        How many were looked into.

    Raises:
        ImageError: tags twice, tags that overlap or lie beyond the end, too many numbers. Offsets that lead nowhere are
            left to the reader.
    """
    size = file.seek(0, os.SEEK_END)
    total = numbers = directories = 0
    for entries in _directories(file, size, most, copies):
        directories += 1
        for tag, times in Counter(tag for tag, *_ in entries).items():
            if times > (MAX_DESCRIPTIONS if tag == _DESCRIPTION else 1):
                raise ImageError(f"it has the tag {tag} {times} times: damaged; get an intact copy")
        for _, kind, count, inline in entries:
            length = count * _SIZES.get(kind, 1)
            total += 0 if length <= inline else length
            numbers += 0 if kind in _BYTES else count
    if total > size or numbers > MAX_NUMBERS:
        raise ImageError(f"its tags claim {total / 1e6:.0f} MB, more than there can be: damaged; get an intact copy")
    file.seek(0)
    return directories


def _directories(file: IO[bytes], size: int, most: int, copies: bool) -> Iterator[list[tuple[int, int, int, int]]]:
    """Of each directory, for each entry: tag, kind, count, bytes that stand in the entry."""
    file.seek(0)
    form, first = _form(file.read(16))
    if form is None:
        return
    waiting, seen = deque([first]), set[int]()
    while waiting and len(seen) < most:
        at = waiting.popleft()
        if at in seen or not 8 <= at < size:
            continue
        seen.add(at)
        file.seek(at)
        head = file.read(struct.calcsize(form.order + form.number))
        if len(head) < struct.calcsize(form.order + form.number):
            continue
        (count,) = struct.unpack(form.order + form.number, head)
        if count > MAX_ENTRIES:
            raise ImageError(f"it has {count} tags: damaged; get an intact copy")
        step = struct.calcsize(form.order + form.entry)
        table = file.read(count * step + form.inline)
        found = []
        for place in range(0, min(count * step, len(table) - step + 1), step):
            tag, kind, number, value = struct.unpack_from(form.order + form.entry, table, place)
            found.append((tag, kind, number, form.inline))
            if tag in _BELOW and number == 1:
                waiting.append(value)
            elif copies and tag == _SUB_IFDS and kind in _OFFSETS and number <= MAX_DIRECTORIES:
                waiting.extend(_offsets(file, form, kind, number, value, table[place : place + step]))
        if len(table) == count * step + form.inline:
            waiting.append(struct.unpack_from(form.order + form.offset, table, count * step)[0])
        yield found


def _offsets(file: IO[bytes], form: _Form, kind: int, number: int, value: int, entry: bytes) -> tuple[int, ...]:
    """The values of a tag that points to directories: in the entry itself, or where it says."""
    length = number * _SIZES[kind]
    if length > form.inline:
        file.seek(value)
    raw = entry[-form.inline :][:length] if length <= form.inline else file.read(length)
    code = f"{form.order}{number}{'I' if _SIZES[kind] == 4 else 'Q'}"
    return struct.unpack(code, raw) if len(raw) == length else ()


def _form(head: bytes) -> tuple[_Form | None, int]:
    """How a TIFF counts, and where its first directory is; None of what is no TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return None, 0
    (version,) = struct.unpack_from(order + "H", head, 2)
    if version == 42:
        return _Form(order, "I", "H", "HHII"), struct.unpack_from(order + "I", head, 4)[0]
    if version == 43 and len(head) == 16:
        return _Form(order, "Q", "Q", "HHQQ"), struct.unpack_from(order + "Q", head, 8)[0]
    return None, 0
