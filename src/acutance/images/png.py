"""PNG in and out, 8 and 16 bits: libpng does the pixels, the chunks around them are walked here.

libpng is shown only the chunks that make the picture, so that nothing else in a hostile file reaches it, and so that
metadata is the same for every depth (Pillow cannot hold 16-bit colour).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acutance.errors import ImageError
from acutance.images import exif, lazy_codecs
from acutance.images.carried import MOST_TEXTS, xmp_of_chunk
from acutance.images.decoded import Decoded, check_size, sound_dpi

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_COLOUR = (b"cHRM", b"gAMA", b"sRGB", b"cICP")
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_TRANSPARENCY = {0: 2, 2: 6}  # colour type -> length of tRNS; a palette's is as long as it likes
_DEFLATE_RATIO = 1032  # no deflate stream grows more
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_MAX_PROFILE = 2**24
_LEVEL = 4  # half the time of libpng's own choice, files a twentieth larger
_INCH = 0.0254


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: int

    @classmethod
    def parse(cls, content: bytes) -> _Header:
        """Read IHDR's 13 bytes.

        Raises:
            ImageError: a value that PNG does not have.
        """
        width, height, depth, colour_type, compression, filtering, interlaced = struct.unpack(">IIBBBBB", content)
        if depth not in _DEPTHS.get(colour_type, ()) or compression or filtering or interlaced > 1:
            raise ImageError(f"its header is damaged (colour type {colour_type}, depth {depth}); get an intact copy")
        return cls(width, height, depth, colour_type, interlaced)

    @property
    def unpacked(self) -> int:
        """Bytes that the compressed data must unpack to: each row of each pass, and a filter byte before it."""
        total = 0
        for left, top, across, down in _ADAM7 if self.interlaced else ((0, 0, 1, 1),):
            columns, rows = -((left - self.width) // across), -((top - self.height) // down)
            if columns > 0 and rows > 0:
                total += rows * (1 + (columns * _CHANNELS[self.colour_type] * self.depth + 7) // 8)
        return total


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Name and content of each chunk up to IEND, and whether its checksum is right."""
    position = len(SIGNATURE)
    while position < len(data):
        if position + 8 > len(data):
            raise ImageError("it is cut short; get an intact copy")
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise ImageError("it is cut short; get an intact copy")
        if name == b"IEND":
            return
        checksum = zlib.crc32(memoryview(data)[position + 4 : end - 4]).to_bytes(4, "big")
        yield name, data[position + 8 : end - 4], checksum == data[end - 4 : end]
        position = end


def _check_data(header: _Header, data: list[bytes]) -> None:
    """Unpack the compressed data without keeping it, to be sure that libpng will find it whole.

    That makes decoding take a half longer. It is done because libpng allocates first, and because it prints its
    warnings on the process's standard error, where nobody can catch them.

    Raises:
        ImageError: too short, too long, or damaged.
    """
    packed = sum(map(len, data))
    size = f"{header.width} x {header.height}"
    if header.unpacked > packed * _DEFLATE_RATIO:
        raise ImageError(f"it claims {size} pixels in {packed} bytes: damaged; get an intact copy")
    inflate, total = zlib.decompressobj(), 0
    for part in data:
        while part and not inflate.eof and total <= header.unpacked:
            total += len(inflate.decompress(part, 2**20))
            part = inflate.unconsumed_tail
    if total != header.unpacked or not inflate.eof or inflate.unused_data:
        raise ImageError(f"its data is not that of {size} pixels: damaged; get an intact copy")


def _sound(name: bytes, content: bytes, header: _Header) -> bool:
    """Whether a palette or transparency chunk is one that belongs to the picture."""
    if name == b"PLTE":
        return header.colour_type == 3
    return header.colour_type == 3 or len(content) == _TRANSPARENCY.get(header.colour_type)


def _profile(content: bytes) -> bytes:
    """Unpack an iCCP chunk, no further than a profile can be long."""
    _, _, packed = content.partition(b"\0")
    inflate = zlib.decompressobj()
    profile = inflate.decompress(packed[1:], _MAX_PROFILE)
    if not inflate.eof:
        raise ValueError("unfinished or oversized")
    return profile


def _add_metadata(name: bytes, content: bytes, into: Decoded) -> None:
    if name == b"iCCP":
        into.icc = _profile(content)
    elif name == b"eXIf":
        block = exif.without_prefix(content)
        if block is not None:
            into.orientation, into.exif = exif.upright(block)
    elif name == b"pHYs":
        x, y, unit = struct.unpack(">IIB", content)
        if unit == 1:
            into.dpi = sound_dpi(x * _INCH, y * _INCH)
    elif name == b"iTXt" and (xmp := xmp_of_chunk(content)) is not None:
        into.carried = replace(into.carried, xmp=xmp)
    elif name in _TEXTS and len(into.carried.texts) <= MOST_TEXTS:  # one more, so that it is said
        into.carried = replace(into.carried, texts=(*into.carried.texts, (name, content)))
    elif name in _COLOUR and len(content) <= 64:
        into.colour_chunks += ((name, content),)


