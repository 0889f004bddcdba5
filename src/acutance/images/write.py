"""Writing a picture: same kind of file as it came from, unless told otherwise."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import AcutanceError, ImageError, OutputError
from acutance.images import encode
from acutance.images.atomic import check_target, write_atomically
from acutance.images.convert import profile_space
from acutance.images.image import SUFFIXES, Format, Image, ImageInfo, suffix_of
from acutance.images.mark import Mark, with_mark
from acutance.images.write_fits import encode_fits


def write_image(
    path: str | os.PathLike[str],
    image: Image | Tensor,
    *,
    bits: int | None = None,
    overwrite: bool = False,
    mark: Mark | None = None,
) -> tuple[str, ...]:
    """Write a picture with its alpha, EXIF, colour profile and resolution.

    The suffix decides the format, no suffix leaves that of `image.info`; the depth is that of `image.info` where the
    format has it. JPEG is written at quality 95 with chroma at full resolution (4:4:4), WebP lossless unless the
    picture came from a lossy one (then quality 95), TIFF with Deflate. Integer files are clipped and rounded; float
    TIFFs are multiplied by `info.scale` and never clipped. FITS: see `acutance.images.write_fits`. The file is there
    whole or not at all.

    Args:
        path: .png, .jpg, .webp, .tif, .bmp or .fits; .fits.gz is packed.
        image: the picture; or only its pixels, (1, C, H, W) with C 1 or 3, for an 8-bit file without metadata.
        bits: 8, 16, or 32 (float, TIFF and FITS only), instead of the depth of `image.info`.
        overwrite: replace a file that exists.
        mark: what the file is to say of its origin, see `acutance.images.mark`.

    Returns:
        Notes: one sentence for each thing the file could not hold (alpha in JPEG, 16 bits in an 8-bit format, ...).

    Raises:
        ImageError: pixels of a wrong shape, or NaN or infinite.
        OutputError: the file exists; an unknown suffix; a depth the format has not; the disk or encoder failed.
    """
    picture = image if isinstance(image, Image) else Image(image)
    kind = format_of(Path(path), picture.info.format)
    check_depth(path, kind, bits)
    depth, notes = _depth(kind, picture.info, bits)
    check_target(path, overwrite=overwrite)
    try:
        if kind == "FITS":
            packed = suffix_of(Path(path)).lower().endswith(".gz")
            written = encode_fits(picture, bits, depth, mark, packed=packed)
            data, notes = written.data, [*notes, *written.notes]
        else:
            _check_finite(picture)
            data = _encoded(kind, picture, depth, notes)
            data = data if mark is None else with_mark(data, mark)
    except AcutanceError as error:
        raise type(error)(f"cannot write {path}: {error}") from None
    except Exception as error:  # encoders raise many kinds, mostly for pictures larger than their format allows
        raise OutputError(f"cannot write {path}: {kind} encoder failed ({error}); write a .png or .tif") from error
    write_atomically(path, data, overwrite=overwrite)
    return tuple(notes)


def _encoded(kind: Format, picture: Image, depth: int, notes: list[str]) -> bytes:
    """A file of any kind but FITS, without a mark."""
    if picture.info.format == "FITS":
        notes.append(f"the FITS header and other HDUs are left out: {kind} has no place for them")
        if depth < 32:
            notes.append(f"black is 0, white is {picture.info.scale:g} of the file's units")
    samples = encode.Samples(
        colour=_samples(picture.pixels, depth, picture.info.scale),
        alpha=None if picture.alpha is None else _samples(picture.alpha, depth)[..., 0],
        lossless=picture.info.lossless,
        exif=picture.info.exif,
        icc=_fitting_profile(picture, notes),
        dpi=picture.info.dpi,
        colour_chunks=picture.info.colour_chunks,
        carried=picture.info.carried,
        notes=notes,
    )
    return encode.ENCODERS[kind](samples)


def format_of(path: Path, otherwise: Format) -> Format:
    """The format that a file name stands for; `otherwise` where it has no suffix.

    Raises:
        OutputError: a suffix that is not written.
    """
    suffix = suffix_of(path).lower()
    kinds = [kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes] if suffix else [otherwise]
    if not kinds or kinds[0] not in encode.DEPTHS:
        what = f"{kinds[0]} is only read" if kinds else f"unknown suffix {path.suffix!r}"
        raise OutputError(f"cannot write {path}: {what}; use .png, .jpg, .webp, .tif, .bmp or .fits")
    if kinds[0] == "FITS" and find_spec("astropy") is None:
        raise OutputError(f"cannot write {path}: FITS needs an extra: pip install 'acutance[fits]'; or use .tif")
    return kinds[0]


def check_depth(path: str | os.PathLike[str], kind: Format, bits: int | None) -> None:
    """Refuse a depth that a format does not have.

    Raises:
        OutputError: see above.
    """
    depths = encode.DEPTHS[kind]
    if bits is not None and bits not in depths:
        raise OutputError(
            f"cannot write {path}: {kind} has no {bits} bits; "
            f"give {' or '.join(map(str, depths))}, or another suffix (.tif has 8, 16 and 32)"
        )


def _depth(kind: Format, info: ImageInfo, bits: int | None) -> tuple[int, list[str]]:
    """Bits to write, and a note where that is less than the picture came with."""
    depths = encode.DEPTHS[kind]
    depth = bits or max((d for d in depths if d <= info.bits), default=min(depths))
    if bits is None and depth < info.bits:
        lost = "float" if info.is_float else f"{info.bits} bits"
        return depth, [f"{lost} reduced to {depth} bits: {kind} has no more"]
    return depth, []


def _check_finite(picture: Image) -> None:
    bad = sum(int((~torch.isfinite(plane)).sum()) for plane in (picture.pixels, picture.alpha) if plane is not None)
    if bad:
        raise ImageError(f"{bad} samples are NaN or infinite; look for where they came from")


def _samples(planes: Tensor, depth: int, scale: float = 1.0) -> NDArray[np.generic]:
    """(1, C, H, W) to (H, W, C) of uint8, uint16 or float32."""
    channels_last = planes.detach().cpu()[0].permute(1, 2, 0)
    if depth == 32:
        return np.ascontiguousarray((channels_last.to(torch.float32) * scale).numpy())
    peak = 2**depth - 1
    rounded = (channels_last.to(torch.float32).clamp(0, 1) * peak).round_().numpy()
    return np.ascontiguousarray(rounded, dtype=np.uint8 if depth == 8 else np.uint16)


def _fitting_profile(picture: Image, notes: list[str]) -> bytes | None:
    """The colour profile, unless it describes another number of channels."""
    profile = picture.info.icc
    if profile is None or profile_space(profile) in ("", "GRAY" if picture.channels == 1 else "RGB"):
        return profile
    notes.append(f"colour profile left out: it is for {profile_space(profile)}")
    return None
