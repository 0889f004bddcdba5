"""`--sidecar`: the file beside a result from which `acutance repeat` makes it again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from acutance.cli.targets import Job, refuse_link
from acutance.cli.wanted import Wanted
from acutance.errors import ConfigError, OutputError
from acutance.images import read_image
from acutance.images.fits_layout import split
from acutance.images.mark import file_hash
from acutance.restoration.record import sidecar_of
from acutance.restoration.restored import Restoration
from acutance.trust.sidecar import File, Made, Settings, hash_of_pixels, path_of, write


@dataclass(frozen=True)
class Recorder:
    """Writes the side-cars of a command.

    Args:
        settings, kernel, mask, weights, profile: of every picture. paths: of the side-cars, by the result.
    """

    settings: Settings
    kernel: File | None
    mask: File | None
    weights: File | None
    profile: File | None
    paths: dict[Path, Path]

    @staticmethod
    def of(wanted: Wanted, jobs: Sequence[Job]) -> Recorder | None:
        """The recorder of a command; None where no side-car is wanted.

        Raises:
            ConfigError: nothing could be repeated. OutputError: a side-car cannot be written.
        """
        if not wanted.sidecar:
            return None
        if wanted.in_place:
            raise ConfigError("--sidecar with --in-place: the picture is replaced, and nothing can be repeated from it")
        names = Counter(os.path.normcase(path_of(job.target)) for job in jobs)
        paths = {}
        for job in jobs:
            twice = names[os.path.normcase(path_of(job.target))] > 1
            paths[job.target] = path_of(job.target, whole=twice)
            refuse_link(paths[job.target])
        values = {each.name: getattr(wanted, each.name) for each in fields(Settings) if each.name != "shipped"}
        read = wanted.kernel, wanted.mask, wanted.weights, wanted.profile
        kernel, mask, weights, profile = (_file(path) for path in read)
        shipped = None if wanted.weights is None or weights is not None else str(wanted.weights)
        return Recorder(Settings(**values, shipped=shipped), kernel, mask, weights, profile, paths)

    def check(self, job: Job, *, overwrite: bool) -> None:
        """Refuse a side-car that exists, before the picture is read.

        Raises:
            OutputError: it does, and `overwrite` is False.
        """
        path = self.paths[job.target]
        if os.path.lexists(path) and not overwrite:
            raise OutputError(f"{path} exists; give --overwrite to replace it, or another name with -o")

    def is_there(self, job: Job) -> bool:
        """Tell whether the side-car of a result is there."""
        return self.paths[job.target].is_file()

    def write(self, job: Job, done: Restoration, source_hash: str, *, overwrite: bool, most: int) -> Path:
        """Write the side-car of a result that has been written; returns its path.

        Args:
            job, done: which. source_hash: of the input. overwrite: replace one. most: pixels of a picture, at most.

        Raises:
            OutputError: it cannot be written.
        """
        sidecar = sidecar_of(
            done,
            source=File(job.source.name, source_hash, job.where),
            settings=self.settings,
            output=Made(job.target.name, file_hash(job.target), _pixels(job, most)),
            kernel=self.kernel,
            mask=self.mask,
            weights=self.weights,
            profile=self.profile,
        )
        path = self.paths[job.target]
        write(path, sidecar, overwrite=overwrite)
        return path


def _file(path: Path | None) -> File | None:
    """A file that the command reads; the name of shipped weights is one without a hash, and needs none."""
    if path is None:
        return None
    file, where = split(path)
    return File(file.name, file_hash(file), where) if file.is_file() else None


def _pixels(job: Job, most: int) -> str:
    """The hash of the samples that were written."""
    return hash_of_pixels(read_image(Path(f"{job.target}{job.where}"), max_pixels=most))
