"""Light trails: one that a person points at, and those that are found in the dark."""

from __future__ import annotations

import pytest
import torch
from blind.scenes import town
from degraded import shake
from torch import Tensor

from acutance.blind.base import Unknowable
from acutance.blind.hypothesis import Look
from acutance.blind.method import BlindConfig, build
from acutance.blind.trail import of_trail, trails
from acutance.errors import ConfigError
from acutance.metrics import kernel_similarity, psnr
from acutance.operators import Blur
from acutance.problem import Problem

LAMPS = ((60, 70), (150, 40), (100, 180))
"""Rows and columns, on the domain of the blur."""

BOX = (70 - 6 - 25, 60 - 6 - 25, 50, 50)
"""Around the first lamp, in the observed picture."""


@pytest.fixture
def kernel() -> Tensor:
    return max(shake(6, 13, torch.Generator().manual_seed(2)).split(1), key=lambda k: int((k > 0).sum()))


def night(kernel: Tensor, power: float) -> tuple[Tensor, Tensor]:
    """A dark town with lamps in black squares: sharp and observed, in linear light, clipped at 1."""
    x = 0.15 * town(240).square()
    for row, col in LAMPS:
        x[..., row - 20 : row + 20, col - 20 : col + 20] = 0.01
        x[..., row, col] = power
    y = Blur(kernel).forward(x)
    y = y + 0.002 * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    return x[..., 6:-6, 6:-6], y.clamp(0, 1)


def look(y: Tensor) -> Look:
    return Look.of(y, linear=True)


def test_a_trail_is_the_kernel(kernel: Tensor) -> None:
    _, y = night(kernel, 8.0)
    found = of_trail(look(y), BOX)
    assert found.linear
    assert float(kernel_similarity(found.kernel, kernel)) > 0.97
    assert float(found.kernel.sum()) == pytest.approx(1, abs=1e-5)


def test_a_clipped_trail_still_is_alike(kernel: Tensor) -> None:
    _, y = night(kernel, 60.0)
    assert float((y == 1).float().mean()) > 4e-4
    assert float(kernel_similarity(of_trail(look(y), BOX).kernel, kernel)) > 0.75


@pytest.mark.parametrize(
    ("box", "error", "says"),
    [
        ((0, 0, 4, 40), ConfigError, "at least"),
        ((200, 200, 60, 60), ConfigError, "reaches beyond"),
        ((BOX[0] + 19, BOX[1] + 19, 8, 8), ConfigError, "draw it larger"),
        ((150, 20, 12, 12), Unknowable, "no light trail"),
    ],
    ids=["small", "beyond", "cut", "dark"],
)
def test_a_box_without_a_whole_trail_is_refused(
    kernel: Tensor, box: tuple[int, int, int, int], error: type[Exception], says: str
) -> None:
    _, y = night(kernel, 8.0)
    y[..., 15:40, 145:170] = 0.01
    with pytest.raises(error, match=says):
        of_trail(look(y), box)


def test_trails_of_a_night_are_found_without_a_box(kernel: Tensor) -> None:
    _, y = night(kernel, 20.0)
    found = list(trails(look(y)))
    assert found
    assert max(float(kernel_similarity(h.kernel, kernel)) for h in found) > 0.85


def test_a_lamp_of_another_shape_is_outvoted(kernel: Tensor) -> None:
    _, y = night(kernel, 20.0)
    y[..., 180:200, 120:123] = 1.0
    assert float(kernel_similarity(next(iter(trails(look(y)))).kernel, kernel)) > 0.85


@pytest.mark.parametrize("picture", [0.9 * torch.ones(1, 1, 80, 80), torch.zeros(1, 1, 80, 80), town(120)], ids=len)
def test_by_day_nothing_is_a_trail(picture: Tensor) -> None:
    assert list(trails(Look.of(picture, linear=True))) == []


def test_a_person_points_and_the_picture_becomes_better(kernel: Tensor) -> None:
    x, y = night(kernel, 8.0)
    method = build(method="fd", trail=BOX, otherwise="nothing")
    result = method.run(Problem(y, linear=True))
    keep = x < 0.5
    assert float(psnr(torch.where(keep, result.x, x), x)) > float(psnr(torch.where(keep, y, x), x)) + 1
    assert "the trail gives a kernel" in result.remarks[0]
    assert result.kernel is not None
    assert float(kernel_similarity(result.kernel, kernel)) > 0.97


def test_the_window_says_where_the_kernel_is_estimated(kernel: Tensor) -> None:
    """One half is sharp; the window holds the other."""
    x = town(330)
    y = Blur(kernel).forward(x)
    y[..., :, 160:] = x[..., 6:-6, 166:-6]
    found = build(window=(0, 0, 160, 318), otherwise="nothing", method="fd").estimate(Problem(y))
    assert float(kernel_similarity(found.kernel, kernel)) > 0.8


def test_candidates_are_tried_on_a_piece(kernel: Tensor) -> None:
    y = Blur(kernel).forward(town(330))
    made = build(method="fd", otherwise="nothing").candidates(Problem(y))
    assert made
    gains = [estimate.gain for estimate, _, _ in made]
    assert gains == sorted(gains, reverse=True)
    for estimate, before, after in made:
        assert before.shape == after.shape
        assert float(estimate.kernel.sum()) == pytest.approx(1, abs=1e-4)
    kernels = [estimate.kernel for estimate, _, _ in made]
    assert all(float(kernel_similarity(a, b)) < 0.9 for i, a in enumerate(kernels) for b in kernels[:i])


def test_trail_and_window_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="leave out the window"):
        BlindConfig(window=(0, 0, 9, 9), trail=(0, 0, 9, 9))
