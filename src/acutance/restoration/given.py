"""Pictures, masks and kernels as callers have them, made into the library's own; and the way back for pictures.

    integers     divided by the largest value of their type (uint8, uint16); others keep their units
    floats       keep their units; NaN and infinite values are missing pixels
    NDData       as floats, whatever the type; see `acutance.restoration.nddata`
    layout       (H, W), (H, W, C), (C, H, W) or (1, C, H, W), C = 1, 3, or 4 with alpha last

Where both the first and the last side could be C, an array is taken as (H, W, C) and a tensor as (C, H, W).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from acutance.errors import ConfigError, ImageError, KernelError
from acutance.images import Image, ImageInfo, read_image
from acutance.images.decoded import DEFAULT_MAX_PIXELS
from acutance.images.image import Format
from acutance.images.kernel_file import read_kernel
from acutance.images.kernel_repair import repair_kernel
from acutance.images.mask_file import is_mask_array, read_mask_array
from acutance.operators import Blur, BlurField
from acutance.psf.files import is_field, read_field
from acutance.restoration.nddata import NDDataLike, take_nddata, values_of

Picture = str | os.PathLike[str] | Image | Tensor | NDArray[Any] | PillowImage.Image | NDDataLike
"""What `acutance.restore` takes as a picture or a mask."""

Kernel = str | os.PathLike[str] | Tensor | NDArray[Any] | Blur | BlurField | NDDataLike
"""What `acutance.restore` takes as a kernel."""

Planes = NDArray[np.floating]

FORMS = "give (H, W), (H, W, C) or (C, H, W) with C = 1, 3 or 4 (alpha last)"
KEPT = ("L", "LA", "RGB", "RGBA", "I", "F", "I;16")
"""Modes of Pillow that a result has as well; others become RGB, RGBA or L."""


@dataclass(frozen=True, eq=False)
class Given:
    """A picture of a caller. Args: image: in our form. back: makes a restored one into what the caller gave."""

    image: Image
    back: Callable[[Image], Any]


def take_picture(picture: object) -> Given:
    """Read or convert a picture; a path comes back as an Image.

    Raises:
        ImageError: no picture: another type or shape, complex values, nothing finite, several pictures at once.
    """
    match picture:
        case Image():
            return Given(picture, lambda image: image)
        case str() | os.PathLike():
            return Given(read_image(picture), lambda image: image)
        case Tensor():
            return _take_tensor(picture)
        case np.ndarray():
            return _take_array(picture)
        case PillowImage.Image():
            return _take_pillow(picture)
        case NDDataLike():
            image, back = take_nddata(picture, rounded)
            return Given(image, back)
    kinds = "a path, an array, a tensor, a Pillow image, an NDData or an acutance.Image"
    raise ImageError(f"a picture cannot be a {type(picture).__name__}; give {kinds}")


def take_mask(mask: object, size: tuple[int, int]) -> Tensor:
    """A mask as (1, 1, H, W), 1 where a pixel is to be used, 0 where it is missing.

    A pixel is to be used where the mask is above half of its largest value: true of 0 and 1, and of 0 and 255.

    Args:
        size: (H, W) of the picture.

    Raises:
        ConfigError: no mask, or one of another size.
    """
    path = Path(mask) if isinstance(mask, str | os.PathLike) else None
    try:
        array = path is not None and is_mask_array(path)
        pixels = read_mask_array(path, DEFAULT_MAX_PIXELS) if array and path else take_picture(mask).image.pixels
    except (ConfigError, ImageError) as error:
        raise ConfigError(f"mask: {error}") from None
    if (pixels.shape[-2], pixels.shape[-1]) != size:
        found = f"{pixels.shape[-1]} x {pixels.shape[-2]}"
        raise ConfigError(f"a mask of {found} for a picture of {size[1]} x {size[0]} (width x height)")
    if not bool(torch.isfinite(pixels).all()):
        raise ConfigError("the mask has NaN or infinite values; give 1 where a pixel is to be used, else 0")
    grey = pixels.mean(1, keepdim=True)
    return (grey > 0.5 * grey.max()).float()


def take_kernel(kernel: object, size: tuple[int, int] | None = None) -> tuple[Tensor | BlurField, tuple[str, ...]]:
    """A kernel (1, 1 or 3, h, w) of sum 1, or a kernel for every place; and what was done to it.

    Args:
        size: (H, W) of the picture, for a file of kernels at places in pixels.

    Raises:
        KernelError: not readable, NaN, clearly negative, a sum of zero or less.
    """
    match kernel:
        case BlurField():
            return kernel, ()
        case Blur():
            return kernel.kernel, ()
        case str() | os.PathLike():
            path = Path(kernel)
            found = read_field(path, size) if is_field(path) else read_kernel(path)
            return found.kernel, found.notes
        case Tensor():
            values: Tensor | NDArray[Any] = kernel.detach().cpu()
        case np.ndarray():
            values = _native(kernel)
        case NDDataLike():
            values = values_of(kernel, "a kernel")
        case _:
            kinds = "a path, an array, a tensor, an NDData, a Blur or a BlurField"
            raise KernelError(f"a kernel cannot be a {type(kernel).__name__}; give {kinds}")
    repaired = repair_kernel(values)
    return repaired.kernel, repaired.notes


def _take_tensor(tensor: Tensor) -> Given:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        raise ImageError(f"a picture cannot be a tensor of layout {tensor.layout}; give a dense one")
    plain = tensor.detach().cpu()
    plain = plain.float() if plain.dtype == torch.bfloat16 else plain.resolve_conj().resolve_neg()
    given = _take_array(plain.numpy(), channels_first=True)
    return Given(given.image, lambda image: torch.from_numpy(given.back(image)).to(tensor.device, tensor.dtype))


def _take_pillow(picture: PillowImage.Image) -> Given:
    mode = picture.mode
    if mode not in KEPT:
        alpha = mode in ("PA", "La", "RGBa") or "transparency" in picture.info
        mode = "L" if mode == "1" else "RGBA" if alpha else "I;16" if mode.startswith("I;16") else "RGB"
    array = np.asarray(picture.convert(mode) if mode != picture.mode else picture)
    given = _take_array(array, like_file=picture)

    def back(image: Image) -> PillowImage.Image:
        restored = PillowImage.fromarray(given.back(image))
        restored.info = {k: v for k, v in picture.info.items() if k != "transparency"}
        return restored

    return Given(given.image, back)


def _take_array(
    array: NDArray[Any], *, channels_first: bool = False, like_file: PillowImage.Image | None = None
) -> Given:
    if isinstance(array, np.ma.MaskedArray):
        raise ImageError("a masked array: give array.data, and mask=~array.mask beside it")
    if array.dtype.kind not in "uibf":
        raise ImageError(f"a picture cannot be an array of {array.dtype}; give real numbers")
    axes = _axes(array.shape, channels_first, grey_alpha=like_file is not None)
    native = _native(array)
    peak = float(np.iinfo(native.dtype).max) if native.dtype in (np.uint8, np.uint16) else 1.0
    with np.errstate(over="ignore"):
        planes = native.transpose(axes.forward).reshape(axes.planes).astype(np.float32)
    planes /= np.float32(peak)
    count = {1: 1, 2: 1, 3: 3, 4: 3}[axes.planes[0]]  # the rest is alpha
    if not bool(np.isfinite(planes[:count]).any()):
        raise ImageError(f"none of the {planes[:count].size} values is finite and within 32-bit float; give a picture")
    alpha = torch.from_numpy(planes[None, count:]) if axes.planes[0] > count else None
    alpha = None if alpha is None else alpha.nan_to_num(0).clamp(0, 1)
    image = Image(torch.from_numpy(planes[None, :count]), alpha, _info(native.dtype, peak, like_file))

    def back(restored: Image) -> NDArray[Any]:
        whole = np.concatenate((restored.pixels[0].numpy() * np.float32(peak), planes[count:] * np.float32(peak)))
        if native.dtype.kind != "f":
            whole = rounded(whole, native.dtype)
        return whole.astype(native.dtype).reshape(axes.moved).transpose(axes.backward).astype(array.dtype)

    return Given(image, back)


@dataclass(frozen=True)
class _Axes:
    """How an array becomes planes (C, H, W): transposed `forward` to `moved`, then reshaped; and `backward` again."""

    forward: tuple[int, ...]
    backward: tuple[int, ...]
    moved: tuple[int, ...]
    planes: tuple[int, int, int]


def _axes(shape: tuple[int, ...], channels_first: bool, *, grey_alpha: bool) -> _Axes:
    if 0 in shape or len(shape) not in (2, 3, 4):
        raise ImageError(f"a picture cannot have the shape {shape}; {FORMS}")
    if len(shape) == 2:
        return _Axes((0, 1), (0, 1), shape, (1, *shape))
    if len(shape) == 4:
        if shape[0] != 1:
            raise ImageError(f"{shape[0]} pictures at once, of shape {shape}; give them one by one")
        inner = _axes(shape[1:], channels_first, grey_alpha=False)
        forward = (0, *(a + 1 for a in inner.forward))
        return _Axes(forward, (0, *(a + 1 for a in inner.backward)), (1, *inner.moved), inner.planes)
    counts = (1, 2, 3, 4) if grey_alpha else (1, 3, 4)
    last, first = shape[-1] in counts, shape[0] in counts
    if not (last or first):
        raise ImageError(f"a picture cannot have the shape {shape}: no side of it is a number of channels; {FORMS}")
    if first and (channels_first or not last):
        return _Axes((0, 1, 2), (0, 1, 2), shape, (shape[0], shape[1], shape[2]))
    moved = (shape[2], shape[0], shape[1])
    return _Axes((2, 0, 1), (1, 2, 0), moved, moved)


def _native(array: NDArray[Any]) -> NDArray[Any]:
    """In the byte order of the machine."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _info(dtype: np.dtype[Any], peak: float, like_file: PillowImage.Image | None) -> ImageInfo:
    """What the values are, for the decisions that a file's depth and kind make; the rest is the caller's."""
    if peak == 1:
        return ImageInfo("TIFF", bits=32, is_float=True)
    bits = 8 if dtype == np.uint8 else 16
    if like_file is None:
        return ImageInfo("PNG", bits=bits)
    kind: Format = "JPEG" if like_file.format in ("JPEG", "MPO") else "WEBP" if like_file.format == "WEBP" else "PNG"
    return ImageInfo(kind, bits=bits, lossless=kind == "PNG", exif=like_file.info.get("exif"))


def rounded(values: Planes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Whole numbers within the type."""
    if dtype.kind == "b":
        return values > 0.5
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values.astype(np.float64)), float(limits.min), _below(float(limits.max), limits.max))


def _below(value: float, most: int) -> float:
    """A float that is no larger than a whole number."""
    return value if int(value) <= most else float(np.nextafter(value, 0))
