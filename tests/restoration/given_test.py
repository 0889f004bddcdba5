"""Pictures, masks and kernels of every kind that callers have; pictures come back as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage

from acutance.errors import ConfigError, ImageError, KernelError
from acutance.images import Image
from acutance.operators import Blur, BlurField
from acutance.restoration.given import take_kernel, take_mask, take_picture

DTYPES = ("bool", "u1", ">u2", "<u2", ">i2", "i4", "i8", "u8", "f2", ">f4", "f4", "f8", "longdouble")
SHAPES = {  # of an array -> (C, H, W) and whether there is alpha
    (5, 7): (1, 5, 7, False),
    (5, 7, 1): (1, 5, 7, False),
    (5, 7, 3): (3, 5, 7, False),
    (5, 7, 4): (3, 5, 7, True),
    (1, 5, 7): (1, 5, 7, False),
    (3, 5, 7): (3, 5, 7, False),
    (4, 5, 7): (3, 5, 7, True),
    (1, 3, 5, 7): (3, 5, 7, False),
    (1, 5, 7, 3): (3, 5, 7, False),
    (3, 7, 3): (3, 3, 7, False),
}
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16")


def counting(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    values = np.arange(np.prod(shape)).reshape(shape)
    return (values % 2 if dtype == "bool" else values).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_array_comes_back_as_it_was(shape: tuple[int, ...], dtype: str) -> None:
    array = counting(shape, dtype)
    given = take_picture(array)
    c, h, w, alpha = SHAPES[shape]
    assert given.image.pixels.shape == (1, c, h, w)
    assert (given.image.alpha is not None) == alpha
    back = given.back(given.image)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "uint16", "int16", "int64", "float16", "bfloat16", "float32", "float64"]
)
@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7), (5, 7, 3), (1, 3, 5, 7), (4, 5, 7), (3, 7, 3)], ids=str)
def test_a_tensor_comes_back_as_it_was(shape: tuple[int, ...], dtype: str) -> None:
    tensor = (torch.arange(int(np.prod(shape))) % (2 if dtype == "bool" else 99)).reshape(shape)
    tensor = tensor.to(getattr(torch, dtype))
    given = take_picture(tensor)
    back = given.back(given.image)
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)


def test_where_both_ends_may_be_channels_the_custom_of_each_library_decides() -> None:
    array = np.zeros((3, 7, 3), np.float32)
    array[..., 0] = 1
    assert float(take_picture(array).image.pixels[:, 0].min()) == 1
    assert float(take_picture(torch.from_numpy(array)).image.pixels[..., 0].min()) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_pillow_image_comes_back(mode: str) -> None:
    grey = PillowImage.fromarray(counting((6, 5), "u1") * 8)
    picture = PillowImage.fromarray(counting((6, 5), "u2") * 99) if mode == "I;16" else grey.convert(mode)
    given = take_picture(picture)
    back = given.back(given.image)
    expected = {"1": "L", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB"}.get(mode, mode)
    assert back.mode == expected
    assert back.size == picture.size
    if expected == mode:
        np.testing.assert_array_equal(np.asarray(back), np.asarray(picture))


def test_an_image_and_a_path_come_back_as_images(tmp_path: Path) -> None:
    PillowImage.fromarray(counting((6, 5, 3), "u1")).save(tmp_path / "a.png")
    for given in (take_picture(tmp_path / "a.png"), take_picture(str(tmp_path / "a.png"))):
        assert isinstance(given.back(given.image), Image)
        assert given.image.info.format == "PNG"
    image = Image(torch.rand(1, 1, 4, 4))
    assert take_picture(image).image is image


@pytest.mark.parametrize(("dtype", "peak"), [("u1", 255), ("u2", 65535), ("f4", 1), ("i4", 1)])
def test_integers_of_files_are_fractions_of_their_range(dtype: str, peak: int) -> None:
    given = take_picture(np.full((4, 4), 100, dtype))
    assert float(given.image.pixels.max()) == pytest.approx(100 / peak)
    assert given.image.info.is_float == (peak == 1)


def test_what_is_restored_beyond_the_type_is_cut_off() -> None:
    for dtype, most in (("u1", 255), ("u2", 65535), ("i8", 2**63 - 1), ("u8", 2**64 - 1)):
        given = take_picture(np.zeros((2, 2), dtype))
        beyond = given.back(Image(torch.tensor([[[[-1e30, 1e30], [0.0, 0.0]]]])))
        assert int(beyond[0, 0]) == np.iinfo(dtype).min
        assert int(beyond[0, 1]) == pytest.approx(most, rel=1e-9)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (3, "cannot be a int"),
        ([[1, 2]], "cannot be a list"),
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros((0, 5)), r"shape \(0, 5\)"),
        (np.zeros((5, 6, 7)), "no side of it is a number of channels"),
        (np.zeros((2, 3, 5, 6)), "2 pictures at once"),
        (np.zeros((4, 4), complex), "complex128; give real numbers"),
        (np.full((4, 4), "a"), "give real numbers"),
        (np.zeros((4, 4), "M8[s]"), "give real numbers"),
        (np.full((4, 4), np.nan), "none of the 16 values is finite"),
        (np.full((4, 4), np.inf), "none of the 16 values is finite"),
        (np.full((4, 4), 1e300), "within 32-bit float"),
        (np.ma.masked_array(np.zeros((4, 4)), mask=np.eye(4)), "mask=~array.mask"),
        (torch.zeros(4, 4).to_sparse(), "dense"),
        (torch.zeros(4, 4, dtype=torch.complex64), "real numbers"),
        ("nowhere.png", "there is no such file"),
    ],
)
def test_what_is_no_picture_is_refused(picture: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        take_picture(picture)


def test_alpha_is_kept_and_may_be_anything() -> None:
    array = np.random.default_rng(1).random((4, 5, 4)).astype("f4")
    array[0, 0, 3] = np.nan
    given = take_picture(array)
    assert given.image.alpha is not None
    assert float(given.image.alpha[0, 0, 0, 0]) == 0
    np.testing.assert_array_equal(given.back(given.image)[..., 3], array[..., 3])


WANTED = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 1, 1]])


@pytest.mark.parametrize(
    "mask",
    [
        WANTED, WANTED.astype(bool), WANTED.astype("u1"), 255 * WANTED.astype("u1"), 255 * WANTED.astype("u2"),
        WANTED.astype("f4"), WANTED[None], WANTED[..., None], torch.from_numpy(WANTED), torch.from_numpy(WANTED) > 0,
        np.repeat(255 * WANTED.astype("u1")[..., None], 3, -1), PillowImage.fromarray(255 * WANTED.astype("u1")),
        Image(torch.from_numpy(WANTED).float()[None, None]),
    ],
    ids=lambda mask: f"{type(mask).__name__}-{getattr(mask, 'dtype', '')}",
)  # fmt: skip
def test_masks_of_every_kind(mask: Any) -> None:
    assert take_mask(mask, (2, 5))[0, 0].tolist() == WANTED.tolist()


@pytest.mark.parametrize(
    ("mask", "message"),
    [(np.ones((3, 2)), "2 x 3 for a picture of 3 x 2"), (np.array([[1, np.nan, 1]] * 2), "NaN"), ("no.png", "mask: ")],
)
def test_masks_that_are_none(mask: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        take_mask(mask, (2, 3))


@pytest.mark.parametrize("dtype", ["u1", ">u2", "f2", ">f8", "i8"])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_kernels_are_divided_by_their_sum(dtype: str, as_tensor: bool) -> None:
    scale = 0.25 if np.dtype(dtype).kind == "f" else 1
    array = (scale * np.array([[0, 1, 0], [1, 4, 2], [0, 1, 0]])).astype(dtype)
    values = torch.from_numpy(array.astype(array.dtype.newbyteorder("="))) if as_tensor and dtype != ">u2" else array
    kernel, notes = take_kernel(values)
    assert isinstance(kernel, torch.Tensor)
    torch.testing.assert_close(kernel[0, 0], torch.from_numpy(array.astype("f4")) / (9 * scale))
    assert any("summed to 2.25" in note for note in notes) == (np.dtype(dtype).kind == "f")


def test_kernels_of_the_library_and_of_files(tmp_path: Path) -> None:
    field = BlurField(torch.full((2, 2, 1, 3, 3), 1 / 9))
    assert take_kernel(field) == (field, ())
    blur = Blur(torch.full((1, 1, 3, 3), 1 / 9))
    assert take_kernel(blur)[0] is blur.kernel
    np.save(tmp_path / "k.npy", np.ones((3, 3)))
    for path in (tmp_path / "k.npy", str(tmp_path / "k.npy")):
        kernel, notes = take_kernel(path)
        assert isinstance(kernel, torch.Tensor)
        assert float(kernel.sum()) == pytest.approx(1)
        assert notes


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (np.full((3, 3), np.nan), "NaN"),
        (np.zeros((3, 3)), "zero"),
        (-np.ones((3, 3)), "negative"),
        (np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]]), "negative"),
        (np.ones((3, 3), complex), "real numbers"),
        (np.ones(3), "two dimensions"),
        (torch.ones(2, 1, 3, 3), "kernel"),
        ("nowhere.png", "nowhere.png"),
        (5, "cannot be a int"),
    ],
)
def test_what_is_no_kernel_is_refused(kernel: Any, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        take_kernel(kernel)
