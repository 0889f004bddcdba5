r"""The latent picture with few gradients and few values, minima or maxima that are not at the end of the range.

    min_x || k * x - y ||^2 + l || grad x ||_0 + m sum_c || C_c x ||_0

    C x = x                   the values             `values`     (Pan et al. 2014)
    C x = D(x)                the dark channel       `Dark`       (Pan et al. 2016): the least value in a window
    C x = D(1 - x)            1 - bright channel     `Bright`     (Yan et al. 2017)

A blur mixes a minimum with its neighbours and so lifts it from zero: what wants it there sides with the sharp picture.
By half-quadratic splitting, a growing by `GROWTH` from `first` m to `LAST`:

    v_c = argmin_v || v - C_c x ||^2 + m/a || v ||_0 = C_c x where its square is at least m / a, else 0,
    x  <- argmin_x || k * x - y ||^2 + a sum_c || x - P_c v_c ||^2 + l || grad x ||_0     (`acutance.blind.latent`)

D is linear once it is known which pixel is the least of each window. P_c puts v_c back to these pixels and leaves the
others as they are. So does the authors' program, and with it the solve stays diagonal in the Fourier domain; other than
there all windows at once instead of one after the other, and for windows that are cut off at the border too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.latent import Closed
from acutance.errors import ConfigError

FIRST, GROWTH, LAST = 5.0, 4.0, 8.0
"""Of a: where it starts, times m, that is x^2 = 0.2, about where Otsu's threshold of a photograph is, with which the
authors start; factor from one round to the next; where it ends."""

STEEPER = 4.0
"""Factor of b: over all rounds of a there are so many that each may go further than in `few_gradients`."""

PATCH = 35
"""Side of the window, pixels, at every scale (Pan et al. 2016)."""

Thresholded = Callable[[Tensor, float], Tensor]
"""P v of a picture and of m / a."""


def few_extremes(
    y: Tensor, kernel: Tensor, gradients: float, extremes: float, terms: Sequence[Thresholded], first: float = FIRST
) -> Tensor:
    """x for a picture (1, 1, H, W) in [0, 1] and a kernel (1, 1, s, s), of the size of y.

    Args:
        gradients, extremes: l and m. terms: one for each C. first: a at first, times m.
    """
    closed = Closed.of(y, kernel)
    x, a = closed.picture, first * extremes
    while a < LAST:
        pulled = a * torch.stack([term(x, extremes / a) for term in terms]).sum(0)
        x = closed.rounds(x, closed.data + torch.fft.rfft2(pulled), closed.power + a * len(terms), gradients, STEEPER)
        a *= GROWTH
    return x[..., : y.shape[-2], : y.shape[-1]]


def values(x: Tensor, threshold: float) -> Tensor:
    """argmin_v || v - x ||^2 + threshold || v ||_0."""
    return torch.where(x.square() < threshold, 0.0, x)


@dataclass(frozen=True)
class Dark:
    """The dark channel with windows of patch x patch pixels, patch odd."""

    patch: int = PATCH

    def __post_init__(self) -> None:
        if self.patch < 3 or self.patch % 2 == 0:
            raise ConfigError(f"patch {self.patch}: give an odd number of pixels from 3 on")

    def channel(self, x: Tensor) -> Tensor:
        """D(x): the least value in the window around each pixel, cut off at the border."""
        return slid(x, self.patch, torch.minimum, torch.inf)

    def least(self, x: Tensor) -> Tensor:
        """Which pixels are the least of some window: those at which the largest least value around them is theirs."""
        return slid(self.channel(x), self.patch, torch.maximum, -torch.inf) == x

    def __call__(self, x: Tensor, threshold: float) -> Tensor:
        """P v: where a window's least value is small, it is zero."""
        return torch.where(self.least(x), values(x, threshold), x)


@dataclass(frozen=True)
class Bright(Dark):
    """The bright channel, seen from 1: D(1 - x)."""

    def __call__(self, x: Tensor, threshold: float) -> Tensor:
        """1 - P v: where a window's largest value is nearly 1, it is 1."""
        return 1 - super().__call__(1 - x, threshold)


def slid(x: Tensor, patch: int, extreme: Callable[[Tensor, Tensor], Tensor], beyond: float) -> Tensor:
    """The minimum or maximum in the window around each pixel: (1, 1, H, W) -> the same size.

    Windows are doubled until they are large enough, which takes some ten comparisons for any size.

    Args:
        patch: side of the window, odd. extreme: of two pictures. beyond: what counts as value outside of x.
    """
    x = F.pad(x, (patch // 2,) * 4, value=beyond)
    for dim in (-2, -1):
        span = 1
        while span < patch:
            step = min(span, patch - span)
            left = x.shape[dim] - step
            x = extreme(x.narrow(dim, 0, left), x.narrow(dim, step, left))
            span += step
    return x
