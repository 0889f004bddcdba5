"""Decoders for the 8-bit formats: JPEG, GIF and BMP through Pillow, WebP through libwebp.

Pillow's readers are called by name and not through `PIL.Image.open`, so that no other format is tried on a hostile
file, and so that the limit on pixels is ours instead of a setting of the process.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, GifImagePlugin, ImageFile, JpegImagePlugin

from acutance.errors import ImageError
from acutance.images import convert, exif, lazy_codecs
from acutance.images.carried import Carried, iptc_of
from acutance.images.decoded import Decoded, check_content, check_size, sound_dpi

# A JPEG spends a bit at least on each 8x8 block; LZW codes grow to 4096 pixels in 12 bits; BMP's runs to 255 in 16.
# WebP has no such limit: one colour takes 5564 bytes on 144 megapixels.
_PIXELS_PER_BYTE = {"JPEG": 1024, "GIF": 3000, "BMP": 200, "WEBP": 3000}
_SMALL = 1 << 24
# Progressive files take a dozen scans. Thousands over a large picture only keep the processor busy.
_MAX_SCANS = 1000
_FRAME_REMEDY = "take one frame out first, e.g. magick 'in.{}[0]' frame.png"


def add_metadata(source: ImageFile.ImageFile, into: Decoded) -> None:
    """What Pillow found besides the pixels."""
    block = exif.without_prefix(source.info.get("exif"))
    if block is not None:
        into.orientation, into.exif = exif.upright(block)
    into.icc = source.info.get("icc_profile") or None
    xmp, comment = source.info.get("xmp"), source.info.get("comment")
    into.carried = Carried(
        xmp=xmp if isinstance(xmp, bytes) else None,
        iptc=iptc_of(source.info.get("photoshop")),
        comment=comment if isinstance(comment, bytes) else None,
    )
    dpi = source.info.get("dpi")
    if isinstance(dpi, tuple) and len(dpi) == 2:
        into.dpi = sound_dpi(*dpi)


def read_jpeg(data: bytes, max_pixels: int) -> Decoded:
    """Decode a JPEG; of a file with several (MPO), the first. CMYK becomes RGB."""
    with exif.quiet():
        source = JpegImagePlugin.JpegImageFile(BytesIO(data))
    check_size(*source.size, max_pixels, 4)
    check_content(*source.size, len(data), _PIXELS_PER_BYTE["JPEG"])
    if data.count(b"\xff\xda") > _MAX_SCANS:
        raise ImageError("it has more than 1000 scans; save it again as an ordinary JPEG or as PNG")
    source.load()
    pixels = np.asarray(source)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    decoded = Decoded("JPEG", pixels, 255.0, 8)
    add_metadata(source, decoded)
    if "mp" in source.info or b"MPF\0" in data[:65536]:
        decoded.notes.append("only the first picture of the file was read")
    if source.mode == "CMYK":
        decoded.colour, note = convert.cmyk_to_srgb(pixels, decoded.icc)
        decoded.peak, decoded.icc = 1.0, convert.srgb_profile()
        decoded.notes.append(note)
    elif source.mode not in ("L", "RGB"):
        raise ImageError(f"its colours are of kind {source.mode}; save it as RGB first")
    return decoded


def read_gif(data: bytes, max_pixels: int) -> Decoded:
    """Decode a GIF of one frame."""
    with exif.quiet():
        source = GifImagePlugin.GifImageFile(BytesIO(data))
    check_size(*source.size, max_pixels, 4)
    check_content(*source.size, len(data), _PIXELS_PER_BYTE["GIF"])
    if source.is_animated:
        raise ImageError("it is animated; " + _FRAME_REMEDY.format("gif"))
    decoded = _expanded(source, Decoded("GIF", np.empty(0), 255.0, 8, alpha_peak=255.0))
    comment = source.info.get("comment")
    decoded.carried = Carried(comment=comment if isinstance(comment, bytes) else None)
    return decoded


def read_bmp(data: bytes, max_pixels: int) -> Decoded:
    """Decode a BMP."""
    with exif.quiet():
        source = BmpImagePlugin.BmpImageFile(BytesIO(data))
    check_size(*source.size, max_pixels, 4)
    check_content(*source.size, len(data), _PIXELS_PER_BYTE["BMP"])
    decoded = _expanded(source, Decoded("BMP", np.empty(0), 255.0, 8, alpha_peak=255.0))
    decoded.dpi = sound_dpi(*source.info["dpi"]) if "dpi" in source.info else None
    return decoded


def _expanded(source: ImageFile.ImageFile, into: Decoded) -> Decoded:
    """Palettes to colour, 1 bit to grey, and alpha apart."""
    source.load()
    picture = source
    if source.mode == "1":
        into.notes.append("1-bit grey expanded to 8-bit grey")
        grey = np.asarray(source.convert("L"))
        into.colour = grey[..., None]
        return into
    if source.mode == "P":
        into.notes.append("palette expanded to 8-bit colour")
    if "transparency" in source.info or source.mode in ("RGBA", "PA", "LA"):
        samples = np.asarray(picture.convert("RGBA"))
        into.colour, into.alpha = samples[..., :3], samples[..., 3]
    elif source.mode == "L":
        into.colour = np.asarray(picture)[..., None]
    else:
        into.colour = np.asarray(picture.convert("RGB"))
    return into


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        yield name, data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _webp_size(name: bytes, content: bytes) -> tuple[int, int] | None:
    """Width and height as a WebP chunk states them."""
    if name == b"VP8X" and len(content) >= 10:
        return int.from_bytes(content[4:7], "little") + 1, int.from_bytes(content[7:10], "little") + 1
    if name == b"VP8L" and len(content) >= 5:
        packed = int.from_bytes(content[1:5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if name == b"VP8 " and len(content) >= 10:
        width, height = struct.unpack_from("<HH", content, 6)
        return width & 0x3FFF, height & 0x3FFF
    return None


def read_webp(data: bytes, max_pixels: int) -> Decoded:
    """Decode a WebP of one frame."""
    decoded = Decoded("WEBP", np.empty(0), 255.0, 8, alpha_peak=255.0, lossless=False)
    has_alpha = False
    size: tuple[int, int] | None = None
    for name, content in _riff_chunks(data):
        stated = _webp_size(name, content)
        if stated is not None:
            check_size(*stated, max_pixels, 4)
            size = size or stated
        if name in (b"ANIM", b"ANMF"):
            raise ImageError("it is animated; " + _FRAME_REMEDY.format("webp"))
        if name == b"VP8L":
            decoded.lossless = True
            has_alpha |= len(content) >= 5 and bool(content[4] & 0x10)
        elif name == b"ALPH":
            has_alpha = True
        elif name == b"ICCP":
            decoded.icc = content or None
        elif name == b"XMP ":
            decoded.carried = Carried(xmp=content)
        elif name == b"EXIF":
            block = exif.without_prefix(content)
            if block is not None:
                decoded.orientation, decoded.exif = exif.upright(block)
    if size is None:
        raise ImageError("no picture in it; get an intact copy")
    if size[0] * size[1] > _SMALL:  # an empty page of ordinary size takes a few hundred bytes
        check_content(*size, len(data), _PIXELS_PER_BYTE["WEBP"])
    if struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        raise ImageError("it is cut short; get an intact copy")
    samples: NDArray[np.generic] = lazy_codecs.webp_decode(data, hasalpha=has_alpha)
    decoded.colour = samples[..., :3]
    decoded.alpha = samples[..., 3] if has_alpha else None
    return decoded
