"""Blur fields in files: a NumPy archive with one array, `field`, of (rows, columns, h, w) kernels.

    numpy.savez("blur.npz", field=kernels)           # or (rows, columns, 3, h, w): a kernel for each colour

The nodes divide the picture evenly, see `acutance.operators.BlurField`; kernels are meant for true convolution, with
their centre at (h // 2, w // 2). Each is divided by its sum.

Kernels for places in pixels, and polynomials of the place, are read as well, see `acutance.psf.placed_files`.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from acutance.errors import KernelError, OutputError
from acutance.images.atomic import write_atomically
from acutance.operators import BlurField
from acutance.psf.placed import PlacedKernels
from acutance.psf.placed_files import is_placed, read_placed

NAME = "field"

MOST_BYTES = 400_000_000
"""Of the array, unpacked."""


@dataclass(frozen=True, eq=False)
class FieldFile:
    """A usable blur field. Args: kernel: the field. notes: what there is to say of it, for the user."""

    kernel: BlurField
    notes: tuple[str, ...] = ()


def is_field(path: Path) -> bool:
    """Tell whether a file holds a blur field, or kernels for places of a picture."""
    return _is_archive(path) or is_placed(path)


def _is_archive(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{NAME}.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def read_field(path: Path, size: tuple[int, int] | None = None) -> FieldFile:
    """Read a blur field.

    Args:
        size: (H, W) of the picture, which kernels at places in pixels are for; None: it is not known.

    Raises:
        KernelError: no such file, damaged, too large, no field of kernels, or one for a picture of another size.
    """
    if not _is_archive(path) and is_placed(path):
        return _from_places(path, size)
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(f"{NAME}.npy").file_size > MOST_BYTES:
                raise KernelError(f"{path.name}: the field is larger than {MOST_BYTES // 10**6} MB")
        with np.load(path, allow_pickle=False) as arrays:
            values = np.asarray(arrays[NAME], dtype=np.float32)
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError) as error:
        raise KernelError(
            f"{path.name}: no blur field ({error}); save it with numpy.savez(file, {NAME}=kernels)"
        ) from None
    if values.ndim not in (4, 5) or 0 in values.shape or (values.ndim == 5 and values.shape[2] not in (1, 3)):
        raise KernelError(
            f"{path.name}: a blur field has the shape (rows, columns, h, w), or (rows, columns, 3, h, w) for colours, "
            f"not {values.shape}"
        )
    if not np.isfinite(values).all() or values.min() < 0 or not (values.sum((-2, -1)) > 0).all():
        raise KernelError(f"{path.name}: kernels of a field must be finite and not negative, and none of them all zero")
    kernels = torch.from_numpy(values)
    kernels = kernels[:, :, None] if values.ndim == 4 else kernels
    field = BlurField(kernels / kernels.sum((-2, -1), keepdim=True))
    rows, cols = field.grid
    return FieldFile(field, (f"{rows} x {cols} kernels, {rows} down and {cols} across the picture",))


def _from_places(path: Path, size: tuple[int, int] | None) -> FieldFile:
    notes: list[str] = []
    found = read_placed(path, notes)
    try:
        if isinstance(found, PlacedKernels):
            said, field = f"{len(found.kernels)} kernels at their places", found.field(size)
        else:
            said, field = f"a polynomial of degree {found.degree}", found.field(size, notes)
    except KernelError as error:
        raise KernelError(f"{path.name}: {error}") from None
    rows, cols = field.grid
    return FieldFile(field, (f"{said}, as {rows} x {cols} kernels, {rows} down and {cols} across", *notes))


def write_field(path: Path, field: BlurField, *, overwrite: bool = False) -> None:
    """Write a blur field as `read_field` reads it.

    Raises:
        OutputError: another suffix than .npz, a file that is there, or not writable.
    """
    if path.suffix.lower() != ".npz":
        raise OutputError(f"{path}: a blur field is written as .npz")
    values = field.kernels.detach().float().cpu().numpy()
    data = io.BytesIO()
    np.savez(data, field=values[:, :, 0] if values.shape[2] == 1 else values)  # the name is `NAME`
    write_atomically(path, data.getvalue(), overwrite=overwrite)
