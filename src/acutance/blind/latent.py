r"""The latent picture that a kernel is estimated from: few gradients, whatever their size (Xu et al. 2013).

    min_x || k * x - y ||^2 + l || grad x ||_0

by half-quadratic splitting: a gradient is kept where its square is at least l / b, b growing by `GROWTH` from 2 l,

    x <- ( |K|^2 + b |D|^2 )^-1 ( conj(K) y + b sum_j D_j' w_j ),       w_j = D_j x where it is kept, else 0.

On a torus: the picture is closed by ramps, which are cut off again. Of the latent picture only strong edges are used.
"""

from __future__ import annotations

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


def few_gradients(y: Tensor, kernel: Tensor, strength: float) -> Tensor:
    """x for a picture (1, 1, H, W) in [0, 1] and a kernel (1, 1, s, s), of the size of y; strength: l."""
    (height, width), side = y.shape[-2:], kernel.shape[-1]
    size = n, m = fast_length(height + side + ROOM), fast_length(width + side + ROOM)
    closed = bridge(bridge(y, n, -2), m, -1)
    otf = Blur(kernel, "circular").otf(n, m)
    power, laplacian = otf.real.square() + otf.imag.square(), laplacian_power(n, m, y)
    data = otf.conj() * torch.fft.rfft2(closed)
    x, b = closed, 2 * strength
    while b < LAST:
        down, along = DOWN.forward(x), ALONG.forward(x)
        kept = (down.square() + along.square() >= strength / b).to(x)
        tied = torch.fft.rfft2(DOWN.adjoint(down * kept) + ALONG.adjoint(along * kept))
        x = torch.fft.irfft2(scaled(data + b * tied, 1 / (power + b * laplacian)), s=size)
        b *= GROWTH
    return x[..., :height, :width]
