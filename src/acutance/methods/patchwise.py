"""A method for one kernel, applied to a blur field: each node's part with the node's kernel, then blended.

    x = sum_i v_i solve( y around node i, k_i ),        v_i: the weights of the field on the domain of x

It is not the solution for the field, whose kernels change inside a part as well, but a good start for a method that
goes on with the field itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from acutance.noise.level import level_of
from acutance.operators import BlurField
from acutance.problem import Problem

MARGIN = 8
"""Pixels that a part reaches beyond where its weight is above 0."""


def patchwise(problem: Problem, solve: Callable[[Problem], Tensor]) -> Tensor:
    """x of a problem whose blur is a `BlurField`, on its domain, (B, C, H', W').

    Args:
        problem: B pictures; the noise level is measured once for the whole picture.
        solve: for a problem with a `Blur`, on the domain of that blur.
    """
    field, y = problem.operator, problem.observed
    assert isinstance(field, BlurField)
    height, width = y.shape[-2:]
    problem = replace(problem, sigma=level_of(problem))
    x = y.new_zeros(*y.shape[:2], *field.domain_size(height, width))
    for window in field.windows(height, width, y, MARGIN):
        place = (..., window.rows, window.cols)
        mask, saturated = (None if m is None else m[place] for m in (problem.mask, problem.saturated))
        part = replace(problem, observed=y[place], operator=window.blur, mask=mask, saturated=saturated)
        x[..., window.domain_rows, window.domain_cols] += window.weight * solve(part)
    return x
