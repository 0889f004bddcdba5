"""Tell from its unit if a file holds counts of photons, before its pixels are read."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, cast

from acutance.errors import ImageError
from acutance.images.fits_layout import GZIP, MAGIC, Where, split, unit_of, walk
from acutance.images.peek import FAR

COUNTS = frozenset(("e", "e-", "electron", "ct", "count", "adu", "dn", "photon", "ph"))
"""Units of counts, in small letters and without a plural; so are those by the second or the pixel."""


def is_count(unit: object) -> bool:
    """Tell whether a unit is one of counts, of electrons or photons, or a rate of them.

    >>> is_count("electron / s"), is_count("MJy/sr")
    (True, False)
    """
    first = str(unit).replace("*", " ").partition("/")[0].strip().lower()
    first = first.partition(" ")[0].rstrip("()")
    return first in COUNTS or first.removesuffix("s") in COUNTS


def count_unit(name: Path) -> str | None:
    """The unit (BUNIT) of a FITS picture if it is one of counts; None: another one, none, or no FITS."""
    path, where = split(name)
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
            if not head.startswith((MAGIC, GZIP)):
                return None
            packed = head.startswith(GZIP)
            file.seek(0)
            source = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file
            units = []
            for unit in walk(source):
                units.append(unit)
                if packed and unit.end > FAR:
                    break
            said = unit_of(units, Where.parse(where)).cards.get("BUNIT")
    except (OSError, EOFError, ValueError, ImageError):
        return None
    return said.strip() if isinstance(said, str) and is_count(said) else None
