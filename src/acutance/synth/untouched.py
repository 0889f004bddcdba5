"""Photographs as they are: for methods that make their own measurements of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.problem import Problem
from acutance.synth.degradation import Example, luma


@dataclass(frozen=True)
class Untouched:
    """Nothing is done to the pictures; compressive sensing is trained on them, its matrix being a weight."""

    def margin(self, span: int) -> int:
        """None."""
        return 0

    def __call__(
        self,
        sharp: Tensor,
        generator: torch.Generator,
        *,
        span: int = 1,
        one_channel: bool = False,
    ) -> Example:
        """The picture as its own observation, (B, 3, H, W) in [0, 1]; one_channel: its luma, (B, 1, H, W)."""
        if one_channel:
            sharp = luma(sharp)[:, :1].contiguous()
        return Example(sharp, Problem(sharp))
