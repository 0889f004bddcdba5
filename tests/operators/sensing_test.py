"""Sensing by blocks: the products, the adjoint, sizes, what is refused."""

from __future__ import annotations

import pytest
import torch

from acutance.errors import ImageError
from acutance.operators import Sensing
from acutance.operators.sensing import rows_of


@pytest.mark.parametrize("channels", [1, 3])
def test_the_adjoint_is_exact(channels: int, generator: torch.Generator) -> None:
    matrix = torch.randn(11, 1024, generator=generator, dtype=torch.float64)
    operator = Sensing(matrix, (64, 96))
    x = torch.randn(2, channels, 64, 96, generator=generator, dtype=torch.float64)
    b = torch.randn(2, 11 * channels, 2, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close((operator.forward(x) * b).sum(), (x * operator.adjoint(b)).sum())


def test_numbers_are_products_with_blocks_row_by_row(generator: torch.Generator) -> None:
    matrix = torch.randn(5, 1024, generator=generator, dtype=torch.float64)
    x = torch.rand(1, 2, 64, 96, generator=generator, dtype=torch.float64)
    b = Sensing(matrix, (64, 96)).measure(x)
    assert b.shape == (1, 10, 2, 3)
    torch.testing.assert_close(b[0, 5:, 1, 2], matrix @ x[0, 1, 32:, 64:].flatten())


def test_any_size_is_extended_and_cut(generator: torch.Generator) -> None:
    matrix = torch.linalg.qr(torch.randn(1024, 1024, generator=generator, dtype=torch.float64))[0]
    x = torch.rand(1, 1, 40, 33, generator=generator, dtype=torch.float64)
    operator = Sensing(matrix, (40, 33))
    b = operator.measure(x)
    assert operator.blocks == (2, 2) == tuple(b.shape[-2:])
    torch.testing.assert_close(operator.crop(operator.start(b)), x)  # all 1024 numbers are the picture, turned
    assert operator.domain_size(2, 2) == (64, 64)


@pytest.mark.parametrize(("ratio", "rows"), [(0.01, 11), (0.1, 103), (0.25, 256), (1.0, 1024)])
def test_numbers_of_a_block(ratio: float, rows: int) -> None:
    assert rows_of(ratio) == rows


def test_what_is_refused() -> None:
    with pytest.raises(ImageError, match="sampling matrix"):
        Sensing(torch.zeros(3, 1000), (32, 32))
    operator = Sensing(torch.zeros(3, 1024), (32, 32))
    with pytest.raises(ImageError, match="are measured"):
        operator.measure(torch.zeros(1, 1, 32, 31))
    with pytest.raises(ImageError, match="by channels"):
        operator.channel(0)
