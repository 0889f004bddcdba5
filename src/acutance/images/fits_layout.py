"""The layout of a FITS file: its HDUs, what each says of itself, and names such as `m31.fits[SCI,2]`.

Headers are read card by card, without the package that reads the pixels, so that a size or a mark costs nothing. What a
header claims is held against the size of the file before anything is allocated.

    FILE                  the first HDU that holds a picture
    FILE[2]               the second extension; 0 is the primary HDU
    FILE[SCI], [SCI,2]    by EXTNAME, and EXTVER, in capitals or not
    FILE[*,*,3]           the third plane of a cube, counted from 1, in the order of NAXISn; also behind [EXT]
    FILE[*,*,1:3]         three planes as red, green and blue
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from acutance.errors import ImageError

BLOCK, CARD = 2880, 80
MAGIC = b"SIMPLE  ="
GZIP = b"\x1f\x8b"

MOST_BLOCKS = 2000
"""The most bytes of one header: 72,000 cards."""

MOST_FIELDS = 999
"""Columns of a table, as FITS allows."""

MOST_UNITS = 10_000

NOT_PICTURES = frozenset(
    ("DQ", "MASK", "FLAGS", "BPM", "VAR", "VARIANCE", "ERR", "ERROR", "SIGMA", "IVAR", "WHT", "WEIGHT", "CON", "CTX")
)
"""Names of extensions that go with a picture and are none."""

_NAMED = re.compile(r"(.*\.(?:fits|fit|fts)(?:\.gz|\.fz)?)((?:\[[^\[\]/]*\])+)", re.IGNORECASE)
_PARTS = re.compile(r"\[([^\[\]]*)\]")
_FORM = "give FILE[2], FILE[NAME], FILE[NAME,VERSION], and [*,*,3] behind it for a plane"


@dataclass(frozen=True)
class FitsFile:
    """The FITS file that a picture comes from, and where in it the picture stands.

    Args:
        data: its bytes, unpacked where it was packed by gzip. where: the words in brackets behind its name.
        box: x, y, width, height of the picture in the file's; None: all of it.
    """

    data: bytes = field(repr=False)
    where: str = ""
    box: tuple[int, int, int, int] | None = None

    def cut(self, x: int, y: int, width: int, height: int) -> FitsFile:
        """A piece, x and y counted from the present one's first pixel."""
        left, top = (0, 0) if self.box is None else self.box[:2]
        return replace(self, box=(left + x, top + y, width, height))


@dataclass(frozen=True)
class Unit:
    """A header and its data (HDU).

    Args:
        index: from 0. start, data, end: bytes where the header, its data and the next unit begin.
        cards: the first value of each keyword, a number, a text or True and False.
        history: the text of all HISTORY cards, joined.
    """

    index: int
    start: int
    data: int
    end: int
    cards: Mapping[str, object]
    history: bytes = b""

    @property
    def name(self) -> str:
        """EXTNAME in capitals, "PRIMARY" or "" where there is none."""
        name = self.cards.get("EXTNAME")
        return name.strip().upper() if isinstance(name, str) else "" if self.index else "PRIMARY"

    @property
    def version(self) -> int:
        """EXTVER."""
        version = self.cards.get("EXTVER", 1)
        return version if isinstance(version, int) else 1

    @property
    def is_packed(self) -> bool:
        """Tell whether it is a table that holds a compressed picture."""
        return self.cards.get("XTENSION") in ("BINTABLE", "A3DTABLE") and self.cards.get("ZIMAGE") is True

    @property
    def bits(self) -> int:
        """BITPIX of the picture: 8 to 64, below 0 for floats.

        Raises:
            ImageError: another number.
        """
        return _bits(self.cards, "ZBITPIX" if self.is_packed else "BITPIX")

    @property
    def shape(self) -> tuple[int, ...]:
        """The sides of the picture, the last one being its width; () where there is none."""
        if self.index and not self.is_packed and self.cards.get("XTENSION") not in ("IMAGE", "IUEIMAGE"):
            return ()
        sides = _sides(self.cards, "Z" if self.is_packed else "")
        return tuple(reversed(sides)) if 0 not in sides else ()

    @property
    def tile(self) -> tuple[int, ...]:
        """Sides of the tiles of a compressed picture, in the order of `shape`.

        Raises:
            ImageError: they are no whole numbers above 0.
        """
        sides = tuple(reversed(self.shape))
        tile = [_whole(self.cards, f"ZTILE{n}", side if n == 1 else 1) for n, side in enumerate(sides, 1)]
        if min(tile, default=1) < 1:
            raise ImageError(f"{self} claims tiles of {tile} pixels: damaged; get an intact copy")
        return tuple(reversed([min(t, side) for t, side in zip(tile, sides, strict=True)]))

    def __str__(self) -> str:
        version = f",{self.version}" if "EXTVER" in self.cards else ""
        named = f"[{self.name}{version}]" if self.index and self.name else f"[{self.index}]"
        return f"{named} of {' x '.join(map(str, reversed(self.shape)))}" if self.shape else named


