r"""Cuts: which pixels of a restored picture a PSNR counts. Two PSNRs compare only in the same cut.

A suite that is compared with published figures records all of `Cut` for each case, in one run:

    whole picture         every pixel
    without 25 pixels     25 pixels of our picture are left out on every side
    published cut         30 pixels of the *sharp* picture are left out on every side, the estimate has 8 bits

The published cut is that of the code of VEM (nan2020variational). A `valid` blur makes a picture that is smaller than
the sharp one by the kernel's radius r on every side, so of ours max(0, 30 - r) pixels are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

from torch import Tensor

from acutance.metrics import psnr
from acutance.tensors import crop
from acutance_lab.bench.score import PERFECT, Score, Scoring, moved_along

MARGIN = 25
"""Pixels of our picture that `Cut.MARGIN` leaves out on every side."""

SHARP_MARGIN = 30
"""Pixels of the sharp picture that `Cut.PUBLISHED` leaves out on every side."""


class Cut(StrEnum):
    """The pixels that count; the value is the name for people."""

    WHOLE = "whole picture"
    MARGIN = f"without {MARGIN} pixels"
    PUBLISHED = "published cut"


HOW_CUTS = (
    f"Whole picture: every pixel. Without {MARGIN} pixels: less those on every side. Published cut: {SHARP_MARGIN} "
    "pixels of the sharp picture are left out on every side (of ours, which is smaller by the kernel's radius r, "
    f"{SHARP_MARGIN} - r), the estimate rounded to 8 bits, as in the code of VEM. Pictures as captured are aligned "
    "first, the same way in all three; what moves out of sight is left out."
)
"""The three cuts in words, for below a table."""


def cut_of(scoring: Scoring) -> Cut | None:
    """The cut that a score under this protocol is in; None: none of the three, or not of all channels."""
    return None if scoring.luma else {0: Cut.WHOLE, MARGIN: Cut.MARGIN}.get(scoring.border)


def cut_scores(
    estimate: Tensor, truth: Tensor, radius: tuple[int, int], scored: Score, scoring: Scoring
) -> Mapping[Cut, float]:
    """PSNR in dB, at most `PERFECT`, of a picture in every cut that leaves a pixel.

    Args:
        estimate, truth: (1, C, H, W) in [0, 1].
        radius: (rows, columns) by which the truth is smaller than the sharp picture of the set on every side.
        scored: the score under `scoring`. Its shift holds for every cut; in its own cut its PSNR is the result.
    """
    moved = estimate.double()
    for shift, dim in zip(scored.shift, (-2, -1), strict=True):
        moved = moved_along(moved, shift, dim)
    moved, truth = moved.clamp(0, 1), truth.double()
    unseen = [math.ceil(abs(shift)) for shift in scored.shift]
    found: dict[Cut, float] = {}
    for cut in Cut:
        if cut == cut_of(scoring):
            found[cut] = scored.psnr
            continue
        rows, cols = (max(a, b) for a, b in zip(_margins(cut, radius), unseen, strict=True))
        if min(truth.shape[-2] - 2 * rows, truth.shape[-1] - 2 * cols) > 0:
            levels = (moved * 255).round() / 255 if cut is Cut.PUBLISHED else moved
            found[cut] = min(PERFECT, float(psnr(crop(levels, rows, cols), crop(truth, rows, cols))))
    return found


def _margins(cut: Cut, radius: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of our picture that a cut leaves out on every side."""
    match cut:
        case Cut.WHOLE:
            return 0, 0
        case Cut.MARGIN:
            return MARGIN, MARGIN
        case Cut.PUBLISHED:
            return max(0, SHARP_MARGIN - radius[0]), max(0, SHARP_MARGIN - radius[1])
