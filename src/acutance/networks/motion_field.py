r"""A small fully convolutional network that tells the motion at every place of one blurred picture.

    (grey - mean) / deviation  ->  q, w          for every square of `CELL` pixels

q = l (cos 2a, sin 2a): a motion of l pixels along the angle a, counter-clockwise from the horizontal. A motion and its
opposite make the same blur, and with 2a instead of a they are the same q, without a cut anywhere. w is a log precision:
how certain q is there. It knows nothing of restoring; `acutance.methods.motion_flow` uses it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 8
"""Side of the squares that one motion is told for, pixels; sides of pictures must be multiples of it."""

DILATIONS = (1, 2, 2, 1)
"""Dilations of the blocks at the coarsest level."""

HALO = 2 * 2 + 2 * 2 + 2 * 2 * 4 + sum(2 * 8 * d for d in DILATIONS) + CELL
"""Pixels that one motion sees on every side, at most: of the blocks at 2, 4 and 8 pixels, and of the strides."""

UNIT = 10.0
"""Pixels of motion that are 1 inside the network."""

LEAK = 0.1

MOST_CERTAIN = 4.0
"""Bounds of w on both sides."""


class Block(nn.Module):
    """z + conv(relu(conv(relu(z)))), relu leaking `LEAK`: without a leak all features can die in the first updates.

    Args:
        features: in and out. dilation: of both convolutions.
    """

    def __init__(self, features: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv2d(features, features, 3, padding=dilation, dilation=dilation)
        for layer, size in ((self.first, 1.0), (self.second, 0.3)):
            nn.init.kaiming_normal_(layer.weight, a=LEAK)
            layer.weight.data.mul_(size)

    def forward(self, z: Tensor) -> Tensor:
        """(B, f, h, w) -> (B, f, h, w)."""
        change: Tensor = self.second(F.leaky_relu(self.first(F.leaky_relu(z, LEAK)), LEAK))
        return z + change


class MotionField(nn.Module):
    """Blurred grey pictures in, motion out.

    Args:
        features: f at half the resolution; 2 f at a quarter, 3 f at an eighth. 32 are 864,931 weights.

    An untrained network tells no motion anywhere: its last layer is 0.
    """

    def __init__(self, features: int = 32) -> None:
        super().__init__()
        f = features
        self.body = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4, f, 3, padding=1),
            Block(f),
            nn.Conv2d(f, 2 * f, 2, stride=2),
            Block(2 * f),
            Block(2 * f),
            nn.Conv2d(2 * f, 3 * f, 2, stride=2),
            *(Block(3 * f, dilation) for dilation in DILATIONS),
            nn.LeakyReLU(LEAK),
        )
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=LEAK)
        self.tail = nn.Conv2d(3 * f, 3, 1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def cells(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """q in pixels, (B, 2, H / CELL, W / CELL), and w, (B, 1, H / CELL, W / CELL), of z (B, 1, H, W)."""
        out = self.tail(self.body(z)).to(z.dtype)
        return UNIT * out[:, :2], out[:, 2:].clamp(-MOST_CERTAIN, MOST_CERTAIN)

    def forward(self, z: Tensor) -> Tensor:
        """The same for every pixel: q and w, (B, 3, H, W)."""
        q, w = self.cells(z)
        return F.interpolate(torch.cat((q, w), 1), scale_factor=CELL, mode="nearest")
