"""Recursive supervision: its value by hand, its weights, its gradient."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from acutance.train.config import LossConfig
from acutance.train.loss import FLOOR, recursive


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
    f = FLOOR
    expected = (math.log(3.5 + f) + math.log(1 + f)) / 2 + 0.05 * (
        math.log(5 + f) + math.log(2 + f) + math.log(4 + f) + math.log(2 + f)
    ) / 2
    assert float(log) == pytest.approx(expected)


@pytest.mark.parametrize(("growth", "weights"), [(0.0, (1, 1, 1)), (1.0, (1, 2, 3)), (2.0, (1, 4, 9))])
def test_later_steps_weigh_more(growth: float, weights: tuple[int, ...]) -> None:
    sharp = torch.zeros(1, 1, 3, 3)
    estimates = [torch.full_like(sharp, e) for e in (3.0, 2.0, 1.0)]
    expected = sum(w * e**2 for w, e in zip(weights, (3, 2, 1), strict=True)) / sum(weights)
    assert float(recursive(estimates, sharp, LossConfig("mse", 0.1, growth))) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["mse", "log-mse"])
def test_the_gradient_is_that_of_finite_differences(kind: Any, generator: torch.Generator) -> None:
    sharp = torch.rand(2, 1, 3, 4, generator=generator, dtype=torch.float64)
    a, b = (torch.rand(sharp.shape, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(lambda a, b: recursive([a, b], sharp, LossConfig(kind)), (a, b))


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
