"""Damaged and hostile files: a picture or an `ImageError`, never anything else, and never much memory."""

from __future__ import annotations

import logging
import random
import struct
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image as PillowImage

from acutance.errors import ImageError
from acutance.images import read_image


def samples(*shape: int, dtype: str = "u1") -> NDArray[Any]:
    """A picture with structure, so that codecs have something to do."""
    grid = np.indices(shape).astype(np.float64)
    wave = np.sin(grid.sum(axis=0) / 5) / 2 + 0.5
    return (wave * (np.iinfo(dtype).max if dtype[0] == "u" else 1)).astype(dtype)


def pillow(mode: str, kind: str, **options: Any) -> bytes:
    channels = {"RGB": 3, "RGBA": 4, "CMYK": 4, "L": 1, "P": 3, "1": 1}[mode]
    picture = PillowImage.fromarray(np.squeeze(samples(24, 20, channels)), mode if channels == 4 else None)
    file = BytesIO()
    picture.convert(mode).save(file, kind, **options)
    return file.getvalue()


def tiff(array: NDArray[Any], **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, array, metadata=None, **options)
    return file.getvalue()


def exif() -> bytes:
    block = PillowImage.Exif()
    block[0x0112], block[0x010F] = 6, "Maker"
    block.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    return block.tobytes()


RGB8, RGB16, GREY8 = samples(24, 20, 3), samples(24, 20, 3, dtype="u2"), samples(24, 20)
CORPUS: dict[str, Callable[[], bytes]] = {
    "png-8": lambda: pillow("RGBA", "PNG", exif=exif(), dpi=(300, 300), icc_profile=b"x" * 200),
    "png-16": lambda: bytes(imagecodecs.png_encode(RGB16)),
    "png-palette": lambda: pillow("P", "PNG", transparency=3),
    "png-1": lambda: pillow("1", "PNG"),
    "jpeg": lambda: pillow("RGB", "JPEG", exif=exif(), icc_profile=b"x" * 200),
    "jpeg-progressive": lambda: pillow("RGB", "JPEG", progressive=True),
    "jpeg-cmyk": lambda: pillow("CMYK", "JPEG"),
    "webp-lossy": lambda: pillow("RGBA", "WEBP", exif=exif()),
    "webp-lossless": lambda: pillow("RGB", "WEBP", lossless=True),
    "gif": lambda: pillow("P", "GIF", transparency=3),
    "bmp": lambda: pillow("RGB", "BMP"),
    "tiff-plain": lambda: tiff(RGB8, photometric="rgb", description="x", resolution=(72, 72)),
    "tiff-lzw-16": lambda: tiff(RGB16, photometric="rgb", compression="lzw", predictor=True, rowsperstrip=5),
    "tiff-tiles": lambda: tiff(RGB8, photometric="rgb", compression="zlib", tile=(16, 16)),
    "tiff-float": lambda: tiff(samples(24, 20, dtype="f4"), compression="zlib", predictor=3),
    "tiff-jpeg": lambda: tiff(RGB8, photometric="rgb", compression="jpeg"),
    "tiff-planes": lambda: tiff(samples(3, 24, 20, dtype="u2"), photometric="rgb", planarconfig="separate"),
    "tiff-big": lambda: tiff(GREY8, bigtiff=True, compression="packbits"),
    "tiff-palette": lambda: pillow("P", "TIFF"),
    "tiff-fax": lambda: pillow("1", "TIFF", compression="group4"),
    "tiff-cmyk": lambda: tiff(samples(24, 20, 4), photometric="separated"),
    "tiff-exif": lambda: pillow("RGB", "TIFF", exif=exif()),
    "tiff-zstd": lambda: tiff(RGB8, photometric="rgb", compression="zstd"),
}


def with_checksums(data: bytes) -> bytes:
    """A PNG's checksums made right again, so that damage gets past them."""
    changed, position = bytearray(data), 8
    while position + 12 <= len(changed):
        end = position + 8 + int.from_bytes(changed[position : position + 4], "big")
        changed[end : end + 4] = zlib.crc32(changed[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return bytes(changed[: len(data)])


@pytest.fixture(params=CORPUS)
def intact(request: pytest.FixtureRequest) -> bytes:
    return CORPUS[request.param]()


def survives(path: Path, data: bytes) -> bool:
    """Read damaged data; True if it was still a picture."""
    path.write_bytes(data)
    try:
        image = read_image(path, max_pixels=10_000_000)
    except ImageError as error:
        message = str(error)
    else:
        assert image.pixels.isfinite().all()
        return True
    assert message.startswith(f"cannot read {path}: ")
    assert "; " in message
    return False


def flipped(data: bytes, source: random.Random) -> bytes:
    """Some bytes changed, half of the time near the start, where the header is."""
    changed = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 5, 20))):
        end = len(changed) if source.random() < 0.5 else min(len(changed), 128)
        changed[source.randrange(end)] = source.choice((0, 0xFF, 0x7F, source.randrange(256)))
    if source.random() < 0.2:
        start = source.randrange(len(changed))
        del changed[start : start + source.randrange(1, 50)]
    return bytes(changed)


