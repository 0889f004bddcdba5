"""The learned estimator (`acutance.blind.salience`): samples of blurred pictures, and its training on them.

    y = k * s + noise      in linear light, or in encoded values, as many programs blur

The pictures are those of `acutance_lab.experiments.use_cases` that have one kernel. Half of them have sides of 256
pixels, half of 384, where there is room for large kernels. One sample in `HELD_OUT` is made of a held-out photograph
and lies in a folder of its own, `HELD`, for the examination.

The network is trained on them by the loss

    || k - k' ||^2 / || k' ||^2  +  0.3 || v (grad x - grad s') ||_1 / || v grad s' ||_1

after every turn at every scale. k and x are the kernel and the latent picture of the turn, k' and s' the true ones at
that scale, moved to where k has its place, v is 1 where the picture is believed and falls to 0 at the frame. Gradients
do not pass from turn to turn. At first, a share of the kernels that go up a scale are the true ones.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind import cleaning, pyramid
from acutance.blind.cleaning import of_side
from acutance.blind.learned import BELIEVED, raised
from acutance.blind.salience import Salience, frame_window, gradients, normalised, turn
from acutance.blind.salience import cleaned as without_faint
from acutance.errors import DataError, WeightsError
from acutance.frame import resolve_precision
from acutance.images import srgb_to_linear
from acutance.tensors import crop, fast_length
from acutance.weights import Weights
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments import use_cases
from acutance_lab.experiments.alignment import shifted
from acutance_lab.experiments.shards import read_shards, write_shard
from acutance_lab.experiments.use import read
from acutance_lab.experiments.use_cases import smaller
from acutance_lab.synth.camera import Draw
from acutance_lab.synth.files import seeded
from acutance_lab.train import plain_fit

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
    generator = seeded(f"salience/{seed}/{side}/{number}")
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


RATES = (2e-3, 1.2e-3)
"""Highest learning rates of a new network and of one that goes on."""

FORCED = (0.3, 0.1)
"""Shares of true kernels at the start, of a new network and of one that goes on, falling to 0 at half of the time."""

TURNS = (2, 2, 3)
"""Turns at every scale, one of these at random."""

LATENT, LIMITS = 0.3, (4.0, 3.0)
"""Weight of the latent picture in the loss, and values beyond which an error of a kernel or of gradients is one."""

LEAST, COUNT, LARGEST = 160, 8, 111
"""Least side of the pieces that are trained on, how many of 256 pixels at once, largest kernel that is looked for."""

WHOLE = 45
"""Side of a kernel, pixels, beyond which pictures are not cut."""

NEAR = 12
"""Samples among which those with kernels of like size are chosen, for each in the batch."""

LADDER, ROOM = (9, 15, 21, 31, 45, 65, 91, LARGEST), 1.15
"""Sides that kernels are looked for with in the examination: the first that is so much larger than the true one."""

EXAMINED, GOOD = 60, 0.8
"""Held-out samples in an examination, at most, and the similarity from which a kernel is good."""


@dataclass(frozen=True)
class Examination:
    """Kernels of held-out samples.

    Args:
        samples: how many. mean: similarity to the true kernels. good: how many have at least `GOOD`.
    """

    samples: int
    mean: float
    good: int


@dataclass(frozen=True, eq=False)
class Batch:
    """Pieces of samples, all of one side.

    Args:
        blurred, sharp: (n, 1, W, W). believed: (n, 1, W, W), 0 or 1. kernels: n of (1, 1, s, s). size: of the kernels
            that are looked for, pixels, odd.
    """

    blurred: Tensor
    sharp: Tensor
    believed: Tensor
    kernels: tuple[Tensor, ...]
    size: int

    def at(self, level: int) -> Batch:
        """The batch at a level of the pyramid, blurred pictures of mean 0 and variance 1, kernels of their side."""
        side, small = pyramid.sides(self.size)[level], pyramid.reduced(self.blurred, level)
        scale = small.shape[-1] / self.blurred.shape[-1]
        kernels = (of_side(smaller(k, scale) if level else k, side) for k in self.kernels)
        mean = small.mean((-2, -1), keepdim=True)
        spread = small.std((-2, -1), keepdim=True, correction=0).clamp_min(1e-6)
        believed = (pyramid.reduced(self.believed, level) > BELIEVED).float()
        sharp = (pyramid.reduced(self.sharp, level) - mean) / spread
        return Batch(normalised(small), sharp, believed, tuple(kernels), side)


def batch(host: random.Random, kept: Sequence[Sample]) -> Batch:
    """Random pieces of samples whose kernels are of like size, in one of eight symmetries each."""
    anchor = host.choice(kept)
    side, whole = anchor.kernel.shape[-1], anchor.blurred.shape[-1]
    width = whole if side > WHOLE else min(whole, max(LEAST, 16 * round(side * host.uniform(3.5, 8) / 16)))
    count = max(3, min(12, round(COUNT * (256 / width) ** 2)))
    near = [s for s in host.sample(kept, min(len(kept), NEAR * count)) if s.blurred.shape[-1] >= width]
    near.sort(key=lambda s: abs(math.log(s.kernel.shape[-1] / side)))
    items = [*near[: count - 1], anchor]
    largest = max(s.kernel.shape[-1] for s in items)
    size = min(LARGEST, (width - 1) // 2, max(9, round(largest * host.uniform(1.0, 2.5))))
    pieces = [_piece(host, sample, width) for sample in items]
    blurred, sharp, believed, kernels = zip(*pieces, strict=True)
    return Batch(torch.cat(blurred), torch.cat(sharp), torch.cat(believed), kernels, size - 1 + size % 2)


def _piece(host: random.Random, sample: Sample, width: int) -> tuple[Tensor, ...]:
    """Blurred and sharp piece, what is believed, and the kernel."""
    room = sample.blurred.shape[-1] - width
    top, left = host.randint(0, room), host.randint(0, room)
    turns, mirrored = host.randrange(4), host.random() < 0.5
    piece = [x[..., top : top + width, left : left + width] for x in (sample.blurred, sample.sharp, sample.believed)]
    moved = (x.float().rot90(turns, (-2, -1)) for x in (*piece, sample.kernel))
    return tuple(x.flip(-1) if mirrored else x for x in moved)


@torch.no_grad()
def aligned(kernel: Tensor, truth: Tensor, sharp: Tensor) -> tuple[Tensor, Tensor]:
    """Move true kernels to where others have their place, and sharp pictures the other way.

    The shift has the largest correlation, to a part of a pixel by a parabola through it and its neighbours.

    Args:
        kernel, truth: (n, 1, s, s). sharp: (n, 1, H, W); wraps around.

    Returns:
        (n, 1, s, s), not negative, sum 1, and (n, 1, H, W). Their convolution is what it was.
    """
    side = kernel.shape[-1]
    n, reach = fast_length(2 * side), side // 2
    product = torch.fft.rfft2(kernel, s=(n, n)) * torch.fft.rfft2(truth, s=(n, n)).conj()
    cross = torch.roll(torch.fft.irfft2(product, s=(n, n)), (reach + 1, reach + 1), (-2, -1))
    inner = cross[:, 0, 1 : 2 * reach + 2, 1 : 2 * reach + 2]
    best = inner.flatten(1).argmax(1)
    rows, cols = best // (2 * reach + 1), best % (2 * reach + 1)
    each = torch.arange(len(kernel))

    def value(down: int, along: int) -> Tensor:
        return cross[each, 0, rows + 1 + down, cols + 1 + along]

    def part(before: Tensor, after: Tensor) -> Tensor:
        bend = before - 2 * value(0, 0) + after
        return torch.where(bend < -1e-12, 0.5 * (before - after) / bend, 0.0).clamp(-0.5, 0.5)

    down = rows - reach + part(value(-1, 0), value(1, 0))
    along = cols - reach + part(value(0, -1), value(0, 1))
    moved = crop(shifted(F.pad(truth, (reach,) * 4), down, along), reach, reach).clamp_min(0)
    return moved / moved.sum((-2, -1), keepdim=True).clamp_min(1e-6), shifted(sharp, -down, -along)


def similarity(kernel: Tensor, truth: Tensor) -> Tensor:
    """<k, k'> / ( ||k|| ||k'|| ) of aligned kernels (n, 1, s, s), (n,)."""
    return F.cosine_similarity(kernel.flatten(1), truth.flatten(1), eps=1e-9)


def loss_of(kernel: Tensor, truth: Tensor, x: Tensor, sharp: Tensor, weight: Tensor) -> Tensor:
    """The loss, (). Args: kernel, truth: (n, 1, s, s), aligned. x, sharp, weight: (n, 1, H, W)."""
    every = (-3, -2, -1)
    error = (kernel - truth).square().sum(every) / truth.square().sum(every).clamp_min(1e-9)
    wanted = gradients(sharp)
    missed = ((gradients(x) - wanted).abs() * weight).sum(every) / ((wanted.abs() * weight).sum(every) + 1e-6)
    return error.clamp_max(LIMITS[0]).mean() + LATENT * missed.clamp_max(LIMITS[1]).mean()


def passes(
    net: Salience, given: Batch, *, turns: int = 2, forced: float = 0.0, host: random.Random | None = None
) -> tuple[float, Tensor]:
    """All turns at all scales, the coarsest first. With a `host` the gradients of the loss are added up in the weights.

    Args:
        turns: at every scale. forced: share of kernels of the scale before that are replaced by true ones.

    Returns:
        The mean loss, and the similarity of the last kernels to the true ones, (n,).
    """
    levels = len(pyramid.sides(given.size))
    fast = resolve_precision("auto", given.blurred.device) == torch.bfloat16
    kernel, told, similar = None, 0.0, torch.zeros(len(given.kernels))
    for level in reversed(range(levels)):
        here = given.at(level)
        truth = torch.cat(here.kernels)
        if kernel is None:
            kernel = cleaning.summed(torch.zeros_like(truth))
        else:
            kernel = raised(kernel, here.size)
            if host is not None:
                kept = torch.tensor([host.random() >= forced for _ in here.kernels])[:, None, None, None]
                kernel = torch.where(kept, kernel, without_faint(truth))
        h, w = here.blurred.shape[-2:]
        weight = frame_window(h, w, here.size, here.blurred) * here.believed
        for _ in range(turns):
            x, found = turn(net, here.blurred, kernel, here.believed, bfloat16=fast)
            kernel = found.detach()
            moved, sharp = aligned(kernel, truth, here.sharp)
            loss = loss_of(found, moved, x, sharp, weight) / (levels * turns)
            if host is not None:
                loss.backward()  # type: ignore[no-untyped-call]
            told, similar = told + float(loss.detach()), similarity(kernel, moved)
    return told, similar


def network(start: Weights | None = None) -> Salience:
    """A network, new or with those weights.

    Raises:
        WeightsError: weights of another network.
    """
    net = Salience()
    if start is not None:
        shapes = {name: value.shape for name, value in net.state_dict().items()}
        if {name: value.shape for name, value in start.tensors.items()} != shapes:
            raise WeightsError(
                f"{start.version} holds weights of another network; give those of the learned estimator, as "
                "--init salience does"
            )
        net.load_state_dict(start.tensors)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def fit(
    kept: Sequence[Sample],
    held: Sequence[Sample],
    *,
    seed: int,
    minutes: float,
    start: Weights | None = None,
    on_examination: Callable[[float, dict[str, Tensor], Examination], None] | None = None,
) -> tuple[dict[str, Tensor], Examination]:  # fmt: skip
    """The moving average of the weights after some minutes of a core, and its examination.

    Args:
        kept, held: samples to train on, and for the examination. start: weights to go on from; none: a new network.
        on_examination: is told core minutes, weights and examination after every fifth of the time.

    Raises:
        DataError: no samples. WeightsError: weights of another network.
    """
    if not kept or not held:
        raise DataError("training needs samples, and held-out ones; make some with --make MINUTES")
    torch.manual_seed(seed)
    host, net, truths = random.Random(seed), network(start), FORCED[start is not None]

    def backward(done: float) -> None:
        given = batch(host, kept)
        passes(net, given, turns=host.choice(TURNS), forced=max(0.0, truths * (1 - 2 * done)), host=host)

    return plain_fit.fit(
        net, backward, partial(examine, held=held), minutes=minutes, rate=RATES[start is not None], floor=0.005,
        on_examination=on_examination,
    )  # fmt: skip


@torch.no_grad()
def examine(weights: Mapping[str, Tensor], held: Sequence[Sample]) -> Examination:
    """Tell the kernels of held-out samples, spread evenly over all of them."""
    net = Salience()
    net.load_state_dict(weights)
    net.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    similar = []
    for sample in held[:: -(-len(held) // EXAMINED)]:
        side, most = sample.kernel.shape[-1], (sample.blurred.shape[-1] - 1) // 2
        size = min(next((s for s in LADDER if s >= ROOM * side), LARGEST), most - 1 + most % 2)
        given = Batch(sample.blurred.float(), sample.sharp.float(), sample.believed.float(),
                      (sample.kernel.float(),), size)  # fmt: skip
        similar.append(float(passes(net, given)[1]))
    mean = sum(similar) / len(similar)
    return Examination(len(similar), round(mean, 3), sum(value >= GOOD for value in similar))


def write(
    path: Path,
    weights: dict[str, Tensor],
    found: Examination,
    *,
    pictures: int,
    minutes: float,
    seed: int,
    start: Weights | None = None,
) -> None:
    """Write weights and their card. Args: pictures: to train on. minutes: of this run. start: what it went on from."""
    before = 0.0 if start is None else float(start.card.get("minutes", 0.0))
    version = None if start is None else start.version
    plain_fit.write(
        path, weights, found, name="salience-2", pictures=pictures, minutes=before + minutes, seed=seed, start=version
    )
