r"""A picture with lamps beyond white, restored in two parts: the lamps, and the rest.

    x = s + u,        s >= 0: light beyond white in few places,        y = min( A (s + u) + n, white )

Before a lamp the sensor was full, so all that is known there is A x >= white; but the dim parts of its trail tell how
bright it is. Who solves for x at once spends a prior for photographs on jumps of thirty times white, and rings. So

    1.  x  <- x A'[ q(A x) ] / A'1                      Richardson and Lucy, `FIRST` times;  s = (x - white)_+
    2.  u  <- a classical method, for  y - A s  without the samples that were clipped
    3.  s  <- s A'[ q(A s + A u) ] / A'1                `NEXT` times, near where s is;  2. and 3. `TURNS` times
    4.  u  <- the method that was asked for, as in 2.

with q(m) = y / m, and max(y / m, 1) where y was clipped: what is brighter than white there is no error (the clipping of
Whyte et al. 2014, with its limit for a hard sensor). Its multiplications keep s positive and draw it together to
points, where few of them are enough for a smooth picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.methods.classical import classical
from acutance.noise.level import level_of
from acutance.operators import Blur, BlurField
from acutance.problem import Problem, Result

FIRST, NEXT, TURNS = 40, 30, 3
"""Updates of the whole picture, of the lamps, and how often both parts are found in turn."""

BRIGHT, BRIGHTER = 2.5, 0.5
"""Times white, from which a place counts as a lamp, and what a place beside it exceeds white by to belong to it. From
1.5 on, walls in the sun of 2 to 3 times white are taken for lamps, which costs `acute` 0.2 to 0.5 dB."""

LARGEST, DIM = 1_500_000, 0.3
"""Lamps are looked for in pictures of so many pixels at most, whose mean is below this part of white. The search takes
some 130 pairs of transforms of the whole picture, which a large one, or a burnt-out sky, is not worth."""

SHADOW = 0.1
"""Part of a place's light, at least, that went into clipped samples, for it to be a lamp."""

TOUCHED = 0.05
"""Light of lamps, in units of white, from which a clipped sample says nothing of the rest, however deep in white."""

DARK = 0.01
"""Light that is added to y and its model, in units of white, so that noise in the dark has no say."""


def in_two_parts(problem: Problem, run: Callable[[Problem], Result]) -> Result:
    """The result of a method for a picture with lamps: it solves for the rest, and the lamps are added.

    Args:
        problem: with `Problem.saturated`, as of `acutance.saturation.heeding`; without it, or where no lamp is found,
            it is handed to the method as it is.
        run: the method, for a problem whose mask it heeds.
    """
    lamps = find_lamps(problem)
    if lamps is None:
        return run(problem)
    result = run(without(replace(problem, sigma=level_of(problem)), lamps))
    return replace(result, x=result.x + lamps, iterates=tuple(x + lamps for x in result.iterates))


@torch.no_grad()
def find_lamps(problem: Problem) -> Tensor | None:
    """s of a problem, on the domain of its blur, (B, C, H', W'); None: no lamp is found, or nothing was clipped."""
    if problem.saturated is None or problem.mask is None or not isinstance(problem.operator, Blur | BlurField):
        return None
    glare = problem.saturated * (problem.mask <= 0)  # clipped, and not deep inside a white area
    if not bool((glare > 0).any()):
        return None
    white = float(torch.where(problem.saturated > 0, problem.observed, 0.0).amax())
    if problem.observed[0, 0].numel() > LARGEST or float(problem.observed.mean()) > DIM * white:
        return None
    scaled = replace(problem, observed=problem.observed / white, sigma=level_of(problem) / white)
    x = _multiplied(scaled, scaled.start().clamp_min(DARK), None, FIRST)
    shadowed = problem.operator.adjoint(glare.expand_as(problem.observed)) > SHADOW
    seeds = (shadowed & (x > BRIGHT)).any(1, keepdim=True)
    if not bool(seeds.any()):
        return None
    lamps = torch.where(_near(seeds), (x - 1).clamp_min(0), 0.0)
    for _ in range(TURNS):
        rest = classical(without(scaled, lamps)).clamp(0, 1)
        support = _near((lamps > BRIGHTER).any(1, keepdim=True))
        lamps = _multiplied(scaled, torch.where(support, lamps + DARK, 0.0), rest, NEXT)
    if not bool(torch.isfinite(lamps).all()):
        return None
    return lamps * white


def without(problem: Problem, lamps: Tensor) -> Problem:
    """The problem of the rest: y - A s, without the clipped samples that lamps shone into."""
    assert problem.operator is not None
    assert problem.mask is not None
    assert problem.saturated is not None
    light = problem.operator.forward(lamps)
    white = torch.where(problem.saturated > 0, problem.observed, 0.0).amax()
    lost = (problem.saturated > 0) & (light > TOUCHED * white)
    return replace(problem, observed=problem.observed - light, mask=torch.where(lost, 0.0, problem.mask))


def _multiplied(problem: Problem, x: Tensor, rest: Tensor | None, rounds: int) -> Tensor:
    """x after some updates, accelerated (Biggs & Andrews 1997); rest: u, None where x is all there is."""
    y, blur, full = problem.observed, problem.operator, problem.saturated
    assert blur is not None
    assert problem.mask is not None
    assert full is not None
    seen = (problem.mask > 0) | (full > 0)
    light = (y + DARK).clamp_min(0)
    beside = DARK if rest is None else blur.forward(rest).clamp_min(0) + DARK
    reach = blur.adjoint(torch.ones_like(y)).clamp_min(DARK)
    before, update, update_before = x, None, None
    for _ in range(rounds):
        start = x
        if update is not None and update_before is not None:
            along = (update * update_before).sum() / update_before.square().sum().clamp_min(1e-20)
            start = (x + along.clamp(0, 1) * (x - before)).clamp_min(0)
        ratio = light / (blur.forward(start) + beside).clamp_min(DARK)
        ratio = torch.where(seen, torch.where(full > 0, ratio.clamp_min(1), ratio), 1.0)
        new = start * (blur.adjoint(ratio) / reach)
        before, x, update, update_before = x, new, new - start, update
    return x


def _near(places: Tensor) -> Tensor:
    """Where a pixel or one of its eight neighbours is, (B, 1, H, W) bool."""
    return F.max_pool2d(places.float(), 3, 1, 1) > 0
