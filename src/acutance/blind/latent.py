r"""The latent picture that a kernel is estimated from: few gradients, whatever their size (Xu et al. 2013).

    min_x || k * x - y ||^2 + l || grad x ||_0

by half-quadratic splitting: a gradient is kept where its square is at least l / b, b growing by `GROWTH` from 2 l,

    x <- ( |K|^2 + b |D|^2 )^-1 ( conj(K) y + b sum_j D_j' w_j ),       w_j = D_j x where it is kept, else 0.

On a torus: the picture is closed by ramps, which are cut off again. Of the latent picture only strong edges are used.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.linear import bridge, laplacian_power, scaled
from acutance.operators import Blur
from acutance.operators.filters import ALONG, DOWN
from acutance.tensors import fast_length

GROWTH, LAST = 2.0, 1e5
"""Of b: factor from one round to the next, and where it ends."""

ROOM = 4
"""Pixels that the torus is larger than picture and kernel, at least."""


def few_gradients(y: Tensor, kernel: Tensor, strength: float, growth: float = GROWTH, last: float = LAST) -> Tensor:
    """x for a picture (1, 1, H, W) in [0, 1] and a kernel (1, 1, s, s), of the size of y.

    Args:
        strength: l. growth, last: of b.
    """
    closed = Closed.of(y, kernel)
    x = closed.rounds(closed.picture, closed.data, closed.power, strength, growth, last)
    return x[..., : y.shape[-2], : y.shape[-1]]


@dataclass(frozen=True, eq=False)
class Closed:
    """A picture that is closed to a torus, and its blur there.

    Args:
        picture: y with its ramps, (1, 1, n, m). data: conj(K) y, a half spectrum.
        power: |K|^2. laplacian: |D|^2.
    """

    picture: Tensor
    data: Tensor
    power: Tensor
    laplacian: Tensor

    @staticmethod
    def of(y: Tensor, kernel: Tensor) -> Closed:
        """For a picture (1, 1, H, W) and a kernel (1, 1, s, s)."""
        n, m = (fast_length(length + kernel.shape[-1] + ROOM) for length in y.shape[-2:])
        picture = bridge(bridge(y, n, -2), m, -1)
        otf = Blur(kernel, "circular").otf(n, m)
        power, data = otf.real.square() + otf.imag.square(), otf.conj() * torch.fft.rfft2(picture)
        return Closed(picture, data, power, laplacian_power(n, m, like=y))

    def rounds(
        self, x: Tensor, data: Tensor, power: Tensor, strength: float, growth: float, last: float = LAST
    ) -> Tensor:
        """All rounds in b from x on, (1, 1, n, m).

        Args:
            data, power: right side and diagonal of a quadratic that takes the place of || k * x - y ||^2.
            strength: l. growth, last: of b.
        """
        size, b = (x.shape[-2], x.shape[-1]), 2 * strength
        while b < last:
            down, along = DOWN.forward(x), ALONG.forward(x)
            kept = (down.square() + along.square() >= strength / b).to(x)
            tied = torch.fft.rfft2(DOWN.adjoint(down * kept) + ALONG.adjoint(along * kept))
            x = torch.fft.irfft2(scaled(data + b * tied, 1 / (power + b * self.laplacian)), s=size)
            b *= growth
        return x