def read_png(data: bytes, max_pixels: int) -> Decoded:
    """Decode a PNG of any depth and colour type.

    Args:
        data: the whole file.
        max_pixels: refuse more than that, before decoding.

    Raises:
        ImageError: too many pixels, animated, damaged.
        imagecodecs.PngError: damaged.
    """
    header: _Header | None = None
    picture: dict[bytes, list[bytes]] = {b"PLTE": [], b"tRNS": [], b"IDAT": []}
    metadata: list[tuple[bytes, bytes]] = []
    notes: list[str] = []
    for name, content, intact in _chunks(data):
        if header is None:
            if name != b"IHDR" or len(content) != 13 or not intact:
                raise ImageError("it does not start with a PNG header; get an intact copy")
            header = _Header.parse(content)
            sample_bytes = (_CHANNELS[header.colour_type] + 1) * math.ceil(header.depth / 8)
            check_size(header.width, header.height, max_pixels, 4 if header.colour_type == 3 else sample_bytes)
        elif name in picture:
            if not intact:
                raise ImageError(f"its {name.decode()} chunk is damaged; get an intact copy")
            if name == b"IDAT" or (_sound(name, content, header) and not picture[name]):
                picture[name].append(content)
        elif name == b"acTL" and content[:4] not in (b"\0\0\0\0", b"\0\0\0\1"):
            raise ImageError("it is animated; take one frame out first, e.g. ffmpeg -i in.png frame-%d.png")
        elif name in (*_COLOUR, *_TEXTS, b"iCCP", b"eXIf", b"pHYs"):
            if intact and name not in _TEXTS and any(name == known for known, _ in metadata):
                notes.append(f"second {name.decode()} chunk left out")
                notes[:] = dict.fromkeys(notes)
                continue
            if intact:
                metadata.append((name, content))
            else:
                notes.append(f"damaged {name.decode()} chunk left out")
    if header is None:
        raise ImageError("it is cut short; get an intact copy")
    _check_data(header, picture[b"IDAT"])
    palette = sum(map(len, picture[b"PLTE"]))
    if header.colour_type == 3 and (palette % 3 or not 3 <= palette <= 3 * 2**header.depth):
        raise ImageError("its palette is damaged; get an intact copy")
    if header.colour_type == 3:  # libpng complains of more
        picture[b"tRNS"] = [part[: palette // 3] for part in picture[b"tRNS"] if part]
    samples: NDArray[np.generic] = lazy_codecs.png_decode(_file(data[8:33], picture))
    samples = samples.reshape(header.height, header.width, -1)

    bits = 16 if header.depth == 16 else 8
    peak = float(2**bits - 1)
    decoded = Decoded("PNG", samples, peak, bits, alpha_peak=peak, notes=notes)
    if samples.shape[2] in (2, 4):
        decoded.alpha, decoded.colour = samples[..., -1], samples[..., :-1]
    if header.colour_type == 3:
        notes.append("palette expanded to 8-bit colour")
    elif header.depth < 8:
        notes.append(f"{header.depth}-bit grey expanded to 8-bit grey")
    for name, content in metadata:
        try:
            _add_metadata(name, content, decoded)
        except (struct.error, zlib.error, ValueError):
            notes.append(f"damaged {name.decode()} chunk left out")
    decoded.notes = list(dict.fromkeys(notes))
    return decoded


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _file(header: bytes, picture: dict[bytes, list[bytes]]) -> bytes:
    """A PNG of nothing but the chunks that make the picture, in the order libpng wants."""
    chunks = [_chunk(name, content) for name, contents in picture.items() for content in contents]
    return b"".join([SIGNATURE, header, *chunks, _chunk(b"IEND", b"")])


def encode_png(
    samples: NDArray[np.generic],
    *,
    exif_block: bytes | None,
    icc: bytes | None,
    dpi: tuple[float, float] | None,
    colour_chunks: tuple[tuple[bytes, bytes], ...] = (),
    texts: tuple[tuple[bytes, bytes], ...] = (),
) -> bytes:
    """Encode (H, W) or (H, W, 2..4) uint8 or uint16 samples and their metadata; texts: chunks, (name, content)."""
    encoded = bytes(lazy_codecs.png_encode(np.ascontiguousarray(samples), level=_LEVEL))
    added = [_chunk(name, content) for name, content in colour_chunks if icc is None or name != b"sRGB"]
    if icc is not None:
        added.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if dpi is not None:
        x, y = (min(max(round(value / _INCH), 1), 2**31 - 1) for value in dpi)
        added.append(_chunk(b"pHYs", struct.pack(">IIB", x, y, 1)))
    if exif_block is not None:
        added.append(_chunk(b"eXIf", exif_block))
    added += [_chunk(name, content) for name, content in texts]
    after_header = len(SIGNATURE) + 25
    return b"".join([encoded[:after_header], *added, encoded[after_header:]])
