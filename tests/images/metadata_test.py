"""EXIF, colour profile and resolution, from every format to every other."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as PillowImage
from PIL import ImageCms, ImageOps

from acutance.images import Image, ImageInfo, read_image, write_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SUFFIXES = (".png", ".jpg", ".webp", ".tif")
WRITERS = [*((suffix, 8) for suffix in SUFFIXES), (".png", 16), (".tif", 16), (".tif", 32)]


def exif(orientation: int = 1) -> bytes:
    block = PillowImage.Exif()
    block[0x0112], block[0x010F], block[0x0110], block[0x8298] = orientation, "Maker", "Model 1", "© me"
    block.get_ifd(0x8769).update({0x9003: "2020:01:02 03:04:05", 0x829A: 1 / 250, 0x927C: b"note" * 9, 0x8827: 100})
    block.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0)})
    return block.tobytes()


def read_exif(path: Path) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    with path.open("rb") as file:
        if path.suffix == ".tif":  # Pillow cannot open colour in float
            found = PillowImage.Exif()
            found.load_from_fp(file)
        else:
            found = PillowImage.open(file).getexif()
        texts = {tag: found[tag] for tag in (0x0112, 0x010F, 0x0110) if tag in found}
        return texts, dict(found.get_ifd(0x8769)), dict(found.get_ifd(0x8825))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_orientation_is_applied_and_reset(suffix: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / f"in{suffix}"
    array = np.add.outer(np.arange(16) * 3, np.arange(24) * 5).astype(np.uint8)
    array[:8, :8] = 255
    picture = PillowImage.fromarray(np.stack([array] * 3, axis=-1))
    tag = PillowImage.Exif()
    tag[0x0112] = orientation
    options: dict[str, Any] = {".webp": {"lossless": True}, ".jpg": {"quality": 100}}.get(suffix, {})
    picture.save(path, exif=tag.tobytes() if suffix != ".tif" else tag, **options)
    with PillowImage.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    image = read_image(path)
    assert np.array_equal((image.pixels[0] * 255).permute(1, 2, 0).round().numpy(), expected)
    out = tmp_path / f"out{suffix}"
    write_image(out, image)
    assert read_exif(out)[0].get(0x0112, 1) == 1
    assert read_image(out).size == image.size


@pytest.mark.parametrize(("suffix", "bits"), WRITERS)
@pytest.mark.parametrize("source", SUFFIXES)
def test_everything_is_kept(source: str, suffix: str, bits: int, tmp_path: Path) -> None:
    picture = PillowImage.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8))
    path, out = tmp_path / f"in{source}", tmp_path / f"out{suffix}"
    picture.save(path, exif=exif(6), icc_profile=SRGB, dpi=(240, 120))
    image = read_image(path)
    assert image.info.icc == SRGB
    if source != ".webp":
        assert image.info.dpi == pytest.approx((120, 240), rel=1e-3)  # turned with the picture
    notes = write_image(out, image, bits=bits)
    assert all("resolution left out" in note for note in notes)
    texts, directory, gps = read_exif(out)
    assert texts == {0x0112: 1, 0x010F: "Maker", 0x0110: "Model 1"}
    assert directory[0x9003] == "2020:01:02 03:04:05"
    assert directory[0x829A] == pytest.approx(1 / 250)
    assert (directory[0x927C], directory[0x8827]) == (b"note" * 9, 100)
    assert (gps[1], gps[2]) == ("N", (48, 8, 0))
    back = read_image(out).info
    assert back.icc == SRGB
    if ".webp" not in (source, suffix):
        assert back.dpi == pytest.approx((120, 240), rel=1e-3)


def test_maker_notes_are_not_moved(tmp_path: Path) -> None:
    block = exif(3)
    picture = PillowImage.new("RGB", (4, 4))
    picture.save(tmp_path / "in.jpg", exif=block)
    kept = read_image(tmp_path / "in.jpg").info.exif
    assert kept is not None
    stored = block.removeprefix(b"Exif\0\0")
    assert len(kept) == len(stored)
    assert sum(a != b for a, b in zip(kept, stored, strict=True)) == 1  # the orientation


def test_the_thumbnail_is_unlinked(tmp_path: Path) -> None:
    block = bytearray(exif(1).removeprefix(b"Exif\0\0"))
    order = "<" if block[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, start)
    struct.pack_into(order + "I", block, start + 2 + 12 * count, start)
    PillowImage.new("L", (4, 4)).save(tmp_path / "in.jpg", exif=b"Exif\0\0" + bytes(block))
    kept = read_image(tmp_path / "in.jpg").info.exif
    assert kept is not None
    assert struct.unpack_from(order + "I", kept, start + 2 + 12 * count) == (0,)


@pytest.mark.parametrize("block", [b"", b"II", b"II*\0\xff\xff\xff\xff" + bytes(9), b"nonsense" * 4, exif(6)[6:60]])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damaged_exif_spoils_neither_reading_nor_writing(block: bytes, suffix: str, tmp_path: Path) -> None:
    info = ImageInfo(exif=block or None)
    write_image(tmp_path / f"out{suffix}", Image(torch.rand(1, 3, 4, 4), info=info))
    assert read_image(tmp_path / f"out{suffix}").size == (4, 4)


def test_exif_too_long_for_jpeg_is_left_out(tmp_path: Path) -> None:
    info = ImageInfo(exif=exif()[6:] + bytes(70_000))
    notes = write_image(tmp_path / "out.jpg", Image(torch.rand(1, 3, 4, 4), info=info))
    assert notes == ("EXIF left out: it is too long for JPEG",)


def test_a_profile_of_another_kind_is_left_out(tmp_path: Path) -> None:
    notes = write_image(tmp_path / "out.png", Image(torch.rand(1, 1, 4, 4), info=ImageInfo(icc=SRGB)))
    assert notes == ("colour profile left out: it is for RGB",)
    assert read_image(tmp_path / "out.png").info.icc is None


def test_a_long_profile_fits_every_format(tmp_path: Path) -> None:
    profile = SRGB + np.random.default_rng(0).bytes(200_000)
    for suffix in SUFFIXES:
        write_image(tmp_path / f"out{suffix}", Image(torch.rand(1, 3, 4, 4), info=ImageInfo(icc=profile)))
        assert read_image(tmp_path / f"out{suffix}").info.icc == profile


def test_a_png_keeps_its_own_colour_declarations(tmp_path: Path) -> None:
    chunks = ((b"gAMA", struct.pack(">I", 100_000)), (b"sRGB", b"\0"))
    write_image(tmp_path / "a.png", Image(torch.rand(1, 3, 4, 4), info=ImageInfo(colour_chunks=chunks)))
    image = read_image(tmp_path / "a.png")
    assert image.info.colour_chunks == chunks
    with PillowImage.open(tmp_path / "a.png") as picture:
        assert picture.info["gamma"] == 1.0


@pytest.mark.parametrize("unit", ["inch", "centimeter"])
def test_resolution_of_a_tiff(unit: str, tmp_path: Path) -> None:
    array = np.zeros((4, 4), np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", array, resolution=(100, 50), resolutionunit=unit)
    factor = 2.54 if unit == "centimeter" else 1
    assert read_image(tmp_path / "in.tif").info.dpi == pytest.approx((100 * factor, 50 * factor))


def test_the_layout_of_a_stack_is_not_kept_as_description(tmp_path: Path) -> None:
    for name, options in (("imagej", {"imagej": True}), ("shaped", {}), ("mine", {"description": "mine"})):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros((4, 4), np.uint8), **options)
        write_image(tmp_path / f"{name}-out.tif", read_image(tmp_path / f"{name}.tif"))
        with tifffile.TiffFile(tmp_path / f"{name}-out.tif") as file:
            description = file.pages[0].description
            kept = {"imagej": "ImageJ=", "shaped": "", "mine": "mine"}[name]
            assert description[: max(1, len(kept))] == kept


def test_a_written_tiff_is_read_by_others(tmp_path: Path) -> None:
    info = ImageInfo(format="TIFF", exif=exif()[6:], icc=SRGB, dpi=(300, 300))
    pixels = torch.rand(1, 3, 40, 50)
    write_image(tmp_path / "out.tif", Image(pixels, info=info))
    expected = (pixels[0] * 255).round().permute(1, 2, 0).numpy()
    with PillowImage.open(BytesIO((tmp_path / "out.tif").read_bytes())) as picture:
        assert np.array_equal(np.asarray(picture), expected)
        assert picture.info["dpi"] == (300, 300)
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), expected)
