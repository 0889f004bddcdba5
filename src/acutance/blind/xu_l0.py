"""Xu-L0: kernel estimation with the unnatural L0 prior (Xu, Zheng & Jia 2013).

    P(x) = || grad x ||_0

See `acutance.blind.alternate` for the steps and `acutance.blind.latent` for the latent picture.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from acutance.blind.alternate import Alternating
from acutance.blind.latent import few_gradients


@dataclass(frozen=True)
class XuL0(Alternating):
    """The estimator; settings as in `acutance.blind.alternate.Alternating`."""

    def latent(self, y: Tensor, kernel: Tensor, strength: float) -> Tensor:
        """Few gradients, whatever their size."""
        return few_gradients(y, kernel, strength, self.growth, self.last)
