"""Writing OME-Zarr: into a folder beside the result, which takes its name when all is there.

The folder `.acutance-<16 digits>.part` stays where a run is cut off. It says to which run it belongs and which blocks
are finished, so that the same run goes on: a finished block is on the disk before its line is in `DONE`. The levels of
the pyramid are means of 2 x 2 pixels (planes are not mixed), in rows and columns only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from acutance.errors import ImageError, OutputError
from acutance.images.atomic import lock
from acutance.images.ngff import group_files, is_zarr, load
from acutance.images.stack import AXES, NgffForm, Stack
from acutance.images.zarr_stack import Box, form_of, require_zarr, where

RUN, DONE = ".acutance-run.json", ".acutance-done.txt"
"""The file of a part that describes its run, with a line for each finished block."""

SMALLEST = 256
"""Side of a plane, pixels, from which on a level is halved once more."""

CHUNK = (64, 256, 256)
"""Sides of chunks where nothing else asks for others, voxels along (Z, Y, X)."""


@dataclass
class ZarrPart:
    """A result in the making.

    Args:
        target, folder: the result, and where it is made. form, shape, dtype: shape is (T, C, Z, Y, X).
        done: names of finished blocks. settings: of the run, as they were at its beginning.
    """

    target: Path
    folder: Path
    form: NgffForm
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    done: set[str]
    settings: dict[str, Any]
    _journal: IO[bytes]

    @staticmethod
    def of(target: Path) -> Path:
        """The folder in which a result is made: always the same, so that a later run finds it."""
        return target.parent / f".acutance-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}.part"

    @staticmethod
    def settings_of(target: Path) -> dict[str, Any] | None:
        """The description of an unfinished run; None where there is none."""
        try:
            return load(ZarrPart.of(target) / RUN)
        except ImageError:
            return None

    @staticmethod
    def open(
        target: Path, form: NgffForm, shape: tuple[int, ...], dtype: np.dtype[Any], settings: Mapping[str, Any],
        *, overwrite: bool = False,
    ) -> ZarrPart:  # fmt: skip
        """Begin a result, or go on with one of the same settings.

        Args:
            settings: all that the values depend on; plain values. overwrite: replace a result, or one of another run.

        Raises:
            OutputError: the result exists; an unfinished one of other settings does; not enough space.
        """
        require_zarr()
        check_zarr_target(target, overwrite=overwrite)
        folder, wanted = ZarrPart.of(target), json.loads(json.dumps(settings))
        before = ZarrPart.settings_of(target)
        if os.path.lexists(folder) and before != wanted:
            if before is not None and not overwrite:
                raise OutputError(
                    f"an unfinished {target.name} of other settings is in {folder}; give the settings of that run "
                    "to go on with it, allow overwriting to begin anew, or remove that folder"
                )
            _refuse_busy(folder, target)
            _remove(folder)
        try:
            _check_space(target, math.prod(shape) * dtype.itemsize, folder)
            folder.mkdir(exist_ok=True)
            journal = (folder / DONE).open("a+b")
            _lock(journal, target)
            if before is None or before != wanted:
                _begin(folder, form, shape, dtype)
                _put(folder / RUN, json.dumps(wanted).encode())
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
        journal.seek(0)
        lines = journal.read().split(b"\n")
        journal.truncate(sum(len(line) + 1 for line in lines[:-1]))  # a line that was cut off
        done = {line.decode("ascii", "replace") for line in lines[:-1]}
        return ZarrPart(target, folder, form, shape, dtype, done, wanted, journal)

    def write(self, at: tuple[int, int], box: Box, values: NDArray[Any]) -> None:
        """Put values (z, y, x) into the largest level, and have them on the disk. Boxes hold whole chunks."""
        _write(_opened(self.folder, 0), self.form.order, at, box, values.astype(self.dtype, copy=False))
        chunks = [range(s.start // c, -(-s.stop // c)) for s, c in zip(box, self.form.chunks, strict=True)]
        numbers = dict(zip("TC", at, strict=True))
        for z in chunks[0]:
            for y in chunks[1]:
                for x in chunks[2]:
                    place = numbers | {"Z": z, "Y": y, "X": x}
                    parts = [str(place[a]) for a in self.form.order]
                    _sync(self.folder.joinpath("0", *(["c"] if self.form.version == "0.5" else []), *parts))

    def finish_block(self, name: str) -> None:
        """Note a block as finished."""
        self._journal.write(f"{name}\n".encode("ascii"))
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self.done.add(name)

    def publish(self, mark: str | None = None) -> None:
        """Write the smaller levels and the metadata, and give the folder its name. Args: mark: our own, a line.

        Raises:
            OutputError: the name is taken meanwhile, or the disk is full.
        """
        try:
            for file in list(self.folder.rglob("*.partial")):  # of a program that was killed while it wrote a chunk
                file.unlink()
            levels = levels_of(self.shape)
            for level in range(1, levels):
                _halve(self.folder, self.form, self.shape, level)
            for name, content in group_files(self.form, levels, mark).items():
                _put(self.folder / name, content)
            for file in self.folder.rglob("*"):
                if file.is_file():
                    _sync(file)
            self._take_name()
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"cannot write {self.target}: {error.strerror or error}") from error

    def _take_name(self) -> None:
        """The part without its journal becomes the result; an old result is removed afterwards."""
        old = self.folder.with_suffix(".old")
        if os.path.lexists(self.target):
            _remove(old)
            self.target.rename(old)
        try:
            self.folder.rename(self.target)
        except OSError:
            if old.exists():
                old.rename(self.target)
            raise
        self._journal.close()
        for name in (RUN, DONE):
            (self.target / name).unlink(missing_ok=True)
        _remove(old)


def check_zarr_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a result that exists or cannot be made.

    Raises:
        OutputError: it exists and `overwrite` is False; it is no OME-Zarr; no folder for it.
    """
    if path.is_symlink():
        raise OutputError(f"{path} is a link, and results do not go through links; give another name")
    if os.path.lexists(path):
        if not overwrite:
            raise OutputError(f"cannot write {path}: it exists already; give another name, or allow overwriting")
        if not is_zarr(path):
            raise OutputError(f"cannot write {path}: what is there is no Zarr, and is not replaced; give another name")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}; create it first")


