"""Pan-text: kernel estimation for text by few gradients and few values (Pan, Hu, Su & Yang 2014).

    P(x) = || grad x ||_0 + s || x ||_0

for dark writing on a bright ground: what is dark becomes zero. See `acutance.blind.alternate` for the steps and
`acutance.blind.channels` for the latent picture. Reference: pan2014text.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from acutance.blind.alternate import Alternating
from acutance.blind.channels import few_extremes, values
from acutance.errors import ConfigError

FIRST = 2.0
"""Of the weight that couples values: at first, all that is darker than 0.7 becomes zero."""


@dataclass(frozen=True)
class PanText(Alternating):
    """The estimator; other settings as in `acutance.blind.alternate.Alternating`.

    Args:
        intensity: s, the weight of values beside that of gradients.
    """

    intensity: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.intensity > 0:
            raise ConfigError(f"intensity {self.intensity}: give a weight above 0")

    def latent(self, y: Tensor, kernel: Tensor, strength: float) -> Tensor:
        """Few gradients and few values other than zero."""
        return few_extremes(y, kernel, strength, self.intensity * strength, [values], FIRST)
