"""Pieces of iterates, so that a step is trained at the price of its networks alone.

A step of RGDN sees two pictures, x(t) and the gradient of its data term. So the blur is not needed to train it: a batch
of problems is started, some are taken a few steps on without gradients, and squares are cut from both pictures and from
the answer. An update takes a batch of squares from many different problems. The networks then are most of the work: 13
squares of 72 pixels a second and core in bfloat16, a fifth of the time for the problems. (From a `Pool` it
was 2.5 problems a second, and 45 core minutes gained nothing.)

The answer may be what a better method makes of the problem, its teacher, instead of the sharp picture. Most of what
divides an estimate from the sharp picture nobody can know; that part is noise in every gradient. The way to a teacher's
picture is all of it a function of what the network sees.

Only for methods whose state is x alone and whose step reads `Problem.gradient` and nothing else of its problem.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods.inner import build_shipped
from acutance.methods.spec import find
from acutance.methods.written import read_method
from acutance.problem import Problem, State
from acutance_lab.synth import Example
from acutance_lab.train.config import HarvestConfig
from acutance_lab.train.pool import Work

SEEN = 0.4
"""Share of a square, at least, that lies inside the frame of the observed picture."""


@dataclass(frozen=True, eq=False)
class Cut(Problem):
    """Squares of problems at their iterates; `observed` is x(t).

    Args:
        slope: A'(A x(t) - y) there, (B, C, S, S).
        counted: (B, 1, S, S), 1 where the answer counts: inside the frame of the observed picture, and away from the
            cut, beyond which the networks see nothing.
    """

    slope: Tensor | None = None
    counted: Tensor | None = None

    def gradient(self, x: Tensor) -> Tensor:
        """The slope: x is the iterate that was cut."""
        assert self.slope is not None
        return self.slope

    def crop(self, x: Tensor) -> Tensor:
        """x where it counts, and 0 elsewhere, which is right there."""
        assert self.counted is not None
        return x * self.counted


def teacher(name: str | None, device: torch.device) -> Callable[[Problem], Tensor] | None:
    """x of a method with its shipped weights, for problems of known blur; None for None.

    Raises:
        ConfigError: it needs no kernel. UnknownMethod: there is no such method.
    """
    if name is None:
        return None
    known, settings = read_method(name)
    spec = find(known)
    if not spec.needs.kernel:
        raise ConfigError(f"teacher={name!r} needs no kernel, so it is no teacher of one that does; such as acute")
    method = build_shipped(spec, settings, device=device, precision="auto", tile=None)
    return lambda problem: method.run(problem).x


class Harvest:
    """Squares in random order; see the module.

    Args:
        config: how many, and how they are cut. make: a new batch of problems, from its number.
        begin: sets x(0) of a batch. advance: takes steps with it, without gradients. teach: the answer to a problem,
            on the domain of its blur; None: the sharp picture.
        seed: of the order. Update n draws the same in every run with the same history.
    """

    def __init__(
        self,
        config: HarvestConfig,
        make: Callable[[int], Work],
        begin: Callable[[Work], None],
        advance: Callable[[Work, int], None],
        *,
        seed: str,
        teach: Callable[[Problem], Tensor] | None = None,
    ) -> None:
        self.config, self.make, self.begin, self.advance, self.seed = config, make, begin, advance, seed
        self.teach = teach
        self.kept: list[tuple[Tensor, ...]] = []
        self.problems = 0

    def draw(self, update: int) -> Work:
        """The squares of that update, from as many problems as there are by chance."""
        host = random.Random(f"{self.seed}/harvest/{update}")
        while len(self.kept) < self.config.pieces:
            self._fill(host, update)
        taken = [self.kept.pop(host.randrange(len(self.kept))) for _ in range(self.config.batch)]
        x, first, slope, sharp, counted = (torch.cat(parts) for parts in zip(*taken, strict=True))
        return Work(Example(sharp, Cut(x, slope=slope, counted=counted)), steps=1, state=State(x), first=first)

    def _fill(self, host: random.Random, update: int) -> None:
        """Cut squares from a new batch of problems."""
        config = self.config
        work = self.make(update * config.pieces + self.problems)
        self.problems += 1
        work.life = config.latest
        self.begin(work)
        if host.random() < config.late:
            self.advance(work, host.randint(1, config.latest))
        assert work.state is not None
        assert work.first is not None
        problem, x = work.example.problem, work.state.x
        if work.life < config.latest or not bool(torch.isfinite(x).all()):  # it diverged
            return
        with torch.no_grad():
            slope = problem.gradient(x)
            answer = work.example.sharp if self.teach is None else self.teach(problem)
        inside = torch.zeros_like(x[:1, :1])
        problem.crop(inside).fill_(1)
        for b in range(work.batch):
            for _ in range(config.each):
                square = self._square(host, x.shape[-2], x.shape[-1])
                seen = inside[(slice(None), slice(None), *square)].clone()
                if float(seen.mean()) < SEEN:
                    continue
                _clear_edges(seen, square, x.shape[-2], x.shape[-1], config.margin)
                whole = (x, work.first, slope, answer)
                turn, flip = host.randrange(4), host.random() < 0.5
                parts = [*(z[(slice(b, b + 1), slice(None), *square)] for z in whole), seen]
                self.kept.append(tuple(_turned(z, turn, flip) for z in parts))

    def _square(self, host: random.Random, height: int, width: int) -> tuple[slice, slice]:
        side = self.config.side
        row, col = host.randint(0, height - side), host.randint(0, width - side)
        return slice(row, row + side), slice(col, col + side)


def _clear_edges(seen: Tensor, square: tuple[slice, slice], height: int, width: int, margin: int) -> None:
    """Nothing counts within `margin` pixels of a cut; the border of the whole domain is none."""
    rows, cols = square
    if rows.start > 0:
        seen[..., :margin, :] = 0
    if rows.stop < height:
        seen[..., -margin:, :] = 0
    if cols.start > 0:
        seen[..., :, :margin] = 0
    if cols.stop < width:
        seen[..., :, -margin:] = 0


def _turned(z: Tensor, turn: int, flip: bool) -> Tensor:
    """One of the eight views of (1, C, S, S)."""
    return torch.rot90(z.flip(-1) if flip else z, turn, (-2, -1)).contiguous()
