"""The dot test finds what is wrong, and only that."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from acutance.operators import Blur, LinearOperator, adjoint_error


class Wrong(LinearOperator):
    """A blur whose adjoint is not quite its adjoint."""

    def __init__(self, right: Blur, fault: str) -> None:
        self.right, self.fault = right, fault

    def forward(self, x: Tensor) -> Tensor:
        return self.right.forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        z = self.right.adjoint(y)
        if self.fault == "scaled":
            return 1.001 * z
        if self.fault == "shifted":
            return torch.roll(z, 1, -1)
        return self.right.forward(y)  # "not flipped"


@pytest.mark.parametrize("fault", ["scaled", "shifted", "not flipped"])
def test_a_wrong_adjoint_is_found(fault: str, generator: torch.Generator) -> None:
    kernel = torch.randn(1, 1, 3, 3, generator=generator, dtype=torch.float64)
    assert adjoint_error(Wrong(Blur(kernel, "circular"), fault), (2, 2, 8, 9), generator=generator) > 1e-6


def test_one_wrong_picture_of_a_batch_is_enough(generator: torch.Generator) -> None:
    class Second(LinearOperator):
        def forward(self, x: Tensor) -> Tensor:
            return x

        def adjoint(self, y: Tensor) -> Tensor:
            return y * torch.tensor([1.0, 2.0, 1.0], dtype=y.dtype).reshape(3, 1, 1, 1)

    assert adjoint_error(Second(), (3, 1, 6, 6), generator=generator) > 1e-2


def test_an_operator_keeps_the_size_unless_it_says_otherwise() -> None:
    class Double(LinearOperator):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

        def adjoint(self, y: Tensor) -> Tensor:
            return 2 * y

    y = torch.rand(1, 1, 3, 4)
    assert Double().domain_size(3, 4) == (3, 4)
    assert torch.equal(Double().start(y), y)
    assert torch.equal(Double().crop(y), y)
    assert torch.equal(Double().gram(y), 4 * y)
