"""Volumes by blocks: how a volume is divided, how far blocks overlap, and what a block takes of the memory.

A block is restored together with `overlap` voxels around it, as far as the volume goes, and only the block is kept. The
overlap is the reach of the method (`acutance.methods.spec.Blocks`). Blocks hold whole chunks of the result, so that no
two of them write to the same file.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from acutance.errors import ConfigError
from acutance.images.zarr_stack import Box
from acutance.images.zarr_write import CHUNK
from acutance.linear import MARGIN
from acutance.methods.spec import MethodSpec, catalogue
from acutance.tensors import fast_length

Sides = tuple[int, int, int]

SHARE = 0.5
"""Part of the memory that is free which a volume, or a block, may take."""

MOST = 2_000_000_000
"""Bytes that a block takes, at most, where nobody gives its size: larger blocks save little of the overlap."""

LONGEST_CHUNK, FEWEST = 256, 1 << 12
"""Side of a chunk, voxels, at most; and voxels that a chunk of the source has at least, for its sides to be kept."""

SMALLEST = 16
"""Side of a block, voxels, at least, where the volume is not thinner."""


@dataclass(frozen=True)
class Grid:
    """A volume divided into blocks.

    Args:
        size: of the volume, (Z, Y, X). block: sides of a block. overlap: voxels around it.
        chunk: sides of the chunks of the result.
    """

    size: Sides
    block: Sides
    overlap: Sides
    chunk: Sides

    @property
    def counts(self) -> Sides:
        """Blocks along each axis."""
        d, h, w = (-(-n // b) for n, b in zip(self.size, self.block, strict=True))
        return d, h, w

    @property
    def whole(self) -> bool:
        """One block is all of the volume."""
        return math.prod(self.counts) == 1

    def boxes(self) -> Iterator[Box]:
        """The blocks, the last axis fastest."""
        for number in itertools.product(*map(range, self.counts)):
            z, y, x = (slice(i * b, min((i + 1) * b, n)) for i, b, n in zip(number, self.block, self.size, strict=True))
            yield z, y, x

    def around(self, box: Box) -> Box:
        """A block with its overlap."""
        z, y, x = (
            slice(max(0, s.start - o), min(n, s.stop + o)) for s, o, n in zip(box, self.overlap, self.size, strict=True)
        )
        return z, y, x

    def inside(self, box: Box) -> Box:
        """A block within its `around`."""
        z, y, x = (
            slice(s.start - wide.start, s.stop - wide.start) for s, wide in zip(box, self.around(box), strict=True)
        )
        return z, y, x

    @property
    def largest(self) -> Sides:
        """Sides of a block with its overlap on both sides, at most."""
        d, h, w = (
            min(n, b + 2 * o) if b < n else n for n, b, o in zip(self.size, self.block, self.overlap, strict=True)
        )
        return d, h, w


def memory_of(spec: MethodSpec, sides: Sides, radius: Sequence[int], by_planes: bool) -> int:
    """Bytes that a run of a method takes for a volume of these sides, about; of methods that say it.

    Args:
        radius: of the kernel, (z, y, x). by_planes: one plane after another, (y, x).
    """
    torus = [fast_length(n + 2 * r + max(2 * r, MARGIN)) for n, r in zip(sides, radius, strict=True)]
    per_voxel = 300 if spec.blocks is None else spec.blocks.memory
    own = 16 * math.prod(sides)  # as it is read, in float32, and its result
    return own + per_voxel * math.prod(torus[1:] if by_planes else torus)


def grid_of(
    spec: MethodSpec,
    size: Sides,
    radius: Sides,
    *,
    by_planes: bool,
    chunks: Sides,
    block: Sides | None = None,
    free: int | None = None,
) -> Grid:
    """Divide a volume into blocks: not at all where the whole fits into `SHARE` of the memory.

    Args:
        size: (Z, Y, X). radius: of the kernel; that of one of two axes has a z of 0. chunks: of the source.
        by_planes: planes are restored on their own. block: sides that are asked for; None: by the memory.
        free: bytes of memory that are free; None: as the system says.

    Raises:
        ConfigError: the method is none for blocks, where they are needed.
    """
    own = Grid(size, size, (0, 0, 0), _chunk(size, size, chunks))
    thin = (1, *size[1:]) if by_planes else size
    room = SHARE * (free_memory() if free is None else free)
    if block is None and memory_of(spec, thin, radius, by_planes) + 8 * math.prod(size) * by_planes <= room:
        return own
    room = min(room, MOST)
    if block is None and by_planes and memory_of(spec, thin, radius, True) <= room:
        depth = next(d for d in range(size[0], 0, -1) if d == 1 or 16 * d * math.prod(size[1:]) <= room)
        block = depth, size[1], size[2]
    if block is not None:
        _check_block(block)
        block = _clipped(block, size)
        if block == size:
            return own
    cut = block is None or block[1:] != size[1:] or not by_planes
    if cut and spec.blocks is None:
        able = ", ".join(s.name for s in catalogue().values() if s.blocks is not None)
        raise ConfigError(f"{spec.name} does not restore a volume by blocks; methods that do: {able}")
    reach = (0, 0, 0) if spec.blocks is None or not cut else spec.blocks.reach(radius)
    overlap = (0 if by_planes else reach[0], reach[1], reach[2])
    if block is None:
        block = _fitting(spec, size, radius, overlap, by_planes, _chunk(size, size, chunks), room)
    return Grid(size, block, overlap, _chunk(block, size, chunks))


def _check_block(block: Sides) -> None:
    if len(block) != 3 or any(not isinstance(n, int) or n < 1 for n in block):
        raise ConfigError(f"block={block!r}: give three sides (Z, Y, X) in voxels, 1 or more each")


def _clipped(block: Sides, size: Sides) -> Sides:
    d, h, w = (min(b, n) for b, n in zip(block, size, strict=True))
    return d, h, w


def _fitting(
    spec: MethodSpec, size: Sides, radius: Sides, overlap: Sides, by_planes: bool, chunk: Sides, room: float
) -> Sides:
    """The sides of a block that fits: the axis with the most voxels beyond its overlap is halved, over and over."""
    block = size
    while memory_of(spec, Grid(size, block, overlap, chunk).largest, radius, by_planes) > room:
        step = [max(c, SMALLEST) for c in chunk]
        able = [i for i in range(3) if block[i] > step[i]]
        if not able:
            break
        i = max(able, key=lambda i: block[i] / (overlap[i] + 1))
        half = -(-block[i] // (2 * chunk[i])) * chunk[i]
        half = half if half < block[i] else step[i]
        block = (half if i == 0 else block[0], half if i == 1 else block[1], half if i == 2 else block[2])
    return block


def _chunk(block: Sides, size: Sides, source: Sides) -> Sides:
    """Sides of the chunks that blocks are written in: those of the source where they suit, else parts of a block."""
    base = _base(source)

    def one(b: int, n: int, c: int) -> int:
        if b == n or b % c == 0:
            return min(n, c)
        parts = -(-b // LONGEST_CHUNK)
        return next((b // p for p in range(parts, min(b, 4 * parts) + 1) if b % p == 0), b)

    d, h, w = (one(b, n, c) for b, n, c in zip(block, size, base, strict=True))
    return d, h, w


def _base(source: Sides) -> Sides:
    """Chunks of a source, but no long sides, and none of very few voxels."""
    d, h, w = (min(c, LONGEST_CHUNK) for c in source)
    return (d, h, w) if d * h * w >= FEWEST else CHUNK


def free_memory() -> int:
    """Bytes of memory that are free for this process: those of the system, and those that its group may have."""
    found = [_available()]
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most, now = ((Path("/sys/fs/cgroup") / name).read_text().strip() for name in (limit, used))
            found.append(int(most) - int(now))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return max(0, min(found))


def _available() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) // 2
    except (AttributeError, OSError, ValueError):  # Windows
        return 4 << 30
