"""An Image at the prompt, in a notebook and in numpy."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from acutance.images import Image, ImageInfo


@pytest.mark.parametrize(("channels", "shape"), [(1, (4, 6)), (3, (4, 6, 3))])
def test_as_an_array(channels: int, shape: tuple[int, ...]) -> None:
    pixels = torch.rand(1, channels, 4, 6)
    array = np.asarray(Image(pixels))
    assert array.shape == shape
    assert array.dtype == np.float32
    assert np.asarray(Image(pixels), np.float64).dtype == np.float64
    np.testing.assert_array_equal(array.reshape(4, 6, channels).transpose(2, 0, 1), pixels[0])
    np.array(Image(pixels), copy=True)[:] = 7
    assert float(pixels.max()) <= 1


def test_one_line_at_the_prompt() -> None:
    text = repr(Image(torch.rand(1, 3, 4, 6), torch.ones(1, 1, 4, 6), ImageInfo("TIFF", bits=16)))
    assert text == "Image(6x4 colour with alpha, TIFF, 16-bit)"


@pytest.mark.parametrize(
    ("image", "size", "mode", "value"),
    [
        (Image(torch.full((1, 1, 4, 6), 0.4)), (6, 4), "L", 102),
        (Image(torch.full((1, 3, 4, 6), 2.0)), (6, 4), "RGB", 255),
        (Image(torch.full((1, 1, 4, 6), torch.nan)), (6, 4), "L", 0),
        (Image(torch.full((1, 3, 4, 6), 0.4), torch.full((1, 1, 4, 6), 0.2)), (6, 4), "RGBA", 51),
        (Image(torch.full((1, 1, 4, 6), 9.0), None, ImageInfo("TIFF", 32, True)), (6, 4), "L", 255),
        (Image(torch.zeros(1, 1, 100, 2000)), (1024, 51), "L", 0),
    ],
    ids=["grey", "beyond white", "missing", "alpha", "float", "large"],
)
def test_in_a_notebook(image: Image, size: tuple[int, int], mode: str, value: int) -> None:
    with PillowImage.open(BytesIO(image._repr_png_())) as shown:
        assert (shown.format, shown.size, shown.mode) == ("PNG", size, mode)
        assert np.asarray(shown).reshape(size[1], size[0], -1)[0, 0, -1] == value
