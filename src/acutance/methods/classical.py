"""The classical estimate that learned optimisers start from: `acutance.methods.fd`, for any linear operator."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from acutance.linear import EPSILON, ROUNDS, conjugate_gradients
from acutance.methods.fd import Fd, FdConfig
from acutance.methods.patchwise import patchwise
from acutance.noise.level import level_of
from acutance.operators import Blur, BlurField
from acutance.operators.filters import ALONG, DOWN
from acutance.problem import Problem

FIRST = Fd(FdConfig())
"""The classical method of the start."""

LARGE = 1 << 20
"""Pixels above which a picture is solved channel by channel: the same numbers with a third of the memory."""


@torch.no_grad()
def classical(problem: Problem) -> Tensor:
    """x(0): what `acutance.methods.fd` makes of the problem, on the domain of the blur; where it fails, y extended."""
    x = problem.start()
    if isinstance(problem.operator, BlurField):
        return patchwise(problem, classical)
    if not isinstance(problem.operator, Blur):
        return _least_squares(problem)
    if x.shape[1] > 1 and x[0, 0].numel() >= LARGE:  # a third of the memory
        whole = torch.empty_like(x)
        for c in range(x.shape[1]):
            whole[:, c : c + 1] = classical(problem.channel(c))
        return whole
    for state in FIRST.solver().iterate(problem):
        x = torch.where(torch.isfinite(state.x).flatten(1).all(1)[:, None, None, None], state.x, x)
    return x


def _least_squares(problem: Problem) -> Tensor:
    """x(0) under an operator that is no blur: least squares with the quadratic prior that `fd` begins with."""
    assert problem.operator is not None
    c, start, blur = FIRST.config, problem.start(), problem.operator
    strength = c.start * c.strength * level_of(problem).reshape(-1, 1, 1, 1) ** c.power

    def gradient(x: Tensor, residual: Tensor) -> Tensor:
        return blur.adjoint(residual) + strength * (DOWN.gram(x) + ALONG.gram(x)) + EPSILON * x

    zero = replace(problem, observed=torch.zeros_like(problem.observed))
    x, _ = conjugate_gradients(
        lambda x: gradient(x, zero.residual(x)),
        torch.zeros_like(start),
        start,
        rounds=ROUNDS,
        residual=-gradient(start, problem.residual(start)),
    )
    return torch.where(torch.isfinite(x).flatten(1).all(1)[:, None, None, None], x, start)
