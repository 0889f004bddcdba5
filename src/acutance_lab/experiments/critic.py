"""The critic (`acutance.blind.critic`): trials of pictures with hypotheses of their kernels, and its training.

The pictures are those of `acutance_lab.experiments.use_cases`, from the training photographs. Some are blurred in
encoded values. Hypotheses are right kernels, right ones that were turned, resized, cut or disturbed, those of an
estimator with right and wrong sizes and stopped early, simple shapes, and kernels of other pictures.

They are made and kept in a folder, and the network is fitted to them by

    loss = huber( told - true ) over all cells  +  1/2 huber( gain told - gain true )

Told and true are the logarithms of the squared error before and of its ratio; gains are in dB, limited to `LIMIT`. One
picture in `HELD_OUT` is kept for the examination.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.base import Unknowable
from acutance.blind.cleaning import finished, summed
from acutance.blind.critic import CELL, LEAST_ERROR, MOST_ERROR, MOST_RATIO, Critic, expected, restored
from acutance.blind.hypothesis import Look
from acutance.blind.learned import Learned
from acutance.blind.search import LADDER
from acutance.blind.shapes import nearest
from acutance.blind.xu_l0 import XuL0
from acutance.frame import resolve_precision
from acutance.images import linear_to_srgb, srgb_to_linear
from acutance.problem import Problem
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments import use_cases
from acutance_lab.experiments.alignment import best_shift, shifted
from acutance_lab.experiments.shards import read_shards, write_shard
from acutance_lab.experiments.use import read
from acutance_lab.synth import kernels
from acutance_lab.synth.camera import Draw
from acutance_lab.train import plain_fit

SIDE = 320
"""Of the pictures, pixels; small ones, since the work is in the hypotheses."""

FINE = 4
"""Parts of a pixel by which a picture is moved onto the truth."""

SHARES = {
    "shake 5-15": 0.18, "shake 16-35": 0.18, "large 41-91": 0.1, "turn": 0.06, "disc": 0.08, "gaussian": 0.05,
    "line": 0.07, "night": 0.06, "text": 0.08, "sharp": 0.14,
}  # fmt: skip
"""Share of each kind of picture in the draws."""

LEARNED, LARGEST, OTHERS = (31, 91), 91, 0.4
"""Sizes of the learned estimator, the largest of any; share of pictures that a classical estimator is asked, too."""

GRAPHIC = 0.15
"""Share of shaken and unfocused photographs in whose place a graphic is drawn."""

ENCODED, HALF = 0.2, 0.5
"""Share of photographs and of graphics that are blurred in encoded values."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One picture and what hypotheses made of it.

    Args:
        before: (2, 1, H, W), grey: the mean of the encoded colours, and the encoded mean of their light.
        after: (n, 1, H, W), one for each hypothesis. linear: (n,), whether it was applied to light.
        errors: (n, 2, h, w): logarithms of the squared error before and of the ratio, as the critic tells them.
        known: (n, 1, h, w), 1 where the errors are known. kinds: where each hypothesis came from.
    """

    before: Tensor
    linear: Tensor
    after: Tensor
    errors: Tensor
    known: Tensor
    kinds: tuple[str, ...]


def trials(photographs: Photographs, seed: int) -> Iterator[Trial]:
    """Trials without an end."""
    number, others = 0, list[Tensor]()
    while True:
        number += 1
        generator = torch.Generator().manual_seed(1000003 * seed + number)
        draw = Draw(1, generator)
        name = list(SHARES)[int(torch.multinomial(torch.tensor(list(SHARES.values())), 1, generator=generator))]
        one = photographs.only(int(torch.randint(len(photographs.names), (1,), generator=generator)))
        kind = use_cases.KINDS[name]
        if kind.kernel is not None and kind.scene == "photograph" and bool(draw.pick(GRAPHIC)):
            kind = replace(kind, scene="graphic")
        rarely = ENCODED if kind.scene == "photograph" else HALF if kind.scene == "graphic" else 0.0
        in_light = kind.kernel is None or not bool(draw.pick(rarely))
        if not in_light:
            kind = replace(kind, encoded=True)
        case = use_cases.make(name, kind, one, number, SIDE, draw, seed)
        pixels = read(case).pixels
        made = _judged(case, pixels, list(hypotheses(case, pixels, draw, others, in_light)))
        if case.kernel is not None:
            others = [*others[-20:], case.kernel]
        if made is not None:
            yield made


def hypotheses(
    case: use_cases.Case, pixels: Tensor, draw: Draw, others: list[Tensor], in_light: bool
) -> Iterator[tuple[str, Tensor, bool]]:
    """Kernels for a case: where each comes from, (1, 1, s, s), and whether it is applied to linear light."""

    def light() -> bool:
        return in_light if bool(draw.pick(0.75)) else not in_light

    if case.kernel is not None:
        yield "true", case.kernel, in_light
        if bool(draw.pick(0.3)):
            yield "light", case.kernel, not in_light
        for _ in range(2):
            yield "disturbed", disturbed(case.kernel, draw), light()
        if bool(draw.pick(0.1)):
            yield "flipped", case.kernel.flip(-1, -2), in_light
    found = list[tuple[Tensor, bool]]()
    looks = {
        True: Look.of(srgb_to_linear(pixels).mean(1, keepdim=True), linear=True),
        False: Look.of(pixels.mean(1, keepdim=True)),
    }
    for size in LEARNED:
        linear = light()
        yield from (("learned", k, linear) for k in _learned(looks[linear], size, draw))
    if bool(draw.pick(OTHERS)):
        linear = light()
        with suppress(Unknowable):
            found += [(k, linear) for k in _estimated(looks[linear], _size(case, draw), draw)]
    for kernel, linear in found:
        yield "estimated", kernel, linear
    for kernel, linear in found[:1]:
        for shape in nearest(kernel):
            yield shape.kind, shape.kernel, linear
    if bool(draw.pick(0.5)):
        yield "shape", _shape(draw), light()
    if others and bool(draw.pick(0.25)):
        yield "other", others[int(torch.randint(len(others), (1,), generator=draw.generator))], light()


def disturbed(kernel: Tensor, draw: Draw) -> Tensor:
    """A kernel that was turned, resized, cut and disturbed by random amounts."""
    side = kernel.shape[-1]
    wide = F.pad(kernel, (side // 2 + 2,) * 4)
    angle, zoom = math.radians(15 * float(draw.normal())), math.exp(0.2 * float(draw.normal()))
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    grid = F.affine_grid(torch.tensor([[[cos, -sin, 0.0], [sin, cos, 0.0]]]), list(wide.shape), align_corners=False)
    turned = F.grid_sample(wide, grid, align_corners=False)
    if bool(draw.pick(0.5)):
        turned = turned + 0.1 * float(draw.uniform()) * turned.max() * torch.rand(
            turned.shape, generator=draw.generator
        )
    if bool(draw.pick(0.3)):
        turned = torch.where(torch.rand(turned.shape, generator=draw.generator) < 0.2, 0.0, turned)
    return finished(summed(turned), faint=float(draw.uniform((0.02, 0.3))))


def _size(case: use_cases.Case, draw: Draw) -> int:
    """A side that a classical estimator is given: any, or, twice as often, about the right one."""
    any_ = [s for s in LADDER if s <= LARGEST]
    if case.kernel is not None and bool(draw.pick(0.67)):
        right = [s for s in any_ if s >= case.kernel.shape[-1]] or any_[-1:]
        return right[min(len(right) - 1, int(torch.randint(2, (1,), generator=draw.generator)))]
    return any_[int(torch.randint(len(any_), (1,), generator=draw.generator))]


def _learned(look: Look, size: int, draw: Draw) -> Iterator[Tensor]:
    """The kernel of the learned estimator from a window of random size, and at times an earlier one."""
    window, mask = look.window(round(float(draw.uniform((max(2 * size, 128), SIDE)))))
    estimator = Learned(size)
    try:
        states = list(estimator.solver().iterate(Problem(window, mask=mask)))
    except Unknowable:
        return
    yield estimator.finished(states[-1])
    if bool(draw.pick(0.3)):
        yield estimator.finished(states[-2])


def _estimated(look: Look, size: int, draw: Draw) -> Iterator[Tensor]:
    """The kernel of an estimator and, at times, one on the way to it, enlarged."""
    window, _ = look.window(SIDE)
    estimator = XuL0(size, inner=size <= 45, faint=0.05, growth=3.0, last=1e4, fine_iterations=4)
    states = list(estimator.solver().iterate(Problem(window)))
    yield estimator.finished(states[-1])
    early = states[-1 - int(torch.randint(min(4, len(states)), (1,), generator=draw.generator))]
    if early.level == 0 and early is not states[-1]:
        yield estimator.finished(early)


def _shape(draw: Draw) -> Tensor:
    which = float(draw.uniform())
    if which < 0.4:
        return kernels.disc(draw.log_uniform((0.8, 8.0)))
    if which < 0.7:
        return kernels.gaussian(draw.log_uniform((0.5, 4.0)))
    return kernels.line(draw.log_uniform((2.0, 30.0)), draw.uniform((0.0, 180.0)))


@torch.no_grad()
def _judged(case: use_cases.Case, pixels: Tensor, made: list[tuple[str, Tensor, bool]]) -> Trial | None:
    made = [(kind, k, linear) for kind, k, linear in made if 1 < k.shape[-1] < SIDE // 2]
    if not made:
        return None
    light = srgb_to_linear(pixels).mean(1, keepdim=True)
    before, truths = _greys(pixels), _greys(case.truth)
    first = [squared_error(y[None], s[None]) for y, s in zip(before, truths, strict=True)]
    after = torch.cat([restored(light if linear else before[:1], k, linear=linear) for _, k, linear in made])
    errors, all_known = [], []
    for x, (_, _, linear) in zip(after, made, strict=True):
        error, known = first[linear]
        second, seen = squared_error(x[None], truths[int(linear)][None])
        ratio = (second / error).clamp(1 / MOST_RATIO, MOST_RATIO)
        errors.append(torch.cat((error.log(), ratio.log()), 1))
        all_known.append(seen * known)
    return Trial(
        before, torch.tensor([linear for _, _, linear in made]), after, torch.cat(errors), torch.cat(all_known),
        tuple(kind for kind, _, _ in made),
    )  # fmt: skip


def _greys(pixels: Tensor) -> Tensor:
    """Both greys of encoded pixels (1, 3, H, W), as `Trial.before`."""
    light = srgb_to_linear(pixels).mean(1, keepdim=True)
    return torch.cat((pixels.mean(1, keepdim=True), linear_to_srgb(light)))


def squared_error(x: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error in every cell after the best shift, (1, 1, h, w), and where it is known, 0 or 1."""
    row, col = best_shift(x, truth, FINE)
    moved = shifted(x, -row, -col).clamp(0, 1)
    error = F.avg_pool2d((moved - truth).square(), CELL).clamp(LEAST_ERROR, MOST_ERROR)
    known = torch.ones_like(error)
    down, along = (math.ceil((abs(s) + 1) / CELL) if s else 0 for s in (row, col))
    for count, dim in ((down, -2), (along, -1)):
        if count:
            known.narrow(dim, 0, count).zero_()
            known.narrow(dim, known.shape[dim] - count, count).zero_()
    return error, known


