r"""The part of a result that the data do not support: what the blur destroyed below the noise, and a method filled in.

    U(f) = 1 - |K|^2 / (|K|^2 + sigma^2 / S(f))          1: destroyed, 0: measured well
    S(f) = a (|f|^2 + f_0^2)^(-b)                        power of the scene, fitted to the result at low frequencies
    u^2  = G * | F^-1[ U^(1/2) X ] |^2                   G: a Gaussian window; X = F x

|K|^2 is the spectrum of A'A. If x has the power S, then S U is the variance that is left of each frequency once y is
known (Wiener's posterior variance), and u is its local standard deviation, with the local power in the place of S.
A blur that changes over the picture counts as it is in the middle. Missing and clipped pixels are not measured at all:
there u is the local standard deviation of the result.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.operators import LinearOperator
from acutance.tensors import fast_length

WINDOW = 3.0
"""Standard deviation of G in pixels."""

LOWEST, HIGHEST = 0.02, 0.15
"""Frequencies, cycles a pixel, between which S is fitted: below are single objects, above many blurs have no light."""

RINGS = 8
"""Number of rings of frequencies between them, each an equal factor wide; the mean power of a ring counts."""

SLOPES = (0.6, 1.8)
"""Limits of b: photographs have about 1, pages of text less, smooth objects more."""

GAP = 48
"""Pixels, at least, that bridge opposite edges of a picture on the torus."""


def spectrum_of(x: Tensor) -> tuple[float, float]:
    """a and b of S for one picture (1, C, H, W), b within `SLOPES`, by least squares of logarithms.

    The power is that of |F x|^2 / (H W) under a Hann window, mean over the channels.
    """
    h, w = x.shape[-2:]
    window = torch.hann_window(h, periodic=False, device=x.device)[:, None] * torch.hann_window(
        w, periodic=False, device=x.device
    )
    centred = x - x.mean((-2, -1), keepdim=True)
    power = torch.fft.rfft2(centred * window).abs().square().mean((0, 1)) / window.square().sum()
    f = frequencies(h, w, x)
    ends = torch.logspace(math.log10(max(LOWEST, 2 / min(h, w))), math.log10(HIGHEST), RINGS + 1).tolist()
    rings = [(f >= low) & (f < high) for low, high in pairwise(ends)]
    rings = [ring for ring in rings if bool(ring.any())]
    if len(rings) < 2 or float(power.max()) <= 0:
        return float(power.mean()), 0.0
    log_p = torch.stack([power[ring].mean() for ring in rings]).clamp_min(1e-20).log()
    log_f = torch.stack([f[ring].square().log().mean() for ring in rings])
    mean_f, mean_p = log_f.mean(), log_p.mean()
    slope = float(((log_f - mean_f) * (log_p - mean_p)).sum() / (log_f - mean_f).square().sum())
    b = min(max(-slope, SLOPES[0]), SLOPES[1])
    return float((mean_p + b * mean_f).exp()), b


def frequencies(height: int, width: int, like: Tensor) -> Tensor:
    """|f| in cycles a pixel, as `torch.fft.rfft2` orders it, (height, width // 2 + 1)."""
    rows = torch.fft.fftfreq(height, device=like.device)[:, None]
    cols = torch.fft.rfftfreq(width, device=like.device)
    size: Tensor = (rows.square() + cols.square()).sqrt()
    return size


def lost(operator: LinearOperator | None, sigma: float, x: Tensor, size: tuple[int, int]) -> Tensor:
    """U on a torus of that size, (1, 1 or C, height, width // 2 + 1).

    Args:
        operator: of the blur; None: there is none. sigma: noise level in the units of x, above 0. x: (1, C, H, W).
    """
    a, b = spectrum_of(x)
    f = frequencies(*size, x)
    scene = a * (f.square() + (1 / max(size)) ** 2).pow(-b)
    power = x.new_ones(1, 1, 1, 1) if operator is None else operator.power(*size, like=x)
    return (1 + power * scene / sigma**2).reciprocal()


def unsupported(x: Tensor, operator: LinearOperator | None, sigma: float, *, measured: Tensor | None = None) -> Tensor:
    """u at every pixel, (1, C, H, W), in the units of x.

    Args:
        x: the result inside the frame, (1, C, H, W). operator: see `lost`. sigma: likewise; 0: nothing is lost.
        measured: (1, 1 or C, H, W), 0 where a pixel is missing or clipped; None: all are measured.
    """
    if sigma <= 0 and measured is None:
        return torch.zeros_like(x)
    filtered = filtered_by(x, lost(operator, max(sigma, 1e-6), x, torus_of(x)).sqrt())
    u = local_rms(filtered)
    if measured is not None:
        spread = local_rms(x - smooth(x))
        u = torch.where(measured > 0, u, torch.maximum(u, spread))
    return u


def torus_of(x: Tensor) -> tuple[int, int]:
    """The size of the torus on which a picture is filtered."""
    return fast_length(x.shape[-2] + GAP), fast_length(x.shape[-1] + GAP)


def filtered_by(x: Tensor, transfer: Tensor) -> Tensor:
    """x under a real transfer function on `torus_of(x)`, its mean taken off."""
    h, w = x.shape[-2:]
    height, width = torus_of(x)
    wide = _bridged(_bridged(x - x.mean((-2, -1), keepdim=True), width).mT, height).mT
    found: Tensor = torch.fft.irfft2(torch.fft.rfft2(wide) * transfer, s=(height, width))
    return found[..., :h, :w]


def _bridged(x: Tensor, width: int) -> Tensor:
    """x with further columns that lead evenly from its last to its first: on a torus there is no jump."""
    t = torch.linspace(0, 1, width - x.shape[-1] + 2, device=x.device, dtype=x.dtype)[1:-1]
    return torch.cat((x, torch.lerp(x[..., -1:], x[..., :1], t)), -1)


def smooth(x: Tensor, width: float = WINDOW) -> Tensor:
    """G * x, with replicated edges."""
    reach = int(3 * width + 0.5)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype) / width).square())
    taps = taps / taps.sum()
    flat = x.reshape(-1, 1, *x.shape[-2:])
    flat = F.pad(flat, (reach, reach, reach, reach), mode="replicate")
    flat = F.conv2d(F.conv2d(flat, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
    return flat.reshape(x.shape)


def local_rms(x: Tensor, width: float = WINDOW) -> Tensor:
    """(G * x^2)^(1/2)."""
    return smooth(x.square(), width).clamp_min(0).sqrt()
