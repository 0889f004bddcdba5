"""HEIC, AVIF and camera raw: read where the extra is there, else refused by a message that names it."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from PIL import features

from acutance.errors import ImageError
from acutance.images import read_image, write_image
from acutance.images import recognise as recognition
from acutance.images.source import is_photograph

ROWS, COLS = np.mgrid[:48, :64]
COLOUR = np.stack([40 + 3 * ROWS, 30 + 2 * COLS, 200 - 2 * ROWS], -1).astype(np.uint8)
ALPHA = (COLS * 4).astype(np.uint8)


def save(path: Path, mode: str, orientation: int = 1) -> None:
    """A picture of the suffix's kind with EXIF data."""
    if path.suffix == ".heic":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.register_heif_opener()
    elif not features.check("avif"):
        pytest.skip("Pillow was built without AVIF")
    exif = PillowImage.Exif()
    exif[0x010F], exif[0x0112] = "Maker", orientation
    picture = PillowImage.fromarray(COLOUR if mode == "RGB" else np.dstack([COLOUR, ALPHA]))
    picture.save(path, quality=95, exif=exif)


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_pictures_of_phones_are_read(tmp_path: Path, suffix: str, mode: str) -> None:
    save(tmp_path / f"in{suffix}", mode)
    image = read_image(tmp_path / f"in{suffix}")
    found = 255 * image.pixels[0].permute(1, 2, 0).numpy()
    assert np.abs(found - COLOUR).mean() < 4
    assert (image.alpha is not None) == (mode == "RGBA")
    assert is_photograph(image)
    assert image.info.exif is not None
    write_image(tmp_path / f"out{image.info.suffix}", image)


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_avif_comes_upright(tmp_path: Path, orientation: int) -> None:
    save(tmp_path / "in.avif", "RGB", orientation)
    image = read_image(tmp_path / "in.avif")
    upright = np.rot90(COLOUR, 2 if orientation == 3 else -1)
    assert image.size == upright.shape[:2]
    assert np.abs(255 * image.pixels[0].permute(1, 2, 0).numpy() - upright).mean() < 6


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_a_picture_that_is_too_large_or_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / f"in{suffix}", "RGB")
    with pytest.raises(ImageError, match="limit"):
        read_image(tmp_path / f"in{suffix}", max_pixels=100)
    content = (tmp_path / f"in{suffix}").read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError):
        read_image(tmp_path / f"cut{suffix}")


def raw_file(path: Path) -> None:
    """The smallest DNG: a Bayer mosaic of 16 bits, as bright as grey paper."""
    matrix = [(1, 1) if i % 4 == 0 else (0, 1) for i in range(9)]
    tags = [
        (50706, 1, 4, (1, 4, 0, 0), True), (50708, 2, 6, b"Test1\0", True), (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, (0, 1, 1, 2), True), (50721, 10, 9, sum(matrix, ()), True), (50728, 5, 3, (1, 1) * 3, True),
        (50717, 4, 1, 65535, True), (271, 2, 6, b"Maker\0", True), (272, 2, 6, b"Test1\0", True),
        (50778, 3, 1, 21, True),
    ]  # fmt: skip
    mosaic = np.full((64, 96), 12_000, np.uint16)
    tifffile.imwrite(path, mosaic, photometric=32803, metadata=None, extratags=tags)


def test_a_raw_file_is_developed(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    raw_file(tmp_path / "in.dng")
    image = read_image(tmp_path / "in.dng")
    assert image.info.bits == 16
    assert image.channels == 3
    assert 0.1 < float(image.pixels.mean()) < 0.9
    assert any("developed" in note for note in image.info.notes)
    with pytest.raises(ImageError, match="limit"):
        read_image(tmp_path / "in.dng", max_pixels=100)
    (tmp_path / "cut.dng").write_bytes((tmp_path / "in.dng").read_bytes()[:400])
    with pytest.raises(ImageError):
        read_image(tmp_path / "cut.dng")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.heic", struct.pack(">I", 24) + b"ftypheic" + bytes(40), "acutance[phone]"),
        ("a.jpg", struct.pack(">I", 24) + b"ftypmif1" + bytes(40), "acutance[phone]"),
        ("a.avif", struct.pack(">I", 24) + b"ftypavif" + bytes(40), "acutance[phone]"),
        ("a.cr2", b"II*\0\x10\0\0\0CR\x02\0" + bytes(40), "acutance[raw]"),
        ("a.nef", b"MM\0*" + bytes(40), "acutance[raw]"),
        ("a.raf", b"FUJIFILMCCD-RAW" + bytes(40), "acutance[raw]"),
    ],
)
def test_without_the_extra_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, words: str
) -> None:
    monkeypatch.setattr(recognition, "find_spec", lambda module: None)
    monkeypatch.setattr(recognition.features, "check", lambda feature: False)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=words.replace("[", r"\[").replace("]", r"\]")):
        read_image(tmp_path / name)


def test_the_extras_are_those_of_the_messages() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert 'phone = ["pillow-heif' in project
    assert 'raw = ["rawpy' in project
    assert find_spec("no_such_package") is None
