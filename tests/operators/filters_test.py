"""Differences: adjoint, definition, the circular one in the Fourier domain."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from acutance.operators import Difference, adjoint_error, gradients

AXES = ("rows", "columns")


@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("size", [(6, 7), (5, 4), (1, 1), (1, 6)], ids=str)
def test_the_adjoint_is_exact(axis: Any, circular: bool, size: tuple[int, int], generator: torch.Generator) -> None:
    operator = Difference(axis, circular)
    if circular and size[0 if axis == "rows" else 1] == 1:
        assert float(operator.forward(torch.ones(1, 1, *size)).abs().max()) == 0  # nothing to differ from
        return
    assert adjoint_error(operator, (2, 3, *size), generator=generator) < 1e-12


@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("axis", AXES)
def test_the_adjoint_is_autograds_transpose(axis: Any, circular: bool, generator: torch.Generator) -> None:
    operator = Difference(axis, circular)
    x = torch.randn(1, 2, *operator.domain_size(4, 5), generator=generator, dtype=torch.float64).requires_grad_()
    y = torch.randn(1, 2, 4, 5, generator=generator, dtype=torch.float64)
    (transpose,) = torch.autograd.grad(operator.forward(x), x, y)
    torch.testing.assert_close(operator.adjoint(y), transpose, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("axis", AXES)
def test_forward_is_the_next_pixel_less_this_one(axis: Any, generator: torch.Generator) -> None:
    x = torch.rand(1, 1, 5, 6, generator=generator)
    plain, circular = Difference(axis).forward(x), Difference(axis, circular=True).forward(x)
    if axis == "rows":
        assert torch.equal(plain, x[..., 1:, :] - x[..., :-1, :])
        assert torch.equal(circular[..., -1, :], x[..., 0, :] - x[..., -1, :])
        assert torch.equal(circular[..., :-1, :], plain)
    else:
        assert torch.equal(plain, x[..., 1:] - x[..., :-1])
        assert torch.equal(circular[..., -1], x[..., 0] - x[..., -1])
        assert torch.equal(circular[..., :-1], plain)


def test_gradients_are_the_two_differences(generator: torch.Generator) -> None:
    x = torch.rand(2, 3, 5, 6, generator=generator)
    rows, columns = gradients(x)
    assert torch.equal(rows, Difference("rows").forward(x))
    assert torch.equal(columns, Difference("columns").forward(x))
