r"""Non-local means (Buades 2005): every pixel becomes a mean of the pixels around it whose patches look like its own.

y = x + n,      x(p) = sum_q w(p, q) y(q) / sum_q w(p, q),      q - p in a square of 2 radius + 1,

    d(p, q) = mean over the channels and the patch P of (y(p + i) - y(q + i))^2,      i in P,
    w(p, q) = exp(-max(d(p, q) - 2 sigma^2, 0) / (h sigma)^2).

Two equal patches with white noise differ by 2 sigma^2, which therefore counts as nothing. All channels share their
weights. Beyond the frame the picture is reflected.

The fast form (Darbon 2008, Froment 2014) goes through the shifts s = q - p, not through the pixels: d is then a box
filter of (y(p) - y(p + s))^2, and w(p, p + s) serves the shift -s as well. The time grows with the square of the
radius and hardly with the patch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods.spec import MethodSpec, Needs, configure
from acutance.noise.level import level_of
from acutance.problem import Observer, Problem, Result, direct_result

STRIP = 1 << 16
"""Pixels filtered in one go: what a processor's cache holds."""


@dataclass(frozen=True)
class NonLocalMeans:
    """The denoiser as a method; direct, no iterations.

    Args:
        h: how unlike a patch may be to count, in units of sigma; more is smoother.
        patch: side of a patch, odd, pixels.
        radius: how far from a pixel others are looked for, pixels; the time grows with its square.
        strength: from 0, the picture as it is, to 1, what the denoiser makes of it; linear.

    Raises:
        ConfigError: a setting outside what it can be.
    """

    h: float = 0.8
    patch: int = 5
    radius: int = 8
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.h <= 0:
            raise ConfigError(f"h={self.h} must be positive; 0.8 is usual")
        if self.patch < 1 or self.patch % 2 == 0:
            raise ConfigError(f"patch={self.patch}: give an odd side, 3 to 7 are usual")
        if self.radius < 1:
            raise ConfigError(f"radius={self.radius} finds nothing; choose 1 or more, 8 is usual")
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength={self.strength}: from 0 (nothing) to 1 (all)")

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`. An unknown sigma is estimated.

        Raises:
            ConfigError: the problem has a blur.
        """
        if problem.operator is not None:
            raise ConfigError("nlm removes noise; leave the kernel out, or use pnp to deblur with it")
        y = problem.observed
        sigma = level_of(problem)
        return direct_result(problem, torch.lerp(y, denoise(y, sigma, self), self.strength))


@torch.no_grad()
def denoise(y: Tensor, sigma: Tensor, settings: NonLocalMeans | None = None) -> Tensor:
    """Non-local means of pictures; for the formula see the module.

    Args:
        y: (B, C, H, W), any size and scale. A picture that is not finite comes back as it is.
        sigma: standard deviation of the noise in the units of y, (B,) or a scalar; 0 changes nothing.
        settings: the usual ones if not given; `strength` is not looked at.

    Returns:
        Of the shape and type of y.

    Reference: buades2005nonlocal, darbon2008fast, froment2014parameter.

    >>> noise = 0.1 * torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> bool(denoise(0.5 + noise, torch.tensor(0.1)).std() < 0.2 * noise.std())
    True
    """
    settings = NonLocalMeans() if settings is None else settings
    levels = sigma.detach().reshape(-1).expand(len(y)).tolist()
    work = y.to(torch.promote_types(y.dtype, torch.float32))
    return torch.stack([_picture(p, s, settings) for p, s in zip(work, levels, strict=True)]).to(y.dtype)


def _picture(y: Tensor, sigma: float, settings: NonLocalMeans) -> Tensor:
    """One picture (C, H, W), strip by strip."""
    if not sigma > 0 or not bool(torch.isfinite(y).all()):
        return y.clone()
    height, width = y.shape[-2:]
    mean = y.mean((-2, -1), keepdim=True)
    margin = settings.radius + settings.patch // 2
    z = _reflected((y - mean) / sigma, margin)
    rows = max(2 * settings.radius, STRIP // (width + 2 * margin))
    strips = [_strip(z[:, top : top + rows + 2 * margin], settings) for top in range(0, height, rows)]
    return torch.cat(strips, 1) * sigma + mean


def _strip(z: Tensor, settings: NonLocalMeans) -> Tensor:
    """The mean of a strip with sigma 1 and a margin of `radius` + `patch` // 2: (C, h + 2 m, w + 2 m) to (C, h, w)."""
    half, reach = settings.patch // 2, settings.radius
    margin = half + reach
    height, width = (n - 2 * margin for n in z.shape[-2:])
    total = z[:, margin:-margin, margin:-margin].clone()
    weight = torch.ones_like(total[0])

    def window(x: Tensor, top: int, left: int, h: int, w: int) -> Tensor:
        """Rows and columns of x counted from the first pixel inside the margin."""
        return x[..., margin + top : margin + top + h, margin + left : margin + left + w]

    for dy, dx in half_of_the_shifts(reach):
        # w(p, p + s) for all p of the strip and of the strip less s.
        left, h, w = -max(dx, 0), height + dy, width + abs(dx)
        here = window(z, -dy - half, left - half, h + 2 * half, w + 2 * half)
        there = window(z, -half, left + dx - half, h + 2 * half, w + 2 * half)
        distance = _box((here - there).square_().mean(0), settings.patch)
        likeness = distance.sub_(2).clamp_min_(0).mul_(-1 / settings.h**2).exp_()
        ahead = likeness[dy:, -left : -left + width]
        behind = likeness[:height, -left - dx : -left - dx + width]
        total.addcmul_(ahead, window(z, dy, dx, height, width))
        total.addcmul_(behind, window(z, -dy, -dx, height, width))
        weight.add_(ahead).add_(behind)
    return total.div_(weight)


def half_of_the_shifts(radius: int) -> Iterator[tuple[int, int]]:
    """Of s and -s one each, without 0.

    >>> list(half_of_the_shifts(1))
    [(0, 1), (1, -1), (1, 0), (1, 1)]
    """
    return ((dy, dx) for dy in range(radius + 1) for dx in range(-radius, radius + 1) if (dy, dx) > (0, 0))


def _box(x: Tensor, side: int) -> Tensor:
    """Means of all squares of that side: (H, W) to (H - side + 1, W - side + 1)."""
    for dim in (-2, -1):
        n = x.shape[dim] - side + 1
        if side > 1:
            total = x.narrow(dim, 0, n) + x.narrow(dim, 1, n)
            for i in range(2, side):
                total += x.narrow(dim, i, n)
            x = total
    return x.mul_(1 / side**2)


def _reflected(x: Tensor, margin: int) -> Tensor:
    """(C, H, W) continued by reflection about its outer pixels, as often as it takes."""
    for dim in (-2, -1):
        n = x.shape[dim]
        there = torch.arange(-margin, n + margin, device=x.device) % max(1, 2 * n - 2)
        x = x.index_select(dim, torch.minimum(there, 2 * n - 2 - there).clamp_min(0))
    return x


def build(**settings: Any) -> NonLocalMeans:
    """Non-local means; its settings are `h`, `patch`, `radius` and `strength`."""
    return configure(NonLocalMeans, "nlm", settings)


SPEC = MethodSpec(
    name="nlm",
    summary="removes noise by means of pixels with similar surroundings, no blur; wants the noise level",
    reference="buades2005nonlocal",
    build=build,
    needs=Needs(task="denoise", kernel=False, sigma=True),
)
