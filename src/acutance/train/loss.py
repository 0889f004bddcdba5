r"""Recursive supervision: a loss on every step's estimate, not only on the last (Gong et al. 2020).

    loss = sum_t w_t / sum_t w_t * ( m(x_t - x) + gradient * m(grad x_t - grad x) ),       w_t = t^growth

with m the mean square of each image, or its logarithm (as the authors' released code): then a decibel counts the same
on an easy picture as on a hard one; or the mean absolute value. Everything inside the frame of the observed picture.
Where the sharp picture exceeds the range, anything above the range is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from acutance.operators import gradients
from acutance.train.config import LossConfig

FLOOR = 1e-5
"""Mean square below which an image is as good as perfect (50 dB); keeps the logarithm and its gradient in range."""


def recursive(estimates: Sequence[Tensor], sharp: Tensor, config: LossConfig) -> Tensor:
    """The loss of the estimates (each (B, C, H, W)) against `sharp`, a scalar."""
    measure = MEASURES[config.kind]
    total, weights = sharp.new_zeros(()), 0.0
    for t, x in enumerate(estimates, 1):
        d = torch.where(sharp > 1, (x - 1).clamp_max(0), x - sharp)
        term = measure(d)
        if config.gradient:
            rows, cols = gradients(d)
            term = term + config.gradient * 0.5 * (measure(rows) + measure(cols))
        weight = float(t) ** config.growth
        total, weights = total + weight * term.mean(), weights + weight
    return total / weights


def _mean_square(d: Tensor) -> Tensor:
    return d.square().flatten(1).mean(1)


def _mean_absolute(d: Tensor) -> Tensor:
    return d.abs().flatten(1).mean(1)


def _log_mean_square(d: Tensor) -> Tensor:
    return torch.log(_mean_square(d) + FLOOR)


MEASURES: MappingProxyType[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"mse": _mean_square, "log-mse": _log_mean_square, "l1": _mean_absolute}
)
