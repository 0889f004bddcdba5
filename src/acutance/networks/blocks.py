"""The network of Golf: basic blocks with instance normalisation (Luo et al. 2019, Table 1). It knows nothing of blur.

    x -> x + conv7( 2 x block(C -> C) ( 6 x block(f -> f) ( conv7(x) ) ) ),       the seventh block goes from f to C

    block(z) = shortcut(z) + conv5( relu( norm( conv7( relu( norm(z) ) ) ) ) )

without biases. With a gain g the residual r = conv7(...) counts less, and with `keep_mean` each colour keeps its mean:

    x -> x + g r - c,        c so that  mean(clip(x + g r - c)) = mean(clip(x))  for each colour,  clip to [0, 1]

The shortcut is the identity, or norm(conv1(z)) where the number of features changes. norm subtracts the
mean of a feature over the whole picture, divides by its standard deviation, and applies a learned gain and offset: so
no piece of a picture can be taken through the network alone. A picture is taken through it layer by layer instead, each
layer band by band, two maps of all features in memory: as exact as the whole at once, for any size, and what lies
between two convolutions stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-5
"""Added to variances."""

BAND = 1 << 16
"""Pixels of a band, about."""

NEWTON, LEAST_INSIDE = 6, 0.05
"""Steps for the offset that keeps a mean; the share of unclipped pixels below which they become shorter."""

Layer = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and variance of each feature, (B, f, 1, 1), over `count` pixels."""

    mean: Tensor
    variance: Tensor
    count: int

    @staticmethod
    def of(z: Tensor) -> Moments:
        """Of each picture of (B, f, H, W), in float32 or better."""
        wide = z.dtype if z.dtype is torch.float64 else torch.float32
        count = z.shape[-2] * z.shape[-1]
        if torch.compiler.is_exporting():  # a mean of squares, not their sum, which no 16 bits hold
            mean = picture_mean(z.to(wide))
            return Moments(mean, picture_mean((z.to(wide) - mean).square()), count)
        if torch.is_grad_enabled() or count == 1:
            variance, mean = torch.var_mean(z.to(wide), dim=(-2, -1), correction=0, keepdim=True)
            return Moments(mean, variance, count)
        # Zeros: batch norm takes 0 times what is there into account, and of memory as found that may be NaN.
        mean, variance = (torch.zeros(z.shape[:2], dtype=wide, device=z.device) for _ in range(2))
        for one, m, v in zip(torch.split(z, 1), mean, variance, strict=True):  # takes 1/20 of the time of var_mean
            F.batch_norm(one, m, v, training=True, momentum=1.0)
        return Moments(mean[..., None, None], variance[..., None, None] * ((count - 1) / count), count)

    def __add__(self, other: Moments) -> Moments:
        """Of the pixels of both (Chan et al. 1979)."""
        count = self.count + other.count
        share, step = other.count / count, other.mean - self.mean
        variance = torch.lerp(self.variance, other.variance, share) + share * (1 - share) * step.square()
        return Moments(self.mean + share * step, variance, count)


