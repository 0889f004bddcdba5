"""From a stack to a restored stack: every volume by the code of `acutance.restore_volume`, one in memory at a time.

Brightness, pedestal and noise level are decided once for each channel, from up to `LOOKED_AT` of its moments, so that
moments stay comparable: the largest brightness, the lowest pedestal, the median of the noise.
"""

from __future__ import annotations

import logging
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import ImageError, KernelError
from acutance.images.kernel_file import KernelFile, read_kernel
from acutance.images.kernel_volume import VolumeKernel, holds_volume, read_volume_kernel
from acutance.images.stack import Stack
from acutance.images.stack_file import read_stack
from acutance.prepare import check_level, has_data
from acutance.problem import Observer, Outcome, worst
from acutance.restoration.volume import Units, VolumeMethod, as_given, volume_of

LOOKED_AT = 3
"""Moments of a channel, evenly spread, by which its brightness and noise are decided."""

logger = logging.getLogger(__name__)


def restore_stack(
    stack: Stack | str | os.PathLike[str],
    kernel: Tensor | NDArray[Any] | str | os.PathLike[str] | VolumeKernel,
    *,
    method: str | None = None,
    sigma: float | None = None,
) -> Stack:
    """Make a blurred stack sharp: every moment and channel with the same kernel.

    Args:
        stack: see `acutance.read_stack`, or its file.
        kernel: the point-spread function, see `restore_volume`, or its file, which is repaired and resampled to the
            voxels of the stack.
        method: see `restore_volume`. sigma: noise level, a fraction of the brightness of a channel; None: estimated.

    Returns:
        The restored stack, with the axes, voxel size, channel names and type of the one given; all in memory.

    Raises:
        ImageError, KernelError, ConfigError, UnknownMethod: what is given cannot be used. All is checked first.

    Example:
        >>> counts = np.random.default_rng(0).poisson(20, (2, 6, 24, 24)).astype(np.uint16)
        >>> restore_stack(Stack.of(counts, "CZYX"), np.ones((3, 3, 3)), method="wiener").shape
        (2, 6, 24, 24)
    """
    given = stack if isinstance(stack, Stack) else read_stack(stack)
    found = read_stack_kernel(Path(kernel)) if isinstance(kernel, str | os.PathLike) else kernel
    psf: object = found
    if isinstance(found, VolumeKernel | KernelFile):
        fitted = fitted_to(found, given)
        psf = plain(fitted)
        for note in fitted.notes:
            logger.info("kernel: %s", note)
    run = StackRun.begin(given, VolumeMethod.load(psf, method), sigma)
    for line in run.said():
        logger.info("%s", line)
    values = np.empty(given.values.shape, given.dtype)
    for t, c in given.places:
        values[t, c] = run.volumes()[t, c]
    return replace(given, values=values)


def read_stack_kernel(path: Path, *, centre: bool = False, flip: bool = False) -> VolumeKernel | KernelFile:
    """Read a kernel for stacks, of three axes or of two.

    Raises:
        KernelError: it cannot be read or repaired, or is in colour.
    """
    if holds_volume(path):
        return read_volume_kernel(path, centre=centre, flip=flip)
    found = read_kernel(path, centre=centre, flip=flip)
    if found.kernel.shape[1] != 1:
        raise KernelError(f"{path.name}: a kernel in colour is not for the grey planes of a stack; save it in grey")
    return found


def fitted_to(kernel: VolumeKernel | KernelFile, stack: Stack) -> VolumeKernel | KernelFile:
    """A kernel for the voxels and the size of a stack, with the notes of what was done.

    Raises:
        KernelError: it does not belong to the stack.
    """
    return kernel if isinstance(kernel, KernelFile) else kernel.at(stack.voxel).within(stack.size)


def plain(kernel: VolumeKernel | KernelFile) -> Tensor:
    """(h, w) or (d, h, w)."""
    return kernel.kernel[0, 0]


