"""Reading OME-Zarr: volumes and boxes of them, when they are asked for.

The metadata is checked first (`acutance.images.ngff`), and the folder: ordinary files and folders only, so that no link
leads out of it. The smaller levels of the pyramid are not read.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acutance.errors import ImageError, MissingExtra
from acutance.images.ngff import Described, describe, new_form
from acutance.images.read import one_line
from acutance.images.stack import AXES, NgffForm, Stack

MOST_FILES = 50_000_000
"""Files of a folder that are looked at, at most."""

Box = tuple[slice, slice, slice]
"""A part of a volume along (Z, Y, X); with starts and stops, and steps of 1 or more."""


def require_zarr() -> Any:
    """The package zarr.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import zarr
    except ImportError:
        raise MissingExtra("reading and writing OME-Zarr", "micro") from None
    return zarr


def where(at: tuple[int, int], box: Box) -> dict[str, slice]:
    """A part of the volume of a moment and channel, by the names of the axes."""
    moment, channel = (slice(n, n + 1) for n in at)
    return dict(zip(AXES, (moment, channel, *box), strict=True))


class ZarrVolumes:
    """The array of an OME-Zarr as volumes. Opened when first read, so that it can be sent to other processes.

    Args:
        folder: of the image. level: of the array in it. order: names of the axes of the array.
        shape: (T, C, Z, Y, X). dtype: of the values, in the byte order of the machine.
        chunks: along (Z, Y, X).
    """

    def __init__(self, folder: Path, described: Described) -> None:
        form, array = described.form, described.array
        sides = dict(zip(form.order, array.shape, strict=True))
        self.folder, self.level, self.order = folder, described.level, form.order
        self.shape = tuple(sides.get(a, 1) for a in AXES)
        self.dtype: np.dtype[Any] = array.dtype.newbyteorder("=")
        self.chunks = form.chunks

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_array"}

    @cached_property
    def _array(self) -> Any:
        zarr = require_zarr()
        array = zarr.open_array(zarr.storage.LocalStore(self.folder / self.level, read_only=True), mode="r")
        sides = dict(zip(self.order, array.shape, strict=True))
        if tuple(sides.get(a, 1) for a in AXES) != self.shape or array.dtype.newbyteorder("=") != self.dtype:
            raise ImageError("its array is not what its metadata says: damaged; get an intact copy")
        return array

    def __getitem__(self, at: tuple[int, int]) -> NDArray[Any]:
        return self.box(at, (slice(0, self.shape[2]), slice(0, self.shape[3]), slice(0, self.shape[4])))

    def box(self, at: tuple[int, int], box: Box) -> NDArray[Any]:
        """Values of a part of the volume of a moment and channel, (z, y, x).

        Raises:
            ImageError: damaged chunks. MemoryError: they do not fit into the memory.
        """
        try:
            return self._box(at, box)
        except (ImageError, MissingExtra, MemoryError):
            raise
        except Exception as error:  # codecs raise whatever they like on damaged chunks
            raise ImageError(f"cannot read {self.folder}: damaged ({one_line(error)}); get an intact copy") from error

    def _box(self, at: tuple[int, int], box: Box) -> NDArray[Any]:
        wanted = where(at, box)
        own = tuple(wanted[a] for a in self.order)
        found = np.asarray(self._array.oindex[own] if any(s.step not in (None, 1) for s in own) else self._array[own])
        present = [a for a in AXES if a in self.order]
        moved = found.transpose([self.order.index(a) for a in present])
        sides = dict(zip(present, moved.shape, strict=True))
        return moved.reshape([sides.get(a, 1) for a in "ZYX"]).astype(self.dtype, copy=False)


def read_zarr_stack(folder: Path, max_voxels: int | None) -> Stack:
    """The stack of an OME-Zarr; its values are read when they are asked for.

    Args:
        folder: of the image. max_voxels: of a volume, at most; None: any number.

    Raises:
        ImageError: see `acutance.images.ngff.describe`; a link in the folder; too large. MissingExtra: no zarr.
    """
    require_zarr()
    state_of_folder(folder)
    described = describe(folder)
    volumes = ZarrVolumes(folder, described)
    voxels = math.prod(volumes.shape[2:])
    if max_voxels is not None and voxels > max_voxels:
        sides = " x ".join(map(str, volumes.shape[2:]))
        raise ImageError(
            f"a volume of {sides} is {voxels / 1e6:.0f} million voxels, over the limit of {max_voxels / 1e6:g}; "
            "cut it first, restore it into an OME-Zarr (by blocks), or raise the limit if the memory is there"
        )
    own = "".join(a for a in AXES if a in volumes.order)
    return Stack(volumes, own, described.voxel, described.channels, None, described.notes, described.form)


def state_of_folder(folder: Path) -> str:
    """A hash (64 digits) of the names, sizes and times of all files in a folder: it changes where one is written.

    Raises:
        ImageError: a link, or what is neither file nor folder; more than `MOST_FILES` files.
    """
    total, count = hashlib.sha256(os.path.realpath(folder).encode("utf-8", "surrogateescape")), 0
    waiting = [str(folder)]
    while waiting:
        here = waiting.pop()
        with os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                about = entry.stat(follow_symlinks=False)
                count += 1
                if stat.S_ISDIR(about.st_mode):
                    waiting.append(entry.path)
                elif not stat.S_ISREG(about.st_mode):
                    raise ImageError(f"{entry.name} in it is a link or no ordinary file; copy the folder without links")
                line = f"{entry.path}|{about.st_size if stat.S_ISREG(about.st_mode) else 0}|"
                line += f"{about.st_mtime_ns if stat.S_ISREG(about.st_mode) else 0}\n"
                total.update(line.encode("utf-8", "surrogateescape"))
        if count > MOST_FILES:
            raise ImageError(f"it has more than {MOST_FILES} files; save it with larger chunks")
    return total.hexdigest()


def form_of(stack: Stack, chunks: tuple[int, int, int]) -> NgffForm:
    """The form in which a stack is written as OME-Zarr: that of its source, or a new one, with other chunks."""
    if stack.ngff is not None:
        return replace(stack.ngff, chunks=chunks)
    return new_form(stack.axes, stack.voxel, stack.channels, chunks)
