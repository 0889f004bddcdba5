"""The kernel that the options of a command describe: from a file, in words, one for each place, or of a stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acutance.blind.guess import Guess
from acutance.cli.console import escape, parse_numbers, say
from acutance.cli.targets import Job
from acutance.cli.wanted import Wanted
from acutance.errors import ConfigError, KernelError
from acutance.images.kernel_file import KernelFile, read_kernel
from acutance.images.kernel_volume import VolumeKernel
from acutance.images.peek import peek_size
from acutance.operators import BlurField
from acutance.psf import shapes
from acutance.psf.files import FieldFile, is_field, read_field
from acutance.restoration.stack import read_stack_kernel


def choose_kernel(
    file: Path | None, motion: str | None, disc: float | None, gaussian: float | None, *, flip: bool, centre: bool
) -> KernelFile | None:
    """The kernel that the options describe, None if none does.

    Raises:
        ConfigError: more than one option. KernelError: an unusable kernel.
    """
    given = [
        n
        for n, v in (("--kernel", file), ("--motion", motion), ("--disc", disc), ("--gaussian", gaussian))
        if v is not None
    ]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} together: give one kernel")
    if file is not None:
        return read_kernel(file, centre=centre, flip=flip)
    if motion is not None:
        length, angle = parse_numbers(motion, 2, "--motion", "LENGTH,ANGLE, e.g. --motion 15,30")
        if length > 1001:
            raise KernelError(f"--motion {motion}: lengths up to 1001 pixels")
        return KernelFile(shapes.line(length, angle))
    for value, make, largest in ((disc, shapes.disc, 500.0), (gaussian, shapes.gaussian, 170.0)):
        if value is not None:
            if not 0 < value <= largest:
                raise KernelError(f"{given[0]} {value}: give a number above 0 and up to {largest:g} pixels")
            return KernelFile(make(value))
    return None


def guess_of(motion: str | None, disc: float | None, gaussian: float | None) -> Guess | None:
    """The kernel of the options in words; they have been checked."""
    if motion is not None:
        return Guess("line", *parse_numbers(motion, 2, "--motion", "LENGTH,ANGLE"))
    if disc is not None:
        return Guess("disc", disc)
    return None if gaussian is None else Guess("gaussian", gaussian)


def field_of(wanted: Wanted, jobs: list[Job]) -> FieldFile | None:
    """The blur field of --kernel, if it is one.

    Raises:
        ConfigError: with another option for kernels, or one that a field does not know. KernelError: unusable.
    """
    file = wanted.kernel
    if file is None or not is_field(file):
        return None
    others = (wanted.motion, wanted.disc, wanted.gaussian, wanted.preview, wanted.flip_kernel or wanted.centre)
    if any(others):
        raise ConfigError(
            f"{file.name} holds a kernel for every place of the whole picture: leave out --motion, --disc, --gaussian, "
            "--preview, --flip-kernel, --centre"
        )
    sizes = {peek_size(job.picture) for job in jobs}
    size = sizes.pop() if len(sizes) == 1 else None
    return read_field(file, None if size is None else (size[1], size[0]))


def stack_kernel(wanted: Wanted) -> VolumeKernel | KernelFile:
    """The kernel for stacks, of three axes or of two, with what there is to say of it.

    Raises:
        ConfigError: several kernels, or an option for one of a file. KernelError: unusable.
    """
    file, shaped = wanted.kernel, (wanted.motion, wanted.disc, wanted.gaussian)
    found: VolumeKernel | KernelFile | None
    if file is not None and is_field(file):
        raise KernelError(f"{file.name} holds a kernel for every place of a picture; give one kernel for a stack")
    if file is not None and all(each is None for each in shaped):
        found = read_stack_kernel(file, centre=wanted.centre, flip=wanted.flip_kernel)
    else:
        if wanted.centre or wanted.flip_kernel:
            raise ConfigError("--centre and --flip-kernel are for the kernel of a file; give one with --kernel")
        found = choose_kernel(file, *shaped, flip=False, centre=False)
    assert found is not None
    for note in found.notes:
        say(f"[yellow]kernel:[/] {escape(note)}")
    return found


def as_lists(psf: KernelFile | FieldFile | None) -> Any:
    """The kernel as lists, None if there is none."""
    kernel = None if psf is None else psf.kernel
    return (kernel.kernels if isinstance(kernel, BlurField) else kernel).tolist() if kernel is not None else None