@dataclass(frozen=True, eq=False)
class StackRun:
    """A stack and a method that are ready to go.

    Args:
        stack, solver: see there. units: of each channel.
    """

    stack: Stack
    solver: VolumeMethod
    units: tuple[Units, ...]

    @staticmethod
    def begin(stack: Stack, solver: VolumeMethod, sigma: float | None = None) -> StackRun:
        """Check what is given, and look at each channel.

        Raises:
            KernelError: the kernel is too large. ConfigError: no noise level. ImageError: a channel without values.
        """
        check_level(sigma)
        solver.check_size(stack.size)
        channels = range(stack.values.shape[1])
        return StackRun(stack, solver, tuple(units_of(stack, solver, c, sigma) for c in channels))

    def volumes(
        self,
        *,
        on_volume: Callable[[int, int], None] | None = None,
        on_step: Observer | None = None,
        on_plane: Callable[[int, int], None] | None = None,
    ) -> Restored:
        """The restored volumes, each computed when it is asked for.

        Args:
            on_volume: told the moment and channel of each before it is begun.
            on_step, on_plane: see `acutance.restoration.volume.VolumeMethod.run`.
        """
        return Restored(self, on_volume, on_step, on_plane)

    def said(self) -> list[str]:
        """The decisions, for people: one line for each channel, and one on planes."""
        several = len(self.units) > 1
        lines = [
            f"{f'channel {self.stack.channel_name(c)}: ' if several else ''}noise level {u.reason} of its brightness"
            for c, u in enumerate(self.units)
            if u.sigma is not None
        ]
        return lines + (
            ["the kernel has two axes: every plane is restored on its own"] if self.solver.by_planes else []
        )


@dataclass(eq=False)
class Restored:
    """The volumes of a `StackRun` as a `acutance.images.stack.Volumes`; `outcomes`: of those computed so far."""

    run: StackRun
    on_volume: Callable[[int, int], None] | None = None
    on_step: Observer | None = None
    on_plane: Callable[[int, int], None] | None = None
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, C, Z, Y, X)."""
        return self.run.stack.values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the source."""
        return self.run.stack.dtype

    @property
    def outcome(self) -> Outcome:
        """The worst one."""
        return worst(self.outcomes)

    def __getitem__(self, at: tuple[int, int]) -> NDArray[Any]:
        t, c = at
        if self.on_volume is not None:
            self.on_volume(t, c)
        volume = self.run.stack.volume(t, c)
        values = volume_of(volume)
        valid = has_data(values)
        if not bool(valid.any()):
            self.outcomes.append(Outcome.COMPLETED)
            return volume
        x, outcome = self.run.solver.run(values, valid, self.run.units[c], on_step=self.on_step, on_plane=self.on_plane)
        self.outcomes.append(outcome)
        return np.asarray(as_given(x, volume))


def units_of(stack: Stack, solver: VolumeMethod, channel: int, sigma: float | None) -> Units:
    """The units of a channel, from some of its moments.

    Raises:
        ImageError: it has no values.
    """
    moments = stack.values.shape[0]
    some = sorted({round(t) for t in np.linspace(0, moments - 1, min(moments, LOOKED_AT))})
    found = []
    for t in some:
        values = volume_of(stack.volume(t, channel))
        valid = has_data(values)
        if bool(valid.any()):
            found.append(solver.units(values, valid, sigma))
    if not found:
        raise ImageError(f"channel {stack.channel_name(channel)} has no values: all are NaN or infinite")
    if len(found) == 1:
        return found[0]
    pedestal = min(u.pedestal for u in found)
    scale = max(u.scale + u.pedestal for u in found) - pedestal
    grounds = [u.background * u.scale / scale for u in found if u.background is not None]
    background = statistics.median(grounds) if grounds else None
    levels = [u.sigma * u.scale / scale for u in found if u.sigma is not None]
    if sigma is not None or not levels:
        return replace(found[0], pedestal=pedestal, scale=scale, background=background)
    level = statistics.median(levels)
    reason = f"estimated in smooth places of {len(found)} moments as {100 * level:.2g} %"
    return Units(pedestal, scale, level, reason, background)
