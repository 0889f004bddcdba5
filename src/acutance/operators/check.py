"""Checks that any operator must pass; public, so that a new operator is tested in one line."""

from __future__ import annotations

import torch
from torch import Tensor

from acutance.operators.base import LinearOperator


def adjoint_error(
    operator: LinearOperator,
    shape: tuple[int, ...],
    *,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> float:
    """Largest relative violation of <A x, y> = <x, A' y> on random x and y (the dot test).

    Args:
        operator: A.
        shape: (B, C, H, W) or (B, C, D, H, W) of y; the size of x follows from `operator.domain_size`.
        generator: source of x and y, on the operator's device.
        dtype: float64 unless rounding itself is what is looked at.

    Returns:
        max over the batch of |<Ax, y> - <x, A'y>| / (|Ax| |y|); about 1e-15 for an exact adjoint in float64.
    """
    b, c, *size = shape

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=dtype, device=generator.device)

    x, y = draw(b, c, *operator.domain_size(*size)), draw(*shape)
    ax, aty = operator.forward(x), operator.adjoint(y)
    left, right = (ax * y).flatten(1).sum(1), (x * aty).flatten(1).sum(1)
    scale = ax.flatten(1).norm(dim=1) * y.flatten(1).norm(dim=1)
    return float(((left - right).abs() / scale.clamp_min(torch.finfo(dtype).tiny)).max())
