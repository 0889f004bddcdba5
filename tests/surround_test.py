"""What is beside a picture is told from what is flat in it."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.operators import Blur
from acutance.psf import shapes
from acutance.surround import surround

SIDE = 72


def scene(*, channels: int = 3, kernel: Tensor | None = None, noise: float = 0.005) -> Tensor:
    """A blurred picture of rectangles, (1, C, SIDE, SIDE)."""
    g = torch.Generator().manual_seed(7)
    blur = Blur(shapes.gaussian(1.5) if kernel is None else kernel)
    x = 0.2 + 0.6 * torch.rand(1, channels, 12, 12, generator=g)
    y = blur.forward(F.interpolate(x, size=blur.domain_size(SIDE, SIDE), mode="nearest"))
    return y + noise * torch.randn(y.shape, generator=g)


ROWS, COLS = torch.arange(SIDE)[:, None].expand(SIDE, SIDE), torch.arange(SIDE).expand(SIDE, SIDE)
OUTSIDE = {
    "bars above and below": (ROWS < 10) | (ROWS >= SIDE - 10),
    "a bar at the left": COLS < 1,
    "corners of a turned scan": (ROWS + COLS < 30) | (ROWS + COLS > 2 * SIDE - 32),
    "field stop": (ROWS - 35.5) ** 2 + (COLS - 35.5) ** 2 > 34**2,
}


@pytest.mark.parametrize("c", [1.0, 1e-5, 65535.0])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
@pytest.mark.parametrize("name", OUTSIDE)
def test_what_is_beside_a_picture_is_found(name: str, value: float, c: float) -> None:
    if name == "a bar at the left" and value == 0.5:
        pytest.skip("of one column in the middle of the values nothing can be told")
    outside = OUTSIDE[name]
    found = surround(c * torch.where(outside, value, scene()))
    assert found is not None
    assert torch.equal(found[0, 0], outside)


def flat_scenes() -> dict[str, Tensor]:
    page = torch.ones(1, 1, SIDE + 20, SIDE + 20)
    page[..., 30:60, 30:60] = 0
    line = shapes.line(9, 0)
    blurred = [Blur(k).forward(page) for k in (shapes.gaussian(0.7), shapes.disc(3), line, line.mT)]
    return {
        "a page behind a narrow kernel": blurred[0], "a page out of focus": blurred[1],
        "moved along": blurred[2], "moved down": blurred[3],
        "no flat region": scene(), "one value": torch.full((1, 3, 20, 20), 0.3),
        "a gradient": torch.linspace(0, 1, SIDE).expand(1, 1, SIDE, SIDE),
        "noise clipped at white": (scene() + 0.6).clamp(0, 1), "two rows": torch.rand(1, 1, 2, 9),
    }  # fmt: skip


@pytest.mark.parametrize("name", flat_scenes())
def test_what_is_flat_in_a_picture_is_scene(name: str) -> None:
    x = flat_scenes()[name]
    assert surround(x) is None
    eight_bits = (x * 255).round() / 255
    assert surround(eight_bits) is None
    assert math.isfinite(float(x.sum()))
