"""Photographs as they are: for methods that make their own measurements of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from acutance_lab.synth.camera import Draw
from acutance_lab.synth.in_place import InPlace


@dataclass(frozen=True)
class Untouched(InPlace):
    """Nothing is done to the pictures; compressive sensing is trained on them, its matrix being a weight.

    Args:
        grey: share of pictures that are made grey.
    """

    grey: float = 0.0

    def spoil(self, sharp: Tensor, grey: Tensor, draw: Draw) -> Tensor:
        """The picture as its own observation."""
        return sharp
