"""Stacks of planes among the files of `acutance restore`: recognised, or refused, before anything is computed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acutance.cli.batch import FORECAST_PIXELS, Settings, check_not_done, mark_of
from acutance.cli.console import duration, emit, escape, parse_precision, say
from acutance.cli.journal import Journals, digest, state_of
from acutance.cli.reporting import ENDINGS
from acutance.cli.selection import without_ome
from acutance.cli.targets import Job
from acutance.cli.wanted import Wanted
from acutance.cli.watching import Watch
from acutance.errors import ConfigError, KernelError, OutputError
from acutance.images.kernel_file import KernelFile
from acutance.images.kernel_volume import VolumeKernel
from acutance.images.ngff import is_zarr
from acutance.images.stack import Stack
from acutance.images.stack_file import is_stack, read_stack
from acutance.images.stack_write import check_suffix, is_zarr_name, write_stack
from acutance.images.zarr_write import ZarrPart
from acutance.problem import Outcome
from acutance.restoration.block_run import BlockRun
from acutance.restoration.stack import Restored, StackRun, fitted_to, plain
from acutance.restoration.volume import VolumeMethod

NO_KERNEL = """{name} is a stack of planes: it needs the point-spread function. Give one:
  --kernel psf3d.tif    of three axes: all planes together (richardson-lucy, wiener, tv, fd, levin)
  --kernel psf.tif      of two axes, or --gaussian 1.5, --disc 3: every plane on its own
