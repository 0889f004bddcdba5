"""Extreme-channels: kernel estimation by a dark channel at zero and a bright one at one (Yan et al. 2017).

    P(x) = || grad x ||_0 + s ( || D(x) ||_0 + || D(1 - x) ||_0 ),        D(x)_p = min of x in the window around p

See `acutance.blind.alternate` for the steps and `acutance.blind.channels` for the latent picture. Reference:
yan2017extreme.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from acutance.blind.alternate import Alternating
from acutance.blind.channels import PATCH, Bright, Dark, few_extremes
from acutance.errors import ConfigError


@dataclass(frozen=True)
class ExtremeChannels(Alternating):
    """The estimator; other settings as in `acutance.blind.alternate.Alternating`.

    Args:
        extremes: s, the weight of either channel beside that of gradients.
        patch: side of the window, pixels, odd, the same at every scale.
    """

    extremes: float = 1.0
    patch: int = PATCH

    def __post_init__(self) -> None:
        super().__post_init__()
        Dark(self.patch)
        if not self.extremes > 0:
            raise ConfigError(f"extremes {self.extremes}: give a weight above 0")

    def latent(self, y: Tensor, kernel: Tensor, strength: float) -> Tensor:
        """Few gradients, minima that are zero and maxima that are one."""
        terms = [Dark(self.patch), Bright(self.patch)]
        return few_extremes(y, kernel, strength, self.extremes * strength, terms)
