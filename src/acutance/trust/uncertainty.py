r"""The standard deviation of the error of a result, pixel by pixel, calibrated on photographs.

    s^2 = (a d)^2 + (b v)^2 + (c u)^2

d is the deviation of results of data with noise added once more at their own level, v that of a few views
(`acutance.views`), both as local root mean squares, and u what the data do not support (`acutance.trust.unsupported`).
The error has longer tails than a normal distribution: a, b and c are such that 90 % of the errors lie within
`INTERVAL` s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from acutance.trust.calibration import CALIBRATED

INTERVAL = 1.6449
"""Half the interval that holds 90 % of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Coefficients:
    """a, b and c of the module. Args: draws, views, unsupported."""

    draws: float
    views: float
    unsupported: float


def coefficients_at(level: float) -> Coefficients:
    """The coefficients for a noise level, a fraction of the range: between two that were measured, by its logarithm.

    >>> coefficients_at(1e-9) == coefficients_at(CALIBRATED[0][0])
    True
    """
    levels = [each[0] for each in CALIBRATED]
    place = math.log(min(max(level, levels[0]), levels[-1]))
    for (low, *first), (high, *second) in pairwise(CALIBRATED):
        if place <= math.log(high):
            share = (place - math.log(low)) / (math.log(high) - math.log(low))
            return Coefficients(*(p + share * (q - p) for p, q in zip(first, second, strict=True)))
    return Coefficients(*CALIBRATED[-1][1:])


def deviation(draws: Tensor, views: Tensor, unsupported: Tensor, level: float) -> Tensor:
    """s of the module.

    Args:
        draws, views, unsupported: d, v and u, alike, in any units. level: of the noise, a fraction of the range.
    """
    c = coefficients_at(level)
    parts = ((c.draws, draws), (c.views, views), (c.unsupported, unsupported))
    total = sum((factor * value).square() for factor, value in parts)
    assert isinstance(total, Tensor)
    return total.sqrt()
