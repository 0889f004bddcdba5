r"""Perceptual loss: how far two pictures are apart in the features of a network that recognises objects.

    L(x, z) = mean( (V(x) - V(z))^2 ),       V the fifth pooled features of VGG-11 with batch normalisation

(Johnson et al. 2016; as Luo et al. 2019 use it, with a weight of 5e-6 beside the mean square error.) Its weights were
trained on ImageNet by others and are not part of this library: give torchvision's file, or install torchvision. Where
neither can be had, a file of SqueezeNet 1.1 serves, V being its last features. Their range is another one, by orders of
magnitude: a weight that balances one network does not balance the other (`acutance-lab experiment balance`).
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from acutance.errors import ConfigError, MissingExtra, WeightsError
from acutance.weights import read_weights
from acutance_lab.train.judges import LEAST, Judge, SqueezeNet, Vgg11

TORCHVISION = "torchvision"
"""Instead of a file: let torchvision find, or fetch, its weights."""

FIRE = "features.3.squeeze.weight"
"""A tensor that files of SqueezeNet have and those of VGG-11 have not."""


class Perceptual(nn.Module):
    """The loss with its network. Args: judge: V, (B, 1 or 3, H, W) -> features; it stays in evaluation."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self.judge = judge

    @staticmethod
    def load(source: str) -> Perceptual:
        """With the weights of a file (a state dict of `vgg11_bn` or `squeezenet1_1`), or "torchvision".

        Args:
            source: .pth or .safetensors. Of a safetensors file whose metadata say ``input: BGR...`` the weights are
                taken to be Caffe's.

        Raises:
            WeightsError: no such file, or not of this network. MissingExtra: torchvision is not installed.
        """
        tensors = _from_torchvision() if source == TORCHVISION else read_weights(Path(source)).tensors
        judge: Judge
        judge, name = (
            (SqueezeNet(caffe=_wants_blue_first(Path(source))), "SqueezeNet 1.1")
            if FIRE in tensors
            else (Vgg11(), "VGG-11 with batch normalisation")
        )
        wanted = judge.state_dict()
        found = {k: v for k, v in tensors.items() if k in wanted}
        missing = sorted(set(wanted) - set(found))
        if missing:
            raise WeightsError(f"{source} holds no {name}: {missing[0]!r} is missing")
        try:
            judge.load_state_dict(found)
        except RuntimeError as error:
            raise WeightsError(f"{source} holds no {name}: {error}") from None
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


def _wants_blue_first(path: Path) -> bool:
    """Whether the metadata of a safetensors file, which was read before, say so."""
    if path.suffix != ".safetensors":
        return False
    with safe_open(path, "pt") as file:
        told: str = (file.metadata() or {}).get("input", "")
    return told.startswith("BGR")


def _from_torchvision() -> dict[str, Tensor]:
    try:
        from torchvision import models  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except Exception:  # its compiled part may fail in many ways where it does not fit torch
        raise MissingExtra("the perceptual loss without a file of weights", "perceptual") from None
    try:
        tensors: dict[str, Tensor] = models.vgg11_bn(weights="DEFAULT").state_dict()
    except OSError as error:
        raise WeightsError(f"torchvision could not fetch the weights of vgg11_bn ({error}); give a file") from None
    return tensors
