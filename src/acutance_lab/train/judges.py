"""Fixed networks that judge pictures: the convolutional parts of VGG-11 and of SqueezeNet 1.1.

VGG-11 with batch normalisation (Simonyan & Zisserman 2015) has eight 3x3 convolutions with ReLU, and five times the
maximum over squares of 2 x 2; 37 MB. In SqueezeNet 1.1 (Iandola et al. 2016; 2.9 MB) a fire squeezes its features to a
few by a 1x1 convolution and expands these by one of 1x1 and one of 3x3, side by side.

Names of the weights are those of torchvision's `vgg11_bn().features` and `squeezenet1_1().features`, so that its files
load; so do Caffe's of SqueezeNet under these names, which want other input: blue first, 0 to 255, less a mean.
"""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PLAN = (64, None, 128, None, 256, 256, None, 512, 512, None, 512, 512, None)
"""Of VGG: features of each convolution; None: the maximum over squares."""

FIRES = ((16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256), (64, 256))
"""Of SqueezeNet: features squeezed to, and expanded to twice; None: the maximum over squares."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures that the networks were trained on, by channel."""

CAFFE_MEAN, CAFFE_DEVIATION = (123 / 255, 117 / 255, 104 / 255), (1 / 255,) * 3
"""The same of Caffe's weights: red, green, blue."""

LEAST = 32
"""Sides of pictures, at least: the halvings leave one feature."""


class Judge(nn.Module):
    """(B, 1 or 3, H, W) in [0, 1] -> features; evaluated, never trained, whatever the network that it judges does.

    Args:
        layers: of the network. mean, deviation: of its input, by channel.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: list[nn.Module], mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.features((x - self.mean) / self.deviation)
        return out

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation."""
        super().train(False)
        return self


class Vgg11(Judge):
    """(B, 1 or 3, H, W) -> the fifth pooled features (B, 512, H // 32, W // 32)."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        inputs = 3
        for features in PLAN:
            if features is None:
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(inputs, features, 3, padding=1), nn.BatchNorm2d(features), nn.ReLU(inplace=True)]
                inputs = features
        super().__init__(layers, MEAN, DEVIATION)


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


class SqueezeNet(Judge):
    """(B, 1 or 3, H, W) -> the last features (B, 512, about H / 16, W / 16).

    Args:
        caffe: for weights that were made for Caffe's input.
    """

    def __init__(self, *, caffe: bool = False) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(inplace=True), _halved()]
        inputs = 64
        for fire in FIRES:
            layers.append(_halved() if fire is None else Fire(inputs, *fire))
            inputs = inputs if fire is None else 2 * fire[1]
        super().__init__(layers, *((CAFFE_MEAN, CAFFE_DEVIATION) if caffe else (MEAN, DEVIATION)))
        self.caffe = caffe

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        z = (x - self.mean) / self.deviation
        out: Tensor = self.features(z.flip(1) if self.caffe else z)
        return out


def _halved() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=True)
