"""Masks in arrays of numpy: `.npy`, and `.npz` with one array."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import ConfigError, KernelError
from acutance.images.kernel_file import check_directory, npy_header

_HEAD = 12_000  # bytes that hold the header of any plain array
_NPY, _NPZ = b"\x93NUMPY", b"PK\3\4"


def is_mask_array(path: Path) -> bool:
    """Tell by its content whether a file is an array of numpy; False where it cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(6).startswith((_NPY, _NPZ))
    except OSError:
        return False


def read_mask_array(path: Path, max_pixels: int) -> Tensor:
    """Read a mask, (1, 1, H, W) of 0 and 1, 1 where pixels are to be used.

    Args:
        path: bool; integers, of which the largest one is white, as 0 and 1 or 0 and 255; or floats from 0 to 1. The
            shape is (H, W), with sides of 1 before or after. NaN counts as missing.
        max_pixels: the most values that are read.

    Raises:
        ConfigError: damaged, several arrays, another kind of numbers, another shape, too large, or nowhere white.
    """
    try:
        with path.open("rb") as file:
            data = file.read(8 * max_pixels + _HEAD)
        values = _array(_only_member(data, max_pixels) if data.startswith(_NPZ) else data, max_pixels)
        return mask_of_array(values)
    except (ConfigError, KernelError) as error:
        raise ConfigError(f"{path.name}: {error}") from None
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise ConfigError(f"{path.name}: damaged ({error}); save the mask again with numpy.save") from error


def mask_of_array(values: NDArray[Any]) -> Tensor:
    """An array as a mask; arguments and errors as those of `read_mask_array`."""
    plane = values.reshape([n for n in values.shape if n != 1]) if values.ndim > 2 else values
    if plane.ndim != 2 or plane.size == 0:
        raise ConfigError(f"a mask of shape {values.shape}; give one of (height, width)")
    if plane.dtype.kind not in "biuf":
        raise ConfigError(f"a mask of {plane.dtype}; give bool, 0 and 1, or 0 and 255")
    known = np.nan_to_num(plane.astype(np.float32), posinf=0.0, neginf=0.0)
    top = float(known.max())
    if top <= 0:
        raise ConfigError("the mask is 0 everywhere; give 1 where a pixel is to be used, 0 where it is missing")
    white = 1.0 if plane.dtype.kind == "f" and top <= 1 else top
    return torch.from_numpy((known > 0.5 * white).astype(np.float32))[None, None]


def _array(data: bytes, max_pixels: int) -> NDArray[Any]:
    """The array of a `.npy`; its header is checked against what is there."""
    stream = io.BytesIO(data)
    shape, fortran, dtype = npy_header(stream, "a mask")
    count, start = math.prod(shape), stream.tell()
    if count > max_pixels:
        raise ConfigError(f"{count} values are more than {max_pixels}; is it the right file?")
    if count * dtype.itemsize > len(data) - start:
        raise ConfigError(f"{shape} values of {dtype} do not fit into the file; it is cut off, save it again")
    return np.frombuffer(data, dtype, count, start).reshape(shape, order="F" if fortran else "C")


def _only_member(data: bytes, max_pixels: int) -> bytes:
    """The one array of a `.npz`, unpacked no further than it may be long."""
    check_directory(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if len(names) != 1:
            listed = ", ".join(name.removesuffix(".npy") for name in names)[:200] or "nothing"
            raise ConfigError(f"it holds {listed}; save the mask alone, with numpy.save")
        with archive.open(names[0]) as member:
            return member.read(8 * max_pixels + _HEAD)
