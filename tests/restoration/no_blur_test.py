"""A kernel that says "no blur", values that mark missing pixels, files that only seem to be photographs."""

from dataclasses import replace
from io import BytesIO

import pytest
import torch
from PIL import Image as PillowImage
from torch import Tensor

from acutance.errors import AcutanceError
from acutance.images import Image
from acutance.images.image import ImageInfo
from acutance.images.source import is_photograph
from acutance.restoration.restorer import Restorer

METHODS = ("acute", "fd", "levin", "richardson-lucy", "rgdn", "tv", "wiener")


def picture(channels: int = 3) -> Tensor:
    """Squares and a little texture, (1, C, 48, 56)."""
    generator = torch.Generator().manual_seed(0)
    x = 0.4 + 0.05 * torch.rand(1, channels, 48, 56, generator=generator)
    x[..., 10:30, 12:40] += 0.3
    return x


def delta(side: int) -> Tensor:
    kernel = torch.zeros(1, 1, side, side)
    kernel[..., side // 2, side // 2] = 1
    return kernel


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("side", "channels", "unit"), [(1, 1, 1.0), (15, 3, 1.0), (4, 3, 1e-6), (1, 3, 1e5)])
def test_a_kernel_that_says_no_blur_leaves_the_picture(name: str, side: int, channels: int, unit: float) -> None:
    x = unit * picture(channels)
    done = Restorer.load(name)(x, delta(side))
    assert torch.equal(done.image.pixels, x)
    assert done.unchanged
    assert any("no blur" in note for note in done.notes)


def test_noise_is_removed_where_its_level_is_given() -> None:
    x = picture()
    done = Restorer.load("fd")(x, delta(1), sigma=0.05)
    assert not done.unchanged


@pytest.mark.parametrize("value", [3e38, -1e30, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["wiener", "fd", "bm3d", "nlm"])
def test_a_value_that_marks_a_missing_pixel_spoils_nothing(name: str, value: float) -> None:
    x = picture()
    hole = x.clone()
    hole[0, :, 20, 30] = value
    restorer = Restorer.load(name)
    kernel = torch.ones(1, 1, 3, 3) / 9 if restorer.needs.kernel else None
    whole, filled = (restorer(y, kernel, sigma=0.02).image.pixels for y in (x, hole))
    assert bool(torch.isfinite(filled).all())
    assert float((whole - filled)[..., 40:].abs().max()) < 0.05


@pytest.mark.parametrize(
    ("tags", "photograph"),
    [({}, False), ({0x0131: "editor"}, False), ({0x010E: "a drawing"}, False), ({0x010F: "Maker"}, True),
     ({0x0110: "Model 1"}, True)],
)  # fmt: skip
def test_a_lossless_file_is_a_photograph_if_it_names_a_camera(tags: dict[int, str], photograph: bool) -> None:
    exif = PillowImage.Exif()
    for tag, text in tags.items():
        exif[tag] = text
    block = exif.tobytes().removeprefix(b"Exif\0\0") if tags else None
    image = Image(picture(), info=ImageInfo(exif=block))
    assert is_photograph(image) is photograph
    assert is_photograph(replace(image, info=replace(image.info, format="JPEG")))
    cut = Image(picture(), info=ImageInfo(exif=BytesIO(block or b"II*\0").read(9)))
    assert not is_photograph(cut)


@pytest.mark.parametrize(
    "settings",
    [{"blend": 2}, {"blend": "all"}, {"blend": True}, {"tile": -3}, {"tile": "big"}, {"weights": "none.safetensors"},
     {"device": "gpu"}, {"precision": "half"}],
)  # fmt: skip
def test_what_cannot_be_loaded_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(AcutanceError):
        Restorer.load("acute", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [None, 5, "", "weiner"])
def test_what_is_no_name_of_a_method_is_refused(name: object) -> None:
    with pytest.raises(AcutanceError, match="no method"):
        Restorer.load(name)  # type: ignore[arg-type]