@dataclass(frozen=True)
class Where:
    """The name of a picture in a file, see the module. Args: number, name, version: of the HDU. planes: by axis."""

    number: int | None = None
    name: str | None = None
    version: int | None = None
    planes: tuple[tuple[int, int], ...] | None = None

    @staticmethod
    def parse(text: str) -> Where:
        """From the words in brackets.

        Raises:
            ImageError: they are none.
        """
        found, parts = Where(), _PARTS.findall(text)
        for n, part in enumerate(parts):
            if n == len(parts) - 1 and re.fullmatch(r"\s*\*\s*,\s*\*\s*(,\s*\d{1,9}(:\d{1,9})?\s*)+", part):
                ends = [axis.strip().partition(":") for axis in part.split(",")[2:]]
                found = replace(found, planes=tuple((int(a), int(b or a)) for a, _, b in ends))
            elif n == 0 and re.fullmatch(r"\s*\d{1,6}\s*", part):
                found = Where(number=int(part))
            elif n == 0 and (named := re.fullmatch(r"\s*([^,*]+?)\s*(?:,\s*(\d{1,9})\s*)?", part)):
                found = Where(name=named[1].upper(), version=int(named[2]) if named[2] else None)
            else:
                raise ImageError(f"{text} names no picture of a FITS file; {_FORM}")
        return found


def split(path: Path) -> tuple[Path, str]:
    """The file of a name such as `m31.fits[SCI]`, and the words in brackets; "" where there are none.

    A file that has the brackets in its own name is itself.

    >>> split(Path("night/m31.fits.gz[SCI,2][*,*,3]"))[1]
    '[SCI,2][*,*,3]'
    """
    named = _NAMED.fullmatch(str(path))
    if named is None or os.path.lexists(path):
        return path, ""
    return Path(named[1]), named[2]


