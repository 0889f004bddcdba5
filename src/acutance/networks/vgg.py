"""The convolutional part of VGG-11 with batch normalisation (Simonyan & Zisserman 2015), as a fixed judge of pictures.

Eight 3x3 convolutions with normalisation and ReLU, and five times the maximum over squares of 2 x 2. Names of the
weights are those of torchvision's `vgg11_bn().features`, so that its files load.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PLAN = (64, None, 128, None, 256, 256, None, 512, 512, None, 512, 512, None)
"""Features of each convolution; None: the maximum over squares."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures it was trained on, by channel."""

LEAST = 32
"""Sides of pictures, at least: five halvings leave one feature."""


class Vgg11(nn.Module):
    """(B, 3, H, W) in [0, 1] -> the fifth pooled features (B, 512, H // 32, W // 32); evaluated, never trained."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for features in PLAN:
            if features is None:
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(inputs, features, 3, padding=1), nn.BatchNorm2d(features), nn.ReLU(inplace=True)]
                inputs = features
        self.features = nn.Sequential(*layers)
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.features((x - self.mean) / self.deviation)
        return out

    def train(self, mode: bool = True) -> Vgg11:
        """Stays in evaluation whatever the network that it judges does."""
        super().train(False)
        return self
