"""Small problems in float64 that the tests of several methods share, and operators as matrices."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from acutance.linear import Torus
from acutance.operators import Blur, LinearOperator
from acutance.problem import Problem

FINE, COARSE = (4, 5), (8, 9)
"""Sides of a scene's rectangles, pixels."""


def kernel_of(*shape: int) -> Tensor:
    """A lopsided kernel (1, 1, *shape), sum 1, float64."""
    k = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64) ** 2
    return k / k.sum()


def scene(b: int, c: int, h: int, w: int, *, cells: tuple[int, int] = FINE) -> Tensor:
    """Rectangles of `cells` pixels and a slow wave, float64; every picture and channel another part of it."""
    i, j = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    shapes = ((i // cells[0] + j // cells[1]) % 3).double() / 3 + 0.2 * torch.sin(i / 5 + j / 7)
    return torch.stack([0.3 + 0.5 * torch.roll(shapes, 3 * n, -1) for n in range(b * c)]).reshape(b, c, h, w)


def noisy(
    b: int,
    c: int,
    h: int,
    w: int,
    *,
    sigma: float = 0.02,
    boundary: Any = "valid",
    kernel: tuple[int, int] = (5, 5),
    cells: tuple[int, int] = FINE,
) -> Problem:
    """A blurred scene with noise of a known level."""
    blur = Blur(kernel_of(*kernel), boundary)
    y = blur.forward(scene(b, c, *blur.domain_size(h, w), cells=cells))
    y = y + sigma * torch.randn(y.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return Problem(y, blur, torch.tensor(sigma, dtype=torch.float64))


def dense(operator: LinearOperator, size: tuple[int, int]) -> Tensor:
    """The matrix of an operator on a one-channel picture."""
    basis = torch.eye(size[0] * size[1], dtype=torch.float64).reshape(-1, 1, *size)
    return operator.forward(basis).flatten(1).T


def observed_part(problem: Problem, torus: Torus) -> tuple[Tensor, Tensor]:
    """M K and M y on the torus as a matrix and a vector."""
    assert isinstance(problem.operator, Blur)
    (top, left), (height, width) = torus.offset, torus.frame
    seen, y = torch.zeros(torus.size, dtype=torch.float64), torch.zeros(torus.size, dtype=torch.float64)
    seen[top : top + height, left : left + width] = 1
    y[top : top + height, left : left + width] = problem.observed[0, 0]
    return seen.flatten()[:, None] * dense(Blur(problem.operator.kernel, "circular"), torus.size), y.flatten()
