r"""Recursive supervision: a loss on every step's estimate, not only on the last (Gong et al. 2020).

    loss = sum_t w_t / sum_t w_t * ( m(d_t) + gradient * m(grad d_t) + edge * m(L d_t) ),   d_t = x_t - x

and w_t = t^growth. m is the mean square of each image, or its logarithm (as the authors' released code): then a
decibel counts the same on an easy picture as on a hard one; or "ratio", log(1 + r), r the mean square divided by that
of x(0) plus a floor: no progress counts the same on any picture, and one that diverges not much more; or the mean
absolute value, or Charbonnier's smooth form of it, mean sqrt(d^2 + 1e-6). L is the detail that half the resolution does
not hold (Mou et al. 2022 take it from Zamir et al. 2021, and give it 0.05). Everything inside the frame of the observed
picture. Where the sharp picture exceeds the range, anything above the range is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.operators import gradients
from acutance_lab.train.config import LossConfig

SMOOTH = 1e-3
"""Difference below which Charbonnier's form of the absolute value is round."""

TAPS = (0.05, 0.25, 0.4, 0.25, 0.05)


def recursive(estimates: Sequence[Tensor], sharp: Tensor, config: LossConfig, first: Tensor | None = None) -> Tensor:
    """The loss of the estimates (each (B, C, H, W)) against `sharp`, a scalar. first: x(0)."""
    measure = _measure(config, None if first is None else _distance(first, sharp))
    total, weights = sharp.new_zeros(()), 0.0
    for t, x in enumerate(estimates, 1):
        d = _distance(x, sharp)
        term = measure(d)
        if config.gradient:
            rows, cols = gradients(d)
            term = term + config.gradient * 0.5 * (measure(rows) + measure(cols))
        if config.edge:
            term = term + config.edge * measure(laplacian(d))
        weight = float(t) ** config.growth
        total, weights = total + weight * term.mean(), weights + weight
    return total / weights


def _distance(x: Tensor, sharp: Tensor) -> Tensor:
    """x - sharp; where the sharp picture exceeds the range, nothing above the range counts."""
    return torch.where(sharp > 1, (x - 1).clamp_max(0), x - sharp)


def _measure(config: LossConfig, first: Tensor | None) -> Callable[[Tensor], Tensor]:
    """m of the module; first: d of x(0)."""
    if config.kind == "log-mse":
        return partial(_log_mean_square, floor=config.floor)
    if config.kind == "ratio":
        if first is None:
            raise ValueError("the ratio wants x(0)")
        unit = _mean_square(first) + config.floor
        return lambda d: torch.log1p(_mean_square(d) / unit)
    return MEASURES[config.kind]


def laplacian(d: Tensor) -> Tensor:
    """d - 4 G D G d: D keeps every other pixel, of even row and column, and leaves 0 elsewhere; (B, C, H, W) alike.

    G is the binomial blur with the taps .05 .25 .4 .25 .05, borders replicated.
    """
    low = _soften(d)
    kept = torch.zeros_like(low)
    kept[..., ::2, ::2] = 4 * low[..., ::2, ::2]
    return d - _soften(kept)


def _soften(d: Tensor) -> Tensor:
    taps, channels = d.new_tensor(TAPS), d.shape[1]
    d = F.pad(d, (2, 2, 2, 2), mode="replicate")
    d = F.conv2d(d, taps.reshape(1, 1, 5, 1).expand(channels, -1, -1, -1), groups=channels)
    return F.conv2d(d, taps.reshape(1, 1, 1, 5).expand(channels, -1, -1, -1), groups=channels)


def _mean_square(d: Tensor) -> Tensor:
    return d.square().flatten(1).mean(1)


def _mean_absolute(d: Tensor) -> Tensor:
    return d.abs().flatten(1).mean(1)


def _charbonnier(d: Tensor) -> Tensor:
    return (d.square() + SMOOTH**2).sqrt().flatten(1).mean(1)


def _log_mean_square(d: Tensor, floor: float) -> Tensor:
    """floor keeps the logarithm and its gradient in range."""
    return torch.log(_mean_square(d) + floor)


MEASURES: MappingProxyType[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"mse": _mean_square, "l1": _mean_absolute, "charbonnier": _charbonnier}
)
