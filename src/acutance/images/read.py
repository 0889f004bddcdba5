"""Reading a picture: the one door, where every failure becomes an `ImageError` with a remedy."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from acutance.errors import AcutanceError, ImageError
from acutance.images.decoded import DEFAULT_MAX_PIXELS, Decoded, file_limit
from acutance.images.exif import orient
from acutance.images.fits_layout import split
from acutance.images.image import Image, ImageInfo
from acutance.images.png import read_png
from acutance.images.read_camera import read_avif, read_heif, read_raw
from acutance.images.read_fits import read_fits
from acutance.images.read_simple import read_bmp, read_gif, read_jpeg, read_webp
from acutance.images.read_tiff import read_tiff
from acutance.images.recognise import HEAD, recognise, suffix_note

_QUANTILE = 0.999
_NO_DATA = 3.4e38  # the end of float32, by which programs mark samples without data


def read_image(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image:
    """Read a PNG, JPEG, WebP, TIFF, BMP or single-frame GIF; with the extras, HEIC, AVIF, camera raw files and FITS.

    The content decides what the file is, not its suffix. The picture comes upright (EXIF orientation applied).
    Integer samples are divided by the largest value of their depth; float samples by max(1, their 99.9 % quantile),
    kept as `info.scale`. Float samples that are infinite or beyond 32-bit float become NaN: they are missing. Palettes,
    CMYK, L*a*b* and YCbCr become RGB, 1 bit becomes 8; `info.notes` says so. FITS: see `acutance.images.read_fits`.

    Args:
        path: the file; of FITS also FILE[EXT], see `acutance.images.fits_layout`.
        max_pixels: refuse a picture of more pixels, before it is decoded. What it may take while being decoded is
            limited along with it, to 12 bytes a permitted pixel.

    Returns:
        The picture, float32 in [0, 1] except for float files, which may go beyond, and be NaN where a sample is
        missing.

    Raises:
        ImageError: no such file, not a picture, a kind that is refused (animated, several pages, more than 4 channels,
            no finite sample) or that needs an extra (HEIC, camera raw, FITS), too large, damaged. The message ends
            with the remedy.
    """
    file = Path(path)
    if max_pixels < 1:
        raise ImageError(f"max_pixels={max_pixels}; give at least 1")
    try:
        with np.errstate(all="ignore"):  # what overflows is counted and refused
            return _to_image(_decode(file, max_pixels))
    except AcutanceError as error:
        raise ImageError(f"cannot read {file}: {error}") from error.__cause__
    except FileNotFoundError as error:
        raise ImageError(f"cannot read {file}: there is no such file; check the path") from error
    except PermissionError as error:
        raise ImageError(f"cannot read {file}: no permission; check who may read it") from error
    except MemoryError as error:
        raise ImageError(f"cannot read {file}: not enough memory; scale it down or cut it first") from error
    except Exception as error:  # decoders raise some twenty kinds on damaged files: SyntaxError, struct.error, ...
        raise ImageError(f"cannot read {file}: damaged or of an unusual kind ({one_line(error)}); {REMEDY}") from error


REMEDY = "get an intact copy, or open it in another program and save it as PNG or TIFF"


def one_line(error: Exception) -> str:
    """A decoder's message, short and without what a hostile file may have put into it."""
    text = "".join(character if character.isprintable() else " " for character in str(error)[:160])
    return " ".join(text.split()) or type(error).__name__


def _decode(name: Path, max_pixels: int) -> Decoded:
    path, where = split(name)
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ImageError("it is a folder; give one picture")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("it is not an ordinary file; save the picture to a file first")
    with path.open("rb") as file:
        kind = recognise(file.read(HEAD), path)
        if status.st_size > file_limit(max_pixels):
            raise ImageError(f"the file has {status.st_size / 1e9:.1f} GB, over the limit; raise max_pixels")
        notes = suffix_note(path, kind)
        if kind == "TIFF":
            decoded = read_tiff(file, path, status.st_size, max_pixels)
        elif kind == "FITS":
            file.seek(0)
            decoded = read_fits(file.read(status.st_size), where, max_pixels)
        else:
            file.seek(0)
            decoded = _READERS[kind](file.read(status.st_size), max_pixels)
    decoded.notes[:0] = notes
    return decoded


_READERS = {
    "PNG": read_png, "JPEG": read_jpeg, "WEBP": read_webp, "GIF": read_gif, "BMP": read_bmp,
    "HEIF": read_heif, "AVIF": read_avif, "RAW": read_raw,
}  # fmt: skip


def _planes(samples: NDArray[np.generic], peak: float, orientation: int) -> NDArray[np.float32]:
    """(H, W, C) as stored to upright (1, C, H, W) divided by `peak`."""
    planes = np.array(orient(samples, orientation).transpose(2, 0, 1)[None], dtype=np.float32, order="C")
    if peak != 1:
        planes /= np.float32(peak)
    return planes


def _to_image(decoded: Decoded) -> Image:
    pixels = _planes(decoded.colour, decoded.peak, decoded.orientation)
    alpha = None
    if decoded.alpha is not None:
        alpha = _planes(decoded.alpha[..., None], decoded.alpha_peak, decoded.orientation)
    scale = 1.0
    if decoded.is_float:
        pixels[~(np.abs(pixels) < _NO_DATA)] = np.nan
        if decoded.scale is None:
            scale = _scale(pixels)
            pixels /= np.float32(scale)
        else:
            scale = decoded.scale
        if alpha is not None:
            np.clip(np.nan_to_num(alpha, copy=False), 0, 1, out=alpha)
    dpi = decoded.dpi[::-1] if decoded.dpi is not None and decoded.orientation >= 5 else decoded.dpi
    carried, left_out = decoded.carried.within_bounds()
    info = ImageInfo(
        format=decoded.format,
        bits=decoded.bits,
        is_float=decoded.is_float,
        scale=scale,
        lossless=decoded.lossless,
        exif=decoded.exif,
        icc=decoded.icc,
        dpi=dpi,
        colour_chunks=decoded.colour_chunks,
        carried=carried,
        fits=decoded.fits,
        noise=decoded.noise,
        orientation=decoded.orientation,
        notes=(*decoded.notes, *left_out),
    )
    return Image(torch.from_numpy(pixels), None if alpha is None else torch.from_numpy(alpha), info)


def _scale(pixels: NDArray[np.float32]) -> float:
    """max(1, 99.9 % quantile of the samples that are there)."""
    there = pixels[np.isfinite(pixels)]
    if there.size == 0:
        raise ImageError("all samples are NaN, infinite or beyond 32-bit float; export the picture again")
    quantile = float(np.quantile(there, _QUANTILE))
    if not math.isfinite(quantile):  # interpolating between values near the end of float32
        quantile = float(there.max())
    return max(1.0, quantile)
