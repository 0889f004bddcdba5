"""A picture in memory: its pixels, its alpha, and what is needed to write the same kind of file back."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image as PillowImage
from torch import Tensor

from acutance.errors import ImageError
from acutance.images.carried import Carried
from acutance.images.fits_layout import FitsFile

SHOWN = 1024
"""Largest side that a notebook is shown, pixels."""

Format = Literal["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF", "RAW", "FITS"]

SUFFIXES: dict[Format, tuple[str, ...]] = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "FITS": (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz", ".fits.fz"),
}


def suffix_of(path: PurePath) -> str:
    """The suffix of a file name as it is written, `.fits.gz` being one.

    >>> suffix_of(PurePath("m31.v2.FITS.gz")), suffix_of(PurePath("a.tar.gz"))
    ('.FITS.gz', '.gz')
    """
    two = "".join(path.suffixes[-2:])
    return two if two.lower() in SUFFIXES["FITS"] else path.suffix


def stem_of(path: PurePath) -> str:
    """The name of a file without its suffix, see `suffix_of`."""
    return path.name.removesuffix(suffix_of(path))


@dataclass(frozen=True)
class StatedNoise:
    """A noise level that comes with a picture.

    Args:
        level: in the units of its pixels. source: for people. linear: the level of its linear light; None: there is
            none, and `level` holds.
    """

    level: float
    source: str
    linear: float | None = None


@dataclass(frozen=True)
class ImageInfo:
    """What a picture's file said besides its pixels. The default is that of a plain 8-bit PNG.

    Attributes:
        format: kind of file: "PNG", "JPEG", "WEBP", "TIFF", "BMP", "FITS"; only read: "GIF", "HEIF", "AVIF", "RAW".
        bits: bits of one channel as written back: 8, 16, or 32 (always float).
        is_float: the file holds float samples, which are never clipped.
        scale: a float file's samples are `pixels * scale`; 1 for every other file.
        lossless: False where the file itself was a lossy WebP, HEIF or AVIF; a WebP is written lossy again.
        exif: EXIF block, starting with its TIFF header (no "Exif" prefix); its orientation tag is 1, because the
            pixels are already upright, and its thumbnail, which would show the old picture, is unlinked.
        icc: colour profile of the pixels.
        dpi: pixels per inch, horizontal and vertical, of the upright picture.
        colour_chunks: a PNG's own colour declarations (gAMA, cHRM, sRGB, cICP), written back to PNG only.
        carried: XMP, IPTC, comment and texts.
        fits: the FITS file that it comes from, whose other HDUs and cards are written again.
        noise: the noise level that the file tells.
        orientation: of EXIF, 1 to 8, by which the stored pixels were turned to be upright.
        history: what was done to the pixels, for the HISTORY of a FITS file.
        notes: one sentence for each thing that was converted, assumed or left behind on reading.
    """

    format: Format = "PNG"
    bits: int = 8
    is_float: bool = False
    scale: float = 1.0
    lossless: bool = True
    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    colour_chunks: tuple[tuple[bytes, bytes], ...] = ()
    carried: Carried = field(default_factory=Carried)
    fits: FitsFile | None = None
    noise: StatedNoise | None = None
    orientation: int = 1
    history: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """Suffix for a file of the same kind, ".png" where that kind is only read."""
        return ".png" if self.format == "GIF" or self.format not in SUFFIXES else SUFFIXES[self.format][0]


@dataclass(frozen=True, eq=False)
class Image:
    """A picture in memory.

    Replace the pixels with `dataclasses.replace(image, pixels=restored)` and everything else is written back.

    Args:
        pixels: (1, C, H, W) floating point, C 1 (grey) or 3 (red, green, blue); float32 from `read_image`.
            Integer files are divided by 255 or 65535, float files and FITS by `info.scale`. Encoded values, not linear
            light. NaN where a sample is missing; whoever restores fills it.
        alpha: (1, 1, H, W) floating point in [0, 1], or None. Colours are not multiplied by it.
        info: what to write back besides the pixels.

    Raises:
        ImageError: `pixels` or `alpha` of another shape or dtype.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    info: ImageInfo = field(default_factory=ImageInfo)

    def __post_init__(self) -> None:
        shape = tuple(self.pixels.shape)
        if len(shape) != 4 or shape[0] != 1 or shape[1] not in (1, 3) or 0 in shape:
            raise ImageError(f"pixels of shape {shape}; give one picture as (1, 1, H, W) or (1, 3, H, W)")
        if not self.pixels.is_floating_point():
            raise ImageError(f"pixels of {self.pixels.dtype}; give floating point values, 1 being white")
        if self.alpha is not None:
            if tuple(self.alpha.shape) != (1, 1, *shape[2:]):
                raise ImageError(f"alpha of shape {tuple(self.alpha.shape)} for pixels of {shape}; give (1, 1, H, W)")
            if not self.alpha.is_floating_point():
                raise ImageError(f"alpha of {self.alpha.dtype}; give floating point values in [0, 1]")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[2], self.pixels.shape[3]

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.pixels.shape[1]

    def __repr__(self) -> str:
        kind = "grey" if self.channels == 1 else "colour"
        alpha = "" if self.alpha is None else " with alpha"
        number = "-bit float" if self.info.is_float else "-bit"
        return f"Image({self.size[1]}x{self.size[0]} {kind}{alpha}, {self.info.format}, {self.info.bits}{number})"

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The pixels without alpha, (H, W) or (H, W, 3): `np.asarray(image)`."""
        pixels = self.pixels[0, 0] if self.channels == 1 else self.pixels[0].permute(1, 2, 0)
        array = np.asarray(pixels.detach().cpu().numpy(), dtype)
        return array.copy() if copy else array

    def _repr_png_(self) -> bytes:
        """What a notebook shows: 8 bits, at most `SHOWN` pixels wide and high; float files by their largest value."""
        array = np.nan_to_num(np.asarray(self, np.float32))
        largest = float(array.max())
        array = array / largest if self.info.is_float and largest > 1 else array
        shown = PillowImage.fromarray((array.clip(0, 1) * 255).round().astype(np.uint8))
        if self.alpha is not None:
            opacity = (self.alpha[0, 0].detach().cpu().clamp(0, 1) * 255).round().byte().numpy()
            shown.putalpha(PillowImage.fromarray(opacity))
        shown.thumbnail((SHOWN, SHOWN))
        file = BytesIO()
        shown.save(file, "PNG")
        return file.getvalue()
