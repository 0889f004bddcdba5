"""Dark-channel: kernel estimation by few gradients and a dark channel that is mostly zero (Pan et al. 2016).

    P(x) = || grad x ||_0 + s || D(x) ||_0,        D(x)_p = min of x in the window around p

See `acutance.blind.alternate` for the steps and `acutance.blind.channels` for the latent picture. Reference:
pan2016dark.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from acutance.blind.alternate import Alternating
from acutance.blind.channels import PATCH, Dark, few_extremes
from acutance.errors import ConfigError


@dataclass(frozen=True)
class DarkChannel(Alternating):
    """The estimator; other settings as in `acutance.blind.alternate.Alternating`.

    Args:
        dark: s, the weight of the dark channel beside that of gradients.
        patch: side of the window, pixels, odd, the same at every scale.
    """

    dark: float = 0.3
    patch: int = PATCH

    def __post_init__(self) -> None:
        super().__post_init__()
        Dark(self.patch)
        if not self.dark > 0:
            raise ConfigError(f"dark {self.dark}: give a weight above 0")

    def latent(self, y: Tensor, kernel: Tensor, strength: float) -> Tensor:
        """Few gradients and minima that are zero."""
        return few_extremes(y, kernel, strength, self.dark * strength, [Dark(self.patch)])
