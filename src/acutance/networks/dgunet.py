r"""DGUNet and DGUNet+, proximal gradient descent unfolded into stages (Mou et al. 2022).

    v(k) = x(k-1) - r(k) A'(k)( A(k) x(k-1) - y )              A, A': learned, the degradation is not known
    v(k) = x(k-1) - r(k) ( Phi'Phi x(k-1) - Phi'b )            compressive sensing, Phi learned, b = Phi x is measured
    x(k), m(k) = prox_k( v(k), m(k-1) )                        m: the features of a stage, at every scale

prox is a U-Net. The first stage has no m before it; those between take m(k-1) in at the entrance (merge) and at every
level on the way down (fusion); the last is only an entrance and an exit. DGUNet has one set of weights for all stages
between, DGUNet+ one for each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.networks import dgunet_blocks as blocks
from acutance.networks.bands import in_bands
from acutance.tensors import SENSED


@dataclass(frozen=True)
class Size:
    """What makes one DGUNet differ from another.

    Args:
        width: n, features at the finest level. growth: s, more features with every level.
        tail: t, features that the last stage has beyond n; DGUNet+ has none, except in sensing.
        plus: DGUNet+, whose stages do not share weights.
        channels: of the pictures.
        stages: how many.
        rows: of the sampling matrix, of 1024; 0: the degradation is not known.
    """

    width: int
    growth: int
    tail: int = 0
    plus: bool = False
    channels: int = 3
    stages: int = 7
    rows: int = 0

    def __post_init__(self) -> None:
        if self.width < 4 or self.width % 4 or self.growth < 0 or self.growth % 2 or self.tail < 0:
            raise ConfigError(
                f"width={self.width}, growth={self.growth}, tail={self.tail}: the width has to be a multiple of 4, "
                "the growth even, none negative"
            )
        if max(self.width, self.growth, self.tail) > 4096:
            raise ConfigError(f"width={self.width}, growth={self.growth}, tail={self.tail}: at most 4096 make sense")
        if not 1 <= self.channels <= 64:
            raise ConfigError(f"channels={self.channels}: between 1 and 64")
        if not 3 <= self.stages <= 100:
            raise ConfigError(f"stages={self.stages}: at least 3, a first, one between and a last; at most 100")
        if not 0 <= self.rows <= SENSED**2:
            raise ConfigError(f"rows={self.rows}: a block has {SENSED**2} pixels")

    @property
    def widths(self) -> tuple[int, ...]:
        """Features at each level."""
        return tuple(self.width + i * self.growth for i in range(blocks.LEVELS))

    @property
    def multiple_of(self) -> int:
        """What the sides of a picture have to be a multiple of."""
        return SENSED if self.rows else 1 << (blocks.LEVELS - 1)

    @property
    def order(self) -> tuple[int, ...]:
        """Which set of weights each stage has."""
        return tuple(range(self.stages)) if self.plus else (0, *[1] * (self.stages - 2), 2)

    @property
    def slope_of(self) -> tuple[int, ...]:
        """For each set of weights, which PReLU of the shallow features it has, shared as the authors do."""
        last = len(set(self.order)) - 1
        if self.plus and not self.rows:
            return (0,) * (last + 1)
        return (*range(last), 0)


@dataclass(frozen=True, eq=False)
class Memory:
    """What a stage leaves to the next one.

    Args:
        picture: x, (B, C, H, W), sides multiples of `Size.multiple_of`.
        anchor: y, or Phi'b where it is sensed, alike.
        encoded: of the encoder, one for each level but the coarsest, the finest first; empty before the first stage.
        decoded: of the decoder, alike.
        supervised: (B, n, H, W); None before the first stage.
    """

    picture: Tensor
    anchor: Tensor
    encoded: tuple[Tensor, ...] = ()
    decoded: tuple[Tensor, ...] = ()
    supervised: Tensor | None = None


class Stage(nn.Module):
    """The weights of one stage. Args: size: of the network. first, last: which stage it is."""

    def __init__(self, size: Size, *, first: bool = False, last: bool = False) -> None:
        super().__init__()
        n, c, sensed = size.width, size.channels, size.rows > 0
        self.sensed = sensed
        self.length = nn.Parameter(torch.full((1,), 0.5))
        self.degradation = None if sensed else blocks.Degradation(c)
        self.adjoint = None if sensed else blocks.Degradation(c)
        self.features = blocks.ShallowFeatures(c, n)
        joined = last and (sensed or not size.plus)
        self.merge: nn.Module | None = None
        if not first:
            self.merge = blocks.Join(n, n + size.tail * last) if sensed or joined else blocks.SubspaceMerge(n)
        fusion = None if first else blocks.Addition if sensed else blocks.Modulation
        self.encoder = None if last else blocks.Encoder(size.widths, fusion)
        self.decoder = None if last else blocks.Decoder(size.widths)
        self.supervise = None if last else blocks.Supervision(c, n, attention=sensed)
        self.tail = blocks.conv(n + size.tail * joined, c) if last else None
        for part in (self.degradation, self.adjoint):
            if part is not None:
                part.second.weight.data.mul_(0.05)  # untrained stages change next to nothing
        exit_ = self.tail if self.supervise is None else self.supervise.image
        assert exit_ is not None
        exit_.weight.data.mul_(0.05)

    def descend(self, before: Memory, slope: Tensor | None, sampling: blocks.Sampling | None) -> Tensor:
        """v = x - r gradient, (B, C, H, W)."""
        x, y = before.picture, before.anchor
        if sampling is not None:
            return x - self.length * (sampling.gram(x) - y)
        assert self.degradation is not None
        assert self.adjoint is not None
        degradation, adjoint = self.degradation, self.adjoint

        def step(x: Tensor, y: Tensor) -> Tensor:
            gradient: Tensor = adjoint(degradation(x, slope) - y, slope)
            return x - self.length * gradient

        return in_bands(step, x, y, reach=4)

    def forward(self, v: Tensor, before: Memory, slope: Tensor) -> Memory:
        """prox(v, m)."""
        z = self.features(v, slope)
        if self.merge is not None:
            z = self.merge(z, before.supervised)
        if self.encoder is None or self.decoder is None or self.supervise is None:
            assert self.tail is not None
            return Memory((v if self.sensed else before.anchor) + in_bands(self.tail, z, reach=2), before.anchor)
        encoded = self.encoder(z, tuple(zip(before.encoded, before.decoded, strict=True)))
        decoded = self.decoder(encoded)
        picture, supervised = self.supervise(decoded[0], v)
        return Memory(picture, before.anchor, tuple(encoded[:-1]), tuple(decoded), supervised)


class DGUNet(nn.Module):
    """The weights of all stages; a stage is applied by `stage`, and who goes through them is the Solver.

    Args:
        size: see there.

    Example:
        >>> network = DGUNet(Size(width=8, growth=4, tail=4, stages=3))
        >>> memory = network.begin(torch.rand(1, 3, 16, 24))
        >>> for which in network.size.order:
        ...     memory = network.stage(which, memory)
        >>> memory.picture.shape
        torch.Size([1, 3, 16, 24])
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        last = max(size.order)
        self.stages = nn.ModuleList(Stage(size, first=i == 0, last=i == last) for i in range(last + 1))
        self.feature_slopes = nn.ParameterList(torch.full((1,), 0.25) for _ in set(size.slope_of))
        self.sampling = blocks.Sampling(size.rows) if size.rows else None
        self.degradation_slope = None if size.rows else nn.Parameter(torch.full((1,), 0.25))

    def begin(self, y: Tensor) -> Memory:
        """Before the first stage: x = y; of a sensed picture its measurements alone are kept, x = Phi'Phi y."""
        start = y if self.sampling is None else self.sampling.gram(y)
        return Memory(start, start)

    def stage(self, which: int, before: Memory) -> Memory:
        """The stage with the set of weights number `which`."""
        stage = self.stages[which]
        assert isinstance(stage, Stage)
        v = stage.descend(before, self.degradation_slope, self.sampling)
        after: Memory = stage(v, before, self.feature_slopes[self.size.slope_of[which]])
        return after