def write_zarr_stack(path: Path, stack: Stack, *, overwrite: bool = False, mark: str | None = None) -> None:
    """Write a stack as OME-Zarr, volume by volume; see `acutance.images.stack_write.write_stack`.

    Raises:
        OutputError: see `ZarrPart.open`.
    """
    source = CHUNK if stack.ngff is None else stack.ngff.chunks
    sides = stack.size
    chunks = tuple(min(n, c) for n, c in zip(sides, source if math.prod(source) >= 4096 else CHUNK, strict=True))
    form = form_of(stack, (chunks[0], chunks[1], chunks[2]))
    part = ZarrPart.open(
        path, form, stack.values.shape, stack.dtype, {"once": os.urandom(8).hex()}, overwrite=overwrite
    )
    try:
        for at in stack.places:
            part.write(at, (slice(0, sides[0]), slice(0, sides[1]), slice(0, sides[2])), stack.volume(*at))
        part.publish(mark)
    except BaseException:
        _remove(part.folder)
        raise


def levels_of(shape: tuple[int, ...]) -> int:
    """Levels of the pyramid, 1 or more: halved while a plane is longer than `SMALLEST`.

    Example:
        >>> levels_of((1, 1, 8, 1024, 300))
        3
    """
    return 1 + max(0, math.ceil(math.log2(max(shape[-2:]) / SMALLEST)))


