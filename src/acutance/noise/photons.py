r"""The noise of photons: how fast the variance rises with the light, and from where.

Counts of photons with the noise of reading them out have var(y) = g (y + b): b is light, above what y says, whose noise
the picture has in its darkest places. High-pass differences of neighbouring pixels,

    r = (1, -2, 1)' (1, -2, 1) * y / 6,        m = the mean of the same 3 x 3 pixels,

hold little of a blurred scene. Pixels are ordered by m in bins of equal number; v is the variance of r in a bin without
its largest hundredth. g and b are the line v = g (m + b) by least squares, weighted by 1 / v^2; b is at least 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BINS, FEWEST = 24, 40
"""Bins, and the pixels that each has at least."""

RISE = 1.5
"""Variance of the brightest sixth of the bins, in units of that of the darkest, below which the noise does not follow
the light. It stayed below 1.2 on 12 training photographs behind a blur with white noise of 0.3 to 3 %."""

DARK = 0.35
"""Part of the typical light that the median pixel has at most. Only where most of a scene is dark, as behind stars and
in fluorescence, does a likelihood by b help; on photographs in counts it cost 2 to 4 dB."""

MOST_PIXELS = 2_000_000

_TRIMMED, _KEPT = 0.99, 0.925  # quantile of r^2 that is kept, and the part of a Gaussian's variance below it
_FLOOR = 0.01  # of the mean variance; no bin counts for more than it would at this


@dataclass(frozen=True)
class PhotonNoise:
    """var(y) = gain (y + background), in the units of y. Args: dark: most of the scene is dark, see `DARK`."""

    gain: float
    background: float
    dark: bool = True


def photon_noise(y: Tensor, weight: Tensor | None = None) -> PhotonNoise | None:
    """Estimate the noise of photons; None where the noise does not follow the light.

    Args:
        y: (C, H, W) or (C, D, H, W), in any unit. weight: of the same shape or for all C, 1 where pixels count, else 0.
    """
    planes = y.flatten(0, -3)[:, None].double()
    if min(planes.shape[-2:]) < 3:
        return None
    line = planes.new_tensor([1.0, -2, 1])
    box = planes.new_full((1, 1, 3, 3), 1 / 9)
    r, m = F.conv2d(planes, (line[:, None] * line / 6)[None, None]).flatten(), F.conv2d(planes, box).flatten()
    if weight is not None:
        whole = F.conv2d(weight.expand_as(y).flatten(0, -3)[:, None].double(), box).flatten() > 0.999
        r, m = r[whole], m[whole]
    step = -(-r.numel() // MOST_PIXELS)
    r, m = (r, m) if step < 2 else (r[::step], m[::step])
    size = r.numel() // BINS
    if size < FEWEST:
        return None
    order = m.argsort()[: size * BINS]
    light, square = m[order].reshape(BINS, size).mean(1), r[order].reshape(BINS, size).square()
    most = square.kthvalue(max(int(_TRIMMED * size), 1), 1, keepdim=True).values
    v = torch.where(square <= most, square, 0).mean(1) / _KEPT
    few = BINS // 6
    bright = float(v[-few:].mean())
    if bright <= 0 or bright < RISE * float(v[:few].mean()):
        return None
    return _line(light, v, dark=float(light[BINS // 2]) <= DARK * typical_light(m))


def of_the_light(y: Tensor, noise: PhotonNoise) -> float:
    """The noise level at the typical light of a scene, in the units of y, NaN where nothing is known."""
    return math.sqrt(noise.gain * (typical_light(y) + noise.background))


def typical_light(y: Tensor) -> float:
    """Sum y^2 / sum y over what is above 0."""
    above = y.double().nan_to_num(0).clamp_min(0)
    return float(above.square().sum() / above.sum().clamp_min(1e-300))


def _line(light: Tensor, v: Tensor, *, dark: bool) -> PhotonNoise | None:
    """The line through the bins; None where it falls."""
    w = 1 / (v + _FLOOR * v.mean()).square()
    along, across = (w * light).sum() / w.sum(), (w * v).sum() / w.sum()
    gain = float((w * (light - along) * (v - across)).sum() / (w * (light - along).square()).sum())
    return PhotonNoise(gain, max(float(across) / gain - float(along), 0.0), dark) if gain > 0 else None
