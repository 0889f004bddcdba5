"""Blur kernels drawn on the device, in batches: camera shake, straight motion, defocus, Gaussians, mixtures.

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
    lengths, angles = _batch(length, angle)
    if not bool((lengths >= 1).all()):
        raise KernelError(f"a motion of {float(lengths.min())} pixels: give a length of at least 1")
    size = size or _odd(float(lengths.max()) + 2)
    t = torch.linspace(-0.5, 0.5, SAMPLES, device=lengths.device)
    along = (lengths - 1)[:, None] * t
    theta = torch.deg2rad(angles)[:, None]
    return _splat(torch.stack((-along * torch.sin(theta), along * torch.cos(theta)), -1), torch.ones_like(along), size)


def disc(radius: float | Tensor, size: int | None = None) -> Tensor:
    """Defocus: a disc of `radius` pixels with antialiased edge (8 x 8 supersampling)."""
    (radii,) = _batch(radius)
    if not bool((radii > 0).all()):
        raise KernelError(f"a disc of radius {float(radii.min())}: give a radius above 0")
    size = size or _odd(2 * float(radii.max()) + 1)
    over = 8
    axis = (torch.arange(size * over, device=radii.device) + 0.5) / over - size / 2
    inside = (axis[:, None] ** 2 + axis[None, :] ** 2 <= radii[:, None, None].clamp_min(0.5) ** 2).float()
    k = inside.reshape(-1, size, over, size, over).mean((2, 4))
    return normalised(k[:, None])


def gaussian(
    sigma: float | Tensor, size: int | None = None, *, ratio: float | Tensor = 1.0, angle: float | Tensor = 0.0
) -> Tensor:
    """Gaussian of standard deviation `sigma` along `angle` and `ratio` * sigma across it, cut at 3 sigma."""
    sigmas, ratios, angles = _batch(sigma, ratio, angle)
    if not bool((sigmas > 0).all()):
        raise KernelError(f"a Gaussian of sigma {float(sigmas.min())}: give a sigma above 0")
    size = size or _odd(6 * float(sigmas.max()) + 1)
    axis = torch.arange(size, device=sigmas.device, dtype=torch.float32) - size // 2
    theta = torch.deg2rad(angles)[:, None, None]
    row, col = -axis[:, None], axis[None, :]
    along = col * torch.cos(theta) + row * torch.sin(theta)
    across = row * torch.cos(theta) - col * torch.sin(theta)
    s, r = sigmas.clamp_min(0.1)[:, None, None], ratios[:, None, None]
    return normalised(torch.exp(-0.5 * ((along / s) ** 2 + (across / (r * s).clamp_min(0.1)) ** 2))[:, None])


def spline(n: int, span: int, generator: torch.Generator, *, size: int | None = None) -> Tensor:
    """Camera shake as random splines (Chakrabarti 2016, as Gong et al. 2020 use them).

    Three to six control points, uniform in a square of `span` pixels; a Catmull-Rom curve through them; the intensity
    along the path is a second random curve, positive.

    Args:
        n: how many. span: side of the square, e.g. 11, 16, 21, 26, 31. size: side of the kernel, default: odd span.
    """
    size = size or _odd(span)
    dev = generator.device
    count = torch.randint(3, 7, (n,), generator=generator, device=dev)
    points = (torch.rand(n, 6, 2, generator=generator, device=dev) - 0.5) * (span - 1)
    strength = torch.rand(n, 6, 1, generator=generator, device=dev) + 0.1
    path = _catmull_rom(torch.cat((points, strength), -1), count)
    return _splat(path[..., :2], path[..., 2].clamp_min(0.02), size)


def shake(n: int, span: int, generator: torch.Generator, *, size: int | None = None) -> Tensor:
    """Camera shake as a damped random walk with inertia and jerks (after Boracchi & Foi 2012), sub-pixel accurate.

    The extent is uniform between 4 pixels and `span`.
    """
    size = size or _odd(span)
    dev = generator.device

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=dev)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=dev)

    anxiety, jerk_rate = uniform(n, 1), 0.02 * uniform(n, 1)
    velocity = draw(n, 2)
    position = torch.zeros(n, 2, device=dev)
    places = []
    for _ in range(SAMPLES // 4):
        jerk = (uniform(n, 1) < jerk_rate) * 2.5 * draw(n, 2)
        velocity = 0.96 * velocity + (0.05 + 0.45 * anxiety) * 0.6 * draw(n, 2) - 0.03 * position + jerk
        position = position + 0.1 * velocity
        places.append(position)
    path = torch.stack(places, 1)
    path = torch.nn.functional.interpolate(path.mT, size=SAMPLES, mode="linear", align_corners=True).mT
    extent = (path.amax(1) - path.amin(1)).amax(1)
    wanted = 4 + uniform(n) * max(span - 5, 0)
    path = path * (wanted / extent.clamp_min(1e-6))[:, None, None]
    return _splat(path, torch.ones_like(path[..., 0]), size)


def mixture(n: int, span: int, generator: torch.Generator, *, size: int | None = None) -> Tensor:
    """What cameras do: half splines, a quarter shake walks, the rest discs, Gaussians and lines.

    Every third kernel is softened by a small Gaussian, as lenses and demosaicing soften.
    """
    size = size or _odd(span)
    dev = generator.device

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator, device=dev)

    reach = (size - 1) / 2
    small = min(3.0, reach)
    candidates = torch.stack(
        (
            spline(n, span, generator, size=size),
            shake(n, span, generator, size=size),
            disc(uniform(0.8, max(0.9, min(reach, 9.0))), size),
            gaussian(uniform(0.5, max(0.6, reach / 3)), size, ratio=uniform(0.4, 1), angle=uniform(0, 180)),
            line(uniform(2, max(2.5, span - 2.0)), uniform(0, 180), size),
        )
    )
    share = torch.tensor([0.5, 0.25, 0.09, 0.08, 0.08], device=dev)
    which = torch.multinomial(share, n, replacement=True, generator=generator)
    kernels = candidates[which, torch.arange(n, device=dev)]
    soft = gaussian(uniform(0.3, min(0.9, small)), 7)
    return torch.where(
        (torch.rand(n, generator=generator, device=dev) < 1 / 3)[:, None, None, None], _soften(kernels, soft), kernels
    )


def _batch(*values: float | Tensor) -> tuple[Tensor, ...]:
    """Numbers and (n,) tensors as float tensors of one length."""
    device = next((v.device for v in values if isinstance(v, Tensor)), torch.device("cpu"))
    tensors = [torch.as_tensor(v, dtype=torch.float32, device=device).reshape(-1) for v in values]
    n = max(t.shape[0] for t in tensors)
    return tuple(t.expand(n) for t in tensors)


def _soften(kernels: Tensor, by: Tensor) -> Tensor:
    n = kernels.shape[0]
    out = torch.nn.functional.conv2d(kernels.transpose(0, 1), by, padding=by.shape[-1] // 2, groups=n)
    return normalised(out.transpose(0, 1))


def _odd(extent: float) -> int:
    return 2 * math.ceil((extent - 1) / 2) + 1


def _catmull_rom(points: Tensor, count: Tensor) -> Tensor:
    """Curves (n, SAMPLES, d) through the first `count` of the points (n, p, d)."""
    n, _, d = points.shape
    u = torch.linspace(0, 1, SAMPLES, device=points.device)[None] * (count - 1)[:, None]
    i = u.floor().clamp(max=(count - 2)[:, None].to(u.dtype))
    t = (u - i)[..., None]
    index = i.long()

    def at(offset: int) -> Tensor:
        j = torch.minimum((index + offset).clamp_min(0), (count - 1)[:, None])
        return points.gather(1, j[..., None].expand(n, SAMPLES, d))

    p0, p1, p2, p3 = at(-1), at(0), at(1), at(2)
    return 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)


def _splat(path: Tensor, weight: Tensor, size: int) -> Tensor:
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
