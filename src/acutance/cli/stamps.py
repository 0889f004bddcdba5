"""Cubes of stamps with a kernel for each, among the files of `acutance restore`."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from acutance.cli.batch import Settings, check_not_done, mark_of
from acutance.cli.console import duration, emit, escape, parse_precision, say
from acutance.cli.journal import Journals, digest, state_of
from acutance.cli.stacks import not_for_stacks
from acutance.cli.targets import Job
from acutance.cli.wanted import Wanted
from acutance.cli.watching import Watch
from acutance.errors import ConfigError, ImageError, KernelError, OutputError
from acutance.images import Image, ImageInfo
from acutance.images.mark import file_hash
from acutance.images.stamps import count_of_stamps, read_kernels, read_stamps, write_stamps
from acutance.methods.written import read_method
from acutance.problem import worst
from acutance.psf.files import is_field
from acutance.psf.placed import usable
from acutance.restoration.restored import Restoration
from acutance.restoration.restorer import Restorer

AT_ONCE = 256
"""Stamps that are restored together, at most: more use memory and save no time."""


def holds_kernels(file: Path | None) -> bool:
    """Tell whether a kernel's file is a cube with a kernel for each stamp."""
    return file is not None and not is_field(file) and count_of_stamps(file) > 1


def stamps_among(jobs: list[Job], wanted: Wanted) -> list[Job]:
    """The cubes of stamps, where the kernel is a cube as well.

    Raises:
        KernelError: another number of kernels than of stamps, or a picture among the files.
        ConfigError: an option that is not for stamps.
    """
    if wanted.kernel is None or not holds_kernels(wanted.kernel):
        return []
    kernels = count_of_stamps(wanted.kernel)
    for job in jobs:
        count = count_of_stamps(job.picture)
        if count != kernels:
            what = f"{count} stamps" if count else "no cube of stamps"
            raise KernelError(
                f"{wanted.kernel.name} holds {kernels} kernels, and {job.source.name} {what}; give one kernel for each "
                "stamp, or name one by FILE[0][*,*,1]"
            )
        if not job.target.name.lower().endswith((".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz")):
            raise OutputError(f"{job.target}: stamps are written as FITS; give a name that ends in .fits")
    wrong = not_for_stacks(wanted)
    if wrong and jobs:
        raise ConfigError(f"{', '.join(wrong)}: not for {jobs[0].source.name}, a cube of stamps; leave that out")
    return jobs


@dataclass
class StampBatch:
    """The cubes of a command. Args: restorer: for all of them. wanted: the options. settings: of the command."""

    restorer: Restorer
    wanted: Wanted
    settings: Settings

    @staticmethod
    def of(wanted: Wanted, default: str, settings: Settings) -> StampBatch:
        """The method, ready for stamps.

        Raises:
            AcutanceError: an unknown method or setting, or a method without a kernel.
        """
        assert wanted.kernel is not None
        name, own = read_method(wanted.method or default)
        added = {"steps": wanted.steps, "seconds": wanted.seconds}
        restorer = Restorer.load(
            name, weights=wanted.weights, device=wanted.device, precision=parse_precision(wanted.precision),
            quality=wanted.quality, **{**own, **{k: v for k, v in added.items() if v is not None}},
        )  # fmt: skip
        if not restorer.needs.kernel:
            raise ConfigError(f"{name} takes no kernel; leave out the kernels, or name another method")
        same = {
            "stamps": True, "method": wanted.method or default, "options": str(added), "quality": wanted.quality,
            "weights": restorer.weights, "sigma": wanted.level, "kernel": file_hash(wanted.kernel),
        }  # fmt: skip
        return StampBatch(restorer, wanted, replace(settings, digest=digest(same)))

    def __post_init__(self) -> None:
        self._journals = Journals(self.settings.digest, kept=self.settings.journal)

    def one(self, job: Job, watch: Watch) -> None:
        """Restore the stamps of a file and write them.

        Raises:
            AlreadyDone, LeftOut: see `acutance.cli.batch`. AcutanceError, OSError, MemoryError: it cannot be done.
        """
        s, state = self.settings, state_of(job.source)
        journal = self._journals.of(job.target.parent)
        check_not_done(job, state, journal, s)
        assert self.wanted.kernel is not None
        begun, notes = time.perf_counter(), list[str]()
        stamps = read_stamps(job.picture)
        kernels = usable(read_kernels(self.wanted.kernel, len(stamps.values)), notes)
        done = self._restored(stamps.values, kernels, watch)
        values = np.stack([each.image.pixels[0, 0].double().numpy() for each in done])
        history = [f"kernels from {self.wanted.kernel.name}"]
        mark = replace(mark_of(job, self.restorer.spec.name, s), method=done[0].ran)
        notes += write_stamps(job.target, stamps, values, mark=mark, history=history, overwrite=s.overwrite)
        if journal is not None:
            journal.add(state, job.source, job.target)
        self._tell(job, done, time.perf_counter() - begun, notes)

    def _restored(self, values: NDArray[np.float64], kernels: NDArray[np.float64], watch: Watch) -> list[Restoration]:
        """All stamps, so many at once, each with its own kernel, scale and noise level."""
        if not np.isfinite(values).any((1, 2)).all():
            number = int(np.argmin(np.isfinite(values).any((1, 2)))) + 1
            raise ImageError(f"stamp {number} has no values: all are NaN or infinite; leave it out")
        info = ImageInfo("FITS", bits=32, is_float=True)
        done: list[Restoration] = []
        for first in range(0, len(values), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            watch.phase(f"stamps {first + 1} to {min(first + AT_ONCE, len(values))} of {len(values)}")
            images: list[Image | torch.Tensor] = [
                Image(torch.from_numpy(v.astype(np.float32))[None, None], None, info) for v in values[part]
            ]
            psfs = torch.from_numpy(kernels[part].astype(np.float32))[:, None]
            done += self.restorer.batch(images, psfs, sigma=self.wanted.level, on_step=watch.on_step)
        return done

    def _tell(self, job: Job, done: list[Restoration], seconds: float, notes: list[str]) -> None:
        levels = [each.noise_level for each in done if each.noise_level is not None]
        size = done[0].image.size
        if self.settings.as_json:
            record = {
                "picture": str(job.source), "result": str(job.target), "status": "restored", "stamps": len(done),
                "size": list(size), "method": done[0].ran,
                "outcome": worst([each.outcome for each in done]).name.lower(),
                "noise_levels": [round(level, 6) for level in levels],
                "fitting_errors": [float(f"{each.fitting_error:.4g}") for each in done],
                "seconds": round(seconds, 3), "notes": notes,
            }  # fmt: skip
            emit(json.dumps(record))
            return
        for note in notes:
            say(f"[yellow]{escape(job.source.name)}:[/] {escape(note)}")
        said = f"{len(done)} stamps of {size[1]} x {size[0]} pixels, a kernel for each, restored by {done[0].ran}"
        noise = f", noise {100 * min(levels):.2g} to {100 * max(levels):.2g} %" if levels else ""
        say(f"[bold]{escape(job.target)}[/]: {escape(said)}{noise}, {duration(seconds)}")
