"""Large pictures are transformed channel by channel, for their memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from acutance.operators import Blur, blur


@pytest.mark.parametrize("kernel", [(1, 1, 5, 4), (1, 3, 3, 7), (2, 1, 6, 6), (2, 3, 9, 5)], ids=str)
@pytest.mark.parametrize("boundary", ["valid", "zero", "circular", "replicate"])
def test_channels_one_by_one_are_the_same_as_together(
    kernel: tuple[int, ...], boundary: Any, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Blur(torch.randn(kernel, generator=generator, dtype=torch.float64), boundary, "fft")
    x = torch.randn(2, 3, *operator.domain_size(20, 23), generator=generator, dtype=torch.float64)
    y = torch.randn(2, 3, 20, 23, generator=generator, dtype=torch.float64)
    together = operator.forward(x), operator.adjoint(y)
    monkeypatch.setattr(blur, "LARGE", 1)
    torch.testing.assert_close(operator.forward(x), together[0], rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(operator.adjoint(y), together[1], rtol=1e-13, atol=1e-13)


def test_large_pictures_stay_differentiable(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = Blur(torch.randn(1, 1, 5, 5, generator=generator, dtype=torch.float64), "valid", "fft")
    y = torch.randn(1, 3, 12, 13, generator=generator, dtype=torch.float64)
    x = torch.zeros(1, 3, 16, 17, dtype=torch.float64, requires_grad=True)
    monkeypatch.setattr(blur, "LARGE", 1)
    (operator.forward(x) * y).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, operator.adjoint(y), rtol=1e-12, atol=1e-12)
