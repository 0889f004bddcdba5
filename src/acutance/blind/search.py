"""Hypotheses of a picture: by the learned estimator in several sets of windows, or by another one with many sizes.

The learned estimator tells a kernel from several windows at once, and the size that it is given matters little. For
others it does, and the critic sees which is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from acutance.blind.base import Estimator, Unknowable, estimate
from acutance.blind.course import Course
from acutance.blind.hypothesis import Hypothesis, Look, MakeEstimator
from acutance.blind.learned import Learned

VIEWS = ((31, 224, True), (45, 256, True), (91, 320, True), (31, 400, False), (91, 512, False))
"""Size of the kernel, side of the windows, and whether there is one in each quarter, of the learned hypotheses."""

LADDER = (9, 15, 21, 31, 45, 65, 91)
"""Sizes that other estimators are given, pixels."""

SIDES, LEAST_WINDOW, WINDOW = 16, 224, 400
"""Their window has so many sides of the kernel; so many pixels a side at least, and at most."""


@dataclass(frozen=True, eq=False)
class Views:
    """The proposer that asks the learned estimator. Args: course: is told how far it is."""

    course: Course = field(default_factory=lambda: Course(parts=("estimating",)))

    def __call__(self, look: Look) -> Iterator[Hypothesis]:
        """Kernels from several sets of windows.

        Raises:
            Unknowable: the picture has nothing in it, or is too small for any.
        """
        views = [view for view in VIEWS if 3 * view[0] <= look.side] or [(9, look.side, False)]
        pixels = [side * side * (4 if quarters else 1) for _, side, quarters in views]
        for n, (size, side, quarters) in enumerate(views):
            before, after = (sum(pixels[:i]) / sum(pixels) for i in (n, n + 1))
            self.course.piece(before, after, size=size, number=n + 1, count=len(views), window=side)
            windows, mask = look.windows(side) if quarters else look.window(side)
            yield Hypothesis(estimate(windows, Learned(size), mask, self.course), look.linear, size)


@dataclass(frozen=True, eq=False)
class Sizes:
    """The proposer that gives an estimator many sizes. Args: make: the estimator. course: is told how far it is."""

    make: MakeEstimator
    course: Course = field(default_factory=lambda: Course(parts=("estimating",)))

    def __call__(self, look: Look) -> Iterator[Hypothesis]:
        """A kernel of each size that the picture has room for.

        Raises:
            Unknowable: no size can be estimated.
        """
        sizes = [s for s in LADDER if 4 * s <= look.side] or LADDER[:1]
        pixels = [window_side(size) ** 2 for size in sizes]
        for n, size in enumerate(sizes):
            before, after = (sum(pixels[:i]) / sum(pixels) for i in (n, n + 1))
            side = min(window_side(size), look.side)
            self.course.piece(before, after, size=size, number=n + 1, count=len(sizes), window=side)
            try:
                yield from_window(look, self.make(size), size, self.course)
            except Unknowable:
                if size == sizes[0]:
                    raise


def from_window(look: Look, estimator: Estimator, size: int, course: Course | None = None) -> Hypothesis:
    """Estimate a kernel from the most textured window. Args: size: side that the estimator was given, pixels.

    Raises:
        Unknowable: nothing can be told.
    """
    window, mask = look.window(window_side(size))
    return Hypothesis(estimate(window, estimator, mask, course), look.linear, size)


def window_side(size: int) -> int:
    """Side of the window for a kernel of `size` pixels."""
    return min(WINDOW, max(LEAST_WINDOW, SIDES * size))
