r"""A multi-layer perceptron on patches, and the picture that overlapping patches make (Schuler et al. 2013).

    p_i = patch of 17 x 17 pixels around place i,     i every 3 pixels
    q_i = centre of p_i + d f( (p_i - mean p_i) / d,  ln(s) / 2 + 2 )        9 x 9 pixels, f the perceptron, d = 0.2
    x   = sum_i w_i q_i / sum_i w_i                                          w_i: a Gaussian window around place i

It knows nothing of blur. f has hidden layers of tanh units and is told the noise level s. The published network has
patches of 39 x 39 pixels, 13 x 13 of them come out, four hidden layers of 2,047 units, and no level: one network is
trained for each. Beyond the frame the picture is replicated.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INSIDE, OUTSIDE, STRIDE = 17, 9, 3
"""Sides of the patches that go in and come out, and pixels from one patch to the next."""

HALO = (INSIDE - 1) // 2 + (OUTSIDE - 1) // 2
"""Pixels that one output pixel sees on every side."""

WINDOW = 2.25
"""Standard deviation of the Gaussian window, pixels; a quarter of the side of what comes out."""

CONTRAST = 0.2
"""d: patches are divided by it, as in the paper."""

LEAST_LEVEL = 1e-4
"""Noise level that is told at least."""


def window(like: Tensor) -> Tensor:
    """The Gaussian window, (OUTSIDE, OUTSIDE), its middle 1."""
    axis = torch.arange(OUTSIDE, dtype=like.dtype, device=like.device) - OUTSIDE // 2
    bell = torch.exp(-0.5 * (axis / WINDOW) ** 2)
    return bell[:, None] * bell


def patches_of(x: Tensor) -> Tensor:
    """All patches that have a part in the result, (B, INSIDE^2, h, w), h = H / STRIDE + 2.

    Args:
        x: (B, 1, H, W), sides multiples of `STRIDE`.
    """
    height, width = x.shape[-2:]
    reach = INSIDE // 2 + OUTSIDE // 2 - STRIDE + 1
    z = F.pad(x, (reach,) * 4, mode="replicate")
    p = F.unfold(z, INSIDE, stride=STRIDE)
    return p.reshape(*p.shape[:2], height // STRIDE + 2, width // STRIDE + 2)


def picture_of(patches: Tensor) -> Tensor:
    """The mean of overlapping patches under the window: (B, OUTSIDE^2, h, w) -> (B, 1, H, W), H = STRIDE (h - 2)."""
    rows, cols = patches.shape[-2:]
    border = OUTSIDE - STRIDE
    size = (STRIDE * (rows - 2), STRIDE * (cols - 2))
    whole = (size[0] + 2 * border, size[1] + 2 * border)
    weight = window(patches).reshape(1, -1, 1)
    total = F.fold(weight * patches.flatten(2), whole, OUTSIDE, stride=STRIDE)
    weights = F.fold(weight.expand(1, -1, rows * cols), whole, OUTSIDE, stride=STRIDE)
    inside = (..., slice(border, border + size[0]), slice(border, border + size[1]))
    return total[inside] / weights[inside]


class PatchPerceptron(nn.Module):
    """Pictures in, pictures out: (B, 1, H, W), levels (B, 1, H, W) -> (B, 1, H, W); sides multiples of `STRIDE`.

    Args:
        hidden: units of a hidden layer. layers: number of hidden layers. 512 and 4 are 978,513 weights.

    An untrained network gives the picture back: its last layer is 0.
    """

    def __init__(self, hidden: int = 512, layers: int = 4) -> None:
        super().__init__()
        sizes = [INSIDE**2 + 1, *[hidden] * layers, OUTSIDE**2]
        # of 1 x 1 pixel, so that the optimiser takes them for what they are
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(sizes))
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Replace every patch and take the mean. level: of the noise, the same everywhere in a picture."""
        p = patches_of(x)
        known = 0.5 * level[..., :1, :1].clamp_min(LEAST_LEVEL).log() + 2
        z = torch.cat(((p - p.mean(1, keepdim=True)) / CONTRAST, known.expand(-1, 1, *p.shape[-2:])), 1)
        for layer in self.layers[:-1]:
            z = torch.tanh(layer(z))
        change: Tensor = CONTRAST * self.layers[-1](z).to(x.dtype)
        return x + picture_of(change)
