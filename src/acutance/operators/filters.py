"""Difference filters as operators: the gradient of an image and its adjoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from acutance.operators.base import LinearOperator


@dataclass(frozen=True)
class Difference(LinearOperator):
    """First difference along one axis: y[i] = x[i+1] - x[i], one shorter on that axis, or circular of equal size.

    Args:
        axis: "rows" differences down the columns, "columns" along a row.
        circular: wrap around, so that the operator is diagonal in the Fourier domain.
    """

    axis: Literal["rows", "columns"]
    circular: bool = False

    @property
    def _dim(self) -> int:
        return -2 if self.axis == "rows" else -1

    def domain_size(self, height: int, width: int) -> tuple[int, int]:
        """One longer along the axis, unless circular."""
        extra = 0 if self.circular else 1
        return (height + extra, width) if self.axis == "rows" else (height, width + extra)

    def forward(self, x: Tensor) -> Tensor:
        """x[i+1] - x[i]."""
        if self.circular:
            return torch.roll(x, -1, self._dim) - x
        return torch.diff(x, dim=self._dim)

    def adjoint(self, y: Tensor) -> Tensor:
        """y[i-1] - y[i], zero beyond the ends."""
        if self.circular:
            return torch.roll(y, 1, self._dim) - y
        edge = torch.zeros_like(y.narrow(self._dim, 0, 1))
        return -torch.diff(y, dim=self._dim, prepend=edge, append=edge)


DOWN, ALONG = Difference("rows", circular=True), Difference("columns", circular=True)
"""The differences of a picture on a torus."""


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """First differences of (B, C, H, W): down the rows (B, C, H-1, W) and along the columns (B, C, H, W-1)."""
    return torch.diff(x, dim=-2), torch.diff(x, dim=-1)