def _sides(shape: tuple[int, ...], level: int) -> tuple[int, ...]:
    return (*shape[:3], *(-(-n // 2**level) for n in shape[3:]))


def _begin(folder: Path, form: NgffForm, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Make the empty arrays of all levels."""
    zarr = require_zarr()
    for level in range(levels_of(shape)):
        sides = dict(zip(AXES, _sides(shape, level), strict=True))
        parts = {"T": 1, "C": 1, **dict(zip("ZYX", form.chunks, strict=True))}
        options: dict[str, Any] = {"compressors": zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")}
        if form.version == "0.4":
            import numcodecs

            packed = numcodecs.Blosc(cname="zstd", clevel=3, shuffle=numcodecs.Blosc.SHUFFLE)
            options = {"compressors": packed, "chunk_key_encoding": {"name": "v2", "separator": "/"}}
        else:
            options["dimension_names"] = [a["name"] for a in form.axes]
        zarr.create_array(
            zarr.storage.LocalStore(folder / str(level)), shape=[sides[a] for a in form.order],
            chunks=[min(parts[a], sides[a]) for a in form.order], dtype=dtype.newbyteorder("<"),
            zarr_format=2 if form.version == "0.4" else 3, fill_value=0, overwrite=True, **options,
        )  # fmt: skip


def _opened(folder: Path, level: int) -> Any:
    zarr = require_zarr()
    return zarr.open_array(zarr.storage.LocalStore(folder / str(level)), mode="r+")


def _write(array: Any, order: str, at: tuple[int, int], box: Box, values: NDArray[Any]) -> None:
    wanted = where(at, box)
    own = tuple(wanted[a] for a in order)
    whole = values.reshape(1, 1, *values.shape)
    left_out = tuple(i for i, a in enumerate(AXES) if a not in order)
    present = [a for a in AXES if a in order]
    array[own] = whole.squeeze(left_out).transpose([present.index(a) for a in order])


def _read(array: Any, order: str, at: tuple[int, int], box: Box) -> NDArray[Any]:
    wanted = where(at, box)
    own = tuple(wanted[a] for a in order)
    present = [a for a in AXES if a in order]
    found = np.asarray(array[own]).transpose([order.index(a) for a in present])
    sides = dict(zip(present, found.shape, strict=True))
    return found.reshape([sides.get(a, 1) for a in "ZYX"])


def _halve(folder: Path, form: NgffForm, shape: tuple[int, ...], level: int) -> None:
    """Make a level from the one before, a row of chunks at a time."""
    fine, coarse = _opened(folder, level - 1), _opened(folder, level)
    before, sides = _sides(shape, level - 1), _sides(shape, level)
    for t in range(shape[0]):
        for c in range(shape[1]):
            for z in _pieces(sides[2], form.chunks[0]):
                for y in _pieces(sides[3], form.chunks[1]):
                    for x in _pieces(sides[4], 4 * form.chunks[2]):
                        rows, cols = (
                            slice(2 * s.start, min(2 * s.stop, n)) for s, n in ((y, before[3]), (x, before[4]))
                        )
                        values = _read(fine, form.order, (t, c), (z, rows, cols))
                        _write(coarse, form.order, (t, c), (z, y, x), halved(values))


def halved(values: NDArray[Any]) -> NDArray[Any]:
    """Means of 2 x 2 pixels, (z, y, x) of the same type; an odd last row or column is the mean of what is there."""
    rows, cols = values.shape[1] % 2, values.shape[2] % 2
    even = np.pad(values, ((0, 0), (0, rows), (0, cols)), mode="edge").astype(np.float64)
    mean = 0.25 * (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2])
    return (mean if values.dtype.kind == "f" else np.rint(mean)).astype(values.dtype)


def _pieces(n: int, step: int) -> Iterator[slice]:
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _put(file: Path, content: bytes) -> None:
    """Write a small file whole or not at all."""
    new = file.with_name(file.name + ".new")
    new.write_bytes(content)
    _sync(new)
    new.replace(file)


def _sync(file: Path) -> None:
    """Have a file on the disk; chunks without anything but zeros are not there."""
    with contextlib.suppress(FileNotFoundError), file.open("rb") as opened:
        os.fsync(opened.fileno())


def _lock(journal: IO[bytes], target: Path) -> None:
    try:
        lock(journal.fileno())
    except OSError:
        journal.close()
        raise OutputError(f"another run is writing {target}; wait for it, or give another name") from None


def _refuse_busy(folder: Path, target: Path) -> None:
    """Raise an OutputError where another run is at work in a part."""
    if (folder / DONE).is_file():
        with (folder / DONE).open("rb") as journal:
            _lock(journal, target)


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


def _check_space(target: Path, needed: int, folder: Path) -> None:
    """Refuse a result that is larger than the disk; what an unfinished one has already is not counted."""
    free = shutil.disk_usage(target.parent).free
    if not folder.exists() and needed > free:
        raise OutputError(f"cannot write {target}: it takes up to {needed / 1e9:.1f} GB, and {free / 1e9:.1f} are free")
