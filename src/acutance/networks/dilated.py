r"""The denoiser of IRCNN: seven dilated 3x3 convolutions that find the noise (Zhang et al. 2017).

    x -> x - r,      r = conv1 relu conv2 relu conv3 relu conv4 relu conv3 relu conv2 relu conv1 ( x - mean(x), g s )

It knows nothing of blur. The numbers are dilations. s is the noise level as a second channel, so one network serves all
levels where the paper has 25 networks. There are no biases and no batch normalisation: a picture twice as bright with
twice the noise comes out twice as bright. The mean of a picture is taken off first, so it has no influence on r.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DILATIONS = (1, 2, 3, 4, 3, 2, 1)

HALO = sum(DILATIONS)
"""Pixels that one output pixel sees on every side."""

LEVEL_GAIN = 5.0
"""g: noise levels times this are of the order of the contrast of a picture."""


class DilatedDenoiser(nn.Module):
    """r of the module for one channel: ((B, 1, H, W), (B, 1, H, W)) -> (B, 1, H, W).

    Args:
        features: channels of the hidden layers. 64, as in the paper, are 186,048 weights.

    An untrained network finds no noise: its last layer is 0.
    """

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        sizes = [2, *[features] * (len(DILATIONS) - 1), 1]
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=d, dilation=d, bias=False)
            for a, b, d in zip(sizes, sizes[1:], DILATIONS, strict=False)
        )
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """The noise in x.

        Args:
            x: (B, 1, H, W), its mean taken off. level: of the noise, (B, 1, H, W), in the unit of x.
        """
        z = torch.cat((x, LEVEL_GAIN * level), 1)
        for layer in self.layers[:-1]:
            z = F.relu_(layer(z))
        out: Tensor = self.layers[-1](z)
        return out
