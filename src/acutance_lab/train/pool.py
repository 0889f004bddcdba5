"""Problems that are being solved, so that late steps are trained at the price of early ones.

A pool holds batches of problems together with where their optimisers stand. Each update takes one of them, trains one
window of steps from there, and puts it back; next time the batch goes on. Making a problem and its start is paid for
once, and a batch that comes again has met many others in between. (Unrolling one batch for many windows in a row costs
a decibel at equal minutes: it repeats the same pictures.)

A batch stays in the view that it began in. What a network remembers of a picture is not, flipped, what it remembers of
the flipped picture: turned between two steps, the memory of `acute` would no longer fit.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from acutance.problem import State
from acutance_lab.synth import Example
from acutance_lab.train.config import PoolConfig

SPOILT = 1.5
"""Rise of the loss over its least, from which a batch counts as diverged: some two decibels. Trained on such batches,
RGDN forgot its first steps: its moving average fell from 24.3 to 22.2 dB after one step within fifty updates."""


@dataclass(eq=False)
class Work:
    """A batch and where its optimisers stand; a plain object, so that Fabric and DDP hand it through untouched.

    Args:
        example: problems and their answers. steps: of the next window.
        state: where the last window ended, detached; None: before the first step. done: steps behind it.
        first: x(0), once it is known.
        life: steps after which a pool lets it go. least: the lowest loss so far.
        behind: steps to take without a gradient before the first window.
    """

    example: Example
    steps: int
    state: State | None = None
    first: Tensor | None = None
    done: int = 0
    life: int = 0
    least: float = math.inf
    behind: int = 0

    def judge(self, loss: float) -> None:
        """Take note of the loss of a window; a batch that has diverged ends its life."""
        if loss > self.least + SPOILT:
            self.life = min(self.life, self.done)
        self.least = min(self.least, loss)

    @property
    def batch(self) -> int:
        """Number of pictures."""
        return self.example.problem.observed.shape[0]


class Pool:
    """Batches in random order; see the module.

    The batches that fill the pool at first have been advanced by as many steps as they would have in the long run.

    Args:
        config: how many, and for how many steps each. make: a new batch, from the number of the update.
        advance: takes steps with a batch, without gradients.
        seed: of the order. Update n draws the same in every run with the same history.
    """

    def __init__(
        self, config: PoolConfig, make: Callable[[int], Work], advance: Callable[[Work, int], None], *, seed: str
    ) -> None:
        self.config, self.make, self.advance, self.seed = config, make, advance, seed
        self.kept: list[Work] = []

    def draw(self, update: int) -> Work:
        """The batch of that update: a new one while the pool fills up, or one that goes on."""
        host = random.Random(f"{self.seed}/pool/{update}")
        filling = len(self.kept) < self.config.batches and (not self.kept or host.random() < 0.5)
        place = len(self.kept) if filling else host.randrange(len(self.kept))
        if filling or self.kept[place].done >= self.kept[place].life:
            work = self.make(update)
            work.life = self._life(host)
            self.kept[place : place + 1] = [work]
            if filling:
                self.advance(work, host.randrange(work.life))
                if work.done > 0 and work.done >= work.life:
                    work = self.kept[place] = self.make(update)
                    work.life = self._life(host)
            return work
        return self.kept[place]

    def _life(self, host: random.Random) -> int:
        low, high = (math.log(n) for n in self.config.life)
        return round(math.exp(host.uniform(low, high)))
