"""Pictures in and out: files to tensors and back, with depth, alpha, colour profile, EXIF and resolution kept."""

from acutance.images.atomic import write_atomically
from acutance.images.colour import linear_to_srgb, srgb_to_linear
from acutance.images.decoded import DEFAULT_MAX_PIXELS
from acutance.images.image import Image, ImageInfo
from acutance.images.read import read_image
from acutance.images.write import write_image

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "Image",
    "ImageInfo",
    "linear_to_srgb",
    "read_image",
    "srgb_to_linear",
    "write_atomically",
    "write_image",
]
