"""From a stack to a restored OME-Zarr, block by block: noise level, brightness and background are fixed before.

Dask runs the blocks (`dask.delayed`), one after the other, as a block has all cores for itself. Nothing of a block
depends on another one. So a run that was cut off goes on with the blocks that are missing, and its result has the bytes
of a run that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from acutance.errors import MissingExtra
from acutance.images.stack import Stack
from acutance.images.zarr_stack import Box, ZarrVolumes, form_of
from acutance.images.zarr_write import CHUNK, ZarrPart
from acutance.prepare import check_level, has_data
from acutance.problem import Observer, Outcome, Problem, worst
from acutance.restoration.blocks import Grid, Sides, grid_of, memory_of
from acutance.restoration.stack import units_of
from acutance.restoration.volume import Units, VolumeMethod, as_given, plane_of, volume_of

LOOKED_AT = 16_000_000
"""Voxels of a volume, in evenly spread planes, by which its brightness, background and noise are decided; and voxels of
each of `PARTS` parts by which a method decides the rest. A smaller volume is looked at as a whole."""

PARTS = 3


@dataclass(frozen=True, eq=False)
class BlockRun:
    """A stack, a method and a grid that are ready to go.

    Args:
        stack, grid: see there. solvers, units: of each channel.
    """

    stack: Stack
    grid: Grid
    solvers: tuple[VolumeMethod, ...]
    units: tuple[Units, ...]

    @staticmethod
    def begin(
        stack: Stack, solver: VolumeMethod, sigma: float | None = None, *, block: Sides | None = None,
        free: int | None = None,
    ) -> BlockRun:  # fmt: skip
        """Check what is given, divide the volumes, and look at each channel.

        Args:
            sigma: noise level, a fraction of the brightness of a channel; None: estimated.
            block: sides of a block (Z, Y, X); None: whole volumes where they fit into the memory.
            free: see `acutance.restoration.blocks.grid_of`.

        Raises:
            KernelError: the kernel is too large. ConfigError: no noise level, no block, or no method for blocks.
            ImageError: a channel without values. MissingExtra: there are blocks, and no Dask.
        """
        check_level(sigma)
        solver.check_size(stack.size)
        radius = _radius(solver)
        chunks = CHUNK if stack.ngff is None else stack.ngff.chunks
        grid = grid_of(
            solver.spec, stack.size, radius, by_planes=solver.by_planes, chunks=chunks, block=block, free=free
        )
        _dask()
        seen = replace(stack, values=_Planes(stack, _spread(stack.size)))
        channels = range(stack.values.shape[1])
        units = tuple(units_of(seen, solver, c, sigma) for c in channels)
        fixed = tuple(_fixed(stack, solver, grid, c, units[c]) for c in channels)
        return BlockRun(stack, grid, fixed, units)

    @property
    def solver(self) -> VolumeMethod:
        """The method of the first channel."""
        return self.solvers[0]

    @property
    def count(self) -> int:
        """Blocks of all volumes."""
        return len(self.stack.places) * math.prod(self.grid.counts)

    @property
    def memory(self) -> int:
        """Bytes that a block takes beside the program, about."""
        solver = self.solvers[0]
        sides = self.grid.largest
        return memory_of(solver.spec, sides, _radius(solver), solver.by_planes)

    def restore(
        self,
        target: Path,
        settings: dict[str, Any],
        *,
        overwrite: bool = False,
        mark: str | None = None,
        on_block: Callable[[int, int], None] | None = None,
        on_step: Observer | None = None,
    ) -> Outcome:
        """Restore every block that is not finished, and write the result; returns how the worst of them ended.

        Args:
            target: the OME-Zarr. settings: all that the result depends on beside the grid; plain values.
            overwrite: replace a result. mark: what it says of its origin. on_block: told the number of each block that
                is begun, from 1 on, and of how many. on_step: told the steps of each.

        Raises:
            OutputError: see `acutance.images.zarr_write.ZarrPart.open`.
        """
        stack, grid = self.stack, self.grid
        about = settings | {"block": list(grid.block), "overlap": list(grid.overlap), "chunk": list(grid.chunk)}
        part = ZarrPart.open(
            target, form_of(stack, grid.chunk), stack.values.shape, stack.dtype, about, overwrite=overwrite
        )
        dask = _dask()
        missing = [
            _Work(self, part, at, box, on_block, on_step)
            for at in stack.places
            for box in grid.boxes()
            if _name(at, box) not in part.done
        ]
        tasks = [dask.delayed(w.run, pure=False)(dask_key_name=f"block-{n:09d}") for n, w in enumerate(missing)]
        outcomes = dask.compute(*tasks, scheduler="synchronous")
        part.publish(mark)
        return worst(outcomes) if outcomes else Outcome.COMPLETED

    def values(self, at: tuple[int, int], box: Box, on_step: Observer | None = None) -> tuple[NDArray[Any], Outcome]:
        """A restored block (z, y, x) in the type of the stack, and how it ended. Args: at: moment and channel."""
        given = part_of(self.stack, at, self.grid.around(box))
        inside = self.grid.inside(box)
        values = volume_of(given)
        valid = has_data(values)
        if not bool(valid.any()):
            return given[inside], Outcome.COMPLETED
        x, outcome = self.solvers[at[1]].run(values, valid, self.units[at[1]], on_step=on_step)
        return np.asarray(as_given(x[(..., *inside)], given[inside])), outcome

    def said(self) -> list[str]:
        """The decisions, for people: the noise level of each channel, the blocks, and their memory."""
        several = len(self.units) > 1
        lines = [
            f"{f'channel {self.stack.channel_name(c)}: ' if several else ''}noise level {u.reason} of its brightness"
            for c, u in enumerate(self.units)
            if u.sigma is not None
        ]
        if self.solvers[0].by_planes:
            lines.append("the kernel has two axes: every plane is restored on its own")
        block, overlap = (" x ".join(map(str, each)) for each in (self.grid.block, self.grid.overlap))
        what = "whole volumes" if self.grid.whole else f"blocks of {block} voxels, {overlap} more on every side"
        return [*lines, f"{self.count} {what}; each takes about {self.memory / 1e9:.1f} GB of memory"]


@dataclass(frozen=True, eq=False)
class _Work:
    """A block that is to be restored. Args: see `BlockRun.restore`."""

    run_: BlockRun
    part: ZarrPart
    at: tuple[int, int]
    box: Box
    on_block: Callable[[int, int], None] | None
    on_step: Observer | None

    def run(self) -> Outcome:
        """Restore the block, write it, and note it as finished."""
        if self.on_block is not None:
            self.on_block(len(self.part.done) + 1, self.run_.count)
        values, outcome = self.run_.values(self.at, self.box, self.on_step)
        self.part.write(self.at, self.box, values)
        self.part.finish_block(_name(self.at, self.box))
        return outcome


@dataclass(eq=False)
class _Planes:
    """Some planes of the volumes of a stack, as an `acutance.images.stack.Volumes`."""

    stack: Stack
    some: slice
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        depth = len(range(*self.some.indices(self.stack.size[0])))
        self.shape = (*self.stack.values.shape[:2], depth, *self.stack.size[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.stack.dtype

    def __getitem__(self, at: tuple[int, int]) -> NDArray[Any]:
        _, h, w = self.stack.size
        return part_of(self.stack, at, (self.some, slice(0, h), slice(0, w)))


def part_of(stack: Stack, at: tuple[int, int], box: Box) -> NDArray[Any]:
    """A part of a volume, (z, y, x), in the byte order of the machine; of OME-Zarr only that is read."""
    if isinstance(stack.values, ZarrVolumes):
        return stack.values.box(at, box)
    return stack.volume(*at)[box]


def _spread(size: Sides) -> slice:
    """Planes, evenly spread, that hold up to `LOOKED_AT` voxels; all of a small volume."""
    planes = max(1, min(size[0], LOOKED_AT // math.prod(size[1:])))
    step = -(-size[0] // planes)
    return slice((size[0] - 1) % step // 2, size[0], step)


def _fixed(stack: Stack, solver: VolumeMethod, grid: Grid, channel: int, units: Units) -> VolumeMethod:
    """The method with all fixed that it otherwise estimates from each block."""
    blocks = solver.spec.blocks
    if grid.whole or blocks is None or (solver.by_planes and grid.block[1:] == grid.size[1:]):
        return solver
    moment = stack.values.shape[0] // 2
    seen: list[Problem] = []
    for box in _parts(stack.size, solver.by_planes):
        values = volume_of(part_of(stack, (moment, channel), box))
        valid = has_data(values)
        if bool(valid.any()):
            problem = solver.problem(values, valid, units)
            seen.append(plane_of(problem, 0) if solver.by_planes else problem)
    return solver if not seen else replace(solver, method=blocks.fixed(solver.method, seen))


def _parts(size: Sides, by_planes: bool) -> list[Box]:
    """The whole where it is small, else up to `PARTS` parts along the diagonal."""
    most = LOOKED_AT
    if by_planes:
        sides = (1, *(min(n, math.isqrt(most)) for n in size[1:]))
    elif math.prod(size) <= most:
        sides = size
    else:
        sides = size
        while math.prod(sides) > most:
            i = sides.index(max(sides))
            sides = (*sides[:i], -(-sides[i] * 7 // 8), *sides[i + 1 :])
    count = 1 if sides == size else PARTS
    starts = [[(n - s) * p // max(1, count - 1) for n, s in zip(size, sides, strict=True)] for p in range(count)]
    boxes = [tuple(slice(a, a + s) for a, s in zip(start, sides, strict=True)) for start in starts]
    return cast(list[Box], boxes)


def _radius(solver: VolumeMethod) -> Sides:
    sides = [n // 2 for n in solver.psf.shape[2:]]
    d, h, w = [0] * (3 - len(sides)) + sides
    return d, h, w


def _name(at: tuple[int, int], box: Box) -> str:
    return ",".join(map(str, (*at, *(s.start for s in box))))


def _dask() -> Any:
    """The package Dask.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import dask
    except ImportError:
        raise MissingExtra("restoring volumes into OME-Zarr", "micro") from None
    return dask
