"""OME-XML: what an OME-TIFF says of its pages, and the same text for a result.

The text is parsed to be read, but never written anew: a result gets the source's text, in which only what tells the
place of the pages is another, so that instruments, objectives, dates and annotations stay as they are.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from xml.etree import ElementTree

from acutance.errors import ImageError
from acutance.images.stack import Voxel

LONGEST = 32_000_000
"""Bytes of OME-XML that are parsed; 100,000 pages need about 30 MB."""

SAVE_ONE = "open it in Fiji (Bio-Formats) and save it as one file of one image"

_TIFF_DATA = re.compile(rb"<(\w+:)?TiffData\b(?:[^>]*/>|[^>]*>.*?</(?:\w+:)?TiffData\s*>)", re.DOTALL)


@dataclass(frozen=True)
class OmePixels:
    """The only image of OME-XML. Args: sizes: by axis. voxel, channels: see `acutance.images.stack.Stack`."""

    sizes: dict[str, int]
    voxel: Voxel | None
    channels: tuple[str, ...]


def read_ome(text: bytes, pages: int) -> OmePixels:
    """Parse OME-XML, and hold what it claims against the number of pages, before any other reader believes it.

    Args:
        text: the description of the first page. pages: that the file has.

    Raises:
        ImageError: entities, no XML, several images, more planes than pages, planes in other files.
    """
    if len(text) > LONGEST or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ImageError("its OME-XML is too long or declares entities: damaged; get an intact copy")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ImageError(f"its OME-XML is damaged ({error}); {SAVE_ONE}") from None
    images = [element for element in root.iter() if _name(element) == "Pixels"]
    if len(images) != 1:
        raise ImageError(f"it holds {len(images)} images; {SAVE_ONE}")
    pixels = images[0]
    try:
        sizes = {axis: int(pixels.attrib[f"Size{axis}"]) for axis in "TCZYX"}
        places = [_place(e) for e in pixels if _name(e) == "TiffData"]
    except (KeyError, ValueError):
        raise ImageError(f"its OME-XML does not say how large it is; {SAVE_ONE}") from None
    _check_planes(sizes, places, pages)
    if any(_name(e) == "UUID" and e.attrib.get("FileName") for e in pixels.iter()):
        uuids = {e.text for e in pixels.iter() if _name(e) == "UUID"}
        if len(uuids) > 1:
            raise ImageError(f"its planes lie in {len(uuids)} files; {SAVE_ONE}")
    names = tuple(e.attrib.get("Name", "") for e in pixels if _name(e) == "Channel")
    return OmePixels(sizes, _voxel(pixels.attrib), names if any(names) else ())


def ome_of_result(text: bytes, pages: int) -> bytes:
    """The text for a file of one series of so many pages in the order of the axes; its identity is not the source's."""
    first = _TIFF_DATA.search(text)
    if first is not None:
        place = b'<%bTiffData IFD="0" PlaneCount="%d"/>' % (first[1] or b"", pages)
        text = text[: first.start()] + place + _TIFF_DATA.sub(b"", text[first.end() :])
    return re.sub(rb'(<(?:\w+:)?OME\b[^>]*?)\s+UUID="[^"]*"', rb"\g<1>", text, count=1)


def _place(element: ElementTree.Element) -> tuple[list[int], list[int]]:
    """The numbers of pages in TiffData, and of planes along the axes.

    Raises:
        ValueError: no numbers.
    """
    pages = [int(v) for k, v in element.attrib.items() if k in ("IFD", "PlaneCount", "NumPlanes")]
    return pages, [int(v) for k, v in element.attrib.items() if k.startswith("First")]


def _check_planes(sizes: dict[str, int], places: list[tuple[list[int], list[int]]], pages: int) -> None:
    """Readers make lists as long as the text says: hold it against the pages.

    Raises:
        ImageError: more planes than pages, or planes elsewhere.
    """
    count = math.prod(sizes[axis] for axis in "TCZ")
    if min(sizes.values()) < 1 or count > pages * sizes["C"]:  # samples of a page may count as channels
        raise ImageError(f"it says that it has {count} planes, but there are {pages} pages: cut short; {SAVE_ONE}")
    for own, firsts in places:
        if any(not 0 <= n <= pages for n in own) or any(not 0 <= n <= count for n in firsts):
            raise ImageError(f"it names planes beyond its {pages} pages: damaged; {SAVE_ONE}")


def _name(element: ElementTree.Element) -> str:
    """Without the name space."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _voxel(attributes: dict[str, str]) -> Voxel | None:
    """The size of a voxel, all in the unit of x; None where it is not told."""
    sides: dict[str, float | None] = {}
    unit = attributes.get("PhysicalSizeXUnit", "µm")
    for axis in "ZYX":
        try:
            size = float(attributes[f"PhysicalSize{axis}"])
        except (KeyError, ValueError):
            size = math.nan
        own = attributes.get(f"PhysicalSize{axis}Unit", "µm")
        mine, theirs = (Voxel(None, 1, 1, each).micrometres for each in (own, unit))
        if own != unit:
            size *= mine[2] / theirs[2] if mine and theirs else math.nan
        sides[axis] = size if math.isfinite(size) and size > 0 else None
    y, x = sides["Y"], sides["X"]
    return None if y is None or x is None else Voxel(sides["Z"], y, x, unit)
