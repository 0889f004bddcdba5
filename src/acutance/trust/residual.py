r"""The residual of a result: is it as large as the noise, and is it white?

    r = A x - y,        rho(d) = sum_p r(p) r(p + d) / sum_p r(p)^2        of the part that changes from pixel to pixel

If x is right, r is the noise: rms(r) = sigma and rho(d) = 0 at every lag d but 0. Structure in r is what the kernel or
the method did not explain.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

REACH = 10
"""Lags up to this many pixels in each direction."""

NEAR = 5
"""Lags up to so many pixels count for `Whiteness.largest`."""


@dataclass(frozen=True, eq=False)
class Whiteness:
    """The autocorrelation of a residual.

    Args:
        lags: rho, (2 REACH + 1, 2 REACH + 1), 1 in the middle. largest: of |rho| at lags of 1 to `NEAR` pixels.
        chance: what |rho| of white noise stays below at 99 of 100 lags.
    """

    lags: Tensor
    largest: float
    chance: float


def whiteness(residual: Tensor, reach: int = REACH) -> Whiteness | None:
    """The autocorrelation of a residual (1, C, H, W), mean over the channels; None of one that is 0 or too small.

    Pixels where it is 0 in all channels, such as missing ones, take no part in the sums but as zeros.
    """
    r = residual.double().cpu()
    h, w = r.shape[-2:]
    if min(h, w) < 4 * reach:
        return None
    used = (r != 0).any(1, keepdim=True)
    count = int(used.sum())
    if count < (4 * reach) ** 2:
        return None
    r = torch.where(used, r - (r.sum((-2, -1), keepdim=True) / count), 0.0)
    energy = float(r.square().sum())
    if energy <= 0:
        return None
    size = (h + 2 * reach, w + 2 * reach)
    spectrum = torch.fft.rfft2(r, s=size)
    rho = torch.fft.irfft2(spectrum.abs().square().sum((0, 1)), s=size) / energy
    lags = torch.roll(rho, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1].float()
    near = lags[reach - NEAR : reach + NEAR + 1, reach - NEAR : reach + NEAR + 1].clone()
    near[NEAR, NEAR] = 0
    return Whiteness(lags, float(near.abs().max()), 2.58 / count**0.5)
