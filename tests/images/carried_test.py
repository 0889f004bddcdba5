"""XMP, IPTC, comments and texts go from every format to every other, or a note says what was left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo

from acutance.images import read_image, write_image
from acutance.images.carried import MOST, Carried, photoshop_segment, xmp_chunk, xmp_of_chunk

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/>caf\xc3\xa9</x:xmpmeta>'
UPRIGHT = XMP.replace(b'"6"', b'"1"')
IPTC = b"\x1c\x02\x05\x00\x05title"
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
HOLDS = {
    ".png": {"xmp", "comment", "texts"},
    ".jpg": {"xmp", "iptc", "comment"},
    ".webp": {"xmp"},
    ".tif": {"xmp", "iptc"},
    ".bmp": set[str](),
}


def source(path: Path) -> set[str]:
    """Write a file with all that its format holds; returns what that is."""
    picture = PillowImage.fromarray(PIXELS)
    segment = photoshop_segment(IPTC)
    match path.suffix:
        case ".png":
            info = PngInfo()
            info.add_text("Author", "A. Person")
            info.add_text("Long", "x" * 5000, zip=True)
            info.add_itxt("Title", "写真", "zh", "title")
            info.add_itxt("XML:com.adobe.xmp", XMP.decode())
            picture.save(path, pnginfo=info)
            return {"xmp", "texts"}
        case ".jpg":
            picture.save(path, xmp=XMP, comment=b"hello", extra=segment)
        case ".webp":
            picture.save(path, xmp=XMP, lossless=True)
        case ".tif":
            tags = [(700, 1, len(XMP), XMP, True), (33723, 7, len(IPTC), IPTC, True)]
            tifffile.imwrite(path, PIXELS, photometric="rgb", extratags=tags, metadata=None)
    return HOLDS[path.suffix]


@pytest.mark.parametrize("suffix", HOLDS)
@pytest.mark.parametrize("origin", [".png", ".jpg", ".webp", ".tif"])
def test_what_a_file_carries_goes_on_or_is_named(origin: str, suffix: str, tmp_path: Path) -> None:
    there = source(tmp_path / f"in{origin}")
    image = read_image(tmp_path / f"in{origin}")
    assert {kind for kind in HOLDS[".png"] | HOLDS[".jpg"] if getattr(image.info.carried, kind)} == there
    notes = " ".join(write_image(tmp_path / f"out{suffix}", image))
    back = read_image(tmp_path / f"out{suffix}").info.carried
    names = {"xmp": "XMP", "iptc": "IPTC", "comment": "comment", "texts": "texts"}
    for kind in there:
        if kind in HOLDS[suffix] and not (kind == "comment" and suffix == ".png"):
            expected = UPRIGHT if kind == "xmp" else getattr(image.info.carried, kind)
            assert getattr(back, kind) == expected, kind
        elif kind not in HOLDS[suffix]:
            assert names[kind] in notes
            assert "left out" in notes
    if origin == ".jpg" and suffix == ".png":
        assert back.texts == ((b"tEXt", b"Comment\0hello"),)


def test_other_programs_read_them(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".webp"):
        source(tmp_path / f"in{suffix}")
        write_image(tmp_path / f"out{suffix}", read_image(tmp_path / f"in{suffix}"))
        with PillowImage.open(tmp_path / f"out{suffix}") as written:
            written.load()
            assert UPRIGHT in (written.info.get("xmp"), str(written.info.get("XML:com.adobe.xmp", "")).encode())
            if suffix == ".png":
                assert written.info["Author"] == "A. Person"
                assert written.info["Title"] == "写真"


def test_what_is_too_large_is_named() -> None:
    kept, notes = Carried(xmp=b"x" * (MOST + 1), comment=b"c", texts=((b"tEXt", b"k\0v"),) * 300).within_bounds()
    assert (kept.xmp, kept.comment, len(kept.texts)) == (None, b"c", 200)
    assert len(notes) == 2
    assert "XMP" in notes[0]


def test_a_jpeg_says_what_is_too_long_for_it(tmp_path: Path) -> None:
    image = read_image(_png(tmp_path / "in.png", XMP + b" " * 70_000))
    notes = write_image(tmp_path / "out.jpg", image)
    assert "XMP left out: it is too long for JPEG" in notes
    assert photoshop_segment(bytes(70_000)) is None


def _png(path: Path, xmp: bytes) -> Path:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    PillowImage.fromarray(PIXELS).save(path, pnginfo=info)
    return path


@pytest.mark.parametrize("content", [b"", b"XML:com.adobe.xmp", b"Title\0\0\0\0\0x", b"XML:com.adobe.xmp\0\1\0\0\0x"])
def test_chunks_without_plain_xmp(content: bytes) -> None:
    assert xmp_of_chunk(content) is None
    assert xmp_of_chunk(xmp_chunk(XMP)) == XMP