Or take one plane out first, and restore that."""

REMEDIES = {
    "--in-place": "a stack is never replaced: name another file with -o",
    "--mask": "set voxels that are missing to NaN",
    "--preview": "cut a piece out first",
    "--bits": "a stack keeps its type",
    "--strength": "the methods for stacks have settings, such as --method richardson-lucy:strength=0.5",
}
"""The remedy for each option that is not for stacks; any other option is to be left out."""


@dataclass(frozen=True)
class Parted:
    """The files of a command. Args: pictures, stacks: what is restored. left: what is not, and why."""

    pictures: list[Job]
    stacks: list[Job]
    left: list[tuple[Path, str]]


def parted(jobs: Sequence[Job], wanted: Wanted) -> Parted:
    """Tell stacks from pictures, and see that the command suits those that are named; of a folder, others are left out.

    Raises:
        KernelError: a named stack without a kernel. ConfigError: with an option that is not for stacks.
        OutputError: its result is not called .tif.
    """
    pictures, stacks, left = list[Job](), list[Job](), list[tuple[Path, str]]()
    wrong = not_for_stacks(wanted)
    for job in jobs:
        if wanted.task != "deblur" or not is_stack(job.source):
            if is_zarr_name(job.target):
                raise OutputError(f"{job.source.name} is no stack; OME-Zarr is written of stacks and volumes only")
            pictures.append(job)
        elif wanted.blur is None:
            if job.named:
                raise KernelError(NO_KERNEL.format(name=job.source.name))
            left.append((job.source, "a stack of planes, and no --kernel was given"))
        elif wrong:
            remedy = next((REMEDIES[option] for option in wrong if option in REMEDIES), "leave that out")
            if job.named:
                raise ConfigError(f"{', '.join(wrong)}: not for {job.source.name}, a stack of planes; {remedy}")
            left.append((job.source, f"a stack of planes, and {', '.join(wrong)} is for pictures"))
        else:
            check_suffix(job.target)
            if wanted.block is not None and not is_zarr_name(job.target):
                raise ConfigError(
                    f"--block: the result is an OME-Zarr; name it with -o, such as {_as_zarr(job.target)}"
                )
            stacks.append(job)
    return Parted(pictures, stacks, left)


def apart_from(parts: Parted, kernel: VolumeKernel | KernelFile) -> Parted:
    """The same where the kernel has three axes: pictures have no use for it.

    Raises:
        KernelError: a picture is named.
    """
    if isinstance(kernel, KernelFile) or not parts.pictures:
        return parts
    for job in parts.pictures:
        if job.named:
            raise KernelError(f"the kernel has three axes, and {job.source.name} is a picture; give it a kernel (h, w)")
    left = [(job.source, "a picture, and the kernel has three axes") for job in parts.pictures]
    return Parted([], parts.stacks, [*parts.left, *left])


def not_for_stacks(wanted: Wanted) -> list[str]:
    """Options given that stacks have no use for."""
    given = wanted.there() | {"--bits": wanted.bits is not None}
    no_use = (
        "--in-place", "--mask", "--preview", "--bits", "--strength", "--linear", "--encoded", "--compare", "--explain",
        "--window", "--trail", "--candidates", "--workers", "--cluster", "--sidecar", "--report", "--uncertainty",
        "--profile",
    )  # fmt: skip
    return [option for option in no_use if given[option]]


@dataclass
class StackBatch:
    """The stacks of a command, one by one.

    Args:
        solver: for all of them. kernel: before it is fitted to a stack. sigma: noise level; None: estimated.
        settings: of the command. block: sides of the blocks; None: by the memory.
    """

    solver: VolumeMethod
    kernel: VolumeKernel | KernelFile
    sigma: float | None
    settings: Settings
    block: tuple[int, int, int] | None = None

    @staticmethod
    def of(wanted: Wanted, kernel: VolumeKernel | KernelFile, settings: Settings) -> StackBatch:
        """The method, ready for stacks.

        Args:
            kernel: see `acutance.restoration.stack.read_stack_kernel`. settings: of which the digest is made here.

        Raises:
            AcutanceError: an unknown method, or one that does not go with the kernel.
        """
        own = {"steps": wanted.steps, "seconds": wanted.seconds}
        options = {name: value for name, value in own.items() if value is not None}
        solver = VolumeMethod.load(
            plain(kernel), wanted.method, weights=wanted.weights, device=wanted.device, quality=wanted.quality,
            precision=parse_precision(wanted.precision), tile=wanted.tile or "auto", **options,
        )  # fmt: skip
        same = {
            "stack": True, "method": wanted.method or solver.spec.name, "options": options, "quality": wanted.quality,
            "weights": None if wanted.weights is None else str(wanted.weights), "sigma": wanted.level,
            "kernel": hashlib.sha256(kernel.kernel.numpy().tobytes()).hexdigest(),
            "voxel": str(kernel.voxel) if isinstance(kernel, VolumeKernel) else None,
        }  # fmt: skip
        return StackBatch(solver, kernel, wanted.level, replace(settings, digest=digest(same)), wanted.sides)

    def __post_init__(self) -> None:
        self._journals = Journals(self.settings.digest, kept=self.settings.journal)

    def one(self, job: Job, watch: Watch) -> None:
        """Restore a stack and write it, volume by volume.

        Raises:
            AlreadyDone, LeftOut: see `acutance.cli.batch`. AcutanceError, OSError, MemoryError: it cannot be done.
        """
        s, state = self.settings, state_of(job.source)
        journal = self._journals.of(job.target.parent)
        check_not_done(job, state, journal, s)
        begun = time.perf_counter()
        by_blocks = is_zarr_name(job.target)
        stack = read_stack(job.source, max_voxels=None if by_blocks and is_zarr(job.source) else s.max_pixels)
        kernel = fitted_to(self.kernel, stack)
        notes = [*stack.notes, *(f"kernel: {note}" for note in kernel.notes[len(self.kernel.notes) :])]
        solver, mark = self.solver.with_kernel(plain(kernel)), mark_of(job, self.solver.spec.name, s)
        run: StackRun | BlockRun
        if by_blocks:
            about = {"settings": s.digest, "source": mark.source, "version": mark.version}
            block = self.block or _block_before(job.target, about)
            run = BlockRun.begin(stack, solver, self.sigma, block=block)
        else:
            run = StackRun.begin(stack, solver, self.sigma)
        for note in () if s.as_json else (*notes, *run.said()):
            say(f"[yellow]{escape(job.source.name)}:[/] {escape(note)}")
        if isinstance(run, BlockRun):
            outcome = _by_blocks(run, job, watch, s, about, mark.line)
        else:
            restored = _watched(run, job, watch)
            write_stack(job.target, replace(stack, values=restored), overwrite=s.overwrite, mark=mark)
            outcome = restored.outcome
        if journal is not None:
            journal.add(state, job.source, job.target)
        seconds = time.perf_counter() - begun
        if s.as_json:
            emit(json.dumps(_record(job, run, outcome, seconds, [*notes, *run.said()])))
        else:
            say(f"[bold]{escape(job.target)}[/]: {escape(_sentence(run, outcome, seconds))}")


def _block_before(target: Path, about: dict[str, Any]) -> tuple[int, int, int] | None:
    """The blocks of an unfinished result of the same settings, so that its run can go on; None: there is none."""
    before = ZarrPart.settings_of(target) or {}
    found = before.get("block")
    if not isinstance(found, list) or any(before.get(key) != value for key, value in about.items()):
        return None
    z, y, x = found
    return z, y, x


def _by_blocks(run: BlockRun, job: Job, watch: Watch, settings: Settings, about: dict[str, Any], mark: str) -> Outcome:
    """Restore and write a stack block by block; what is finished of an interrupted run stays."""

    def on_block(number: int, count: int) -> None:
        watch.begin(f"{job.source.name}, block {number} of {count}" if count > 1 else job.source.name)

    try:
        return run.restore(
            job.target, about, overwrite=settings.overwrite, mark=mark, on_block=on_block, on_step=watch.on_step
        )
    except KeyboardInterrupt:
        say(f"{escape(job.target.name)}: finished blocks are kept; the same command goes on")
        raise


def _as_zarr(target: Path) -> str:
    return f"{without_ome(target.stem)}.ome.zarr"


def _watched(run: StackRun, job: Job, watch: Watch) -> Restored:
    """The volumes of a run, whose progress is shown: a line for each, and its steps or planes."""
    stack = run.stack
    count = len(stack.places)

    def on_volume(moment: int, channel: int) -> None:
        number = stack.places.index((moment, channel)) + 1
        name = stack.name_of(moment, channel)
        watch.begin(f"{job.source.name}, volume {number} of {count} ({name})" if count > 1 else job.source.name)
        depth, height, width = stack.size
        if depth * height * width >= FORECAST_PIXELS:
            watch.announce(f"{depth} x {height} x {width} voxels")

    def on_plane(plane: int, planes: int) -> None:
        watch.phase(f"plane {plane} of {planes}")

    return run.volumes(on_volume=on_volume, on_step=watch.on_step, on_plane=on_plane)


def _size(stack: Stack) -> str:
    sides = " x ".join(map(str, stack.size))
    count = len(stack.places)
    return f"{sides} voxels" if count == 1 else f"{count} volumes of {sides} voxels"


def _sentence(run: StackRun | BlockRun, outcome: Outcome, seconds: float) -> str:
    how = ", plane by plane" if run.solver.by_planes else ""
    end = ENDINGS.get(outcome, "")
    return f"{_size(run.stack)}, restored by {run.solver.spec.name}{how}, {duration(seconds)}{end}"


def _record(
    job: Job, run: StackRun | BlockRun, outcome: Outcome, seconds: float, notes: list[str]
) -> dict[str, object]:
    stack, voxel = run.stack, run.stack.voxel
    channels = [
        {
            "name": stack.channel_name(number),
            "noise_level": None if units.sigma is None else round(units.sigma, 6),
            "noise_reason": units.reason,
        }
        for number, units in enumerate(run.units)
    ]
    return {
        "picture": str(job.source),
        "result": str(job.target),
        "status": "restored",
        "axes": stack.axes,
        "shape": list(stack.shape),
        "dtype": stack.dtype.name,
        "voxel": None if voxel is None else {"z": voxel.z, "y": voxel.y, "x": voxel.x, "unit": voxel.unit},
        "method": run.solver.spec.name,
        "by_planes": run.solver.by_planes,
        "block": list(run.grid.block) if isinstance(run, BlockRun) else None,
        "channels": channels,
        "outcome": outcome.name.lower(),
        "seconds": round(seconds, 3),
        "notes": notes,
    }
