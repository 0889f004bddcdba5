"""Folders at addresses such as s3://bucket/scans: a worker copies its picture, restores the copy, puts the result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from acutance.cli.selection import PICTURE_SUFFIXES, Found, Selection, Skipped
from acutance.cli.targets import Job
from acutance.cluster.store import address_of, fetch, is_address, list_files, publish
from acutance.errors import ConfigError, ImageError
from acutance.images.image import suffix_of


def select_addresses(pictures: tuple[Path, ...], *, recursive: bool) -> Selection:
    """The pictures in folders at addresses: the files whose names end as those of pictures do.

    Raises:
        ConfigError: an address beside a path of this machine. ImageError: a folder without pictures.
    """
    if not all(is_address(path) for path in pictures):
        raise ConfigError("addresses and paths of this machine together; restore them by two commands")
    found, skipped = list[Found](), list[Skipped]()
    for folder in pictures:
        for path, below in list_files(folder, recursive=recursive):
            if path.name.startswith("."):
                continue
            if suffix_of(path).lower() in PICTURE_SUFFIXES:
                found.append(Found(path, below, named=False))
            else:
                skipped.append(Skipped(path, "by its name not a picture"))
        if not found:
            raise ImageError(f"no picture in {address_of(folder)}")
    return Selection(tuple(found), tuple(skipped), several=True)


@contextmanager
def staged(job: Job) -> Iterator[Job]:
    """Copies of the picture, and of its result if there is one; the result is put in its place where it was made anew.

    Raises:
        ImageError, OutputError: the store cannot be read or written.
    """
    with TemporaryDirectory(prefix="acutance-") as folder:
        local = replace(job, source=Path(folder, "in", job.source.name), target=Path(folder, "out", job.target.name))
        local.source.parent.mkdir()
        local.target.parent.mkdir()
        fetch(job.source, local.source)
        fetch(job.target, local.target, missing=True)
        before = local.target.stat().st_ino if local.target.exists() else None
        yield local
        if local.target.exists() and local.target.stat().st_ino != before:
            publish(local.target, job.target)
