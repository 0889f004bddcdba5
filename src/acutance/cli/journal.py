"""What was done in a folder: a line of JSON for each result, so that a batch that was cut off goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from acutance.cli.console import escape, say
from acutance.errors import ImageError
from acutance.images.ngff import is_zarr
from acutance.images.zarr_stack import state_of_folder

NAME = ".acutance.jsonl"

_LARGEST = 1 << 27
_LINE = 1 << 14


def digest(settings: dict[str, Any]) -> str:
    """Sixteen digits that stand for the settings of a command."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]


def state_of(source: Path) -> str:
    """A picture as it is now: path, bytes, time of its last change. "" where it is gone.

    Taken before it is read: if it changes meanwhile, it counts as another picture.
    """
    try:
        if is_zarr(source):
            return state_of_folder(source)
        status = source.stat()
    except (OSError, ImageError):
        return ""
    return f"{os.path.realpath(source)}|{status.st_size}|{status.st_mtime_ns}"


class Journal:
    """The journal of a folder. Where it cannot be read or written the work goes on without it."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.path, self.settings = folder / NAME, settings
        self._silent = False
        self._done: set[str] = set()
        for line in self._read().split(b"\n"):
            key = _key_in(line)
            if key is not None:
                self._done.add(key)

    def is_done(self, state: str, target: Path) -> bool:
        """Whether a picture of this state was restored with these settings, and its result is still there."""
        return bool(state) and target.is_file() and self._key(state, target) in self._done

    def add(self, state: str, source: Path, target: Path) -> None:
        """Note a finished result."""
        key = self._key(state, target)
        self._done.add(key)
        line = json.dumps({"key": key, "source": source.name, "result": target.name}).encode() + b"\n"
        try:
            number = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                if os.lseek(number, 0, os.SEEK_END):
                    os.lseek(number, -1, os.SEEK_END)
                    if os.read(number, 1) != b"\n":  # torn by a crash: begin a line of our own
                        line = b"\n" + line
                os.write(number, line)  # at once, so that two programs do not mix their lines
            finally:
                os.close(number)
        except OSError as error:
            self._without(error)

    def _key(self, state: str, target: Path) -> str:
        return f"{state}|{target.name}|{self.settings}"

    def _read(self) -> bytes:
        try:
            number = self._open(os.O_RDONLY)
            with open(number, "rb") as file:  # noqa: PTH123 (a descriptor)
                return file.read(_LARGEST)
        except FileNotFoundError:
            return b""
        except OSError as error:
            self._without(error)
            return b""

    def _open(self, flags: int) -> int:
        """An ordinary file, never a link, a pipe or a device, on which one could wait for ever."""
        careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        number = os.open(self.path, flags | careful | getattr(os, "O_BINARY", 0), 0o666)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise OSError(0, "it is not an ordinary file")
        return number

    def _without(self, error: OSError) -> None:
        if not self._silent:
            self._silent = True
            reason = "it is a link" if self.path.is_symlink() else error.strerror or type(error).__name__
            say(f"[yellow]note:[/] no journal is kept in {escape(self.path)}: {escape(reason)}")


class Journals:
    """The journals of the folders that results go to. Args: settings: see `Journal`. kept: whether there are any."""

    def __init__(self, settings: str, *, kept: bool) -> None:
        self._settings, self._kept = settings, kept
        self._open: dict[Path, Journal] = {}

    def of(self, folder: Path) -> Journal | None:
        """The journal of a folder, None where none is kept."""
        if self._kept and folder not in self._open:
            self._open[folder] = Journal(folder, self._settings)
        return self._open.get(folder)


def _key_in(line: bytes) -> str | None:
    """The key of a line; None of one that is torn or damaged."""
    if not line.startswith(b"{") or len(line) > _LINE:
        return None
    try:
        key = json.loads(line)["key"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return key if isinstance(key, str) else None
