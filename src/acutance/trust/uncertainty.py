r"""The standard deviation of the error of a result, pixel by pixel, calibrated on photographs.

    s^2 = (a d)^2 + (b u)^2

d is the deviation of results of data with noise added once more at their own level, as a local root mean square, and u
what the data do not support (`acutance.trust.unsupported`). The error has longer tails than a normal distribution: a
and b are such that 90 % of the errors lie within `INTERVAL` s.
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
    """a and b of the module. Args: draws, unsupported."""

    draws: float
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


def deviation(draws: Tensor, unsupported: Tensor, level: float) -> Tensor:
    """s of the module.

    Args:
        draws, unsupported: d and u, alike, in any units. level: of the noise, a fraction of the range.
    """
    c = coefficients_at(level)
    return ((c.draws * draws).square() + (c.unsupported * unsupported).square()).sqrt()
