"""Decoders for what phones and cameras write: HEIC, AVIF and raw files. They come with extras, and load on first use.

Extra `phone`: pillow-heif. Extra `raw`: rawpy (LibRaw). AVIF is read by Pillow itself where it was built with it.
"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np
from PIL import features

from acutance.errors import ImageError
from acutance.images import convert, exif
from acutance.images.decoded import Decoded, check_size
from acutance.images.image import Format
from acutance.images.read_simple import add_metadata

_SRGB_CURVE = (2.4, 12.92)
"""Exponent and slope near black."""


def read_heif(data: bytes, max_pixels: int) -> Decoded:
    """Decode the main picture of a HEIC or HEIF file, 8 bits. How it is turned says the file, not its EXIF data."""
    import pillow_heif

    return _pillow("HEIF", pillow_heif.HeifImageFile, data, max_pixels)


def read_avif(data: bytes, max_pixels: int) -> Decoded:
    """Decode an AVIF of one frame, 8 bits."""
    if not features.check("avif"):
        import pillow_heif

        return _pillow("AVIF", pillow_heif.HeifImageFile, data, max_pixels)
    from PIL.AvifImagePlugin import AvifImageFile

    return _pillow("AVIF", AvifImageFile, data, max_pixels)


def _pillow(kind: Format, reader: Any, data: bytes, max_pixels: int) -> Decoded:
    """Decode by a reader of Pillow's interface."""
    with exif.quiet():
        source = reader(BytesIO(data))
    width, height = source.size
    check_size(width, height, max_pixels, 4)
    if kind == "AVIF" and getattr(source, "n_frames", 1) > 1:
        raise ImageError("it is animated; take one frame out first, e.g. ffmpeg -i in.avif -frames:v 1 frame.png")
    source.load()
    if source.mode not in ("L", "LA", "RGB", "RGBA"):
        raise ImageError(f"its colours are of kind {source.mode}; save it as RGB first")
    pixels = np.asarray(source)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    decoded = Decoded(kind, pixels, 255.0, 8, alpha_peak=255.0, lossless=False)
    if pixels.shape[2] in (2, 4):
        decoded.colour, decoded.alpha = pixels[..., :-1], pixels[..., -1]
    add_metadata(source, decoded)
    if kind == "HEIF" and getattr(source, "n_frames", 1) > 1:
        decoded.notes.append("only the main picture of the file was read")
    return decoded


def read_raw(data: bytes, max_pixels: int) -> Decoded:
    """Develop a camera's raw file: its own white balance, sRGB, 16 bits, upright, no brightening."""
    import rawpy

    try:
        with rawpy.imread(BytesIO(data)) as raw:
            check_size(raw.sizes.width, raw.sizes.height, max_pixels, 6)
            developed = raw.postprocess(
                use_camera_wb=True, no_auto_bright=True, output_bps=16, gamma=_SRGB_CURVE,
                output_color=rawpy.ColorSpace.sRGB,
            )  # fmt: skip
    except rawpy.LibRawError as error:
        raise ImageError(f"the raw file cannot be developed ({error}); develop it to a 16-bit TIFF first") from error
    decoded = Decoded("RAW", developed, 65535.0, 16, icc=convert.srgb_profile())
    decoded.notes.append("developed from the raw file: sRGB, white balance of the camera")
    with suppress(Exception):  # of damaged tags, or no TIFF at all: the picture is intact
        decoded.exif = exif.from_tiff(BytesIO(data))
    return decoded
