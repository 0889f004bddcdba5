"""Samples for the learned estimator (`acutance.blind.salience`): blurred pictures, their truth and their kernels.

    y = k * s + noise      in linear light, or in encoded values, as many programs blur

The pictures are those of `acutance_lab.experiments.use_cases` that have one kernel. Half of them have sides of 256
pixels, half of 384, where there is room for large kernels. One sample in `HELD_OUT` is made of a held-out photograph
and lies in a folder of its own, `HELD`, for the examination.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from acutance.images import srgb_to_linear
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments import use_cases
from acutance_lab.experiments.shards import read_shards, write_shard
from acutance_lab.experiments.use import read
from acutance_lab.synth.camera import Draw

SIDES = (256, 384)
"""Sides of the pictures in turn, pixels."""

SHARES = {
    "shake 5-15": 0.15, "shake 16-35": 0.3, "large 41-91": 0.25, "disc": 0.08, "gaussian": 0.03, "line": 0.07,
    "night": 0.06, "text": 0.06,
}  # fmt: skip
"""Share of each kind of picture in the draws."""

LARGE, PART = (35, use_cases.LARGEST), 4
"""Sides of large kernels, pixels, up to the side of the picture divided by this."""

GRAPHIC, ENCODED = 0.1, 0.25
"""Share of photographs in whose place a graphic is drawn, and of both that are blurred in encoded values."""

FULL = 1 - 1e-3
"""Value of a channel, encoded, from which the pixel may have been brighter and is not believed."""

HELD_OUT, HELD = 21, "held-out"
"""One sample in so many is held out (odd, so that both sides of pictures are), and the folder of those."""

SHARD = 50
"""Samples in a file."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One blurred picture and what is known of it.

    Args:
        blurred, sharp: grey, (1, 1, H, W) in [0, 1], both of light or both of encoded values, float16.
        believed: (1, 1, H, W), bool, false where a channel of the blurred picture is full.
        kernel: (1, 1, s, s), s odd, sum 1, float16.
    """

    blurred: Tensor
    sharp: Tensor
    believed: Tensor
    kernel: Tensor


def samples(photographs: Photographs, seed: int, side: int, first: int = 0) -> Iterator[Sample]:
    """Samples without an end. Each is seeded by `seed`, `side` and its number.

    Args:
        photographs: at least `use_cases.room(side)` pixels a side. side: of the pictures, pixels.
        first: number of the first sample, to go on where another stopped.
    """
    number = first
    while True:
        yield drawn(photographs, seed, side, number)
        number += 1


def drawn(photographs: Photographs, seed: int, side: int, number: int) -> Sample:
    """One sample; see `samples`."""
    digest = hashlib.sha256(f"salience/{seed}/{side}/{number}".encode()).hexdigest()
    generator = torch.Generator().manual_seed(int(digest[:12], 16))
    draw = Draw(1, generator)
    name = list(SHARES)[int(torch.multinomial(torch.tensor(list(SHARES.values())), 1, generator=generator))]
    one = photographs.only(int(torch.randint(len(photographs.names), (1,), generator=generator)))
    kind, encoded = use_cases.KINDS[name], False
    if name.startswith("large"):
        high = min(LARGE[1], side // PART)
        kind = replace(kind, kernel=partial(use_cases.shaken, low=min(LARGE[0], high), high=high))
    if kind.scene == "photograph":
        encoded = bool(draw.pick(ENCODED))
        kind = replace(kind, scene="graphic" if bool(draw.pick(GRAPHIC)) else kind.scene, encoded=encoded)
    case = use_cases.make(name, kind, one, number, side, draw, seed)
    assert case.kernel is not None
    pixels = read(case).pixels
    blurred, sharp = (
        (x if encoded else srgb_to_linear(x)).mean(1, keepdim=True).half() for x in (pixels, case.truth)
    )  # fmt: skip
    return Sample(blurred, sharp, (pixels < FULL).all(1, keepdim=True), case.kernel.half())


def make(data: Path, folder: Path, *, seed: int, minutes: float, on_sample: Callable[[int], None] | None = None) -> int:
    """Make samples from the photographs below `data` for some minutes of the clock. At least two are made.

    A seed that was used in the folder before goes on with its next number, so nothing is made twice or overwritten.

    Args:
        folder: of the samples, `SHARD` in a file. on_sample: is told how many there are after each file.

    Returns:
        How many were written.

    Raises:
        DataError: too few or too small photographs.
    """
    pools = [use_cases.load(data, max(SIDES), validation=held) for held in (False, True)]
    folders = [folder, folder / HELD]
    folders[1].mkdir(parents=True, exist_ok=True)
    first = number = 1 + max((_last(file) for place in folders for file in place.glob(f"{seed}-*.pt")), default=-1)
    kept: list[list[Sample]] = [[], []]
    began = time.monotonic()
    while True:
        held = number % HELD_OUT == 0
        kept[held].append(drawn(pools[held], seed, SIDES[number % len(SIDES)], number))
        number += 1
        stop = number - first >= 2 and time.monotonic() - began > 60 * minutes
        for place, some in zip(folders, kept, strict=True):
            if some and (stop or len(some) == SHARD):
                write_shard(place / f"{seed}-{number - 1:06d}.pt", some)
                some.clear()
                if on_sample is not None:
                    on_sample(number - first)
        if stop:
            return number - first


def load(folder: Path) -> list[Sample]:
    """All samples of a folder.

    Raises:
        DataError: see `read_shards`.
    """
    return read_shards(folder, Sample, _fits, "samples of train-estimator")


def _last(file: Path) -> int:
    """Number of the last sample in a file, -1 where its name tells none."""
    number = file.stem.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


def _fits(sample: Sample) -> bool:
    """Tell whether shapes and types are those of a sample."""
    shape, side = sample.blurred.shape, sample.kernel.shape[-1]
    pictures = (sample.blurred, sample.sharp, sample.kernel)
    return (
        len(shape) == 4
        and shape[:2] == (1, 1)
        and shape[2] == shape[3]
        and sample.sharp.shape == sample.believed.shape == shape
        and sample.kernel.shape == (1, 1, side, side)
        and side % 2 == 1
        and 2 * side <= shape[3]
        and sample.believed.dtype == torch.bool
        and all(x.is_floating_point() and bool(torch.isfinite(x).all()) for x in pictures)
    )