def walk(file: IO[bytes], size: int | None = None) -> Iterator[Unit]:
    """The HDUs of a file, one after the other, which may be left at any.

    Args:
        file: open, at any position. size: of the file, bytes; None: it is not known, and nothing is held against it.

    Raises:
        ImageError: a header without an end, sides that cannot be, more data than the file has.
    """
    position = 0
    for index in range(MOST_UNITS):
        file.seek(position)
        head = _header(file, index)
        if head is None:
            return
        cards, history = _cards(head)
        fields = cards.get("TFIELDS", 0)
        if not isinstance(fields, int) or not 0 <= fields <= MOST_FIELDS:  # astropy counts up to it
            raise ImageError(f"HDU {index} claims {fields} columns: damaged; get an intact copy")
        data = position + len(head)
        length = _length(cards)
        if size is not None and data + length > size:
            raise ImageError(f"it is cut short: HDU {index} claims {length} bytes of data, and {size - data} are there")
        end = data + -(-length // BLOCK) * BLOCK
        yield Unit(index, position, data, end if size is None else min(end, size), cards, history)
        position = end
    raise ImageError(f"it has more than {MOST_UNITS} HDUs; split it first")


def choose(units: Sequence[Unit], where: Where) -> tuple[Unit, tuple[int, ...]]:
    """The HDU that is meant, and one plane of it, or three, counted from 0 over all axes but the last two.

    Raises:
        ImageError: there is none, or it is a cube and no plane is named.
    """
    unit = unit_of(units, where)
    leading = tuple(reversed(unit.shape[:-2]))  # as NAXIS3, NAXIS4 ...
    if where.planes is None:
        if math.prod(leading) > 1:
            ranges = ",".join(["*", "*", *("1" for _ in leading)])
            raise ImageError(f"{unit} is a cube; name one plane, counted from 1: FILE[{unit.index}][{ranges}]")
        return unit, (0,)
    planes = where.planes + ((1, 1),) * (len(leading) - len(where.planes))
    count = math.prod(b - a + 1 for a, b in planes)
    beyond = [n for (a, b), n in zip(planes, leading, strict=False) if not 1 <= a <= b <= n]
    unnamed = [n for n in leading[len(where.planes) :] if n > 1]
    if len(planes) > len(leading) or beyond or unnamed or count not in (1, 3):
        raise ImageError(f"{unit} has no such plane; name one, or three as red, green and blue, within its axes")
    found = [0]
    for (a, b), stride in zip(planes, (math.prod(leading[:k]) for k in range(len(leading))), strict=True):
        found = [before + (number - 1) * stride for number in range(a, b + 1) for before in found]
    return unit, tuple(found)


def unit_of(units: Sequence[Unit], where: Where) -> Unit:
    """The HDU that is meant.

    Raises:
        ImageError: there is none.
    """
    pictures = [u for u in units if len(u.shape) >= 2]
    there = ", ".join(map(str, pictures[:20])) or "none"
    if where.number is None and where.name is None:
        first = next((u for u in pictures if u.name not in NOT_PICTURES), None)
        if first is None:
            raise ImageError(
                f"no HDU of it holds a picture of two axes or more (there: {there}); name one by FILE[EXT]"
            )
        return first
    for unit in units:
        named = unit.name == where.name and where.version in (None, unit.version)
        if named if where.number is None else unit.index == where.number:
            if len(unit.shape) < 2:
                raise ImageError(f"HDU {unit.index} holds no picture; those of the file: {there}")
            return unit
    raise ImageError(f"it has no such extension; pictures of the file: {there}")


def _header(file: IO[bytes], index: int) -> bytes | None:
    """A header up to the end of its last block; None where the file ends before it.

    Raises:
        ImageError: it has no end.
    """
    blocks: list[bytes] = []
    while len(blocks) < MOST_BLOCKS:
        block = file.read(BLOCK)
        if not blocks and not block.startswith(b"XTENSION" if index else MAGIC):
            if index:  # what follows the last HDU is no matter
                return None
            raise ImageError("it does not begin as FITS does; get an intact copy")
        blocks.append(block)
        if len(block) < BLOCK:
            break
        if any(block[at : at + 8] == b"END     " for at in range(0, BLOCK, CARD)):
            return b"".join(blocks)
    raise ImageError(f"the header of HDU {index} has no end: cut short or damaged; get an intact copy")


def _cards(head: bytes) -> tuple[dict[str, object], bytes]:
    """The first value of each keyword, and the text of HISTORY."""
    found: dict[str, object] = {}
    history: list[bytes] = []
    for at in range(0, len(head), CARD):
        card = head[at : at + CARD]
        key = card[:8].rstrip().decode("latin-1")
        if key == "END":
            break
        if key == "HISTORY":
            history.append(card[8:])
        elif card[8:9] == b"=" and key not in found:
            found[key] = _value(card[9:].decode("latin-1"))
    return found, b"".join(history)


def _value(text: str) -> object:
    """The value of a card, by the text behind its equals sign."""
    text = text.strip()
    if text.startswith("'"):
        quoted = re.match(r"'((?:[^']|'')*)", text)
        return quoted[1].replace("''", "'").rstrip() if quoted else ""
    text = text.partition("/")[0].strip()
    if text in ("T", "F"):
        return text == "T"
    try:
        return int(text) if re.fullmatch(r"[+-]?\d{1,30}", text) else float(text.replace("D", "E"))
    except ValueError:
        return text


def _whole(cards: Mapping[str, object], key: str, otherwise: int | None = None) -> int:
    value = cards.get(key, otherwise)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ImageError(f"its card {key} is missing or no whole number: damaged; get an intact copy")
    return value


def _bits(cards: Mapping[str, object], key: str) -> int:
    bits = _whole(cards, key)
    if bits not in (8, 16, 32, 64, -32, -64):
        raise ImageError(f"it claims {key} = {bits}, which FITS has not: damaged; get an intact copy")
    return bits


def _sides(cards: Mapping[str, object], prefix: str = "") -> list[int]:
    """NAXIS1, NAXIS2 ...

    Raises:
        ImageError: missing, negative, or too many.
    """
    count = _whole(cards, f"{prefix}NAXIS")
    if not 0 <= count <= 999:
        raise ImageError(f"it claims {count} axes: damaged; get an intact copy")
    sides = [_whole(cards, f"{prefix}NAXIS{n}") for n in range(1, count + 1)]
    if min(sides, default=0) < 0:
        raise ImageError(f"it claims sides of {sides}: damaged; get an intact copy")
    return sides


def _length(cards: Mapping[str, object]) -> int:
    """Bytes of the data of a unit, without those that fill its last block."""
    bits, sides = _bits(cards, "BITPIX"), _sides(cards)
    if not sides:
        return 0
    grouped = cards.get("GROUPS") is True and sides[0] == 0
    parameters, groups = _whole(cards, "PCOUNT", 0), _whole(cards, "GCOUNT", 1)
    if parameters < 0 or groups < 0:
        raise ImageError("it claims less than nothing (PCOUNT, GCOUNT): damaged; get an intact copy")
    return abs(bits) // 8 * groups * (parameters + math.prod(sides[1:] if grouped else sides))
