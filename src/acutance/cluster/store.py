"""Files at addresses such as s3://bucket/scans, by fsspec: listed, copied to a local file, and put back whole."""

from __future__ import annotations

import re
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from acutance.errors import ConfigError, ImageError, MissingExtra, OutputError

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/(.*)")
_ROOTED = ("file", "local")
"""Protocols whose paths begin with a slash."""

_WHOLE = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"))
"""Protocols of stores where a file appears only when all of it is there."""


def is_address(path: Path) -> bool:
    """Tell whether a path was written as an address, PROTOCOL://..., of which a path keeps one slash."""
    return _ADDRESS.fullmatch(str(path)) is not None


def address_of(path: Path) -> str:
    """The address that a path was written as.

    Example:
        >>> address_of(Path("s3://bucket/scans/a.png"))
        's3://bucket/scans/a.png'
    """
    found = _ADDRESS.fullmatch(str(path))
    if found is None:
        return str(path)
    return f"{found[1]}://" + ("/" if found[1] in _ROOTED else "") + found[2]


def _opened(path: Path) -> tuple[Any, str]:
    """The file system of an address, and the path there.

    Raises:
        MissingExtra: fsspec is not installed. ConfigError: there is no such protocol, or it needs another package.
    """
    if find_spec("fsspec") is None:
        raise MissingExtra(f"{address_of(path)}", "cluster")
    from fsspec.core import url_to_fs

    try:
        system, inside = url_to_fs(address_of(path))
    except (ImportError, ValueError, OSError) as error:
        raise ConfigError(f"{address_of(path)}: {error}") from error
    return system, str(inside)


def list_files(folder: Path, *, recursive: bool) -> list[tuple[Path, Path]]:
    """The files in a folder, sorted, each with its own folder as seen from the given one.

    Raises:
        ImageError: the folder is not there, or cannot be read. ConfigError, MissingExtra: see `_opened`.
    """
    system, inside = _opened(folder)
    try:
        if not system.isdir(inside):
            raise ImageError(f"there is no folder {address_of(folder)}")
        names = system.find(inside) if recursive else [e["name"] for e in system.ls(inside) if e["type"] == "file"]
    except ImageError:
        raise
    except Exception as error:  # every store has errors of its own
        raise ImageError(f"cannot list {address_of(folder)}: {error}") from error
    root = inside.strip("/")
    below = sorted(Path(str(name).strip("/").removeprefix(root).strip("/")) for name in names)
    return [(folder / each, each.parent) for each in below]


def fetch(path: Path, to: Path, *, missing: bool = False) -> None:
    """Copy a file to a local one. Args: missing: it may not be there; nothing is copied then.

    Raises:
        ImageError: it cannot be read.
    """
    system, inside = _opened(path)
    try:
        if not missing or system.exists(inside):
            system.get_file(inside, str(to))
    except Exception as error:  # every store has errors of its own
        raise ImageError(f"cannot read {address_of(path)}: {error}") from error


def publish(file: Path, path: Path) -> None:
    """Copy a local file to an address, where it appears whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    system, inside = _opened(path)
    folder, _, _ = inside.rpartition("/")
    try:
        if _ADDRESS.fullmatch(str(path))[1] in _WHOLE:  # type: ignore[index]
            system.put_file(str(file), inside)
            return
        system.makedirs(folder, exist_ok=True)
        part = f"{folder}/.acutance-{secrets.token_hex(8)}.part"
        try:
            system.put_file(str(file), part)
            system.mv(part, inside)
        finally:
            if system.exists(part):
                system.rm_file(part)
    except Exception as error:  # every store has errors of its own
        raise OutputError(f"cannot write {address_of(path)}: {error}") from error