SHARD = 10
"""Pictures in a file."""

HELD_OUT = 10
"""One picture in so many is held out. It may come from a photograph that others were made of, too."""

WINDOW, BATCH = 224, 12
"""Side of the pieces that are trained on, pixels, and how many at once."""

RATE = 2e-3
"""Highest learning rate."""

LIMIT = 8.0
"""Gains beyond so many dB are taken as that."""

HELPS, HARMS, ACTS = 1.0, -0.3, 0.4
"""Gains in dB from which a kernel helps, down to which it harms, and from which the examination acts."""


@dataclass(frozen=True)
class Examination:
    """What the critic makes of held-out pictures.

    Args:
        pictures, hypotheses: how many. correlation: of told and true gains, limited to 6 dB.
        median: of their absolute difference, dB. offered: pictures with a hypothesis that helps.
        taken: those where the critic chooses one that helps. harmed: where what it chooses harms.
    """

    pictures: int
    hypotheses: int
    correlation: float
    median: float
    offered: int
    taken: int
    harmed: int


def make(data: Path, folder: Path, *, seed: int, minutes: float, on_trial: Callable[[int], None] | None = None) -> int:
    """Make trials from the training photographs below `data` for some minutes.

    Returns:
        How many were written, `SHARD` in a file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    photographs = use_cases.load(data, SIDE, validation=False)
    began, kept, count = time.monotonic(), list[Trial](), 0
    for trial in trials(photographs, seed):
        kept.append(replace(trial, before=trial.before.half(), after=trial.after.half()))
        if len(kept) == SHARD:
            count += SHARD
            write_shard(folder / f"{seed}-{count:05d}.pt", kept)
            kept = []
            if on_trial is not None:
                on_trial(count)
        if time.monotonic() - began > 60 * minutes:
            break
    return count


def load(folder: Path) -> list[Trial]:
    """All trials of a folder.

    Raises:
        DataError: see `read_shards`.
    """
    return read_shards(folder, Trial, lambda trial: len(trial.kinds) == len(trial.after), "trials of train-critic")


def fit(
    kept: Sequence[Trial],
    *,
    seed: int,
    minutes: float,
    on_examination: Callable[[float, dict[str, Tensor], Examination], None] | None = None,
) -> tuple[dict[str, Tensor], Examination]:  # fmt: skip
    """The weights after some minutes of a core, and their examination."""
    torch.manual_seed(seed)
    host = random.Random(seed)
    held, taught = kept[::HELD_OUT], [t for i, t in enumerate(kept) if i % HELD_OUT]
    pairs = [(trial, i) for trial in taught for i in range(len(trial.kinds))]
    net = Critic().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fast = resolve_precision("auto", torch.device("cpu")) == torch.bfloat16

    def backward(_: float) -> None:
        before, after, errors, known = _batch(host, pairs)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            told = net(before, after)
        loss_of(told.float(), errors, known).backward()  # type: ignore[no-untyped-call]

    return plain_fit.fit(
        net,
        backward,
        partial(examine, held=held),
        minutes=minutes,
        rate=RATE,
        floor=0.01,
        on_examination=on_examination,
    )


def loss_of(told: Tensor, errors: Tensor, known: Tensor) -> Tensor:
    """The loss. Args: told, errors: (n, 2, h, w). known: (n, 1, h, w)."""
    weight = known / known.sum((1, 2, 3), keepdim=True).clamp_min(1)
    local = (F.smooth_l1_loss(told, errors, beta=0.5, reduction="none") * weight).sum((1, 2, 3)).mean()
    guess, truth = (expected(x, known).clamp(-LIMIT, LIMIT) for x in (told, errors))
    return local + 0.5 * F.smooth_l1_loss(guess, truth)


def _batch(host: random.Random, pairs: Sequence[tuple[Trial, int]]) -> tuple[Tensor, ...]:
    """Pieces of trials in one of eight symmetries each: before, after, errors, known."""
    pieces: list[tuple[Tensor, ...]] = []
    for _ in range(BATCH):
        trial, i = host.choice(pairs)
        cells, room = WINDOW // CELL, [n // CELL - WINDOW // CELL for n in trial.before.shape[-2:]]
        top, left = (host.randint(0, n) for n in room)
        turns, mirrored = host.randrange(4), host.random() < 0.5
        piece = []
        for x, cell in (
            (trial.before[int(trial.linear[i])], CELL),
            (trial.after[i], CELL),
            (trial.errors[i], 1),
            (trial.known[i], 1),
        ):
            cut = x[:, top * cell :, left * cell :][:, : cells * cell, : cells * cell].float().rot90(turns, (-2, -1))
            piece.append(cut.flip(-1) if mirrored else cut)
        pieces.append(tuple(piece))
    return tuple(torch.stack(x) for x in zip(*pieces, strict=True))


@torch.no_grad()
def examine(weights: dict[str, Tensor], held: Sequence[Trial]) -> Examination:
    """Choose among the hypotheses of held-out pictures."""
    net = Critic()
    net.load_state_dict(weights)
    net.eval()
    told, true, offered, taken, harmed = list[Tensor](), list[Tensor](), 0, 0, 0
    for trial in held:
        after = trial.after.float()
        guess = expected(net(trial.before.float()[trial.linear.long()], after), trial.known)
        truth = expected(trial.errors, trial.known)
        best = int(guess.argmax())
        acted = float(guess[best]) > ACTS
        offered += float(truth.max()) >= HELPS
        taken += acted and float(truth[best]) >= HELPS
        harmed += acted and float(truth[best]) <= HARMS
        told.append(guess)
        true.append(truth)
    a, b = (torch.cat(x).clamp(-6, 6) for x in (told, true))
    correlation = float(torch.corrcoef(torch.stack((a, b)))[0, 1])
    return Examination(len(held), len(a), round(correlation, 3), round(float((a - b).abs().median()), 2),
                       offered, taken, harmed)  # fmt: skip


write = partial(plain_fit.write, name="critic-1")
"""Write weights and their card, see there."""
