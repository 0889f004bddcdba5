"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from acutance.errors import OutputError


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Where a file is to be written: behind a link, what it points to.

    Raises:
        OutputError: its folder is missing; it exists and `overwrite` is False; it exists and is no ordinary file.
    """
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
    return target


def write_atomically(path: str | os.PathLike[str], data: bytes, *, overwrite: bool = False) -> None:
    """Write a file so that it is there whole, or not at all, whatever happens meanwhile.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and take the name at once. On any
    failure, an interrupt included, the temporary file is removed and what was there before stays.

    Args:
        path: the file.
        data: all of its content.
        overwrite: replace a file that exists.

    Raises:
        OutputError: the file exists and `overwrite` is False; the folder is missing or cannot be written; the disk
            is full.
    """
    target = check_target(path, overwrite=overwrite)
    temporary = target.with_name(f".acutance-{secrets.token_hex(8)}.part")
    try:
        try:
            # Not tempfile: the finished file gets the permissions that any new file of this user gets.
            with temporary.open("xb") as file:
                file.write(data)
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
