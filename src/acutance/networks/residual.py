"""The convolutional block of RGDN: six 5x5 layers, no biases (Gong et al. 2020, Fig. 1c).

It knows nothing of blur. The parameters are those of the published layers (batch normalisation, transposed
convolutions); with kept statistics the block is evaluated as the equal six plain convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DIRECTIONS = ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.7), (1, -1, 0.7))
"""Row and column offsets of the differences that smoothing acts on, and their weights."""

Layer = tuple[Tensor, Tensor | None]

KERNEL = 5
HALO = 6 * (KERNEL // 2)
"""Pixels that one output pixel of a block sees on every side."""


class FlippedConv2d(nn.ConvTranspose2d):
    """A stride-1, same-size transposed convolution, evaluated as the equal plain convolution.

    The weight keeps the layout of `nn.ConvTranspose2d`, (in, out, k, k), so that published weights load.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, KERNEL, padding=KERNEL // 2, bias=False)

    def plain_weight(self) -> Tensor:
        """The weight of the equal `nn.Conv2d`: (out, in, k, k)."""
        return self.weight.flip(-2, -1).transpose(0, 1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        return F.conv2d(x, self.plain_weight(), padding=KERNEL // 2)


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, KERNEL, padding=KERNEL // 2, bias=False)


class ConvStack(nn.Module):
    """conv C->f, ReLU; 2 x (conv, BN, ReLU); 2 x (transposed conv, BN, ReLU); transposed conv f->C.

    Args:
        channels: C of the picture, in and out.
        features: f. With 3 and 64 the stack has 419,712 weights.
    """

    def __init__(self, channels: int = 3, features: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(channels, features), nn.ReLU(inplace=True)]
        for make in (_conv, _conv, FlippedConv2d, FlippedConv2d):
            layers += [make(features, features), nn.BatchNorm2d(features, eps=1e-5), nn.ReLU(inplace=True)]
        layers.append(FlippedConv2d(features, channels))
        self.main = nn.Sequential(*layers)
        for layer in self.main:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=(2 / (KERNEL**2 * layer.in_channels)) ** 0.5)

    @torch.no_grad()
    def start_as_identity(self, factor: float, gain: float, *, residue: float = 0.01) -> None:
        """Set the weights so that the untrained block is x -> factor * x, nearly.

        Two features for each channel carry its positive and its negative part through all layers; the other features
        keep their random weights and enter the output with `residue` of theirs. Normalisation must keep its
        initial statistics (mean 0, variance 1) for this to hold.

        Args:
            factor: what the block multiplies its input with. gain: amplification inside the block, about 1 / the
                size of its input, so that all features start at a size near 1.
        """
        convolutions = [m for m in self.main if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        channels, c = convolutions[0].in_channels, KERNEL // 2
        carriers = torch.arange(2 * channels)
        of, sign = carriers // 2, 1.0 - 2.0 * (carriers % 2)
        for i, layer in enumerate(convolutions):
            plain = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
            if i == 0:
                plain.mul_(gain)
                plain[carriers] = 0
                plain[carriers, of, c, c] = gain * sign
            elif i == len(convolutions) - 1:
                plain.mul_(residue / gain)
                plain[of, carriers, c, c] += factor / gain * sign
            else:
                plain[carriers] = 0
                plain[carriers, carriers, c, c] = 1

    @torch.no_grad()
    def start_small(self, gain: float, residue: float) -> None:
        """Keep the random weights, the first layer's times `gain`, the last one's times `residue`."""
        first, *_, last = (m for m in self.main if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
        first.weight.mul_(gain)
        last.weight.mul_(residue)

    @torch.no_grad()
    def add_smoothing(self, strength: float, knee: float, gain: float) -> bool:
        """After `start_as_identity`: add x -> strength * grad Omega(x), Omega a Huber function of differences.

        Omega(x) = sum over the four `DIRECTIONS` d of w_d * huber(x(p + d) - x(p)), whose derivative is the difference
        clipped to [-knee, knee]: total variation with rounded corners. Positive and negative parts of the differences
        are the first features; relu(u - knee) beside them, subtracted in the third layer, clips them.

        Args:
            strength: factor. knee: difference above which an edge is no longer smoothed away, fraction of the range.
            gain: the one given to `start_as_identity`.

        Returns:
            False, and nothing is changed, where the block has too few features for it.
        """
        convolutions = [m for m in self.main if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        first = convolutions[0]
        norm = next(m for m in self.main if isinstance(m, nn.BatchNorm2d))
        channels, c = first.in_channels, KERNEL // 2
        n = 2 * channels * len(DIRECTIONS)
        passed = 2 * channels + torch.arange(n)  # positive and negative parts of the differences, to the end
        excess = passed + n  # what exceeds the knee; in the second layer only
        if int(excess[-1]) >= first.out_channels:
            return False
        plain = [m.weight.transpose(0, 1) if isinstance(m, nn.ConvTranspose2d) else m.weight for m in convolutions]
        for weight in plain[:-1]:
            weight[passed] = 0
        for i, (channel, direction, sign) in enumerate(
            (channel, d, sign) for channel in range(channels) for d in DIRECTIONS for sign in (1.0, -1.0)
        ):
            row, col, share = direction
            f = int(passed[i])
            first.weight[f, channel, c + row, c + col] = gain * sign
            first.weight[f, channel, c, c] = -gain * sign
            # The gradient is the adjoint difference of the clipped one; this layer's weight is stored flipped.
            plain[5][channel, f] = 0
            plain[5][channel, f, c, c] = -strength * share / gain * sign
            plain[5][channel, f, c + row, c + col] = strength * share / gain * sign
        for weight in plain[1:5]:
            weight[passed, passed, c, c] = 1
        plain[1][excess] = 0
        plain[1][excess, passed, c, c] = 1
        norm.bias[excess] = -gain * knee
        plain[2][passed, excess, c, c] = -1
        return True

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        if not any(m.training for m in self.main if isinstance(m, nn.BatchNorm2d)):
            return _chain(x, self.plain())
        out: Tensor = self.main(x)
        return out

    def plain(self) -> list[Layer]:
        """The same function with kept statistics, every normalisation folded into its convolution; differentiable."""
        layers: list[Layer] = []
        for module in self.main:
            if isinstance(module, FlippedConv2d):
                layers.append((module.plain_weight(), None))
            elif isinstance(module, nn.Conv2d):
                layers.append((module.weight, None))
            elif isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                gain = module.weight / torch.sqrt(module.running_var + module.eps)
                layers[-1] = (layers[-1][0] * gain[:, None, None, None], module.bias - gain * module.running_mean)
        return layers

    @torch.no_grad()
    def folded(self) -> Callable[[Tensor], Tensor]:
        """The block in evaluation mode as plain convolutions that are prepared once."""
        layers = [(w.contiguous(memory_format=torch.channels_last), b) for w, b in self.plain()]
        return partial(_chain, layers=layers)


def _chain(x: Tensor, layers: list[Layer]) -> Tensor:
    last = len(layers) - 1
    for i, (weight, bias) in enumerate(layers):
        x = F.conv2d(x, weight, bias, padding=KERNEL // 2)
        if i < last:
            x = F.relu_(x)
    return x
