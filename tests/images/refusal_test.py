"""Files that are refused, each with a reason and a remedy."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as PillowImage

from acutance.errors import ImageError
from acutance.images import read_image, write_image

FRAMES = [PillowImage.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
GREY = np.zeros((4, 4), np.uint8)


def animated(path: Path) -> None:
    FRAMES[0].save(path, path.suffix[1:].upper(), save_all=True, append_images=FRAMES[1:])


def content(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


def tiff(array: Any, **options: Any) -> Callable[[Path], Any]:
    return lambda path: tifffile.imwrite(path, array, **options)


def camera_preview(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(GREY, subifds=1, subfiletype=1, extratags=[(271, 2, 6, "Maker", True)], metadata=None)
        file.write(GREY, metadata=None)


def unreadable_kind(path: Path) -> None:
    os.mkfifo(path)


REFUSED: list[tuple[str, Callable[[Path], Any], str, str]] = [
    ("in.gif", animated, "animated", "take one frame out"),
    ("in.png", animated, "animated", "take one frame out"),
    ("in.webp", animated, "animated", "take one frame out"),
    ("in.tif", tiff(np.zeros((3, 5, 6), np.uint8), photometric="minisblack"), "3 pages", "tiffsplit"),
    ("in.tif", tiff(np.zeros((20, 5, 6), np.uint8), photometric="minisblack"), "several pages", "tiffsplit"),
    ("in.tif", tiff(GREY, description="ImageJ=1.53\nimages=3\n", metadata=None), "stack", "tiffsplit"),
    ("in.tif", tiff(np.zeros((16, 32, 32), np.uint8), volumetric=True, tile=(16, 16, 16)), "stack", "tiffsplit"),
    ("in.tif", tiff(np.zeros((5, 6, 7), np.uint8), photometric="rgb", planarconfig="contig"), "7 channels", "give"),
    ("in.tif", tiff(np.zeros((5, 6), np.complex64)), "unusual kind", "save it again"),
    ("in.tif", tiff(np.float32([[np.nan, np.nan], [np.inf, -3.4e38]])), "all samples are NaN", "export"),
    ("in.tif", tiff(GREY, compression="lerc"), "compression", "LZW"),
    ("in.tif", tiff(GREY, extratags=[(50706, 1, 4, b"\1\4\0\0", True)]), "camera raw", "16-bit TIFF"),
    ("in.tif", tiff(GREY, photometric="cfa"), "camera raw", "16-bit TIFF"),
    ("in.tif", camera_preview, "camera raw", "16-bit TIFF"),
    ("in.nef", tiff(GREY), "camera raw", "16-bit TIFF"),
    ("in.DNG", tiff(GREY), "camera raw", "16-bit TIFF"),
    ("in.raw", content(b"\x01\x02\x03\x80"), "camera raw", "16-bit TIFF"),
    ("in.cr2", content(b"II*\0\x10\0\0\0CR\x02\0" + bytes(50)), "camera raw", "16-bit TIFF"),
    ("in.cr3", content(b"\0\0\0\x18ftypcrx " + bytes(50)), "camera raw", "16-bit TIFF"),
    ("in.raf", content(b"FUJIFILMCCD-RAW 0201" + bytes(50)), "camera raw", "16-bit TIFF"),
    ("in.orf", content(b"IIRO\x08\0\0\0" + bytes(50)), "camera raw", "16-bit TIFF"),
    ("in.rw2", content(b"IIU\0\x18\0\0\0" + bytes(50)), "camera raw", "16-bit TIFF"),
    ("in.heic", content(b"\0\0\0\x18ftypheic" + bytes(50)), "HEIC", "heif-convert"),
    ("in.heic", content(b"\0\0\0\x18ftypmif1" + bytes(50)), "HEIF", "heif-convert"),
    ("in.mp4", content(b"\0\0\0\x18ftypisom" + bytes(50)), "film", "ffmpeg"),
    ("in.jxl", content(b"\xff\x0a" + bytes(50)), "JPEG XL", "convert it"),
    ("in.jp2", content(b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50)), "JPEG 2000", "convert it"),
    ("in.psd", content(b"8BPS" + bytes(50)), "Photoshop", "export"),
    ("in.exr", content(b"v/1\x01" + bytes(50)), "OpenEXR", "float TIFF"),
    ("in.pdf", content(b"%PDF-1.7\n"), "PDF", "pdftoppm"),
    ("in.png", content(b""), "empty", "intact copy"),
    ("in.png", content(b"not a picture\n"), "text", "give a PNG"),
    ("in.png", content(bytes(100)), "no picture of a known kind", "give a PNG"),
    ("in.bmp", content(b"BMW is a car"), "damaged", "intact copy"),
    ("folder", Path.mkdir, "folder", "one picture"),
    ("pipe", unreadable_kind, "not an ordinary file", "save"),
    ("missing.png", lambda path: None, "no such file", "check the path"),
]


@pytest.mark.parametrize(("name", "make", "reason", "remedy"), REFUSED, ids=lambda value: str(value)[:20])
def test_refused(name: str, make: Callable[[Path], Any], reason: str, remedy: str, tmp_path: Path) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    message = str(caught.value)
    assert message.startswith(f"cannot read {path}: ")
    before, _, after = message.rpartition("; ")
    assert reason in before
    assert remedy in after


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_more_pixels_than_permitted(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"in{suffix}"
    write_image(path, torch.rand(1, 3, 10, 11))
    assert read_image(path, max_pixels=110).size == (10, 11)
    with pytest.raises(ImageError, match=r"11 x 10 is .* over the limit .*; scale it down"):
        read_image(path, max_pixels=109)
    with pytest.raises(ImageError, match="at least 1"):
        read_image(path, max_pixels=0)


def test_more_bytes_than_permitted(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((10, 10, 4)), photometric="rgb", extrasamples=["unassalpha"])
    with pytest.raises(ImageError, match="32 bytes a pixel"):
        read_image(tmp_path / "in.tif", max_pixels=100)
    assert read_image(tmp_path / "in.tif", max_pixels=267).size == (10, 10)


def test_a_file_larger_than_any_permitted_picture(tmp_path: Path) -> None:
    with (tmp_path / "in.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(2**27)
    with pytest.raises(ImageError, match="over the limit"):
        read_image(tmp_path / "in.png", max_pixels=1000)


def test_a_jpeg_of_thousands_of_scans(tmp_path: Path) -> None:
    write_image(tmp_path / "in.jpg", torch.rand(1, 3, 16, 16))
    data = (tmp_path / "in.jpg").read_bytes()
    at = data.index(b"\xff\xda")
    (length,) = struct.unpack_from(">H", data, at + 2)
    (tmp_path / "in.jpg").write_bytes(data[:-2] + data[at : at + 2 + length] * 2000 + data[-2:])
    with pytest.raises(ImageError, match="scans"):
        read_image(tmp_path / "in.jpg")


def test_an_apng_of_one_frame_is_a_picture(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "in.png")
    data = (tmp_path / "in.png").read_bytes()
    control = bytes.fromhex("00000008 6163544c 00000001 00000000 b42de9a0")
    (tmp_path / "in.png").write_bytes(data[:33] + control + data[33:])
    assert read_image(tmp_path / "in.png").size == (8, 8)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(ImageError, match="no permission"):
        read_image("in.png")


def test_a_message_holds_nothing_unprintable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("\x1b[31m\n" + "long " * 100)

    (tmp_path / "in.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    monkeypatch.setattr("acutance.images.read._READERS", {"PNG": fail})
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "in.png")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
