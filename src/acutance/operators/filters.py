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
        axis: "rows" differences down the columns, "columns" along a row, "planes" from plane to plane of a volume.
        circular: wrap around, so that the operator is diagonal in the Fourier domain.
    """

    axis: Literal["rows", "columns", "planes"]
    circular: bool = False

    @property
    def _dim(self) -> int:
        return {"planes": -3, "rows": -2, "columns": -1}[self.axis]

    def domain_size(self, *size: int) -> tuple[int, ...]:
        """One longer along the axis, unless circular."""
        longer = list(size)
        longer[self._dim] += 0 if self.circular else 1
        return tuple(longer)

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

ACROSS = Difference("planes", circular=True)
"""The third one of a volume, from plane to plane."""


def circular_differences(like: Tensor) -> tuple[Difference, ...]:
    """Those of a picture (B, C, H, W) or a volume (B, C, D, H, W) on a torus."""
    return (DOWN, ALONG) if like.ndim == 4 else (ACROSS, DOWN, ALONG)


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """First differences of (B, C, H, W): down the rows (B, C, H-1, W) and along the columns (B, C, H, W-1)."""
    return torch.diff(x, dim=-2), torch.diff(x, dim=-1)
