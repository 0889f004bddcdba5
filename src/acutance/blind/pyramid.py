"""From coarse to fine: sides of the kernel and of the picture at every scale, and the way of a kernel up.

At the coarsest scale the kernel has about 5 pixels, so that hardly any path through them is wrong; each scale has
`RATIO` times the pixels along a side of the one before and starts from its kernel.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from acutance.blind.cleaning import summed
from acutance.errors import ConfigError
from acutance.tensors import crop

RATIO = math.sqrt(2)
COARSEST = 5
"""Side of the kernel at the coarsest scale, pixels, about."""


def sides(size: int) -> tuple[int, ...]:
    """Side of the kernel at every level, odd, from the finest (0) to the coarsest, for a kernel of `size` pixels.

    Raises:
        ConfigError: an even size or one below 3.
    """
    if size < 3 or size % 2 == 0:
        raise ConfigError(f"kernel size {size}: give an odd number from 3 on")
    levels = max(0, math.floor(math.log(size / COARSEST) / math.log(RATIO))) + 1
    found = (math.ceil(size / RATIO**level) for level in range(levels))
    return tuple(side + 1 - side % 2 for side in found)


def reduced(y: Tensor, level: int) -> Tensor:
    """The picture (1, 1, H, W) at a level, without aliasing."""
    if level == 0:
        return y
    size = [max(4, round(side / RATIO**level)) for side in y.shape[-2:]]
    return F.interpolate(y, size=size, mode="bicubic", antialias=True, align_corners=False)


def raised(kernel: Tensor, side: int) -> Tensor:
    """A kernel one level finer, cut or extended to `side` pixels."""
    wanted = math.ceil(kernel.shape[-1] * RATIO)
    wanted += 1 - wanted % 2
    finer = F.interpolate(kernel, size=(wanted, wanted), mode="bicubic", align_corners=False)
    if wanted > side:
        finer = crop(finer, (wanted - side) // 2, (wanted - side) // 2)
    elif wanted < side:
        finer = F.pad(finer, ((side - wanted) // 2,) * 4)
    return summed(finer)