class Norm(nn.Module):
    """(z - mean) / sqrt(variance + EPSILON) * gain + offset, of each feature; gain and offset are learned."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, z: Tensor, moments: Moments) -> Tensor:
        """(B, f, H, W) -> (B, f, H, W), in the type of z."""
        if len(z) == 1 and not torch.is_grad_enabled():  # the same, faster
            mean, variance = moments.mean.flatten(), moments.variance.flatten()
            return F.batch_norm(z, mean, variance, self.weight, self.bias, eps=EPSILON)
        scale = self.weight[:, None, None] * torch.rsqrt(moments.variance + EPSILON)
        shift = self.bias[:, None, None] - moments.mean * scale
        return torch.addcmul(shift.to(z.dtype), z, scale.to(z.dtype))


class Block(nn.Module):
    """One basic block; see the module."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.before, self.between = Norm(inputs), Norm(outputs)
        self.first, self.second = conv(inputs, outputs, 7), conv(outputs, outputs, 5)
        self.project = conv(inputs, outputs, 1) if inputs != outputs else None
        self.projected = Norm(outputs) if inputs != outputs else None

    def forward(self, z: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        u = self.first(F.relu_(self.before(z, Moments.of(z))))
        u = self.second(F.relu_(self.between(u, Moments.of(u))))
        if self.project is None or self.projected is None:
            return torch.add(z, u)
        v = self.project(z)
        return torch.add(self.projected(v, Moments.of(v)), u)

    def in_bands(self, z: Tensor, moments: Moments) -> tuple[Tensor, Moments]:
        """The same of a map and its moments, which may be overwritten; and the moments of the result."""
        u, between = banded(self.first, z, prepare=lambda z: F.relu_(self.before(z, moments)))
        if self.project is not None and self.projected is not None:
            z, of = banded(self.project, z)
            z = self.projected(z, of)  # few features: the C of the picture
        return banded(self.second, u, prepare=lambda u: F.relu_(self.between(u, between)), onto=z)


class BasicBlocks(nn.Module):
    """Pictures in, pictures out: (B, C, H, W) -> (B, C, H, W).

    Args:
        features: f; 16 and 32 are the paper's G and F, of 120,188 and 466,348 weights.
        channels: C.
        keep_mean: whether the output has the mean of the input, for each colour. The paper's network has no such rule.
        gain: g, in (0, 1]; 1 is the paper's network.
    """

    def __init__(self, features: int, channels: int = 3, *, keep_mean: bool = False, gain: float = 1.0) -> None:
        super().__init__()
        self.keep_mean, self.gain = keep_mean, gain
        self.head, self.tail = conv(channels, features, 7), conv(channels, channels, 7)
        sizes = [(features, features)] * 6 + [(features, channels), (channels, channels)]
        self.blocks = nn.ModuleList(Block(a, b) for a, b in sizes)
        self.tail.weight.data.mul_(0.05)  # an untrained network adds next to nothing

    def forward(self, x: Tensor) -> Tensor:
        """The picture; in bands, unless gradients are wanted."""
        if torch.is_grad_enabled():
            z = self.head(x)
            for block in self.blocks:
                z = block(z)
            return self.added(x, self.tail(z))
        z, moments = banded(self.head, x)
        for block in self.blocks:
            assert isinstance(block, Block)
            z, moments = block.in_bands(z, moments)
        if not self.keep_mean and self.gain == 1:
            out, _ = banded(self.tail, z, onto=x.clone())
            return out
        r, _ = banded(self.tail, z)
        return self.added(x, r)

    def added(self, x: Tensor, r: Tensor) -> Tensor:
        """x + g r, less the offset that keeps the mean if that is wanted."""
        out = torch.add(x, r) if self.gain == 1 else torch.add(x, r, alpha=self.gain)
        return out - drift(x, out) if self.keep_mean else out


def drift(before: Tensor, after: Tensor) -> Tensor:
    """The offset c that `after` has to lose, (B, C, 1, 1): mean(clip(after - c)) = mean(clip(before)).

    Newton's iteration on a piecewise linear function. Only the last step carries a gradient, that of the solution.
    Where everything is clipped, c is the difference of the plain means.
    """
    wanted = picture_mean(before.clamp(0, 1))

    def step(c: Tensor) -> Tensor:
        now = (after - c).clamp(0, 1)
        inside = picture_mean(((now > 0) & (now < 1)).to(now.dtype)).detach()
        excess = picture_mean(now) - wanted
        return c + torch.where(inside > 0, excess / inside.clamp_min(LEAST_INSIDE), 0.0)

    with torch.no_grad():
        c = picture_mean(after - before)
        for _ in range(NEWTON - 1):
            c = step(c)
    return step(c)


def picture_mean(z: Tensor) -> Tensor:
    """Mean of each feature over the whole picture: (B, f, H, W) -> (B, f, 1, 1).

    In an exported graph row by row first, so that no sum of float32 numbers becomes long, however a runtime adds them.
    """
    if torch.compiler.is_exporting():
        return z.mean(-1, keepdim=True).mean(-2, keepdim=True)
    return z.mean((2, 3), keepdim=True)


def banded(
    layer: nn.Conv2d, z: Tensor, *, prepare: Layer | None = None, onto: Tensor | None = None
) -> tuple[Tensor, Moments]:
    """layer(prepare(z)), band by band, and its moments.

    Args:
        layer: keeps the size. z: (B, C, H, W). prepare: pixel by pixel.
        onto: what the result is added to, in place; None: to nothing.
    """
    (height, width), reach = z.shape[-2:], layer.kernel_size[0] // 2
    rows, out, moments = max(4 * reach, BAND // width, 1), onto, None
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        first, last = max(0, top - reach), min(height, bottom + reach)
        band = z[..., first:last, :]
        band = layer(band if prepare is None else prepare(band))[..., top - first : bottom - first, :]
        if out is None:
            size = (*band.shape[:2], height, width)
            out = torch.empty(size, dtype=band.dtype, device=band.device, memory_format=torch.channels_last)
        if onto is None:
            out[..., top:bottom, :] = band
        else:
            out[..., top:bottom, :] += band
        found = Moments.of(out[..., top:bottom, :])
        moments = found if moments is None else moments + found
    assert out is not None
    assert moments is not None
    return out, moments


def conv(inputs: int, outputs: int, side: int) -> nn.Conv2d:
    """Squares of `side` pixels, the size is kept, no bias."""
    return nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False)
