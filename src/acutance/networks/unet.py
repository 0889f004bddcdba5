"""A small U-Net without biases and without normalisation, which works on pixel-unshuffled pictures.

It knows nothing of blur. Without biases it is homogeneous: a picture twice as bright, its noise with it, comes out
twice as bright, and noise levels beyond those of the training are met half-way (Mohan et al. 2020; Zhang et al. 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acutance.errors import ConfigError

FACTOR = 2
"""Side of the squares of pixels that become channels at the entrance, and pixels again at the exit."""


@dataclass(frozen=True)
class UNetConfig:
    """Size of a U-Net.

    Args:
        widths: features at each level, the finest (half the resolution of the picture) first.
        blocks: residual blocks at each level; above the coarsest one, so many on the way down and again on the way up.
    """

    widths: tuple[int, ...] = (48, 96, 128)
    blocks: tuple[int, ...] = (1, 1, 2)

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) or not self.widths:
            raise ConfigError(f"widths={self.widths} and blocks={self.blocks}: give one of each for every level")
        if min(self.widths) < 1 or max(self.widths) > 4096 or min(self.blocks) < 0:
            raise ConfigError(f"widths={self.widths}, blocks={self.blocks}: out of any sensible range")

    @property
    def multiple_of(self) -> int:
        """What the sides of a picture have to be a multiple of."""
        return FACTOR << (len(self.widths) - 1)

    @property
    def halo(self) -> int:
        """Pixels that one output pixel sees on every side, at most, rounded up to `multiple_of`."""
        reach = 0
        for level, blocks in enumerate(self.blocks):
            pixel, last = FACTOR * 2**level, level == len(self.blocks) - 1
            reach += pixel * 2 * blocks * (1 if last else 2) + (0 if last else 2 * pixel)
        reach += 3 * FACTOR  # entrance and exit, and the squares that they are made of
        return -(-reach // self.multiple_of) * self.multiple_of


class Block(nn.Module):
    """x + s * conv(relu(conv(x))), s one gain for each feature, given from outside."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first, self.second = conv(features, features), conv(features, features)

    def forward(self, x: Tensor, gain: Tensor) -> Tensor:
        """(B, f, H, W), gains (B or 1, f, 1, 1) -> (B, f, H, W)."""
        return torch.addcmul(x, self.second(F.relu_(self.first(x))), gain.to(x.dtype))


class UNet(nn.Module):
    """Pictures in, features out: (B, inputs, H, W) -> (B, outputs, H, W).

    Args:
        config: widths and blocks.
        entrances: number of picture channels that come in, one entrance for each of these numbers.
        exits: number of picture channels that go out, one exit for each; the same length.
        conditions: length of the vector that the gains of all blocks are linear functions of; 0: they are constants.

    Sides must be multiples of `UNetConfig.multiple_of`.
    """

    def __init__(
        self, config: UNetConfig, *, entrances: tuple[int, ...], exits: tuple[int, ...], conditions: int
    ) -> None:
        super().__init__()
        self.config = config
        widths, blocks, square = config.widths, config.blocks, FACTOR**2
        self.entrances = nn.ModuleList(conv(square * n, widths[0]) for n in entrances)
        self.exits = nn.ModuleList(conv(widths[0], square * n) for n in exits)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2, bias=False) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2, bias=False) for a, b in pairwise(widths))
        descending = list(zip(widths, blocks, strict=True))
        ascending = descending[:-1]
        self.descent = nn.ModuleList(nn.ModuleList(Block(f) for _ in range(n)) for f, n in descending)
        self.ascent = nn.ModuleList(nn.ModuleList(Block(f) for _ in range(n)) for f, n in ascending)
        self.sizes = [f for f, n in (*descending, *ascending) for _ in range(n)]
        self.gains = nn.Linear(max(1, conditions), sum(self.sizes), bias=True)
        nn.init.zeros_(self.gains.weight)
        nn.init.constant_(self.gains.bias, 0.5)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            elif isinstance(layer, nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=(1 / layer.in_channels) ** 0.5)
        for layer in self.exits:
            assert isinstance(layer, nn.Conv2d)
            layer.weight.data.mul_(0.02)  # an untrained network adds next to nothing

    def forward(self, x: Tensor, condition: Tensor, which: int) -> Tensor:
        """Through entrance and exit number `which`; condition (B or 1, conditions)."""
        if condition.shape[1] == 0:
            condition = condition.new_zeros(condition.shape[0], 1)
        gains = self.gains(condition)[..., None, None].split(self.sizes, 1)
        taken = iter(gains)
        z = self.entrances[which](F.pixel_unshuffle(x, FACTOR))
        kept = []
        for level, blocks in enumerate(_lists(self.descent)):
            for block in blocks:
                z = block(z, next(taken))
            if level < len(self.down):
                kept.append(z)
                z = self.down[level](z)
        ups = [[(block, next(taken)) for block in blocks] for blocks in _lists(self.ascent)]
        for level in reversed(range(len(self.up))):
            z = kept[level] + self.up[level](z)
            for block, gain in ups[level]:
                z = block(z, gain)
        out: Tensor = F.pixel_shuffle(self.exits[which](z), FACTOR)
        return out


def _lists(levels: nn.ModuleList) -> list[nn.ModuleList]:
    return [blocks for blocks in levels if isinstance(blocks, nn.ModuleList)]


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """3 x 3, the size is kept, no bias."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
