r"""Spectral solves on a torus, and the one piece by which they meet a picture whose border is unknown.

A closed form in the Fourier domain wants y = A x with A circular on a torus. A photograph is a window of it. So the
window is laid into a larger torus, the rest of y is a smooth bridge from each edge to the opposite one, and then, a few
times, what is unknown of y is replaced by what the current solution says of it:

    y <- M y + (1 - M) A x,      x <- solve(y)            (M: the window)

the expectation-maximisation view of an unknown boundary (after Reeves 2005 and Almeida & Figueiredo 2013).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from acutance.operators import Blur
from acutance.tensors import fast_length


def solve_on_torus(
    observed: Tensor, blur: Blur, solve: Callable[[Tensor, Tensor], Tensor], *, rounds: int = 8
) -> Tensor:
    """Apply a circular closed form to a picture with an unknown border.

    Args:
        observed: y, (B, C, H, W).
        blur: its `boundary` decides: "circular" solves once on the picture itself, "valid" as in the module, the
            others likewise.
        solve: (transform of y, transfer function) -> transform of x, as `torch.fft.rfft2` orders them.
        rounds: how often the unknown part of y is filled in again.

    Returns:
        x on the domain of `blur`.
    """
    height, width = observed.shape[-2:]
    if blur.boundary == "circular":
        spectrum = solve(torch.fft.rfft2(observed), blur.otf(height, width))
        x: Tensor = torch.fft.irfft2(spectrum, s=(height, width))
        return x
    r, s = blur.radius
    n, m = fast_length(height + 4 * r), fast_length(width + 4 * s)
    otf = blur.otf(n, m)
    y = bridge(bridge(observed, n, -2), m, -1)
    spectrum = solve(torch.fft.rfft2(y), otf)
    for _ in range(rounds):
        y = torch.fft.irfft2(otf * spectrum, s=(n, m))
        y[..., :height, :width] = observed
        spectrum = solve(torch.fft.rfft2(y), otf)
    x = torch.fft.irfft2(spectrum, s=(n, m))
    if blur.boundary != "valid":
        return x[..., :height, :width]
    x = torch.roll(x, (r, s), (-2, -1))
    return x[..., : height + 2 * r, : width + 2 * s]


def bridge(x: Tensor, length: int, dim: int) -> Tensor:
    """Extend x along `dim` to `length` so that it closes to a torus without a step: a cosine ramp from end to start."""
    gap = length - x.shape[dim]
    if gap <= 0:
        return x
    t = (torch.arange(gap, device=x.device, dtype=x.dtype) + 0.5) / gap
    shape = [1] * x.ndim
    shape[dim] = gap
    ramp = (0.5 - 0.5 * torch.cos(torch.pi * t)).reshape(shape)
    end, start = x.narrow(dim, x.shape[dim] - 1, 1), x.narrow(dim, 0, 1)
    return torch.cat((x, end * (1 - ramp) + start * ramp), dim)


def laplacian_power(height: int, width: int, like: Tensor) -> Tensor:
    """|D_rows|^2 + |D_cols|^2 of the circular first differences, (height, width // 2 + 1), real."""
    rows = 2 - 2 * torch.cos(2 * torch.pi * torch.fft.fftfreq(height, dtype=like.dtype, device=like.device))
    cols = 2 - 2 * torch.cos(2 * torch.pi * torch.fft.rfftfreq(width, dtype=like.dtype, device=like.device))
    return rows[:, None] + cols[None, :]
