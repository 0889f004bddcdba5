"""Which files to restore, where the results go, and what is done already."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acutance.errors import ImageError, OutputError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}
MARK = "-restored"
JOURNAL = ".acutance.jsonl"


@dataclass(frozen=True)
class Job:
    """One picture and where its result goes."""

    source: Path
    target: Path


def find_pictures(arguments: Sequence[Path]) -> tuple[list[Path], bool]:
    """The pictures that files, folders and globs name, in order; and whether they are more than one file named.

    Raises:
        ImageError: an argument that names nothing.
    """
    found: list[Path] = []
    several = len(arguments) > 1
    for argument in arguments:
        if argument.is_dir():
            several = True
            inside = sorted(
                p
                for p in argument.iterdir()
                if p.suffix.lower() in SUFFIXES and p.is_file() and not p.name.startswith(".")
            )
            inside = [p for p in inside if not p.stem.endswith(MARK)]
            if not inside:
                raise ImageError(f"no picture in the folder {argument} (looked for {', '.join(sorted(SUFFIXES))})")
            found += inside
        elif argument.exists() or not glob.has_magic(str(argument)):
            found.append(argument)
        else:
            several = True
            matches = sorted(Path(p) for p in glob.glob(str(argument)) if Path(p).is_file())  # noqa: PTH207
            if not matches:
                raise ImageError(f"nothing matches {argument}")
            found += matches
    return list(dict.fromkeys(found)), several


def plan(pictures: Sequence[Path], several: bool, output: Path | None, default_suffix: str | None = None) -> list[Job]:
    """Where each result goes: beside its picture as NAME-restored, to the file `output`, or into the folder `output`.

    Raises:
        OutputError: two results of one name, or a file where a folder is needed.
    """
    as_folder = output is not None and (several or output.is_dir() or str(output).endswith(("/", "\\")))
    if output is not None and as_folder and output.exists() and not output.is_dir():
        raise OutputError(
            f"{output} is a file, and the results of several pictures need a folder; name another with -o"
        )
    jobs = []
    for picture in pictures:
        suffix = default_suffix or (picture.suffix if picture.suffix.lower() in SUFFIXES else ".png")
        if output is None:
            target = picture.with_name(f"{picture.stem}{MARK}{suffix}")
        else:
            target = output / f"{picture.stem}{suffix}" if as_folder else output
        if target.resolve() == picture.resolve() and output is None:
            raise OutputError(f"the result of {picture} would replace it; name another file with -o")
        jobs.append(Job(picture, target))
    targets = [job.target for job in jobs]
    twice = next((t for t in targets if targets.count(t) > 1), None)
    if twice is not None:
        raise OutputError(f"two pictures would both become {twice}; restore them into different folders with -o")
    return jobs


class Journal:
    """What was done in a folder, with which settings: a line of JSON for each result."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.path = folder / JOURNAL
        self.settings = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]
        self.done: set[str] = set()
        try:
            lines = self.path.read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        for line in lines:
            try:
                self.done.add(json.loads(line)["key"])
            except (ValueError, KeyError, TypeError):
                continue  # a line cut off by a crash counts as not done

    def is_done(self, job: Job) -> bool:
        """Whether this picture, unchanged, was restored with these settings and the result is still there."""
        return job.target.is_file() and self._key(job) in self.done

    def add(self, job: Job) -> None:
        """Note a finished result."""
        with self.path.open("a") as file:
            file.write(json.dumps({"key": self._key(job), "source": job.source.name, "result": job.target.name}) + "\n")

    def _key(self, job: Job) -> str:
        try:
            status = job.source.stat()
        except OSError:
            return ""
        return f"{job.source.resolve()}|{status.st_size}|{status.st_mtime_ns}|{job.target.name}|{self.settings}"
