"""Blocks against the whole: how far a volume that is restored by blocks is from the one restored at once.

The volume is made here: round bodies with soft edges over a dim ground, blurred by a Gaussian kernel that is longer
along z, as in a light microscope, with white noise. Errors are in units of its brightness, as in
`acutance.restoration.volume`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from acutance.images.stack import Stack
from acutance.operators import Blur
from acutance.restoration.block_run import BlockRun
from acutance.restoration.blocks import Sides
from acutance.restoration.stack import StackRun
from acutance.restoration.volume import VolumeMethod

METHODS = ("wiener", "levin", "richardson-lucy")
"""Methods that restore by blocks. `fd` and `tv` do not: single voxels were up to 0.042 of the range off."""

MOST_RMS, MOST_ERROR = 1 / 255, 1 / 50
"""Bounds of the root mean square and of the largest difference."""

BODIES_PER_VOXEL = 1 / 8000


@dataclass(frozen=True)
class Seams:
    """A method by blocks against itself. Args: rms, largest: of the difference, parts of the brightness.

    whole_seconds, block_seconds: of the two runs.
    """

    method: str
    blocks: int
    overlap: Sides
    rms: float
    largest: float
    whole_seconds: float
    block_seconds: float

    @property
    def within(self) -> bool:
        """The bounds hold."""
        return self.rms <= MOST_RMS and self.largest <= MOST_ERROR


def microscope_volume(
    size: Sides, *, noise: float = 0.02, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A blurred and noisy volume (Z, Y, X) of brightness about 1, and its kernel (5, 7, 7).

    Args:
        size: sides, voxels. noise: standard deviation.
    """
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(np.arange(5) - 2, np.arange(7) - 3, np.arange(7) - 3, indexing="ij")
    kernel = np.exp(-0.5 * sum((a / s) ** 2 for a, s in zip(axes, (1.3, 1.2, 1.2), strict=True))).astype(np.float32)
    kernel /= kernel.sum()
    domain = [n + k - 1 for n, k in zip(size, kernel.shape, strict=True)]
    scene = np.full(domain, 0.08, np.float32)
    places = [np.arange(n) for n in domain]
    for _ in range(max(6, round(BODIES_PER_VOXEL * math.prod(domain)))):
        centre, radius, light = rng.uniform(0, domain), rng.uniform(2, 7), rng.uniform(0.15, 0.9)
        z, y, x = (((p - c) ** 2).astype(np.float32) for p, c in zip(places, centre, strict=True))
        distance = np.sqrt(z[:, None, None] + y[:, None] + x)
        scene = np.maximum(scene, light / (1 + np.exp((distance - radius).clip(-40, 40))))
    blurred = Blur(torch.from_numpy(kernel)[None, None]).forward(torch.from_numpy(scene)[None, None])[0, 0].numpy()
    return blurred + noise * rng.standard_normal(size).astype(np.float32), kernel


def seams(methods: Sequence[str], size: Sides, block: Sides, *, noise: float = 0.02) -> list[Seams]:
    """Restore a volume at once and by blocks, by each method."""
    volume, kernel = microscope_volume(size, noise=noise)
    return [seams_of(name, volume, kernel, block) for name in methods]


def seams_of(method: str, volume: NDArray[np.float32], kernel: NDArray[np.float32], block: Sides) -> Seams:
    """The same of one method and one volume."""
    stack, solver = Stack.of(volume), VolumeMethod.load(kernel, method)
    begun = time.perf_counter()
    run = StackRun.begin(stack, solver)
    whole = run.volumes()[0, 0]
    middle = time.perf_counter()
    by_blocks = BlockRun.begin(stack, solver, block=block)
    joined = np.empty_like(whole)
    for box in by_blocks.grid.boxes():
        joined[box] = by_blocks.values((0, 0), box)[0]
    end = time.perf_counter()
    away = np.abs(joined - whole) / run.units[0].scale
    rms, largest = float(np.sqrt(np.mean(away**2))), float(away.max())
    return Seams(method, by_blocks.count, by_blocks.grid.overlap, rms, largest, middle - begun, end - middle)


def seams_table(found: Sequence[Seams]) -> str:
    """A table in Markdown."""
    lines = [
        "| method | blocks | overlap | rms x 255 (at most 1) | largest x 50 (at most 1) | whole, s | blocks, s | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in found:
        overlap = " x ".join(map(str, each.overlap))
        lines.append(
            f"| {each.method} | {each.blocks} | {overlap} | {255 * each.rms:.3f} | {50 * each.largest:.2f} | "
            f"{each.whole_seconds:.1f} | {each.block_seconds:.1f} | {'ok' if each.within else 'beyond'} |"
        )
    return "\n".join(lines)
