"""Writing: whole or not at all, never over something, depth and format as asked."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from acutance.errors import ImageError, OutputError
from acutance.images import Image, ImageInfo, encode, read_image, write_atomically, write_image

PIXELS = torch.linspace(0, 1, 60).reshape(1, 3, 4, 5)
FLOAT = ImageInfo(format="TIFF", bits=32, is_float=True, scale=8.0)


@pytest.mark.parametrize(
    ("name", "info", "bits", "expected", "note"),
    [
        ("a.png", ImageInfo(bits=16), None, ("PNG", 16), ""),
        ("a.png", ImageInfo(bits=16), 8, ("PNG", 8), ""),
        ("a.png", ImageInfo(), 16, ("PNG", 16), ""),
        ("a.PNG", ImageInfo(format="TIFF", bits=16), None, ("PNG", 16), ""),
        ("a", ImageInfo(format="TIFF", bits=16), None, ("TIFF", 16), ""),
        ("a.jpg", ImageInfo(bits=16), None, ("JPEG", 8), "16 bits reduced to 8 bits: JPEG has no more"),
        ("a.webp", ImageInfo(bits=16), None, ("WEBP", 8), "16 bits reduced to 8 bits: WEBP has no more"),
        ("a.bmp", ImageInfo(bits=16), None, ("BMP", 8), "16 bits reduced to 8 bits: BMP has no more"),
        ("a.png", FLOAT, None, ("PNG", 16), "float reduced to 16 bits: PNG has no more"),
        ("a.tif", FLOAT, None, ("TIFF", 32), ""),
        ("a.tif", FLOAT, 16, ("TIFF", 16), ""),
        ("a.tif", ImageInfo(), 32, ("TIFF", 32), ""),
    ],
)
def test_format_and_depth(
    name: str, info: ImageInfo, bits: int | None, expected: tuple[str, int], note: str, tmp_path: Path
) -> None:
    notes = write_image(tmp_path / name, Image(PIXELS, info=info), bits=bits)
    assert notes == ((note,) if note else ())
    back = read_image(tmp_path / name).info
    assert (back.format, back.bits) == expected


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_alpha_that_the_format_has_not(suffix: str, tmp_path: Path) -> None:
    notes = write_image(tmp_path / f"a{suffix}", Image(PIXELS, PIXELS[:, :1]))
    assert len(notes) == 1
    assert notes[0].startswith("alpha left out")
    assert read_image(tmp_path / f"a{suffix}").alpha is None


def test_integers_are_clipped_and_rounded(tmp_path: Path) -> None:
    pixels = torch.tensor([[-1.0, 0.4 / 255, 0.6 / 255, 254.6 / 255, 7.0]]).reshape(1, 1, 1, 5)
    write_image(tmp_path / "a.png", pixels)
    assert (read_image(tmp_path / "a.png").pixels * 255).flatten().tolist() == [0, 0, 1, 255, 255]


def test_floats_are_neither(tmp_path: Path) -> None:
    pixels = torch.tensor([[-1.0, 0.123, 7.0]]).reshape(1, 1, 1, 3)
    write_image(tmp_path / "a.tif", Image(pixels, info=FLOAT))
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), np.float32([[-8.0, np.float32(0.123) * 8, 56.0]]))


def test_pixels_of_other_precision_that_need_gradients(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", PIXELS.double().requires_grad_())
    assert (read_image(tmp_path / "a.png").pixels - PIXELS).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_pixels_that_are_no_numbers(value: float, tmp_path: Path) -> None:
    pixels = PIXELS.clone()
    pixels[0, 0, 0, 0] = value
    with pytest.raises(ImageError, match="1 samples are NaN or infinite"):
        write_image(tmp_path / "a.png", pixels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.gif", "a.heic", "a.xyz"])
def test_a_suffix_that_is_not_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"use \.png"):
        write_image(tmp_path / name, PIXELS)


@pytest.mark.parametrize(("name", "bits"), [("a.jpg", 16), ("a.png", 32), ("a.tif", 12)])
def test_a_depth_the_format_has_not(name: str, bits: int, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=rf"has no {bits} bits; give"):
        write_image(tmp_path / name, PIXELS, bits=bits)


def test_a_picture_too_large_for_its_format(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"write a \.png or \.tif"):
        write_image(tmp_path / "a.webp", torch.zeros(1, 3, 1, 16384))
    with pytest.raises(OutputError, match=r"write a \.png or \.tif"):
        write_image(tmp_path / "a.jpg", torch.zeros(1, 1, 1, 65536))
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    path.chmod(0o640)
    with pytest.raises(OutputError, match=r"exists already; .* --overwrite"):
        write_image(path, PIXELS)
    assert path.read_bytes() == b"before"
    write_image(path, PIXELS, overwrite=True)
    assert read_image(path).size == (4, 5)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    monkeypatch.setattr(os, "fsync", lambda _: path.write_bytes(b"theirs"))
    with pytest.raises(OutputError, match="exists already"):
        write_atomically(path, b"mine")
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", unsupported)
    write_atomically(tmp_path / "a", b"mine")
    assert (tmp_path / "a").read_bytes() == b"mine"
    with pytest.raises(OutputError, match="exists already"):
        write_atomically(tmp_path / "a", b"again")


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"before")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_atomically(tmp_path / "link", b"after", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"after"


@pytest.mark.parametrize("name", [".", "missing/a.png", "a.png/b.png", "pipe.png"])
def test_a_target_that_cannot_be(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OutputError, match=r"cannot write .*; "):
        write_image(tmp_path / name, Image(PIXELS), overwrite=True)


@pytest.mark.parametrize("error", [ValueError, MemoryError, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("before", [None, b"before"])
def test_a_failing_encoder_leaves_everything(
    error: type[BaseException], before: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: encode.Samples) -> bytes:
        raise error("no")

    path = tmp_path / "a.png"
    if before is not None:
        path.write_bytes(before)
    monkeypatch.setitem(encode.ENCODERS, "PNG", fail)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else OutputError):
        write_image(path, PIXELS, overwrite=True)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([] if before is None else [before])


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [None, b"before"])
def test_a_failing_disk_leaves_everything(
    function: str,
    error: BaseException,
    before: bytes | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise error

    path = tmp_path / "a.png"
    if before is not None:
        path.write_bytes(before)
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else OutputError):
        write_image(path, PIXELS, overwrite=True)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([] if before is None else [before])
