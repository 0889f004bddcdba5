"""Hypotheses by an estimator that is given many sizes.

All sizes are carried to half the resolution, which costs a quarter of the whole. There they are compared by

    s(k) = || k * z - y ||  ( ||g||_1 / ||g||_2 )  ||g||_1^{1/2},      z = fd(y, k),  g = grad z,      lower is better,

(`acutance.blind.choice.judged`), and the best of them go on to the full resolution. A size needs a window of some sixteen
kernels only, so that small ones, which may need their full resolution, cost little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from acutance.blind import cleaning, pyramid
from acutance.blind.base import BlindState, Unknowable
from acutance.blind.hypothesis import Hypothesis, Look, MakeEstimator
from acutance.blind.scoring import judged
from acutance.blind.xu_l0 import XuL0
from acutance.problem import Problem

LADDER = (9, 15, 21, 31, 45, 65, 91, 131)
"""Sides that are tried, pixels."""

HALF = 2
"""Level of half the resolution."""

SMALL = 21
"""Sides up to this one all go on to the full resolution."""

KEPT = 3
"""How many of the larger sizes go on."""

SIDES, LEAST_WINDOW, WINDOW = 16, 224, 512
"""A window has so many sides of the kernel; so many pixels a side at least; and at most."""


def quick(size: int) -> XuL0:
    """The estimator of the search: like `xu-l0`, with fewer rounds, and faint values cut in each step.

    With a told size, 12 training photographs (400 pixels, all kinds of blur, linear light) gain 3.3 dB in the mean with
    five steps at the finest scale and rounds up to 1e5, 3.0 with three steps and rounds up to 1e3, in two thirds of the
    time. In encoded values they gain 2.0.
    """
    return XuL0(size=size, inner=size <= 45, faint=0.05, growth=3.0, last=1e4, fine_iterations=4)


@dataclass(frozen=True, eq=False)
class SizeSearch:
    """The proposer.

    Args:
        make: the estimator. kept: of the larger sizes that go on. on_size: told each size before it is tried.
    """

    make: MakeEstimator = quick
    kept: int = KEPT
    on_size: Callable[[int], None] | None = None

    def __call__(self, look: Look, found: Sequence[Hypothesis] = ()) -> Iterator[Hypothesis]:
        """Kernels of several sizes.

        Raises:
            Unknowable: no size can be estimated.
        """
        runs, reason = list[_Run](), Unknowable("no kernel fits into the picture")
        for side in [s for s in LADDER if 4 * s <= look.side] or LADDER[:1]:
            if self.on_size is not None:
                self.on_size(side)
            try:
                runs.append(_Run.begun(look, side, self.make(side)))
            except Unknowable as error:
                reason = error
        if not runs:
            raise reason
        large = sorted((r for r in runs if r.size > SMALL), key=lambda r: r.score)[: self.kept]
        for run in runs:
            if run.size <= SMALL or run in large:
                yield Hypothesis(run.finish(), look.linear, run.size)


@dataclass(frozen=True, eq=False)
class _Run:
    """An estimate that is under way. Args: score: s(k) at half the resolution; small sizes have none."""

    size: int
    score: float
    state: BlindState
    rest: Iterator[BlindState]
    finished: Callable[[BlindState], Tensor]

    @staticmethod
    def begun(look: Look, size: int, estimator: object) -> _Run:
        """Carried to half the resolution."""
        window, mask = look.window(min(WINDOW, max(LEAST_WINDOW, SIDES * size)))
        states = estimator.solver().iterate(Problem(window, mask=mask))  # type: ignore[attr-defined]
        before = state = next(states)
        while size > SMALL and state.level >= HALF:
            before, state = state, next(states)
        score = 0.0
        if size > SMALL:
            score = judged(pyramid.reduced(window, HALF), cleaning.finished(before.kernel), size // 4)
        return _Run(size, score, state, states, estimator.finished)  # type: ignore[attr-defined]

    def finish(self) -> Tensor:
        """The kernel."""
        state = self.state
        for state in self.rest:
            pass
        return self.finished(state)
