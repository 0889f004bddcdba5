"""Which kind of file it is, by content; and the files that are refused, each with its remedy."""

from __future__ import annotations

import zlib
from importlib.util import find_spec
from pathlib import PurePath

from PIL import features

from acutance.errors import ImageError
from acutance.images.fits_layout import GZIP, MAGIC
from acutance.images.image import SUFFIXES, Format, suffix_of

HEAD = 2048
"""Bytes of a file that are looked at."""

_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)

RAW_REMEDY = "develop it to a 16-bit TIFF first, e.g. with darktable, RawTherapee or dcraw -6 -T"
_CONVERT = "convert it to a 16-bit TIFF or a PNG first, e.g. with magick or GIMP"
_HEIF_REMEDY = "convert it first, e.g. heif-convert in.heic out.png, or export a 16-bit TIFF"
_PHONE_EXTRA, _RAW_EXTRA = "pip install 'acutance[phone]' reads it", "pip install 'acutance[raw]' reads it"
_FITS_EXTRA = "pip install 'acutance[fits]' reads it"
_PHONE_SUFFIXES = {"HEIF": (".heic", ".heif", ".hif"), "AVIF": (".avif",)}

RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw"}
    | {".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)

_RAW_MAGIC = (
    (8, b"CR\x02\0", "Canon CR2"),
    (0, b"FUJIFILMCCD-RAW", "Fujifilm"),
    (0, b"IIRO", "Olympus"),
    (0, b"IIRS", "Olympus"),
    (0, b"MMOR", "Olympus"),
    (0, b"IIU\0", "Panasonic"),
    (0, b"FOVb", "Sigma"),
    (0, b"\0MRM", "Minolta"),
    (6, b"HEAPCCDR", "Canon CRW"),
    (4, b"ftypcrx ", "Canon CR3"),
)

_PHONE_MAGIC: tuple[tuple[bytes, Format, str], ...] = (
    (b"ftypavi", "AVIF", "AVIF"),
    (b"ftyphei", "HEIF", "HEIC"),
    (b"ftyphev", "HEIF", "HEIC"),
    (b"ftypmif1", "HEIF", "HEIF"),
    (b"ftypmsf1", "HEIF", "HEIF"),
)

_REFUSED: tuple[tuple[int, bytes, str, str], ...] = (
    (4, b"ftyp", "is a film", "take one frame out first, e.g. ffmpeg -i in.mp4 -frames:v 1 frame.png"),
    (0, b"\xff\x0a", "is JPEG XL, which is not read", _CONVERT),
    (4, b"JXL ", "is JPEG XL, which is not read", _CONVERT),
    (4, b"jP  ", "is JPEG 2000, which is not read", _CONVERT),
    (0, b"\xff\x4f\xff\x51", "is JPEG 2000, which is not read", _CONVERT),
    (0, b"8BPS", "is a Photoshop file", "export it as a 16-bit TIFF or a PNG first"),
    (0, b"v/1\x01", "is OpenEXR, which is not read", "convert it to a float TIFF first"),
    (0, b"#?RADIANCE", "is Radiance HDR, which is not read", "convert it to a float TIFF first"),
    (0, b"%PDF", "is a PDF", "draw its page first, e.g. pdftoppm -r 300 -png in.pdf page"),
)


def recognise(head: bytes, path: PurePath) -> Format:
    """Kind of file by its first bytes; its suffix only helps to name what is refused.

    Args:
        head: the first `HEAD` bytes, or fewer where the file is shorter.
        path: where they come from.

    Raises:
        ImageError: empty, a kind that is refused, or unknown; the message is the reason and the remedy.
    """
    if not head:
        raise ImageError("it is empty; get an intact copy")
    for offset, magic, camera in _RAW_MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return _raw(camera)
    for magic, phone, name in _PHONE_MAGIC:
        if head[4 : 4 + len(magic)] == magic:
            return _of_phone(phone, name)
    if head.startswith((MAGIC, GZIP)):
        return _fits(head)
    for offset, magic, what, remedy in _REFUSED:
        if head[offset : offset + len(magic)] == magic:
            raise ImageError(f"it {what}; {remedy}")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            raw = kind == "TIFF" and path.suffix.lower() in RAW_SUFFIXES
            return _raw(path.suffix) if raw else kind
    if path.suffix.lower() in RAW_SUFFIXES and not _is_text(head):
        return _raw(path.suffix)
    what = "it is text, not a picture" if _is_text(head) else "it is no picture of a known kind"
    raise ImageError(f"{what}; give a PNG, JPEG, WebP, TIFF, BMP, GIF or FITS")


def _fits(head: bytes) -> Format:
    """ "FITS", packed by gzip or not, where the package that reads it is installed.

    Raises:
        ImageError: it is not, or something else was packed.
    """
    if head.startswith(GZIP):
        try:
            begins = zlib.decompressobj(31).decompress(head, len(MAGIC))
        except zlib.error:
            begins = b""
        if begins != MAGIC:
            raise ImageError("it is packed by gzip, and what is in it is no FITS; unpack it first: gunzip")
    if find_spec("astropy") is None:
        raise ImageError(f"it is FITS; {_FITS_EXTRA}, or convert it to a float TIFF first")
    return "FITS"


def _raw(camera: str) -> Format:
    """ "RAW", where the package that develops raw files is installed.

    Raises:
        ImageError: it is not.
    """
    if find_spec("rawpy") is None:
        raise ImageError(f"it is a camera raw file ({camera}); {_RAW_EXTRA}, or {RAW_REMEDY}")
    return "RAW"


def _of_phone(kind: Format, name: str) -> Format:
    """HEIF or AVIF, where there is a decoder.

    Raises:
        ImageError: there is none.
    """
    if find_spec("pillow_heif") is not None or (kind == "AVIF" and features.check("avif")):
        return kind
    raise ImageError(f"it is {name}; {_PHONE_EXTRA}, or {_HEIF_REMEDY if kind == 'HEIF' else _CONVERT}")


def refuse_raw_suffix(path: PurePath) -> None:
    """Raw files are TIFFs of a kind, with a small preview where others have the picture."""
    if path.suffix.lower() in RAW_SUFFIXES:
        raise ImageError(f"it is a camera raw file ({path.suffix}); {RAW_REMEDY}")


def suffix_note(path: PurePath, kind: Format) -> tuple[str, ...]:
    """A note where the suffix says something else than the content."""
    usual = RAW_SUFFIXES if kind == "RAW" else _PHONE_SUFFIXES.get(kind) or SUFFIXES[kind]
    suffix = suffix_of(path)
    if suffix and suffix.lower() not in usual:
        return (f"the suffix is {suffix} but the file is {kind}",)
    return ()


def _is_text(head: bytes) -> bool:
    return all(byte >= 0x20 or byte in b"\t\n\r" for byte in head[:64])
