r"""Kernels as estimators get them wrong: turned, scaled, smeared, uneven, noisy, cut off; never moved.

Estimates from blurred photographs (Fergus 2006, Cho & Lee 2009, Levin 2011 and others) share their faults: paths come
out thicker, their brightness along the path is off, weak parts are lost to a threshold, specks appear beside them.
A method that has met such kernels in training forgives them; one that has not draws rings.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance_lab.synth.kernels import gaussian, normalised

MOST_SPECKS = 0.25
"""Share of a kernel's mass that specks may add: beside a point they would weigh more than it."""

PASSES = 4
"""Of centring: nine kernels of ten are right to 0.01 pixels then, 99 of 100 to 0.4."""


def turned(kernels: Tensor, degrees: Tensor, scale: Tensor) -> Tensor:
    """Turn (n, 1, s, s) counter-clockwise by `degrees` (n,) and stretch by `scale` (n,) about the centre; sum 1."""
    a = torch.deg2rad(degrees)
    zero = torch.zeros_like(a)
    rows = torch.stack((torch.cos(a), -torch.sin(a), zero), 1), torch.stack((torch.sin(a), torch.cos(a), zero), 1)
    theta = torch.stack(rows, 1) / scale[:, None, None]
    return _sampled(kernels, theta)


def smeared(kernels: Tensor, sigma: Tensor) -> Tensor:
    """Convolve every kernel with a Gaussian of standard deviation `sigma` (n,) pixels, at most 1.5."""
    n = kernels.shape[0]
    by = gaussian(sigma.clamp(0.1, 1.5), 9)
    out = F.conv2d(kernels.transpose(0, 1), by, padding=4, groups=n)
    return normalised(out.transpose(0, 1))


def uneven(kernels: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Multiply by exp(strength z), z a smooth random field of standard deviation near 1; strength (n,)."""
    n, _, height, width = kernels.shape
    coarse = torch.randn(n, 1, 5, 5, generator=generator, device=kernels.device)
    field = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    return normalised(kernels * torch.exp(strength[:, None, None, None] * field))


def speckled(kernels: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Add positive specks, one pixel in eight, exponentially distributed with mean strength (n,) times the maximum.

    All together they are at most `MOST_SPECKS` of the kernel.
    """
    uniform = torch.rand(kernels.shape, generator=generator, device=kernels.device)
    where = torch.rand(kernels.shape, generator=generator, device=kernels.device) < 1 / 8
    specks = -torch.log(uniform.clamp_min(1e-6)) * where
    specks = strength[:, None, None, None] * kernels.amax((2, 3), keepdim=True) * specks
    mass, most = specks.sum((2, 3), keepdim=True), MOST_SPECKS * kernels.sum((2, 3), keepdim=True)
    return normalised(kernels + specks * (most / mass.clamp_min(1e-12)).clamp_max(1))


def cut(kernels: Tensor, threshold: Tensor) -> Tensor:
    """Values below threshold (n,) times the maximum become zero."""
    low = threshold[:, None, None, None] * kernels.amax((2, 3), keepdim=True)
    return normalised(torch.where(kernels < low, 0.0, kernels))


def centred_like(kernels: Tensor, others: Tensor) -> Tensor:
    """Move every kernel so that its centroid is where that of the other is: an estimate may not move the picture.

    What is moved out of the frame is lost, and moves the centroid of the rest, so it is done `PASSES` times.
    """
    height, width = kernels.shape[-2:]
    wanted = centroid(others)
    for _ in range(PASSES):
        shift = centroid(kernels) - wanted  # (n, 2) rows, columns
        theta = torch.eye(2, 3, device=kernels.device).repeat(kernels.shape[0], 1, 1)
        theta[:, 0, 2] = 2 * shift[:, 1] / width
        theta[:, 1, 2] = 2 * shift[:, 0] / height
        kernels = _sampled(kernels, theta)
    return kernels


def centroid(kernels: Tensor) -> Tensor:
    """Row and column of the centre of mass, (n, 2), pixels."""
    k = normalised(kernels)[:, 0]
    rows = torch.arange(k.shape[-2], device=k.device, dtype=k.dtype)
    cols = torch.arange(k.shape[-1], device=k.device, dtype=k.dtype)
    return torch.stack(((k.sum(2) * rows).sum(1), (k.sum(1) * cols).sum(1)), 1)


def misestimated(kernels: Tensor, generator: torch.Generator, *, severity: float = 1.0) -> Tensor:
    """Kernels (n, 1, s, s) as an estimator may have found them.

    All faults at once, each with a strength of its own: turned by a normal 3 degrees, scaled by a normal 4 %, smeared
    by up to 1 pixel, uneven by up to 0.5, specks of up to 2 % and a threshold of up to 8 % of the maximum; `severity`
    multiplies all of them.
    """
    n, dev = kernels.shape[0], kernels.device

    def uniform(high: float) -> Tensor:
        return severity * high * torch.rand(n, generator=generator, device=dev)

    def normal(sigma: float) -> Tensor:
        return severity * sigma * torch.randn(n, generator=generator, device=dev)

    k = turned(kernels, normal(3.0), torch.exp(normal(0.04)))
    k = smeared(k, uniform(1.0))
    k = uneven(k, uniform(0.5), generator)
    k = speckled(k, uniform(0.02), generator)
    k = cut(k, uniform(0.08))
    return centred_like(k, kernels)


def _sampled(kernels: Tensor, theta: Tensor) -> Tensor:
    grid = F.affine_grid(theta, list(kernels.shape), align_corners=False)
    out = F.grid_sample(kernels, grid, mode="bilinear", padding_mode="zeros", align_corners=False).clamp_min(0)
    lost = out.sum((-2, -1), keepdim=True) <= math.ulp(1.0)
    return normalised(torch.where(lost, kernels, out))
