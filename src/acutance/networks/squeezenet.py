"""The convolutional part of SqueezeNet 1.1 (Iandola et al. 2016), as a fixed judge of pictures; 2.9 MB, VGG-11 has 37.

A fire squeezes its features to a few by a 1x1 convolution and expands these by one of 1x1 and one of 3x3, side by side.
Names of the weights are those of torchvision's `squeezenet1_1().features`, so that its files load, and so do the
original ones of Caffe under these names, which want other input: blue first, 0 to 255, less a mean.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acutance.networks.vgg import DEVIATION, MEAN

FIRES = ((16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256), (64, 256))
"""Features squeezed to, and expanded to twice; None: the maximum over squares."""

CAFFE_MEAN = (123 / 255, 117 / 255, 104 / 255)
"""Of the pictures that Caffe's weights were trained on: red, green, blue."""

LEAST = 32
"""Sides of pictures, at least: four halvings leave one feature."""


class Fire(nn.Module):
    """(B, inputs, H, W) -> (B, 2 expanded, H, W); see the module."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """See the class."""
        z = F.relu(self.squeeze(z))
        return F.relu(torch.cat((self.expand1x1(z), self.expand3x3(z)), 1))


class SqueezeNet(nn.Module):
    """(B, 3, H, W) in [0, 1] -> the last features (B, 512, about H / 16, W / 16); evaluated, never trained.

    Args:
        caffe: for weights that were made for Caffe's input.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, caffe: bool = False) -> None:
        super().__init__()
        self.caffe = caffe
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(inplace=True), _halved()]
        inputs = 64
        for fire in FIRES:
            if fire is None:
                layers.append(_halved())
            else:
                layers.append(Fire(inputs, *fire))
                inputs = 2 * fire[1]
        self.features = nn.Sequential(*layers)
        mean, deviation = (CAFFE_MEAN, (1 / 255,) * 3) if caffe else (MEAN, DEVIATION)
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        z = (x - self.mean) / self.deviation
        out: Tensor = self.features(z.flip(1) if self.caffe else z)
        return out


def _halved() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=True)
