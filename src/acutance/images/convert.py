"""Other colour spaces into encoded sRGB, and alpha out of colours that were multiplied by it. Plain arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acutance.images import lazy_codecs

Floats = NDArray[np.float32]

# XYZ under D50 to linear sRGB, adapted to D65 after Bradford.
_XYZ_TO_LINEAR = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)


def srgb_profile() -> bytes:
    """An ICC profile that says sRGB."""
    return bytes(lazy_codecs.cms_profile("srgb"))


def profile_space(profile: bytes) -> str:
    """Colour space that an ICC profile describes: "RGB", "GRAY", "CMYK", "Lab", ..., "" where that is unreadable."""
    return profile[16:20].decode("ascii", "replace").strip() if profile[36:40] == b"acsp" else ""


def cmyk_to_srgb(ink: NDArray[np.generic], profile: bytes | None) -> tuple[Floats, str]:
    """Inks to colour: by the profile where there is a usable one, else (1 - ink)(1 - black).

    Args:
        ink: (H, W, 4) uint8 or uint16, 0 no ink.
        profile: ICC profile of the inks.

    Returns:
        (H, W, 3) in [0, 1], and how it was done.
    """
    peak = 255.0 if ink.dtype == np.uint8 else 65535.0
    if profile is not None and profile_space(profile) == "CMYK":
        try:
            rgb = lazy_codecs.cms_transform(
                np.ascontiguousarray(ink), profile, srgb_profile(), colorspace="cmyk", outcolorspace="rgb"
            )
            return np.asarray(rgb, dtype=np.float32) / np.float32(peak), "CMYK converted to sRGB by its own profile"
        except (RuntimeError, ValueError):  # imagecodecs.CmsError is a RuntimeError; a damaged profile is no reason
            pass  # to refuse the picture
    light = 1 - ink.astype(np.float32) / np.float32(peak)
    return light[..., :3] * light[..., 3:], "CMYK converted to RGB without a profile, colours are approximate"


def lab_to_srgb(lightness: Floats, a: Floats, b: Floats) -> Floats:
    """CIE L*a*b* under D50 to encoded sRGB, clipped.

    Args:
        lightness: (H, W) in [0, 100].
        a: (H, W), green to red, about -128..127.
        b: (H, W), blue to yellow, about -128..127.

    Returns:
        (H, W, 3) in [0, 1].
    """
    fy = (lightness + 16) / 116
    f = np.stack([fy + a / 500, fy, fy - b / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * np.array([0.9642, 1.0, 0.8249])
    linear = np.clip(xyz @ _XYZ_TO_LINEAR.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(encoded, dtype=np.float32)


def ycbcr_to_rgb(ycbcr: Floats) -> Floats:
    """Full-range YCbCr of ITU-R BT.601 to RGB, clipped: (H, W, 3) in [0, 1], chroma centred on 128/255."""
    y, cb, cr = ycbcr[..., 0], ycbcr[..., 1] - 128 / 255, ycbcr[..., 2] - 128 / 255
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.asarray(np.clip(rgb, 0, 1), dtype=np.float32)


def unmultiply(colour: Floats, alpha: Floats) -> Floats:
    """Divide alpha out of (H, W, C) colours that were multiplied by (H, W); 0 stays 0."""
    return np.divide(colour, alpha[..., None], out=np.zeros_like(colour), where=alpha[..., None] > 0)
