r"""The judge: what a kernel will gain.

gain(k): of the critic, dB (`acutance.blind.critic`)
confidence = 1 / (1 + exp( -STEEP (gain - MIDDLE) ))              fitted to how often a trial gained 0.3 dB
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from acutance.blind.critic import Panel
from acutance.blind.hypothesis import Hypothesis

STEEP, MIDDLE = 4.0, 0.4
"""Slope, 1/dB, and middle, dB, of the curve of the confidence."""

LOW, HIGH = 0.4, 0.5
"""Expected gain from which a result is mixed with the input, and from which it is taken as it is, dB."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """The judge's verdict on a hypothesis. Args: gain: what is expected of it, dB."""

    hypothesis: Hypothesis
    gain: float

    @property
    def confidence(self) -> float:
        """Probability of a gain, in [0, 1]."""
        return 1 / (1 + math.exp(-STEEP * (self.gain - MIDDLE)))

    @property
    def share(self) -> float:
        """Share of the result that is taken, in [0, 1]; the rest is the input."""
        return min(1.0, max(0.0, (self.gain - LOW) / (HIGH - LOW)))


def judge(panel: Panel, hypothesis: Hypothesis) -> Verdict:
    """The verdict on a hypothesis, from windows of the light that it is for."""
    return Verdict(hypothesis, panel.gain(hypothesis.kernel))
