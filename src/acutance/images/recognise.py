"""Which kind of file it is, by content; and the files that are refused, each with its remedy."""

from __future__ import annotations

from pathlib import PurePath

from acutance.errors import ImageError
from acutance.images.image import SUFFIXES, Format

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

RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw"}
    | {".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)

_REFUSED: tuple[tuple[int, bytes, str, str], ...] = (
    (8, b"CR\x02\0", "is a camera raw file (Canon CR2)", RAW_REMEDY),
    (0, b"FUJIFILMCCD-RAW", "is a camera raw file (Fujifilm)", RAW_REMEDY),
    (0, b"IIRO", "is a camera raw file (Olympus)", RAW_REMEDY),
    (0, b"IIRS", "is a camera raw file (Olympus)", RAW_REMEDY),
    (0, b"MMOR", "is a camera raw file (Olympus)", RAW_REMEDY),
    (0, b"IIU\0", "is a camera raw file (Panasonic)", RAW_REMEDY),
    (0, b"FOVb", "is a camera raw file (Sigma)", RAW_REMEDY),
    (0, b"\0MRM", "is a camera raw file (Minolta)", RAW_REMEDY),
    (6, b"HEAPCCDR", "is a camera raw file (Canon CRW)", RAW_REMEDY),
    (4, b"ftypcrx ", "is a camera raw file (Canon CR3)", RAW_REMEDY),
    (4, b"ftypavi", "is AVIF, which is not read", _CONVERT),
    (4, b"ftyphei", "is HEIC, which is not read", _HEIF_REMEDY),
    (4, b"ftyphev", "is HEIC, which is not read", _HEIF_REMEDY),
    (4, b"ftypmif1", "is HEIF, which is not read", _HEIF_REMEDY),
    (4, b"ftypmsf1", "is HEIF, which is not read", _HEIF_REMEDY),
    (4, b"ftyp", "is a film", "take one frame out first, e.g. ffmpeg -i in.mp4 -frames:v 1 frame.png"),
    (0, b"\xff\x0a", "is JPEG XL, which is not read", _CONVERT),
    (4, b"JXL ", "is JPEG XL, which is not read", _CONVERT),
    (4, b"jP  ", "is JPEG 2000, which is not read", _CONVERT),
    (0, b"\xff\x4f\xff\x51", "is JPEG 2000, which is not read", _CONVERT),
    (0, b"8BPS", "is a Photoshop file", "export it as a 16-bit TIFF or a PNG first"),
    (0, b"v/1\x01", "is OpenEXR, which is not read", "convert it to a float TIFF first"),
    (0, b"#?RADIANCE", "is Radiance HDR, which is not read", "convert it to a float TIFF first"),
    (0, b"SIMPLE  =", "is FITS, which is not read", "convert it to a float TIFF first"),
    (0, b"%PDF", "is a PDF", "draw its page first, e.g. pdftoppm -r 300 -png in.pdf page"),
)


def recognise(head: bytes, path: PurePath) -> Format:
    """Kind of file by its first bytes; its suffix only helps to name what is refused.

    Args:
        head: the first 64 bytes, or fewer where the file is shorter.
        path: where they come from.

    Raises:
        ImageError: empty, a kind that is refused, or unknown; the message is the reason and the remedy.
    """
    if not head:
        raise ImageError("it is empty; get an intact copy")
    for offset, magic, what, remedy in _REFUSED:
        if head[offset : offset + len(magic)] == magic:
            raise ImageError(f"it {what}; {remedy}")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            if kind == "TIFF":
                refuse_raw_suffix(path)
            return kind
    refuse_raw_suffix(path)
    what = "it is text, not a picture" if _is_text(head) else "it is no picture of a known kind"
    raise ImageError(f"{what}; give a PNG, JPEG, WebP, TIFF, BMP or GIF")


def refuse_raw_suffix(path: PurePath) -> None:
    """Raw files are TIFFs of a kind, with a small preview where others have the picture."""
    if path.suffix.lower() in RAW_SUFFIXES:
        raise ImageError(f"it is a camera raw file ({path.suffix}); {RAW_REMEDY}")


def suffix_note(path: PurePath, kind: Format) -> tuple[str, ...]:
    """A note where the suffix says something else than the content."""
    if path.suffix and path.suffix.lower() not in SUFFIXES[kind]:
        return (f"the suffix is {path.suffix} but the file is {kind}",)
    return ()


def _is_text(head: bytes) -> bool:
    return all(byte >= 0x20 or byte in b"\t\n\r" for byte in head)
