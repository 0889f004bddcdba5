"""Colour spaces: the sRGB curve, and what other spaces become on reading."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as PillowImage
from PIL import ImageCms

from acutance.images import convert, linear_to_srgb, read_image, srgb_to_linear

PATCHES = np.uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255, 255, 255], [0, 0, 0], [128, 128, 128]]])


def cmyk_profile() -> bytes:
    """The smallest ICC profile of inks: a table of the 16 corners, each to the lightness of what is left of white."""
    table = bytearray(b"mft1" + bytes(4) + bytes([4, 3, 2, 0]))
    table += struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table += bytes(range(256)) * 4
    for corner in range(16):
        inks = [corner >> shift & 1 for shift in (3, 2, 1, 0)]
        table += bytes([0 if inks[3] else 255 - 60 * sum(inks[:3]), 128, 128])
    table += bytes(range(256)) * 3
    body = bytes(table)
    white = b"XYZ " + bytes(4) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    entries = [(b"A2B0", body), (b"wtpt", white)]
    offset = 128 + 4 + 12 * len(entries)
    directory, data = struct.pack(">I", len(entries)), b""
    for name, part in entries:
        directory += struct.pack(">4sII", name, offset + len(data), len(part))
        data += part + bytes(-len(part) % 4)
    head = bytearray(128)
    head[:4] = struct.pack(">I", offset + len(data))
    head[8:12] = b"\x02\x10\0\0"
    head[12:24] = b"prtrCMYKLab "
    head[36:40] = b"acsp"
    head[68:80] = struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return bytes(head) + directory + data


def test_the_curve_and_back() -> None:
    encoded = torch.linspace(-0.5, 2, 1001, dtype=torch.float64)
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(encoded)), encoded, rtol=0, atol=1e-12)
    assert float(srgb_to_linear(torch.tensor(0.5))) == pytest.approx(0.21404114)
    assert float(srgb_to_linear(torch.tensor(0.02))) == pytest.approx(0.02 / 12.92)


def test_the_curve_can_be_differentiated() -> None:
    values = torch.tensor([-0.2, 0.0, 0.01, 0.3, 1.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(srgb_to_linear, (values,))
    assert torch.autograd.gradcheck(linear_to_srgb, (values,))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_cmyk_without_a_profile(dtype: type, tmp_path: Path) -> None:
    peak = np.iinfo(dtype).max
    inks = np.array([[[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 1, 0]]]).astype(dtype) * peak
    tifffile.imwrite(tmp_path / "in.tif", inks.astype(dtype), photometric="separated")
    image = read_image(tmp_path / "in.tif")
    assert image.pixels[0, :, 0].T.tolist() == [[1, 1, 1], [0, 0, 0], [0, 1, 1], [1, 0, 0]]
    assert "without a profile" in image.info.notes[0]
    assert image.info.bits == np.iinfo(dtype).bits


@pytest.mark.parametrize("kind", ["tif", "tif16", "jpg"])
def test_cmyk_by_its_profile(kind: str, tmp_path: Path) -> None:
    path, profile = tmp_path / f"in.{kind[:3]}", cmyk_profile()
    inks = np.zeros((16, 32, 4), np.uint8)
    inks[:, 16:, 0] = 255
    if kind == "jpg":
        PillowImage.fromarray(inks, "CMYK").save(path, icc_profile=profile, quality=100)
    else:
        array = inks if kind == "tif" else inks.astype(np.uint16) * 257
        tifffile.imwrite(path, array, photometric="separated", iccprofile=profile)
    image = read_image(path)
    assert image.info.notes == ("CMYK converted to sRGB by its own profile",)
    assert image.info.icc is not None
    assert convert.profile_space(image.info.icc) == "RGB"
    grey = image.pixels[0, :, 8]
    assert float(grey[:, 4].min()) > 0.98
    # Cyan is lightness 100 * 195 / 255 in that profile: 0.743 encoded, the same in all channels.
    np.testing.assert_allclose(grey[:, 28].numpy(), 0.743, atol=0.01)


def test_a_damaged_profile_does_not_spoil_the_picture(tmp_path: Path) -> None:
    profile = cmyk_profile()[:200]
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((4, 4, 4), np.uint8), photometric="separated", iccprofile=profile)
    image = read_image(tmp_path / "in.tif")
    assert image.pixels.min() == 1
    assert "without a profile" in image.info.notes[0]


@pytest.mark.parametrize("photometric", [8, 9])
@pytest.mark.parametrize("bits", [8, 16])
def test_lab(bits: int, photometric: int, tmp_path: Path) -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = np.asarray(ImageCms.applyTransform(PillowImage.fromarray(PATCHES), to_lab)).copy()  # a, b: signed
    if bits == 16:
        chroma = lab[..., 1:].view(np.int8).astype(np.int16) * 256
        lab = np.concatenate([lab[..., :1].astype(np.uint16) * 257, chroma.view(np.uint16)], axis=-1)
    if photometric == 9:
        lab[..., 1:] += lab.dtype.type(2 ** (bits - 1))
    tifffile.imwrite(tmp_path / "in.tif", lab, photometric=photometric, metadata=None)
    image = read_image(tmp_path / "in.tif")
    expected = PATCHES.astype(np.float32) / 255
    np.testing.assert_allclose(image.pixels[0].permute(1, 2, 0).numpy(), expected, atol=0.05)
    assert image.info.notes == ("L*a*b* converted to sRGB",)


def test_ycbcr(tmp_path: Path) -> None:
    ycbcr = np.asarray(PillowImage.fromarray(PATCHES).convert("YCbCr"))
    tifffile.imwrite(tmp_path / "in.tif", ycbcr, photometric="ycbcr", metadata=None)
    image = read_image(tmp_path / "in.tif")
    np.testing.assert_allclose(image.pixels[0].permute(1, 2, 0).numpy(), PATCHES.astype(np.float32) / 255, atol=0.01)
    assert image.info.notes == ("YCbCr converted to RGB",)


def test_jpeg_in_tiff(tmp_path: Path) -> None:
    array = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", array, photometric="rgb", compression="jpeg", compressionargs={"level": 98})
    image = read_image(tmp_path / "in.tif")
    np.testing.assert_allclose(image.pixels[0, :, 5, 5].numpy() * 255, [200, 100, 50], atol=3)


def test_white_is_zero(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    tifffile.imwrite(tmp_path / "in.tif", array, photometric="miniswhite")
    assert np.array_equal((read_image(tmp_path / "in.tif").pixels[0, 0] * 255).round().numpy(), 255 - array)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_alpha_that_colours_were_multiplied_by(dtype: type, tmp_path: Path) -> None:
    peak = 1 if dtype is np.float32 else np.iinfo(dtype).max
    array = (np.array([[[0.5, 0.25, 0, 0.5], [0, 0, 0, 0]]]) * peak).astype(dtype)
    tifffile.imwrite(tmp_path / "in.tif", array, photometric="rgb", extrasamples=["assocalpha"])
    image = read_image(tmp_path / "in.tif")
    np.testing.assert_allclose(image.pixels[0, :, 0].T.numpy(), [[1, 0.5, 0], [0, 0, 0]], atol=0.005)
    assert image.alpha is not None
    assert float(image.alpha[0, 0, 0, 0]) == pytest.approx(0.5, abs=0.005)


def test_an_undeclared_fourth_channel_is_taken_for_alpha(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (4, 5, 4), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", array, photometric="rgb", extrasamples=["unspecified"])
    image = read_image(tmp_path / "in.tif")
    assert image.alpha is not None
    assert image.info.notes == ("channel 4 taken for alpha",)
