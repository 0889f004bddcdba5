"""What every method promises behind the door: results are true to their units, missing pixels have no influence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from small_methods import SMALL, built, kernel_of
from torch import Tensor

from acutance.images import Image, ImageInfo
from acutance.methods.spec import catalogue
from acutance.operators import Blur
from acutance.problem import Outcome
from acutance.restoration.restorer import Restorer

CPU = torch.device("cpu")
KERNEL = kernel_of(5, 5)
SMALLER: dict[str, dict[str, Any]] = {"blind": {**SMALL["blind"], "size": 5}}


def restorer_of(name: str) -> Restorer:
    torch.manual_seed(1)
    spec = catalogue()[name]
    return Restorer(spec, built(spec, **{**SMALL, **SMALLER}.get(name, {})), CPU)


def picture(channels: int = 3, size: tuple[int, int] = (36, 41)) -> Tensor:
    g = torch.Generator().manual_seed(5)
    blur = Blur(KERNEL)
    coarse = torch.rand(1, channels, 9, 9, generator=g)
    x = torch.nn.functional.interpolate(0.1 + 0.7 * coarse, size=blur.domain_size(*size), mode="nearest")
    y = blur.forward(x)
    return y + 0.01 * torch.randn(y.shape, generator=g)


def restored(restorer: Restorer, image: Any, **options: Any) -> Tensor:
    done = restorer(image, KERNEL if restorer.needs.kernel else None, **options)
    assert done.outcome is not Outcome.DIVERGED
    assert bool(torch.isfinite(done.image.pixels).all())
    return done.image.pixels


@pytest.fixture(params=list(catalogue()), scope="module")
def restorer(request: pytest.FixtureRequest) -> Restorer:
    return restorer_of(request.param)


@pytest.fixture(scope="module")
def plain(restorer: Restorer) -> Tensor:
    """The restored picture, its noise level estimated."""
    return restored(restorer, picture())


@pytest.fixture(scope="module")
def told(restorer: Restorer) -> Tensor:
    """The same with a noise level that is given, 0.01."""
    return restored(restorer, picture(), sigma=0.01)


@pytest.mark.parametrize("c", [2.0**-30, 2.0**-7, 2.0**16])
def test_a_picture_times_a_number_is_restored_as_itself_times_that_number(
    restorer: Restorer, plain: Tensor, c: float
) -> None:
    """Exactly, as multiplying by a power of 2 rounds nothing."""
    assert torch.equal(restored(restorer, c * picture()) / c, plain)


@pytest.mark.parametrize("c", [1e-9, 1e-2, 255.0, 65535.0])
@pytest.mark.parametrize("name", ["acute", "fd", "levin", "richardson-lucy", "wiener"])
def test_of_any_number(name: str, c: float) -> None:
    restorer, y = restorer_of(name), picture(1)
    torch.testing.assert_close(restored(restorer, c * y) / c, restored(restorer, y), rtol=1e-3, atol=1e-4)


def test_a_float_file_in_any_units(restorer: Restorer) -> None:
    """Its noise level, if it is given, is a fraction of its range, and so is the fitting error."""
    y, found = picture(), []
    for c in (2.0**-20, 2.0**12):
        image = Image(c * y, info=ImageInfo("TIFF", bits=32, is_float=True))
        done = restorer(image, KERNEL if restorer.needs.kernel else None, sigma=0.01)
        found.append((done.image.pixels / c, done.fitting_error))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1] < 0.5


def test_a_pedestal_far_above_the_signal_costs_nothing(restorer: Restorer) -> None:
    """Counts of a camera with an offset: the same signal on 20 and on 500 times its size, rounded off a little."""
    if restorer.needs.task == "sense":
        pytest.skip("its numbers are of the picture with its pedestal")
    y = picture()
    low, high = (restored(restorer, y + c, sigma=0.01 / float((y + c).max())) - c for c in (20.0, 500.0))
    assert float((low - high).abs().mean()) < 2e-3
    plain = restored(restorer, y - y.min(), sigma=0.01) + y.min()
    assert float((low - plain).abs().mean()) < 0.03


@pytest.mark.parametrize("value", [float("nan"), -float("inf")])
def test_a_missing_pixel_is_filled_and_spoils_nothing(restorer: Restorer, told: Tensor, value: float) -> None:
    if restorer.spec.name == "blind":
        pytest.skip("finds another kernel in so small a picture")
    y = picture()
    hole = y.clone()
    hole[0, :, 10:13, 20:22] = value
    done = restorer(hole, KERNEL if restorer.needs.kernel else None, sigma=0.01)
    filled = done.image.pixels
    assert bool(torch.isfinite(filled).all())
    far = torch.ones(36, 41, dtype=torch.bool)
    far[:26, 6:36] = False
    assert float((told - filled)[..., far].abs().mean()) < 0.01
    assert any("6 pixels are NaN or infinite" in note for note in done.notes)


MASK = torch.ones(1, 1, 36, 41)
MASK[..., 4:9, 12:20] = 0


@pytest.fixture(scope="module")
def masked(restorer: Restorer) -> Tensor:
    """The picture restored without what `MASK` hides."""
    if not restorer.needs.mask:
        pytest.skip("uses no mask")
    return restored(restorer, picture(), mask=MASK)


@pytest.mark.parametrize("value", [float("nan"), 1e6, -1e6])
def test_what_a_mask_hides_has_no_influence(restorer: Restorer, masked: Tensor, value: float) -> None:
    spoilt = torch.where(MASK > 0, picture(), value)
    assert torch.equal(restored(restorer, spoilt, mask=MASK), masked)


def test_what_is_fully_transparent_has_no_influence_and_stays(restorer: Restorer) -> None:
    y, alpha = picture(), torch.ones(1, 1, 36, 41)
    alpha[..., :6, :] = 0
    garbage = torch.where(alpha > 0, y, 1.0)
    first, second = (restored(restorer, Image(p, alpha)) for p in (y, garbage))
    assert torch.equal(first[..., 6:, :], second[..., 6:, :])
    assert torch.equal(second[..., :6, :], garbage[..., :6, :])


def test_black_bars_beside_a_picture_are_no_scene(restorer: Restorer, told: Tensor) -> None:
    if restorer.needs.task != "deblur" or restorer.spec.name == "blind":
        pytest.skip("removes no blur, or finds another kernel in so small a picture")
    y = picture()
    barred = y.clone()
    barred[..., :8, :] = 0
    found = restored(restorer, barred, sigma=0.01)
    assert torch.equal(found[..., :8, :], barred[..., :8, :])
    inside = (told - found)[..., 16:, :]
    assert float(inside.abs().mean()) < 0.03
    grey = replace(Image(y), alpha=None)
    assert not torch.equal(restored(restorer, grey)[..., :8, :], y[..., :8, :])
