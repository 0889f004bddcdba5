"""Values of instruments (FITS, NDData) as pixels: a scale that loses nothing, and a noise level from an uncertainty."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acutance.errors import ImageError
from acutance.images.image import StatedNoise

BRIGHT = 0.999
"""The quantile that is the brightness of a picture here."""

Kind = Literal["std", "var", "ivar"]
"""The kind of an uncertainty: a standard deviation, a variance, or the inverse of a variance."""

Doubles = NDArray[np.float64]


def scale_of(values: NDArray[np.floating]) -> float:
    """The power of 2 by which the 99.9 % quantile of the finite values comes to lie above 0.5 and up to 1.

    A power of 2, because dividing by it and multiplying again gives the same values back to the last bit.

    Raises:
        ImageError: no value is finite.
    """
    there = values[np.isfinite(values)]
    if there.size == 0:
        raise ImageError("all of its pixels are missing: NaN, infinite, BLANK or flagged; give a picture with some")
    bright = float(np.quantile(there, BRIGHT))
    bright = bright if 0 < bright < math.inf else float(np.abs(there).max())
    if bright <= 0:
        return 1.0
    part, power = math.frexp(bright)
    return float(2.0 ** max(-1000, power - (part == 0.5)))


def pixels_of(values: NDArray[np.generic], missing: NDArray[np.bool_]) -> tuple[NDArray[np.float32], float]:
    """Values (..., H, W) in any units -> float32 with NaN where a pixel is missing, and the scale they are divided by.

    Args:
        values: real. missing: (H, W), besides those that are NaN or infinite.

    Raises:
        ImageError: no value is left.
    """
    known = np.where(missing, np.nan, values.astype(np.float64))
    known[~np.isfinite(known)] = np.nan
    scale = scale_of(known)
    return (known / scale).astype(np.float32), scale


def deviation(uncertainty: Doubles, kind: Kind) -> Doubles:
    """Standard deviation of each pixel; infinite where the pixel has no weight, NaN or negative counting as none."""
    with np.errstate(all="ignore"):
        match kind:
            case "std":
                found = uncertainty
            case "var":
                found = np.sqrt(uncertainty)
            case "ivar":
                found = 1 / np.sqrt(uncertainty)
        return np.where(found >= 0, found, np.inf)


def stated(sigma: Doubles, missing: NDArray[np.bool_], scale: float, source: str) -> StatedNoise | None:
    """The median of the deviations of the pixels that are there; None where it is 0 or none is finite.

    Args:
        sigma: (H, W), in the units of the file. missing: (H, W). scale: of the pixels. source: what they come from.
    """
    there = sigma[np.isfinite(sigma) & ~missing]
    level = float(np.median(there)) if there.size else 0.0
    return StatedNoise(level / scale, source) if level > 0 else None
