"""What every decoder hands over: samples as the file has them, and the size checks made before decoding."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from acutance.errors import ImageError
from acutance.images.carried import Carried
from acutance.images.fits_layout import FitsFile
from acutance.images.image import Format, StatedNoise

DEFAULT_MAX_PIXELS = 250_000_000
# Three float32 channels: what a permitted picture may take while it is decoded, for each permitted pixel.
_BYTES_PER_PIXEL = 12


@dataclass
class Decoded:
    """A decoded file, not yet upright.

    Attributes:
        colour: (H, W, 1 or 3), any real dtype; white is `peak`.
        alpha: (H, W), opaque is `alpha_peak`.
        scale: by which float samples have been divided already; None: that is still to be done.
        others: as in `ImageInfo`.
    """

    format: Format
    colour: NDArray[np.generic]
    peak: float
    bits: int
    alpha: NDArray[np.generic] | None = None
    alpha_peak: float = 1.0
    is_float: bool = False
    lossless: bool = True
    orientation: int = 1
    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    colour_chunks: tuple[tuple[bytes, bytes], ...] = ()
    carried: Carried = field(default_factory=Carried)
    scale: float | None = None
    fits: FitsFile | None = None
    noise: StatedNoise | None = None
    notes: list[str] = field(default_factory=list)


def check_size(width: int, height: int, max_pixels: int, bytes_per_pixel: int = 1) -> None:
    """Refuse, before anything is decoded, a picture without pixels or with too many.

    Raises:
        ImageError: no pixels; more than `max_pixels`; or more bytes than `max_pixels` float colour pixels take.
    """
    if width < 1 or height < 1:
        raise ImageError(f"it has no pixels ({width} x {height}); give a picture of at least 1 x 1")
    remedy = "scale it down or cut it first, or raise max_pixels if the memory is there"
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} is {width * height / 1e6:.0f} megapixels, over the limit of "
            f"{max_pixels / 1e6:g}; {remedy}"
        )
    if width * height * bytes_per_pixel > max_pixels * _BYTES_PER_PIXEL:
        raise ImageError(f"{width} x {height} with {bytes_per_pixel} bytes a pixel is over the limit; {remedy}")


def check_content(width: int, height: int, size: int, pixels_per_byte: int) -> None:
    """Refuse a file that claims more pixels than its format can pack into `size` bytes, before they are allocated."""
    if width * height > size * pixels_per_byte:
        raise ImageError(f"it claims {width} x {height} pixels in {size} bytes: damaged; get an intact copy")


def file_limit(max_pixels: int) -> int:
    """Bytes beyond which no picture of `max_pixels` needs its file to be."""
    return max_pixels * _BYTES_PER_PIXEL + 2**26


def sound_dpi(x: object, y: object) -> tuple[float, float] | None:
    """Pixels per inch, or None where the file says something impossible."""
    try:
        dpi = (float(x), float(y))  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return dpi if all(math.isfinite(v) and 0.01 <= v <= 1e6 for v in dpi) else None
