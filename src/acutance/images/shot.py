"""Camera, lens, ISO, aperture and focal length of a photograph, by its EXIF data."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image as PillowImage

from acutance.images.exif import EXIF_POINTER, MAKE, MODEL, quiet
from acutance.images.tiff_directory import check_directories

ISO, APERTURE, FOCAL_LENGTH, LENS = 0x8827, 0x829D, 0x920A, 0xA434

MOST_ISO = 10_000_000
LONGEST = 100  # characters of a name


@dataclass(frozen=True)
class Shot:
    """The circumstances of a photograph; None, or an empty name, where its file does not tell.

    Args:
        camera: make and model. lens: its model. iso: sensitivity. aperture: f-number. focal_length: mm.
    """

    camera: str = ""
    lens: str = ""
    iso: int | None = None
    aperture: float | None = None
    focal_length: float | None = None


def shot_of(exif: bytes | None) -> Shot:
    """Read the circumstances from an EXIF block; what is missing or damaged is left out.

    Args:
        exif: a block that starts with its TIFF header, as in `acutance.images.ImageInfo`; None: there is none.

    >>> shot_of(None)
    Shot(camera='', lens='', iso=None, aperture=None, focal_length=None)
    """
    first: dict[int, Any] = {}
    inner: dict[int, Any] = {}
    with suppress(Exception), quiet():  # Pillow raises some ten kinds on damaged blocks
        if exif is not None:
            check_directories(BytesIO(exif))
            found = PillowImage.Exif()
            found.load_from_fp(BytesIO(exif))
            first = dict(found)
            inner = dict(found.get_ifd(EXIF_POINTER))
    make, model = _name(first.get(MAKE)), _name(first.get(MODEL))
    camera = model if not make or model.lower().startswith(make.split()[0].lower()) else f"{make} {model}".strip()
    iso = _number(inner.get(ISO), MOST_ISO)
    return Shot(
        camera,
        _name(inner.get(LENS)),
        None if iso is None else round(iso) or None,
        _number(inner.get(APERTURE), 1000),
        _number(inner.get(FOCAL_LENGTH), 100_000),
    )


def _name(value: object) -> str:
    """A text on one line, without control characters."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST]


def _number(value: Any, most: float) -> float | None:
    """A number above 0; of several the first."""
    first = value[0] if isinstance(value, tuple | list) and value else value
    try:
        number = float(first)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and 0 < number <= most else None
