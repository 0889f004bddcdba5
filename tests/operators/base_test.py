"""The words of operators: `@`, `.T`, `A_adjoint`, `norm`."""

from __future__ import annotations

import pytest
import torch

from acutance.operators import Blur, BlurField, Difference, LinearOperator, Sensing, adjoint_error

OPERATORS: dict[str, LinearOperator] = {
    "valid": Blur(torch.rand(1, 1, 3, 5, generator=torch.Generator().manual_seed(1)).double()),
    "circular": Blur(torch.rand(1, 1, 4, 3, generator=torch.Generator().manual_seed(2)).double(), "circular"),
    "field": BlurField(torch.rand(2, 2, 1, 3, 3, generator=torch.Generator().manual_seed(3)).double()),
    "difference": Difference("columns"),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_the_words_mean_what_they_say(name: str, generator: torch.Generator) -> None:
    operator = OPERATORS[name]
    x = torch.rand(2, 1, *operator.domain_size(12, 11), generator=generator, dtype=torch.float64)
    y = operator @ x
    assert torch.equal(y, operator.forward(x))
    assert torch.equal(operator.T @ y, operator.adjoint(y))
    assert torch.equal(operator.A_adjoint(y), operator.adjoint(y))
    assert operator.T.T is operator
    assert adjoint_error(operator.T, (2, 1, *x.shape[-2:]), generator=generator) < 1e-12


@pytest.mark.parametrize("name", OPERATORS)
def test_sizes_and_start_of_the_transposed(name: str) -> None:
    operator = OPERATORS[name]
    size = operator.domain_size(12, 11)
    y = torch.rand(1, 1, *size, dtype=torch.float64)
    assert operator.T.domain_size(*size) == tuple((operator @ y).shape[-2:])
    assert operator.T.start(y).shape == (operator @ y).shape
    assert torch.equal(operator.T.channel(0) @ (operator @ y), operator.T @ (operator @ y))


def test_the_norm_is_the_largest_singular_value() -> None:
    blur = Blur(torch.rand(1, 1, 3, 3, generator=torch.Generator().manual_seed(1)))
    basis = torch.eye(8 * 9).reshape(-1, 1, 8, 9)
    matrix = (blur @ basis).flatten(1)
    assert blur.norm(6, 7) == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-3)
    assert Sensing(torch.eye(1024)[:100], (32, 32)).norm(32, 32) == pytest.approx(1, rel=1e-3)
