r"""What the exact values of a picture tell: where it is clipped, its steps, and how much noise it can have.

Noise seldom makes two samples equal. With a standard deviation of s and steps of q between values,

    P(two samples are equal)  <=  q / (2 sqrt(pi) s),

whatever the scene below is: a scene that varies makes equal values rarer (Cauchy and Schwarz). With k, the share of
equal pairs among the samples of a block of 8 x 8,

    s  <=  q / (2 sqrt(pi) k)                                                        `noise_bound`: the median of blocks

Text, bars, dithers and other drawings have k of 0.2 to 1 and so a bound below 1 % of the range; photographs with 1 %
of noise have k of 0.1 and less. Constant blocks do not count: a clipped sky or a frame says nothing about the rest.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SIDE, STRIDE = 8, 5  # odd, so that the blocks do not keep to the grid of a drawing
MOST_BLOCKS = 4096

CLIPPED = 1 - 1e-3
"""Samples from this part of the largest value on are clipped where the largest value is: of eight bits 255 alone."""

NEARLY, SPIKE, FEWEST = 0.97, 8.0, 4
"""The largest value of a picture without a known range is where it was clipped if at least `FEWEST` samples have it and
more than `SPIKE` times as many as have another value above `NEARLY` of it."""

SHOULDER, SHOULDER_STEPS = 0.15, 5
"""The ends of the range say nothing if so many samples, of those at the end, lie less than so many steps inside it:
then there was noise and it was cut off."""

EIGHT_BITS, LEVELS = 1 / 255, 32
"""A picture with at least `LEVELS` different values has steps of the usual difference of two neighbours among them; one
with fewer is taken for a drawing, whose file had at least eight bits of its brightness."""


def clipped(y: Tensor) -> Tensor:
    """Which samples of y (B, C, H, W) are clipped at the top, as booleans.

    A picture whose largest value is 1, the nominal end of the range, is clipped there. A picture in other units is
    clipped where many samples share the largest value, see `SPIKE`; so c y is clipped where y is.
    """
    top = y.nan_to_num(neginf=0.0, posinf=0.0).amax((1, 2, 3), keepdim=True)
    nominal = (top >= CLIPPED) & (top <= 1)
    each = zip(y, top.flatten(), nominal.flatten().tolist(), strict=True)
    full = torch.tensor([known or _is_spike(picture, t) for picture, t, known in each], device=y.device)
    return (y >= CLIPPED * top) & (y <= top) & full.reshape(-1, 1, 1, 1)


def _is_spike(values: Tensor, top: Tensor) -> bool:
    """Whether far more samples have the value `top` than have others just below it."""
    if not bool(top > 0):
        return False
    count = int((values == top).sum())
    if count < FEWEST:
        return False
    near = values[(values >= NEARLY * top) & (values < top)]
    return near.numel() == 0 or count > SPIKE * near.numel() / len(_distinct(near))


def _distinct(values: Tensor) -> Tensor:
    """The different values among (N,), in ascending order."""
    ordered = values.sort().values
    return torch.cat((ordered[:1], ordered[1:][ordered.diff() > 0]))


def step_of(picture: Tensor, unit: float) -> float:
    """The step between values of a picture (C, H, W) of the brightness `unit`, in the units of the picture."""
    values = picture.flatten()[:: max(1, picture.numel() // 65_536)]
    gaps = _distinct(values[torch.isfinite(values)]).diff()
    gaps = gaps[gaps > 1e-6 * unit]  # float32 tells no less apart
    if gaps.numel() + 1 < LEVELS:
        return EIGHT_BITS * unit
    return float(gaps.median())  # tone curves and half precision have finer steps in the shadows


def noise_bound(picture: Tensor, unit: float, step: float | None = None) -> float:
    """The most noise that a picture can have, by the formula of the module: a standard deviation in its units.

    Args:
        picture: (C, H, W), any units. unit: its brightness. step: q, if it is known.

    Returns:
        Above 0; infinite where no block tells.
    """
    if min(picture.shape[-2:]) < SIDE:
        return math.inf
    q = step_of(picture, unit) if step is None else step
    stride = max(STRIDE, math.ceil(math.sqrt(picture[0].numel() / MOST_BLOCKS)) | 1)
    blocks = picture.unfold(1, SIDE, stride).unfold(2, SIDE, stride).reshape(-1, SIDE * SIDE)
    blocks = blocks[torch.isfinite(blocks).all(1)]
    blocks = blocks[blocks.amax(1) > blocks.amin(1)]
    if len(blocks) == 0:
        return math.inf
    counts, equal = _equal_pairs(blocks, q)
    telling = counts >= 2 * SIDE
    if not bool(telling.any()):
        return math.inf
    share = (equal[telling] / (counts[telling] * (counts[telling] - 1))).median()
    return q / (2 * math.sqrt(math.pi) * max(float(share), 1e-9))


def _equal_pairs(blocks: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """Samples of each block (M, 64) that tell, and ordered pairs of them that are equal, each (M,)."""
    ordered = blocks.sort(1).values
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[:, 1:] = ordered[:, 1:] > ordered[:, :-1]
    run = starts.cumsum(1) - 1  # which run of equal values a sample belongs to
    counted = torch.ones_like(ordered)
    for end, inside in ((blocks.max(), -1), (blocks.min(), 1)):
        at_end = ordered == end
        shoulder = ((ordered - end) * inside > 0) & ((ordered - end) * inside < SHOULDER_STEPS * step)
        if float(shoulder.sum()) > SHOULDER * float(at_end.sum()):
            counted[at_end] = 0
    lengths = torch.zeros_like(ordered).scatter_add_(1, run, counted)
    return counted.sum(1), (lengths * (lengths - 1).clamp_min(0)).sum(1)
