r"""Perceptual loss: how far two pictures are apart in the features of a network that recognises objects.

    L(x, z) = mean( (V(x) - V(z))^2 ),       V the fifth pooled features of VGG-11 with batch normalisation

(Johnson et al. 2016; as Luo et al. 2019 use it, with a weight of 5e-6 beside the mean square error.) Its weights were
trained on ImageNet by others and are not part of this library: give torchvision's file, or install torchvision.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError, MissingExtra, WeightsError
from acutance.networks.vgg import LEAST, Vgg11
from acutance.weights import read_weights

TORCHVISION = "torchvision"
"""Instead of a file: let torchvision find, or fetch, its weights."""


class Perceptual(nn.Module):
    """The loss with its network. Args: judge: V."""

    def __init__(self, judge: Vgg11) -> None:
        super().__init__()
        self.judge = judge

    @staticmethod
    def load(source: str) -> Perceptual:
        """With the weights of a file (a state dict of `vgg11_bn`, .pth or .safetensors), or "torchvision".

        Raises:
            WeightsError: no such file, or not of this network. MissingExtra: torchvision is not installed.
        """
        judge = Vgg11()
        tensors = _from_torchvision() if source == TORCHVISION else read_weights(Path(source)).tensors
        wanted = judge.state_dict()
        found = {k: v for k, v in tensors.items() if k in wanted}
        missing = sorted(set(wanted) - set(found))
        if missing:
            raise WeightsError(f"{source} holds no VGG-11 with batch normalisation: {missing[0]!r} is missing")
        try:
            judge.load_state_dict(found)
        except RuntimeError as error:
            raise WeightsError(f"{source} holds no VGG-11 with batch normalisation: {error}") from None
        return Perceptual(judge)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """L of (B, 1 or 3, H, W) and the same in [0, 1], a scalar, differentiable in x.

        Raises:
            ConfigError: pictures smaller than 32 x 32.
        """
        if min(x.shape[-2:]) < LEAST:
            raise ConfigError(f"the perceptual loss wants crops of at least {LEAST} pixels, not {tuple(x.shape[-2:])}")
        with torch.no_grad():
            wanted = self.judge(z)
        loss: Tensor = (self.judge(x) - wanted).square().mean()
        return loss


def _from_torchvision() -> dict[str, Tensor]:
    try:
        from torchvision import models  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except Exception:  # its compiled part may fail in many ways where it does not fit torch
        raise MissingExtra("the perceptual loss", "perceptual") from None
    try:
        tensors: dict[str, Tensor] = models.vgg11_bn(weights="DEFAULT").state_dict()
    except OSError as error:
        raise WeightsError(f"torchvision could not fetch the weights of vgg11_bn ({error}); give a file") from None
    return tensors
