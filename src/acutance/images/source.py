"""Where a picture comes from: a lossy file, a camera."""

from __future__ import annotations

from acutance.images.exif import names_a_camera
from acutance.images.image import Image


def is_lossy(image: Image) -> bool:
    """Whether the picture comes from a lossy file."""
    return image.info.format == "JPEG" or not image.info.lossless


def is_measured(image: Image) -> bool:
    """Tell whether the values are those of an instrument in its own units: FITS, or NDData of astropy."""
    return image.info.format == "FITS"


def is_photograph(image: Image) -> bool:
    """Whether a picture comes from a camera, so that it was blurred as light and its values went through a tone curve.

    It has 8 bits, and its file is lossy or names a camera in its EXIF data. Lossless files that do not may have been
    blurred in a computer, in the values that they hold; what wrote or describes them says nothing about that.
    """
    return is_eight_bits(image) and (is_lossy(image) or names_a_camera(image.info.exif))


def is_eight_bits(image: Image) -> bool:
    """Whether the values of a picture are multiples of 1 / 255."""
    return image.info.bits == 8 and not image.info.is_float
