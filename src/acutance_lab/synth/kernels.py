"""Blur kernels drawn on the device, in batches: camera shake, straight motion, defocus, Gaussians, mixtures.

Every function returns (n, 1, size, size): non-negative, sum 1, centroid within half a pixel of the centre. Sizes are
odd. Lengths and radii are in pixels, angles in degrees, counter-clockwise from the horizontal.
"""

from __future__ import annotations

import torch
from torch import Tensor

from acutance.psf.shapes import SAMPLES, disc, draw_path, gaussian, line, normalised, odd_size

__all__ = ["disc", "gaussian", "line", "mixture", "normalised", "shake", "spline"]


def spline(n: int, span: int, generator: torch.Generator, *, size: int | None = None) -> Tensor:
    """Camera shake as random splines (Chakrabarti 2016, as Gong et al. 2020 use them).

    Three to six control points, uniform in a square of `span` pixels; a Catmull-Rom curve through them; the intensity
    along the path is a second random curve, positive.

    Args:
        n: how many. span: side of the square, e.g. 11, 16, 21, 26, 31. size: side of the kernel, default: odd span.
    """
    size = size or odd_size(span)
    dev = generator.device
    count = torch.randint(3, 7, (n,), generator=generator, device=dev)
    points = (torch.rand(n, 6, 2, generator=generator, device=dev) - 0.5) * (span - 1)
    strength = torch.rand(n, 6, 1, generator=generator, device=dev) + 0.1
    path = _catmull_rom(torch.cat((points, strength), -1), count)
    return draw_path(path[..., :2], path[..., 2].clamp_min(0.02), size)


def shake(n: int, span: int, generator: torch.Generator, *, size: int | None = None) -> Tensor:
    """Camera shake as a damped random walk with inertia and jerks (after Boracchi & Foi 2012), sub-pixel accurate.

    The extent is uniform between 4 pixels and `span`.
    """
    size = size or odd_size(span)
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
    return draw_path(path, torch.ones_like(path[..., 0]), size)


def mixture(n: int, span: int, generator: torch.Generator, *, size: int | None = None) -> Tensor:
    """What cameras do: half splines, a quarter shake walks, the rest discs, Gaussians and lines.

    Every third kernel is softened by a small Gaussian, as lenses and demosaicing soften.
    """
    size = size or odd_size(span)
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


def _soften(kernels: Tensor, by: Tensor) -> Tensor:
    n = kernels.shape[0]
    out = torch.nn.functional.conv2d(kernels.transpose(0, 1), by, padding=by.shape[-1] // 2, groups=n)
    return normalised(out.transpose(0, 1))


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
