"""Syntheses that blur nothing: each pixel stays where it is, so no margin is needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.problem import Problem
from acutance_lab.synth.camera import Draw, each
from acutance_lab.synth.degradation import Example, luma


class InPlace(ABC):
    """A `Synthesis`; a subclass says by `spoil` what happens to the pictures.

    Args:
        grey: share of pictures that are made grey.
    """

    grey: float

    def margin(self, span: int) -> int:
        """None."""
        return 0

    @torch.no_grad()
    def __call__(
        self,
        sharp: Tensor,
        generator: torch.Generator,
        *,
        span: int = 1,
        one_channel: bool = False,
    ) -> Example:
        """Spoil pictures (B, 3, H, W) in [0, 1]; one_channel: their luma, (B, 1, H, W)."""
        draw = Draw(sharp.shape[0], generator)
        grey = draw.pick(1.0 if one_channel else self.grey)
        sharp = torch.where(each(grey), luma(sharp), sharp)
        y = self.spoil(sharp, grey, draw)
        if one_channel:
            sharp, y = sharp[:, :1].contiguous(), y[:, :1].contiguous()
        return Example(sharp, Problem(y))

    @abstractmethod
    def spoil(self, sharp: Tensor, grey: Tensor, draw: Draw) -> Tensor:
        """What is observed of (B, 3, H, W); of a grey one, (B,) bool, in three equal channels."""


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
