"""What a file carries besides EXIF and profile: XMP, IPTC, a comment, the texts of a PNG, what microscopes write.

All is kept as bytes and never parsed. Each is small in honest files; what is larger than `MOST` is left out, and the
reader says so.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

MOST = 2_000_000  # bytes of one item
MOST_TEXTS = 200

MARK = re.compile(rb"(?:Acutance\0)?acutance [\w.+-]{1,40}: [a-z, ]{1,250} by [\w.-]{1,60}; source [0-9a-f]{64}; ")
"""Begins what a result says of itself (`acutance.images.mark`): not carried on, since what is written has its own."""

XMP_KEYWORD = b"XML:com.adobe.xmp"
_IPTC_RESOURCE = 0x0404


@dataclass(frozen=True)
class Carried:
    """Metadata that goes from file to file as it is.

    Attributes:
        xmp: XMP packet, XML; its orientation is 1. iptc: IPTC-IIM records. comment: of a JPEG or GIF.
        texts: a PNG's tEXt, zTXt and iTXt chunks, (name, content), XMP not among them.
        microscope: description of a TIFF by ImageJ, or OME-XML: size of a pixel, unit, channels.
        resolution: pixels per unit, across and down, of a TIFF that names no unit; ImageJ has it in its description.
    """

    xmp: bytes | None = None
    iptc: bytes | None = None
    comment: bytes | None = None
    texts: tuple[tuple[bytes, bytes], ...] = ()
    microscope: bytes | None = None
    resolution: tuple[float, float] | None = None

    def within_bounds(self) -> tuple[Carried, tuple[str, ...]]:
        """Without what is larger than `MOST`, and a note for each thing left out; the orientation of XMP reset."""
        notes = list[str]()

        def checked(name: str, value: bytes | None) -> bytes | None:
            if value and len(value) > MOST:
                notes.append(f"{name} of {len(value)} bytes left out")
            return value if value and len(value) <= MOST else None

        xmp, iptc = checked("XMP", self.xmp), checked("IPTC", self.iptc)
        microscope = checked("the microscope's description", self.microscope)
        comment = checked("comment", self.comment)
        comment = None if comment and MARK.match(comment) else comment
        others = [text for text in self.texts if not MARK.match(text[1])]
        small = tuple(text for text in others if len(text[1]) <= MOST)[:MOST_TEXTS]
        if len(small) < len(others):
            notes.append(f"{len(others) - len(small)} of {len(others)} texts left out: too many or too large")
        upright = None if xmp is None else _upright(xmp)
        return Carried(upright, iptc, comment, small, microscope, self.resolution), tuple(notes)


def _upright(xmp: bytes) -> bytes:
    """XMP whose orientation is 1, as the pixels are upright; of the same length."""
    return re.sub(rb"(tiff:Orientation(?:=[\"']|>)\s*)[1-8]", rb"\g<1>1", xmp)


def fitting_description(microscope: bytes, width: int, height: int, kind: str) -> bytes | None:
    """A microscope's description for a picture of another size or type; None where it points to other files.

    Args:
        microscope: see `Carried`. width, height: of the picture. kind: of its samples, "uint8", "uint16" or "float".
    """
    if microscope.startswith(b"ImageJ="):
        return microscope
    if b"FileName=" in microscope:
        return None
    for name, value in (("SizeX", str(width)), ("SizeY", str(height)), ("Type", kind)):
        microscope = re.sub(rb'(<Pixels\b[^>]*\b%s=")[^"]*"' % name.encode(), rb'\g<1>%s"' % value.encode(), microscope)
    return microscope


def xmp_chunk(xmp: bytes) -> bytes:
    """Content of a PNG's iTXt chunk that holds XMP, not compressed."""
    return XMP_KEYWORD + b"\0\0\0\0\0" + xmp


def xmp_of_chunk(content: bytes) -> bytes | None:
    """XMP in the content of an iTXt chunk; None if it holds something else, or is compressed."""
    keyword, _, rest = content.partition(b"\0")
    if keyword != XMP_KEYWORD or rest[:1] != b"\0":
        return None
    return rest[2:].split(b"\0", 2)[-1] or None


def photoshop_segment(iptc: bytes) -> bytes | None:
    """The JPEG segment APP13 that holds IPTC records; None if they are too long for one."""
    resource = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    content = b"Photoshop 3.0\0" + resource
    return None if len(content) > 65533 else b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def iptc_of(photoshop: object) -> bytes | None:
    """IPTC records among a JPEG's Photoshop resources, as Pillow hands them over."""
    found = photoshop.get(_IPTC_RESOURCE) if isinstance(photoshop, dict) else None
    return found if isinstance(found, bytes) else None
