"""Trains the critic (`acutance.blind.critic`): trials are made and kept in a folder, and the network is fitted to them.

    loss = huber( told - true ) over all cells  +  1/2 huber( gain told - gain true )

Told and true are the logarithms of the squared error before and of its ratio; gains are in dB, limited to `LIMIT`. One
picture in `HELD_OUT` is kept for the examination.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.critic import CELL, Critic, expected
from acutance.frame import resolve_precision
from acutance_lab.experiments import use_cases
from acutance_lab.experiments.critic import SIDE, Trial, trials
from acutance_lab.experiments.shards import read_shards, write_shard
from acutance_lab.train import plain_fit

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
