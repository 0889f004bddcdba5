"""Which pictures a command means: files, folders and globs, and what of a folder is left out, and why."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from acutance.errors import ConfigError, ImageError
from acutance.images.fits_layout import split
from acutance.images.image import SUFFIXES, stem_of, suffix_of
from acutance.images.measurement_file import SUFFIX as MEASUREMENTS
from acutance.images.ngff import is_zarr
from acutance.images.recognise import HEAD, recognise
from acutance.trust.sidecar import SUFFIX as SIDECAR

MARK = "-restored"
"""What the name of a result ends with where it lies beside its picture."""

OME = ".ome"
"""Stands before the suffix of an OME-TIFF."""

PICTURE_SUFFIXES = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)

NOT_A_PICTURE = "not a picture"


@dataclass(frozen=True)
class Found:
    """A picture that is meant.

    Args:
        path: of the file. where: which picture of a FITS file, "[SCI]" (`acutance.images.fits_layout`).
        below: its folder, seen from the folder or the fixed part of the glob that was given.
        named: given by its own name, not found in a folder or by a glob.
    """

    path: Path
    below: Path = Path()
    named: bool = True
    where: str = ""


@dataclass(frozen=True)
class Skipped:
    """A file or folder that is left out. Args: path. why: a few words. failed: it should have been readable."""

    path: Path
    why: str
    failed: bool = False


@dataclass(frozen=True)
class Selection:
    """What was found. Args: found: the pictures, in order. skipped: the rest. several: more than one file named."""

    found: tuple[Found, ...]
    skipped: tuple[Skipped, ...]
    several: bool


def select(arguments: Sequence[Path], *, recursive: bool = False, apart: Mapping[Path, str] | None = None) -> Selection:
    """The pictures that files, folders and globs name, in order.

    In a folder, and behind a glob, the content decides what is a picture. `**` stands for any folders; brackets are
    taken literally where a file or folder has them in its name.

    Args:
        arguments: as given. recursive: look into the folders of folders.
        apart: what a folder may hold that is no picture to restore (the kernel, the results), and what to call it.

    Raises:
        ImageError: an argument that names nothing, a folder without pictures. ConfigError: `recursive` without folder.
    """
    found: list[Found] = []
    skipped: list[Skipped] = []
    others = {Path(os.path.realpath(path)): why for path, why in (apart or {}).items()}
    several, folders = len(arguments) > 1, False
    for argument in arguments:
        if is_zarr(argument):
            found.append(Found(argument))
            continue
        if os.path.isdir(argument):  # noqa: PTH112 (pathlib raises where a name is too long)
            roots, several, folders = [(argument, argument)], True, True
        elif os.path.lexists(argument) or not glob.has_magic(str(argument)):
            found.append(Found(argument))
            continue
        elif os.path.lexists(split(argument)[0]):
            file, where = split(argument)
            found.append(Found(file, where=where))
            continue
        else:
            several = True
            roots = list(expand(argument))
            folders |= any(path.is_dir() for path, _ in roots)
            if not roots:
                raise ImageError(f"nothing matches {argument}")
        here, left = _look(roots, recursive, others)
        if not here:
            raise ImageError(_nothing(argument, left))
        found += here
        skipped += left
    if recursive and not folders:
        raise ConfigError("--recursive has no effect: no folder was given")
    unique: dict[str, Found] = {}
    for each in found:
        unique.setdefault(os.path.normpath(each.path) + each.where, each)
    return Selection(tuple(unique.values()), tuple(dict.fromkeys(skipped)), several)


def expand(pattern: Path) -> Iterator[tuple[Path, Path]]:
    """Files and folders that match a glob, sorted, each with the fixed part of the glob, up to the first wildcard.

    A part that exists as it is written is no wildcard, as `scans [2020]`; `**` is the folder and all below it.
    """
    parts = list(pattern.parts)
    fixed = Path(parts.pop(0)) if pattern.anchor else Path()
    while parts and (not glob.has_magic(parts[0]) or os.path.lexists(fixed / parts[0])):
        fixed /= parts.pop(0)
    for match in dict.fromkeys(_matches(fixed, parts)):
        yield match, fixed


def _matches(base: Path, parts: Sequence[str]) -> Iterator[Path]:
    if not parts:
        yield base
        return
    first, rest = parts[0], parts[1:]
    if first == "**":
        yield from _matches(base, rest or ["*"])
        for entry in _entries(base):
            if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
                yield from _matches(entry, parts)
    elif os.path.lexists(base / first):
        yield from _matches(base / first, rest)
    else:
        for entry in _entries(base):
            hidden = entry.name.startswith(".") and not first.startswith(".")
            if fnmatch(entry.name, first) and not hidden and (not rest or entry.is_dir()):
                yield from _matches(entry, rest)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _look(
    roots: Sequence[tuple[Path, Path]], recursive: bool, apart: Mapping[Path, str]
) -> tuple[list[Found], list[Skipped]]:
    """What there is in folders and among the matches of a glob."""
    found: list[Found] = []
    skipped: list[Skipped] = []
    waiting = [(path, fixed, True) for path, fixed in reversed(roots)]
    while waiting:
        path, fixed, given = waiting.pop()
        why = apart.get(Path(os.path.realpath(path)))
        if why is not None:
            skipped.append(Skipped(path, why))
        elif not path.name.startswith(".") and is_zarr(path):
            why = _result_of(path)
            if why is None:
                found.append(Found(path, path.parent.relative_to(fixed), named=False))
            else:
                skipped.append(Skipped(path, why))
        elif path.is_dir() and (given or (recursive and not path.is_symlink())):
            try:
                waiting += [(entry, fixed, False) for entry in sorted(path.iterdir(), reverse=True)]
            except OSError as error:
                skipped.append(Skipped(path, f"cannot be opened: {error.strerror}", failed=True))
        else:
            why = _left_out(path, recursive)
            if why is None:
                found.append(Found(path, path.parent.relative_to(fixed), named=False))
            elif why:
                skipped.append(Skipped(path, why))
    return found, skipped


def without_ome(stem: str) -> str:
    """The stem of a name without what an OME-TIFF has before its suffix: cells of cells.ome."""
    return stem[: -len(OME)] if stem.lower().endswith(OME) else stem


def _left_out(path: Path, recursive: bool) -> str | None:
    """Why an entry of a folder is left out; None: it is a picture; "": it is our own, and of no interest."""
    if path.name.startswith(".acutance") or path.name.endswith(SIDECAR):
        return ""
    if path.name.startswith("."):
        return "hidden"
    try:
        status = path.stat()
    except OSError:
        return "a link that leads nowhere" if path.is_symlink() else "cannot be read"
    if stat.S_ISDIR(status.st_mode):
        return "a link to a folder" if recursive else "a folder (--recursive looks into it)"
    if not stat.S_ISREG(status.st_mode):
        return "not an ordinary file"
    if path.suffix.lower() == MEASUREMENTS:
        return "measurements (restore them by a command of their own)"
    return _no_picture(path) or _result_of(path)


def _result_of(path: Path) -> str | None:
    """Why an entry is a result, by its name; None: it is none."""
    name = without_ome(stem_of(path))
    if not name.endswith(MARK):
        return None
    stem = name.removesuffix(MARK)
    source = path.parent / stem if (path.parent / stem).is_file() else None
    source = source or next(path.parent.glob(glob.escape(stem) + ".*"), None)
    return None if source is None else f"by its name the result of {source.name}"


def _no_picture(path: Path) -> str | None:
    """Why a file is none by its first bytes; None where it is one, or is called one: then reading it says more."""
    try:
        with path.open("rb") as file:
            recognise(file.read(HEAD), path)
    except OSError:
        return None
    except ImageError as error:
        reason = str(error)
        if suffix_of(path).lower() in PICTURE_SUFFIXES:
            return None
        known = not reason.startswith(("it is text", "it is no picture", "it is empty"))
        return reason if known else NOT_A_PICTURE
    return None


def _nothing(argument: Path, skipped: Sequence[Skipped]) -> str:
    """The message where a folder or a glob has no picture: what it has instead."""
    reasons: dict[str, int] = {}
    for each in skipped:
        reasons[each.why] = reasons.get(each.why, 0) + 1
    there = "; ".join(f"{count} x {why}" for why, count in reasons.items())
    return f"no picture in {argument}" + (f", but {there}" if there else ": it is empty")
