"""Files that come back as they were written: formats, depths, grey and colour, alpha, sizes."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as PillowImage
from torch import Tensor

from acutance.errors import ImageError
from acutance.images import Image, ImageInfo, read_image, write_image

SIZES = ((1, 1), (1, 9), (9, 1), (13, 18))


def levels(generator: torch.Generator, channels: int, size: tuple[int, int], bits: int) -> Tensor:
    peak = 2 ** min(bits, 16) - 1
    return torch.randint(0, peak + 1, (1, channels, *size), generator=generator).float() / peak


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("suffix", "bits"),
    [(".png", 8), (".png", 16), (".tif", 8), (".tif", 16), (".tif", 32), (".tiff", 16), (".webp", 8), (".bmp", 8)],
)
def test_lossless_formats_give_back_the_same(
    suffix: str,
    bits: int,
    channels: int,
    alpha: bool,
    size: tuple[int, int],
    tmp_path: Path,
    generator: torch.Generator,
) -> None:
    if (suffix == ".bmp" and alpha) or (suffix == ".webp" and channels == 1):
        pytest.skip("the format has it not")
    path = tmp_path / f"picture{suffix}"
    image = Image(levels(generator, channels, size, bits), levels(generator, 1, size, bits) if alpha else None)
    assert write_image(path, image, bits=bits) == ()
    back = read_image(path)
    assert torch.equal(back.pixels, image.pixels)
    assert back.pixels.dtype == torch.float32
    assert back.pixels.is_contiguous()
    assert (back.alpha is None) == (image.alpha is None)
    if back.alpha is not None and image.alpha is not None:
        assert torch.equal(back.alpha, image.alpha)
    assert (back.info.bits, back.info.is_float, back.info.notes) == (bits, bits == 32, ())
    again = tmp_path / f"again{suffix}"
    assert write_image(again, back) == ()
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_jpeg_is_close(channels: int, size: tuple[int, int], tmp_path: Path) -> None:
    ramp = torch.linspace(0, 1, size[0] * size[1]).reshape(1, 1, *size).repeat(1, channels, 1, 1)
    write_image(tmp_path / "picture.jpg", ramp)
    back = read_image(tmp_path / "picture.jpg").pixels
    assert back.shape == ramp.shape
    assert (back - ramp).abs().max() < 0.03


def test_jpeg_keeps_chroma_at_full_resolution(tmp_path: Path) -> None:
    write_image(tmp_path / "picture.jpg", torch.rand(1, 3, 32, 32))
    with PillowImage.open(tmp_path / "picture.jpg") as picture:
        assert picture.layer == [(1, 1, 1, 0), (2, 1, 1, 1), (3, 1, 1, 1)]  # type: ignore[attr-defined]


def test_a_lossy_webp_stays_lossy_and_others_become_lossless(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    picture.save(tmp_path / "lossy.webp")
    lossy = read_image(tmp_path / "lossy.webp")
    write_image(tmp_path / "out.webp", lossy)
    assert not lossy.info.lossless
    assert b"VP8L" not in (tmp_path / "out.webp").read_bytes()
    write_image(tmp_path / "out.webp", replace(lossy, info=ImageInfo()), overwrite=True)
    assert torch.equal(read_image(tmp_path / "out.webp").pixels, lossy.pixels)


@pytest.mark.parametrize(
    ("options", "dtype", "bits"),
    [
        ({"photometric": "rgb", "compression": "lzw", "predictor": True}, np.uint8, 8),
        ({"photometric": "rgb", "compression": "lzw", "byteorder": ">"}, np.uint16, 16),
        ({"photometric": "rgb", "compression": "zstd"}, np.uint16, 16),
        ({"photometric": "rgb", "tile": (16, 16), "compression": "zlib"}, np.uint16, 16),
        ({"photometric": "rgb", "rowsperstrip": 3}, np.uint8, 8),
        ({"photometric": "rgb", "bigtiff": True}, np.uint16, 16),
        ({"photometric": "rgb", "compression": "zlib", "predictor": 3}, np.float32, 32),
        ({"photometric": "rgb", "planarconfig": "separate"}, np.uint16, 16),
    ],
)
def test_tiffs_of_other_programs(options: dict[str, Any], dtype: type, bits: int, tmp_path: Path) -> None:
    peak = 1 if bits == 32 else 2**bits - 1
    array = (np.random.default_rng(0).random((23, 37, 3)) * peak).astype(dtype)
    stored = np.moveaxis(array, -1, 0) if options.get("planarconfig") else array
    tifffile.imwrite(tmp_path / "picture.tif", stored, metadata=None, **options)
    image = read_image(tmp_path / "picture.tif")
    assert np.array_equal(image.pixels[0].permute(1, 2, 0).numpy(), array.astype(np.float32) / np.float32(peak))
    assert image.info.bits == bits


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint32, np.int32, np.int16, np.int8])
def test_unusual_numbers_are_read_as_float(dtype: type, tmp_path: Path) -> None:
    array = np.arange(-6, 6).reshape(3, 4).astype(np.int64)
    array = (abs(array) if np.issubdtype(dtype, np.unsignedinteger) else array).astype(dtype)
    tifffile.imwrite(tmp_path / "picture.tif", array)
    image = read_image(tmp_path / "picture.tif")
    assert (image.info.is_float, image.info.bits) == (True, 32)
    assert len(image.info.notes) == 1
    assert "32-bit float" in image.info.notes[0]
    np.testing.assert_allclose(image.pixels[0, 0].numpy() * image.info.scale, array, rtol=1e-6)


def test_a_float_file_is_scaled_and_never_clipped(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(300, 200, (50, 60)).astype(np.float32)
    array[0, 0] = 1e9
    tifffile.imwrite(tmp_path / "in.tif", array)
    image = read_image(tmp_path / "in.tif")
    assert image.info.scale == pytest.approx(np.quantile(array, 0.999), rel=1e-6)
    assert image.pixels.min() < 0
    write_image(tmp_path / "out.tif", image)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out.tif"), array, rtol=3e-7)


def test_a_dark_float_file_keeps_its_values(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((5, 6)).astype(np.float32) / 100
    tifffile.imwrite(tmp_path / "in.tif", array)
    image = read_image(tmp_path / "in.tif")
    assert image.info.scale == 1
    assert np.array_equal(image.pixels[0, 0].numpy(), array)


@pytest.mark.parametrize("extreme", [3e38, -3e38])
def test_the_ends_of_float_do_not_overflow(extreme: float, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.float32([[0, extreme], [extreme / 2, 1]]))
    image = read_image(tmp_path / "in.tif")
    assert image.pixels.isfinite().all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_expanded(bits: int, tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4) % 2**bits
    palette = PillowImage.fromarray(array)
    palette.putpalette([value for level in range(256) for value in (level, 255 - level, 7)])
    palette.save(tmp_path / "palette.png", bits=bits)
    image = read_image(tmp_path / "palette.png")
    assert image.info.notes == ("palette expanded to 8-bit colour",)
    expected = np.stack([array, 255 - array, np.full_like(array, 7)]) / np.float32(255)
    assert np.array_equal(image.pixels[0].numpy(), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_one_bit_becomes_grey(suffix: str, tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((9, 11)) > 0.5
    PillowImage.fromarray(array).save(tmp_path / f"in{suffix}")
    image = read_image(tmp_path / f"in{suffix}")
    assert np.array_equal(image.pixels[0, 0].numpy(), array.astype(np.float32))
    assert (image.info.bits, len(image.info.notes)) == (8, 1)


def test_twelve_bits(tmp_path: Path) -> None:
    # tifffile writes no packed samples: 2 x 2 of 12 bits, by hand
    packed, values = bytes([0xFF, 0xF0, 0x00, 0x80, 0x00, 0x01]), [[4095, 0], [2048, 1]]
    tifffile.imwrite(tmp_path / "in.tif", np.frombuffer(packed, np.uint8).reshape(2, 3), metadata=None)
    data = bytearray((tmp_path / "in.tif").read_bytes())
    with tifffile.TiffFile(BytesIO(bytes(data))) as file:
        for code, value in ((256, 2), (258, 12)):
            data[file.pages[0].tags[code].valueoffset] = value
    (tmp_path / "in.tif").write_bytes(data)
    image = read_image(tmp_path / "in.tif")
    assert np.array_equal(image.pixels[0, 0].numpy(), np.float32(values) / np.float32(4095))
    assert (image.info.bits, image.info.notes) == (16, ("12 bits expanded to 16",))


def test_transparency_of_a_palette(tmp_path: Path) -> None:
    palette = PillowImage.fromarray(np.uint8([[0, 1], [2, 3]]))
    palette.putpalette(list(range(12)))
    palette.save(tmp_path / "in.png", transparency=bytes([0, 128, 255]))
    alpha = read_image(tmp_path / "in.png").alpha
    assert alpha is not None
    assert (alpha[0, 0] * 255).tolist() == [[0, 128], [255, 255]]


def test_gif_of_one_frame_becomes_png(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)).quantize(8)
    picture.save(tmp_path / "in.gif")
    image = read_image(tmp_path / "in.gif")
    assert np.array_equal((image.pixels[0] * 255).permute(1, 2, 0).numpy(), np.asarray(picture.convert("RGB")))
    assert (image.info.format, image.info.suffix) == ("GIF", ".png")
    assert write_image(tmp_path / "out.png", image) == ()


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    write_image(tmp_path / "in.png", torch.rand(1, 3, 4, 5))
    (tmp_path / "in.png").rename(tmp_path / "in.jpg")
    info = read_image(tmp_path / "in.jpg").info
    assert (info.format, info.notes) == ("PNG", ("the suffix is .jpg but the file is PNG",))


def test_only_the_first_picture_of_an_mpo(tmp_path: Path) -> None:
    pictures = [PillowImage.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    pictures[0].save(tmp_path / "in.jpg", "MPO", save_all=True, append_images=pictures[1:])
    image = read_image(tmp_path / "in.jpg")
    assert image.pixels[0, 0].min() > 0.9
    assert image.info.notes == ("only the first picture of the file was read",)


def test_a_thumbnail_in_a_tiff_is_not_a_page(tmp_path: Path) -> None:
    array = np.zeros((8, 9), np.uint8)
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        file.write(array, subifds=1, metadata=None)
        file.write(array[::2, ::2], subfiletype=1, metadata=None)
        file.write(array[::2, ::2], subfiletype=1, metadata=None)
    assert read_image(tmp_path / "in.tif").size == (8, 9)


@pytest.mark.parametrize(
    ("pixels", "alpha"),
    [
        (torch.rand(3, 4, 5), None),
        (torch.rand(2, 3, 4, 5), None),
        (torch.rand(1, 2, 4, 5), None),
        (torch.rand(1, 3, 0, 5), None),
        (torch.ones(1, 3, 4, 5, dtype=torch.uint8), None),
        (torch.rand(1, 3, 4, 5), torch.rand(1, 1, 5, 4)),
        (torch.rand(1, 3, 4, 5), torch.ones(1, 1, 4, 5, dtype=torch.uint8)),
    ],
)
def test_an_image_has_the_shape_it_says(pixels: Tensor, alpha: Tensor | None) -> None:
    with pytest.raises(ImageError, match="; give"):
        Image(pixels, alpha)


def test_an_image_says_what_it_is() -> None:
    image = Image(torch.rand(1, 3, 4, 5), torch.rand(1, 1, 4, 5), ImageInfo(format="TIFF", bits=32, is_float=True))
    assert repr(image) == "Image(5x4 colour with alpha, TIFF, 32-bit float)"


@pytest.mark.parametrize("software", ["tifffile.py", "another"])
def test_booleans_of_tifffile(tmp_path: Path, software: str) -> None:
    """True is white, as for whoever wrote the array; of another program's file, white is zero where it says so."""
    values = np.indices((9, 13)).sum(0) % 3 == 0
    tifffile.imwrite(tmp_path / "b.tif", values, software=software)
    white = read_image(tmp_path / "b.tif").pixels[0, 0].numpy() == 1
    assert np.array_equal(white, values if software == "tifffile.py" else ~values)
