"""Pixels at which the sensor was full: they tell the least that the blurred scene can be there, not what it is.

What is made of them (Whyte et al. 2014 leave them out; Cho et al. 2011 call them outliers) depends on what they are.
Before a lamp or a reflection, much brighter than white, the equation A x = y is wrong, and whoever solves it rings.
In a broad white area it is nearly right, and whoever leaves it out has nothing to fill the area with. So each pixel is
a bound, A x >= y (`Problem.saturated`), and `Problem.mask` believes those deep inside a white area besides, for methods
that know equations only.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from acutance.operators import LinearOperator
from acutance.problem import Problem
from acutance.quantised import clipped

DEEP = 0.5
"""A clipped pixel is white where more than this fraction of its light comes from points whose light was clipped all.
Measured on held-out photographs, `fd` at 1 % noise: pictures of 1.25 to 3 times the brightness lose 0.0 to 0.2 dB on
believing all pixels and gain 2 to 14 on leaving out the clipped ones; small lamps of 6 and 20 times white lose 0.1 and
0.5 dB on leaving them out, and gain 0.8 and 2.4 on believing."""


def deep(full: Tensor, blur: LinearOperator | None) -> Tensor:
    """Which of the clipped samples are white: 0 or 1, the size and type of `full` (B, C, H, W), 1 where clipped."""
    if blur is None:
        return full
    unseen = 1 - blur.adjoint(1 - full)
    return full * (blur.forward(unseen.clamp(0, 1)) > DEEP)


def heeding(problem: Problem, full: Tensor | None = None) -> Problem:
    """The same problem, its clipped samples being bounds and, but for those deep inside white areas, masked.

    Args:
        full: which samples are clipped, as booleans; None: what `clipped` says of what was observed.
    """
    full = clipped(problem.observed) if full is None else full
    if problem.mask is not None:
        full = full & (problem.mask > 0)
    if not bool(full.any()):
        return problem
    bound = full.to(problem.observed)
    believed = 1 - bound + deep(bound, problem.operator)
    if problem.mask is not None:
        believed = torch.where(problem.mask > 0, believed, 0.0)
    if not bool((believed > 0).any()):  # nothing but glare around the frame: better to believe than to invent
        believed = torch.ones_like(believed) if problem.mask is None else problem.mask
    return replace(problem, mask=believed, saturated=bound)