def test_the_corpus_is_readable(intact: bytes, tmp_path: Path) -> None:
    assert survives(tmp_path / "picture", intact)


def test_truncated(intact: bytes, tmp_path: Path) -> None:
    for length in [*range(0, 64, 5), *range(64, len(intact), max(1, len(intact) // 40))]:
        survives(tmp_path / "picture", intact[:length])
    assert not survives(tmp_path / "picture", intact[: len(intact) // 3])


def test_flipped_bytes(intact: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = random.Random(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(40):
            data = flipped(intact, source)
            survives(tmp_path / "picture", with_checksums(data) if data[:4] == b"\x89PNG" else data)
    assert capfd.readouterr() == ("", "")


def test_nothing_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = random.Random(2)
    data = CORPUS["tiff-plain"]()
    with caplog.at_level(logging.DEBUG, logger="tifffile"):
        for _ in range(40):
            survives(tmp_path / "picture", flipped(data, source))
    assert caplog.records == []


def png_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )


def jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(pillow("RGB", "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp_claiming(width: int, height: int) -> bytes:
    data = bytearray(pillow("RGB", "BMP"))
    data[18:26] = struct.pack("<II", width, height)
    return bytes(data)


def gif_claiming(width: int, height: int) -> bytes:
    data = bytearray(pillow("P", "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def webp_claiming(width: int, height: int) -> bytes:
    data = bytearray(pillow("RGB", "WEBP", lossless=True))
    data[21:25] = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return bytes(data)


def tiff_claiming(width: int, height: int, **options: Any) -> bytes:
    data = bytearray(tiff(RGB8, photometric="rgb", **options))
    with tifffile.TiffFile(BytesIO(bytes(data))) as file:
        tags = file.pages[0].tags
        for code, value in ((256, width), (257, height), (278, height)):
            tag = tags[code]
            data[tag.offset + 2 : tag.offset + 12] = struct.pack("<HII", 4, 1, value)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        png_claiming(15000, 15000),
        png_claiming(2**31 - 1, 2**31 - 1),
        jpeg_claiming(15000, 15000),
        jpeg_claiming(65000, 65000),
        bmp_claiming(15000, 15000),
        bmp_claiming(2**31 - 1, 1000),
        gif_claiming(15000, 15000),
        gif_claiming(65000, 65000),
        webp_claiming(16383, 16383),
        tiff_claiming(15000, 15000),
        tiff_claiming(2**32 - 1, 2**32 - 1),
        tiff_claiming(15000, 15000, compression="zlib"),
        tiff_claiming(15000, 15000, compression="lzw"),
    ],
)
def test_a_small_file_cannot_claim_much_memory(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=r"over the limit|damaged"):
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_jpeg_strip_cannot_claim_more_than_its_strip(tmp_path: Path) -> None:
    data = CORPUS["tiff-jpeg"]()
    at = data.index(b"\xff\xc0")
    path = tmp_path / "bomb.tif"
    path.write_bytes(data[: at + 5] + struct.pack(">HH", 60000, 60000) + data[at + 9 :])
    with pytest.raises(ImageError, match="a strip claims"):
        read_image(path)


def test_tiles_cannot_be_much_larger_than_the_picture(tmp_path: Path) -> None:
    data = bytearray(CORPUS["tiff-tiles"]())
    with tifffile.TiffFile(BytesIO(bytes(data))) as file:
        for code in (322, 323):
            offset = file.pages[0].tags[code].offset
            data[offset + 2 : offset + 12] = struct.pack("<HII", 4, 1, 2**20)
    path = tmp_path / "bomb.tif"
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match="tiles"):
        read_image(path)


def test_a_huge_text_chunk_is_never_unpacked(tmp_path: Path) -> None:
    content = b"Comment\0\0" + zlib.compress(bytes(50_000_000))
    chunk = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    data = CORPUS["png-8"]()
    path = tmp_path / "bomb.png"
    path.write_bytes(data[:33] + chunk + data[33:])
    tracemalloc.start()
    try:
        read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_an_oversized_profile_is_left_out(tmp_path: Path) -> None:
    content = b"p\0\0" + zlib.compress(bytes(50_000_000))
    chunk = struct.pack(">I", len(content)) + b"iCCP" + content + struct.pack(">I", zlib.crc32(b"iCCP" + content))
    data = CORPUS["png-16"]()
    path = tmp_path / "bomb.png"
    path.write_bytes(data[:33] + chunk + data[33:])
    info = read_image(path).info
    assert info.icc is None
    assert info.notes == ("damaged iCCP chunk left out",)
