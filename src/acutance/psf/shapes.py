"""Simple point spread functions: straight motion, defocus, Gaussian.

Every function returns (n, 1, size, size): non-negative, sum 1, centroid within half a pixel of the centre. Sizes are
odd. Lengths and radii are in pixels, angles in degrees, counter-clockwise from the horizontal.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from acutance.errors import KernelError

SAMPLES = 400
"""Points on a path; enough for gaps below a tenth of a pixel in a kernel of 41 x 41."""


def normalised(kernels: Tensor) -> Tensor:
    """Scale every kernel (n, 1, h, w) to sum 1."""
    return kernels / kernels.sum((-2, -1), keepdim=True)


def line(length: float | Tensor, angle: float | Tensor, size: int | None = None) -> Tensor:
    """Straight, uniform motion over `length` pixels at `angle`, drawn with sub-pixel accuracy.

    Args:
        length: pixels, at least 1; a number or (n,).
        angle: degrees, counter-clockwise from the horizontal; a number or (n,).
        size: side of the kernel; None: just large enough.
    """
    lengths, angles = batched(length, angle)
    if not bool((lengths >= 1).all()):
        raise KernelError(f"a motion of {float(lengths.min())} pixels: give a length of at least 1")
    size = size or odd_size(float(lengths.max()) + 2)
    t = torch.linspace(-0.5, 0.5, SAMPLES, device=lengths.device)
    along = (lengths - 1)[:, None] * t
    theta = torch.deg2rad(angles)[:, None]
    return draw_path(
        torch.stack((-along * torch.sin(theta), along * torch.cos(theta)), -1), torch.ones_like(along), size
    )


def disc(radius: float | Tensor, size: int | None = None) -> Tensor:
    """Defocus: a disc of `radius` pixels with antialiased edge (8 x 8 supersampling)."""
    (radii,) = batched(radius)
    if not bool((radii > 0).all()):
        raise KernelError(f"a disc of radius {float(radii.min())}: give a radius above 0")
    size = size or odd_size(2 * float(radii.max()) + 1)
    over = 8
    axis = (torch.arange(size * over, device=radii.device) + 0.5) / over - size / 2
    inside = (axis[:, None] ** 2 + axis[None, :] ** 2 <= radii[:, None, None].clamp_min(0.5) ** 2).float()
    k = inside.reshape(-1, size, over, size, over).mean((2, 4))
    return normalised(k[:, None])


def gaussian(
    sigma: float | Tensor, size: int | None = None, *, ratio: float | Tensor = 1.0, angle: float | Tensor = 0.0
) -> Tensor:
    """Gaussian of standard deviation `sigma` along `angle` and `ratio` * sigma across it, cut at 3 sigma."""
    sigmas, ratios, angles = batched(sigma, ratio, angle)
    if not bool((sigmas > 0).all()):
        raise KernelError(f"a Gaussian of sigma {float(sigmas.min())}: give a sigma above 0")
    size = size or odd_size(6 * float(sigmas.max()) + 1)
    axis = torch.arange(size, device=sigmas.device, dtype=torch.float32) - size // 2
    theta = torch.deg2rad(angles)[:, None, None]
    row, col = -axis[:, None], axis[None, :]
    along = col * torch.cos(theta) + row * torch.sin(theta)
    across = row * torch.cos(theta) - col * torch.sin(theta)
    s, r = sigmas.clamp_min(0.1)[:, None, None], ratios[:, None, None]
    return normalised(torch.exp(-0.5 * ((along / s) ** 2 + (across / (r * s).clamp_min(0.1)) ** 2))[:, None])


def batched(*values: float | Tensor) -> tuple[Tensor, ...]:
    """Numbers and (n,) tensors as float tensors of one length."""
    device = next((v.device for v in values if isinstance(v, Tensor)), torch.device("cpu"))
    tensors = [torch.as_tensor(v, dtype=torch.float32, device=device).reshape(-1) for v in values]
    n = max(t.shape[0] for t in tensors)
    return tuple(t.expand(n) for t in tensors)


def odd_size(extent: float) -> int:
    """The smallest odd number of pixels that holds `extent` pixels."""
    return 2 * math.ceil((extent - 1) / 2) + 1


def draw_path(path: Tensor, weight: Tensor, size: int) -> Tensor:
    """Draw weighted points (n, m, 2: row, column offsets) bilinearly, centroid at the centre: (n, 1, size, size).

    A path that would leave the kernel is made smaller around its centroid.
    """
    n = path.shape[0]
    total = weight.sum(1, keepdim=True)
    centroid = (path * weight[..., None]).sum(1, keepdim=True) / total[..., None]
    offset, reach = path - centroid, (size - 1) // 2
    extent = offset.abs().amax((1, 2), keepdim=True).clamp_min(1e-6)
    place = (offset * (reach / extent).clamp_max(1) + size // 2).clamp(0, size - 1)
    low = place.floor().clamp(max=max(size - 2, 0))
    f = place - low
    base = low.long()
    k = torch.zeros(n, size * size, device=path.device, dtype=path.dtype)
    for dr in (0, 1):
        for dc in (0, 1):
            row = (base[..., 0] + dr).clamp(max=size - 1)
            col = (base[..., 1] + dc).clamp(max=size - 1)
            share = (f[..., 0] if dr else 1 - f[..., 0]) * (f[..., 1] if dc else 1 - f[..., 1])
            k.scatter_add_(1, row * size + col, share * weight)
    return normalised(k.reshape(n, 1, size, size))
