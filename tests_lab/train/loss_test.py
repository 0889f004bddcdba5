"""Recursive supervision: its value by hand, its weights, its gradient."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from acutance_lab.train.config import LossConfig
from acutance_lab.train.loss import laplacian, recursive


def test_by_hand() -> None:
    """Two images of 1 x 2 x 2 with differences that are easy to square."""
    sharp = torch.zeros(2, 1, 2, 2, dtype=torch.float64)
    d = torch.tensor([[[[1.0, 3.0], [2.0, 0.0]]], [[[0.0, 0.0], [0.0, 2.0]]]], dtype=torch.float64)
    # mean squares: (1 + 9 + 4 + 0) / 4 = 3.5 and 4 / 4 = 1
    # down the rows: (1, -3) and (0, 2), mean squares 5 and 2; along the columns: (2, -2) and (0, 2), 4 and 2
    plain = recursive([d], sharp, LossConfig(kind="mse", gradient=0.0))
    assert float(plain) == pytest.approx((3.5 + 1) / 2)
    full = recursive([d], sharp, LossConfig(kind="mse", gradient=0.1))
    assert float(full) == pytest.approx((3.5 + 1) / 2 + 0.1 * 0.5 * ((5 + 2) / 2 + (4 + 2) / 2))
    log = recursive([d], sharp, LossConfig(kind="log-mse", gradient=0.1))
    f = LossConfig().floor
    expected = (math.log(3.5 + f) + math.log(1 + f)) / 2 + 0.05 * (
        math.log(5 + f) + math.log(2 + f) + math.log(4 + f) + math.log(2 + f)
    ) / 2
    assert float(log) == pytest.approx(expected)
    # mean absolute values: 6 / 4 and 2 / 4; down the rows 4 / 2 and 2 / 2; along the columns 4 / 2 and 2 / 2
    absolute = recursive([d], sharp, LossConfig(kind="l1", gradient=0.1))
    assert float(absolute) == pytest.approx((1.5 + 0.5) / 2 + 0.05 * ((2 + 1) / 2 + (2 + 1) / 2))


def test_charbonnier_and_edges_by_hand() -> None:
    sharp, d = torch.zeros(1, 1, 2, 2, dtype=torch.float64), torch.tensor([[[[3e-3, 0.0], [4e-3, 0.0]]]]).double()
    found = recursive([d], sharp, LossConfig(kind="charbonnier", gradient=0.0))
    assert float(found) == pytest.approx((math.sqrt(10) + 1 + math.sqrt(17) + 1) * 1e-3 / 4)
    flat = torch.full((1, 1, 12, 16), 0.3, dtype=torch.float64)
    assert float(laplacian(flat)[..., 3:-3, 3:-3].abs().max()) < 1e-12, "what is smooth has no edges"
    point = torch.zeros(1, 1, 13, 13, dtype=torch.float64)
    point[..., 6, 6] = 1.0
    row = torch.tensor([0.05, 0.25, 0.4, 0.25, 0.05], dtype=torch.float64)
    low = torch.zeros(13, 13, dtype=torch.float64)
    low[4:9, 4:9] = torch.outer(row, row)
    kept = torch.zeros_like(low)
    kept[::2, ::2] = 4 * low[::2, ::2]
    again = torch.nn.functional.conv2d(kept[None, None], torch.outer(row, row)[None, None], padding=2)
    torch.testing.assert_close(laplacian(point)[..., 2:-2, 2:-2], (point - again)[..., 2:-2, 2:-2])
    both = recursive([point], torch.zeros_like(point), LossConfig(kind="charbonnier", gradient=0.0, edge=0.05))
    alone = recursive([point], torch.zeros_like(point), LossConfig(kind="charbonnier", gradient=0.0))
    smooth = (laplacian(point).square() + 1e-6).sqrt().mean()
    assert float(both - alone) == pytest.approx(0.05 * float(smooth))


@pytest.mark.parametrize(("growth", "weights"), [(0.0, (1, 1, 1)), (1.0, (1, 2, 3)), (2.0, (1, 4, 9))])
def test_later_steps_weigh_more(growth: float, weights: tuple[int, ...]) -> None:
    sharp = torch.zeros(1, 1, 3, 3)
    estimates = [torch.full_like(sharp, e) for e in (3.0, 2.0, 1.0)]
    expected = sum(w * e**2 for w, e in zip(weights, (3, 2, 1), strict=True)) / sum(weights)
    assert float(recursive(estimates, sharp, LossConfig("mse", 0.1, growth))) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["mse", "log-mse", "l1"])
def test_the_gradient_is_that_of_finite_differences(kind: Any, generator: torch.Generator) -> None:
    sharp = torch.rand(2, 1, 3, 4, generator=generator, dtype=torch.float64)
    a, b = (torch.rand(sharp.shape, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(lambda a, b: recursive([a, b], sharp, LossConfig(kind)), (a, b))


@pytest.mark.parametrize("gradient", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["mse", "log-mse", "l1"])
def test_where_the_scene_exceeds_the_range_all_that_exceeds_it_is_right(
    kind: Any, gradient: float, generator: torch.Generator
) -> None:
    """And what falls short of the range is wrong by what is missing to it, not to the scene."""
    sharp = 1.6 * torch.rand(2, 3, 6, 7, generator=generator, dtype=torch.float64)
    config, over = LossConfig(kind, gradient), sharp > 1
    assert 0.2 < float(over.double().mean()) < 0.6
    x = torch.where(over, 1 + 3 * torch.rand(sharp.shape, generator=generator, dtype=torch.float64), sharp)
    perfect = recursive([sharp], sharp, config)
    assert float(recursive([x], sharp, config)) == pytest.approx(float(perfect))
    short = torch.where(over, 0.75, sharp)
    expected = recursive([torch.where(over, -0.25, 0.0)], torch.zeros_like(sharp), config)
    assert float(recursive([short], sharp, config)) == pytest.approx(float(expected))
    x.requires_grad_()
    (slope,) = torch.autograd.grad(recursive([x + 0.1 * ~over], sharp, config), x)
    if not gradient:
        assert float(slope[over].abs().max()) == 0
        assert float(slope[~over].abs().min()) > 0


def test_at_the_end_of_the_range_nothing_changes() -> None:
    """A white pixel of an ordinary picture is compared as every other: too bright is wrong."""
    sharp = torch.ones(1, 1, 2, 2)
    assert float(recursive([sharp + 0.5], sharp, LossConfig("l1", 0.0))) == pytest.approx(0.5)
    assert float(recursive([sharp + 0.5], sharp + 1e-6, LossConfig("l1", 0.0))) == 0


@pytest.mark.parametrize("gradient", [0.0, 0.1])
def test_a_decibel_counts_the_same_on_easy_and_hard_pictures(gradient: float, generator: torch.Generator) -> None:
    sharp = torch.zeros(1, 3, 16, 16)
    d = torch.randn(sharp.shape, generator=generator)
    config = LossConfig("log-mse", gradient)
    gains = [float(recursive([s * d], sharp, config) - recursive([0.9 * s * d], sharp, config)) for s in (1.0, 0.1)]
    assert gains[1] == pytest.approx(gains[0], rel=0.02)


def test_a_perfect_estimate_is_no_trouble() -> None:
    x = torch.rand(1, 3, 5, 5).requires_grad_()
    loss = recursive([x], x.detach(), LossConfig())
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert x.grad is not None
    assert float(x.grad.abs().max()) == 0


def test_a_ratio_counts_progress_alike_on_easy_and_hard_pictures(generator: torch.Generator) -> None:
    sharp = torch.zeros(2, 3, 16, 16)
    d = torch.randn(sharp.shape, generator=generator) * torch.tensor([1.0, 0.1]).reshape(2, 1, 1, 1)
    config = LossConfig("ratio", 0.0, floor=0.0)
    assert float(recursive([d], sharp, config, first=d)) == pytest.approx(math.log(2))
    assert float(recursive([0.5 * d], sharp, config, first=d)) == pytest.approx(math.log(1.25))
    with pytest.raises(ValueError, match="wants x"):
        recursive([d], sharp, config)
