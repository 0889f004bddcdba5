"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from acutance.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_PART = re.compile(r"\.acutance-.+\.part")
_FRESH = 1.0
"""Seconds for which a temporary file may not be locked yet."""


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Where a file is to be written: behind a link, what it points to.

    Raises:
        OutputError: its folder is missing; it exists and `overwrite` is False; it exists and is no ordinary file; its
            name is too long.
    """
    try:
        target = Path(os.path.realpath(path))
        if not target.name or target.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder; give the name of a file in it")
        if not target.parent.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {target.parent}; create it first")
        if target.exists():
            if not target.is_file():
                raise OutputError(f"cannot write {path}: it is not an ordinary file; give another name")
            if not overwrite:
                raise OutputError(f"cannot write {path}: it exists already; give another name, or --overwrite")
    except (OSError, ValueError) as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
    return target


def check_folder(folder: Path, *, make: bool = False) -> None:
    """Refuse a folder in which no file can be made, by making one and removing it.

    Args:
        folder: that files are to go to. make: it may be missing, and is going to be made.

    Raises:
        OutputError: it is missing, no folder, or cannot be written.
    """
    place = folder
    try:
        while make and not os.path.lexists(place) and place != place.parent:
            place = place.parent
        if not place.is_dir():
            missing = not os.path.lexists(place)
            raise OutputError(
                f"there is no folder {folder}; create it first" if missing else f"{place} is a file, and not a folder"
            )
        probe = place / _part_name()
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write into the folder {place}: {error.strerror or error}") from error


def remove_old_parts(folder: Path) -> int:
    """Remove temporary files that a killed program left in a folder; returns how many. Those in use are locked."""
    removed = 0
    try:
        parts = [Path(entry.path) for entry in os.scandir(folder) if _PART.fullmatch(entry.name) and entry.is_file()]
    except OSError:
        return 0
    for part in parts:
        try:
            if time.time() - part.stat().st_mtime < _FRESH:
                continue
            with part.open("rb") as file:
                lock(file.fileno())
                part.unlink()
            removed += 1
        except OSError:  # locked by whoever is writing it, or gone
            continue
    return removed


def lock(number: int) -> None:
    """Lock an open file for this process, where the system has such locks.

    Raises:
        OSError: another process has locked it.
    """
    if fcntl is not None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _part_name() -> str:
    return f".acutance-{secrets.token_hex(8)}.part"


def write_atomically(path: str | os.PathLike[str], data: bytes, *, overwrite: bool = False) -> None:
    """Write a file so that it is there whole, or not at all, whatever happens meanwhile; see `file_to_be`.

    Args:
        path: the file. data: all of its content. overwrite: replace a file that exists.

    Raises:
        OutputError: see `file_to_be`.
    """
    with file_to_be(path, overwrite=overwrite) as file:
        file.write(data)


@contextmanager
def file_to_be(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """Open a file for writing and reading that takes its name when the block ends, and never if it fails.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and take the name at once. On any
    failure, an interrupt included, the temporary file is removed and what was there before stays. That of a program
    that was killed is removed by `remove_old_parts`.

    Args:
        path: the file. overwrite: replace a file that exists.

    Raises:
        OutputError: the file exists and `overwrite` is False; the folder is missing or cannot be written; the disk
            is full.
    """
    target = check_target(path, overwrite=overwrite)
    temporary = target.with_name(_part_name())
    try:
        try:
            # Not tempfile: the finished file gets the permissions that any new file of this user gets.
            with temporary.open("x+b") as file:
                with suppress(OSError):  # a file system without locks
                    lock(file.fileno())
                yield file
                file.flush()
                os.fsync(file.fileno())
            if overwrite:
                if target.exists():
                    temporary.chmod(target.stat().st_mode & 0o777)
                temporary.replace(target)
            else:
                _publish(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError as error:
        raise OutputError(f"cannot write {path}: it exists already; give another name, or --overwrite") from error
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        reason = error.strerror or type(error).__name__
        raise OutputError(f"cannot write {path}: {reason}; check the folder's permissions and free space") from error


def _publish(temporary: Path, target: Path) -> None:
    """Take the name only if nobody took it meanwhile.

    Raises:
        FileExistsError: somebody did.
    """
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: check and replace, with a moment between the two
        if target.exists():
            raise FileExistsError(str(target)) from None
        temporary.replace(target)
