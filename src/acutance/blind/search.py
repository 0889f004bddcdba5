"""Hypotheses by an estimator that is given many sizes.

Small sizes come first, since they cost little: a size needs a window of some sixteen kernels only. Where one of them
explains the picture well, had room enough, and the largest of them is no better, that is all. Else the larger sizes
are carried to half the resolution, which costs a quarter of the whole, are compared there by the critic
(`acutance.blind.critic`), and the best of them go on to the full resolution. So do the others where the best gains
little, and the neighbours of the best. At the end the best size is estimated from a larger window once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from acutance.blind import cleaning
from acutance.blind.base import BlindState, Estimator, Unknowable, estimate
from acutance.blind.critic import Panel
from acutance.blind.hypothesis import Hypothesis, Look, MakeEstimator
from acutance.blind.xu_l0 import XuL0
from acutance.problem import Problem

LADDER = (9, 15, 21, 31, 45, 65, 91, 131)
"""Sides that are tried, pixels."""

HALF = 2
"""Level of half the resolution."""

SMALL = 21
"""Largest of the small sides."""

KEPT = 2
"""Number of the larger sizes that go on."""

ENOUGH = 1.2
"""Expected gain of a small size, dB, with which no larger one is tried if the largest small one expects less."""

FITS = 0.75
"""A kernel of at most so many of the sides of its square had room enough."""

SIDES, LEAST_WINDOW, WINDOW, LARGE_WINDOW = 16, 224, 400, 560
"""A window has so many sides of the kernel; so many pixels a side at least; and at most; and at most where the best
size is tried once more. Which window is better is a matter of luck, and the critic sees which: behind a kernel of 37
pixels windows of 400 and 512 gained 2.1 and 2.9 dB with a size of 65, 3.7 and 3.0 with 45, 0.8 and 4.1 with 91."""


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
        make: the estimator. expected: gain of a hypothesis, dB; None: all sizes are tried.
        on_size: told each size before it is tried.
    """

    make: MakeEstimator = quick
    expected: Callable[[Hypothesis], float] | None = None
    on_size: Callable[[int], None] | None = None

    def __call__(self, look: Look, found: Sequence[Hypothesis] = ()) -> Iterator[Hypothesis]:
        """Kernels of several sizes.

        Raises:
            Unknowable: no size can be estimated.
        """
        sizes = [s for s in LADDER if 4 * s <= look.side] or LADDER[:1]
        made = [Hypothesis(run.finish(), look.linear, run.size) for run in self._begun(look, sizes, small=True)]
        yield from made
        if self.expected is not None and made:
            best = max(made, key=self.expected)
            if self.expected(best) >= ENOUGH and best is not made[-1] and fits(best):
                yield from self._seconded(look, best)
                return
        large = sorted(self._begun(look, sizes, small=False), key=lambda run: -run.score)
        tried = [run.size for run in large[KEPT:]]
        for run in large[:KEPT]:
            made.append(Hypothesis(run.finish(), look.linear, run.size))
            yield made[-1]
        if self.expected is None or not made:
            return
        for size in tried:
            best = max(made, key=self.expected)
            if self.expected(best) < ENOUGH or abs(sizes.index(size) - sizes.index(best.size)) == 1:
                made.append(from_window(look, self.make(size), size))
                yield made[-1]
        yield from self._seconded(look, max(made, key=self.expected))

    def _seconded(self, look: Look, best: Hypothesis) -> Iterator[Hypothesis]:
        """The size of the best once more, from a window that shows more."""
        if look.side > min(WINDOW, SIDES * best.size):
            yield from_window(look, self.make(best.size), best.size, sides=2 * SIDES, most=LARGE_WINDOW)

    def _begun(self, look: Look, sizes: Sequence[int], *, small: bool) -> list[_Run]:
        """The small or the larger sizes, begun.

        Raises:
            Unknowable: no small size can be estimated.
        """
        runs = list[_Run]()
        panel = None if small else Panel.of(look.reduced(HALF))
        for side in [s for s in sizes if (s <= SMALL) == small]:
            if self.on_size is not None:
                self.on_size(side)
            try:
                runs.append(_Run.begun(look, side, self.make(side), panel))
            except Unknowable:
                if small and side == sizes[0]:
                    raise
        return runs


def from_window(look: Look, estimator: Estimator, size: int, *, sides: int = SIDES, most: int = WINDOW) -> Hypothesis:
    """Estimate a kernel from the most textured window.

    Args:
        size: side that the estimator was given, pixels. sides: of the kernel in the window. most: its largest side.

    Raises:
        Unknowable: nothing can be told.
    """
    window, mask = look.window(min(most, max(LEAST_WINDOW, sides * size)))
    return Hypothesis(estimate(window, estimator, mask), look.linear, size)


def fits(hypothesis: Hypothesis) -> bool:
    """Tell whether a kernel leaves a margin in the square that its estimator was given."""
    return hypothesis.kernel.shape[-1] <= FITS * hypothesis.size


@dataclass(frozen=True, eq=False)
class _Run:
    """An estimate that is under way. Args: score: expected gain at half the resolution, dB; small sizes have none."""

    size: int
    score: float
    state: BlindState
    rest: Iterator[BlindState]
    finished: Callable[[BlindState], Tensor]

    @staticmethod
    def begun(look: Look, size: int, estimator: Estimator, panel: Panel | None) -> _Run:
        """Carried to half the resolution, and judged there by a panel; without one not even carried."""
        window, mask = look.window(min(WINDOW, max(LEAST_WINDOW, SIDES * size)))
        states = estimator.solver().iterate(Problem(window, mask=mask))
        before = state = next(states)
        while panel is not None and state.level >= HALF:
            before, state = state, next(states)
        score = 0.0 if panel is None else panel.gain(cleaning.finished(before.kernel))
        return _Run(size, score, state, states, estimator.finished)

    def finish(self) -> Tensor:
        """The kernel."""
        *_, last = [self.state, *self.rest]
        return self.finished(last)
