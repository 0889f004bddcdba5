r"""Sparse priors on filtered pictures: |v|^a with a <= 1, and its proximal map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from acutance.errors import ConfigError

REACH, SPACING = 64.0, 1 / 128
"""Of the table, in units of the scale s: values beyond its end are moved as far as its end is."""

PIECE = 1 << 17
"""Values that are mapped at a time: what comes in between stays in the processor's cache."""


@dataclass(frozen=True, eq=False)
class HyperLaplacian:
    r"""|v|^a, the negative logarithm of how gradients of photographs are spread, up to a factor; a about 2/3.

    Its proximal map has no closed form for most a, and needs none: with s = b^(-1 / (2 - a)),

        argmin_w  |w|^a + b/2 (w - v)^2  =  s u(v / s),      u(v) = argmin_w |w|^a + 1/2 (w - v)^2,

    so one table of u serves all b (Krishnan & Fergus 2009 make one for each). u is zero up to the threshold
    (2 - a) (2 - 2a)^((a - 1) / (2 - a)), where it jumps (Zuo et al. 2013), and is tabulated beyond.

    Args:
        exponent: a, above 0 and up to 1.
        table: v - u(v) at the threshold and every `SPACING` after it; made by `of`.
    """

    exponent: float
    table: Tensor

    @staticmethod
    def of(exponent: float, like: Tensor) -> HyperLaplacian:
        """The prior with its table on the device and in the precision of `like`.

        Raises:
            ConfigError: an exponent that is not above 0 and up to 1.
        """
        if not 0 < exponent <= 1:
            raise ConfigError(f"exponent={exponent}: the prior needs an exponent above 0 and up to 1")
        return HyperLaplacian(exponent, _shifts(exponent).to(like))

    def value(self, v: Tensor) -> Tensor:
        """|v|^a, elementwise."""
        return v.abs() ** self.exponent

    def prox(self, v: Tensor, weight: float) -> Tensor:
        """argmin_w |w|^a + weight / 2 (w - v)^2, elementwise."""
        if v.numel() <= PIECE or (torch.is_grad_enabled() and v.requires_grad):
            return self._prox(v, weight)
        out = torch.empty_like(v, memory_format=torch.contiguous_format)
        values, results = v.reshape(-1), out.view(-1)
        for begin in range(0, len(values), PIECE):
            results[begin : begin + PIECE] = self._prox(values[begin : begin + PIECE], weight)
        return out

    def _prox(self, v: Tensor, weight: float) -> Tensor:
        scale = weight ** (-1 / (2 - self.exponent))
        size = v.abs()
        place = ((size / scale - _threshold(self.exponent)) / SPACING).clamp_(-1.0, len(self.table) - 1.001)
        zero = place < 0
        place = place.nan_to_num_(0.0).clamp_min_(0.0)
        low = place.long()
        part = place - low
        shift = torch.lerp(self.table[low], self.table[low + 1], part)
        return torch.where(zero, 0.0, torch.sign(v) * (size - scale * shift))


@cache
def _shifts(exponent: float) -> Tensor:
    """v - u(v), from the threshold on."""
    if exponent == 1:
        return torch.ones(round(REACH / SPACING), dtype=torch.float64)
    v = _threshold(exponent) + torch.arange(0, REACH, SPACING, dtype=torch.float64)
    u = v.clone()
    for _ in range(60):  # Newton's method falls from v to the solution, which is convex from there on
        slope = exponent * u ** (exponent - 1)
        u = u - (slope + u - v) / (1 + (exponent - 1) * slope / u).clamp_min(0.25)
    return v - u


def _threshold(a: float) -> float:
    if a == 1:
        return 1.0
    u: float = (2 - 2 * a) ** (1 / (2 - a))
    moved: float = a * u ** (a - 1)
    return u + moved
