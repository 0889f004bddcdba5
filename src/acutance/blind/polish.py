r"""The last detail of a kernel: turns with few gradients (`acutance.blind.xu_l0`), at the finest scale alone.

The learned estimator finds the path of a kernel, and smooths it. Xu-L0 by itself loses the path on a coarse scale for
two pictures in three, but from a kernel that is nearly right it goes on to the right one. It may also go wrong; so the
judge sees both kernels.
"""

from __future__ import annotations

from dataclasses import replace

from acutance.blind import cleaning
from acutance.blind.alternate import RELAXED, Turn
from acutance.blind.base import BlindState
from acutance.blind.course import Course
from acutance.blind.hypothesis import Hypothesis, Look
from acutance.blind.kernel_step import differences, enough
from acutance.blind.xu_l0 import XuL0
from acutance.problem import Problem

TURNS = 10
WINDOW = 512
"""Largest side of the window, pixels."""

STRENGTH = 4e-4
"""The first l. It is about as weak as a search from coarse to fine has it in the end."""

ROOM = 3
"""Pixels that the kernel may grow by on every side."""

PART = 0.3
"""The first threshold of gradients is this part of the one that a search begins with."""

ROUNDS, LAST = 30, 1e3
"""The rounds of the solve for the kernel, and the end of the splitting's weight. More changes the kernels little."""


def polished(look: Look, hypothesis: Hypothesis, course: Course | None = None) -> Hypothesis:
    """Improve the kernel (1, 1, s, s) of a hypothesis on the most textured window of the picture.

    A picture that is smaller than twice the kernel leaves the hypothesis as it is.
    """
    size = hypothesis.kernel.shape[-1] + 2 * ROOM
    window, mask = look.window(WINDOW)
    if min(window.shape[-2:]) < 2 * size:
        return hypothesis
    estimator, problem = XuL0(size=size, rounds=ROUNDS, last=LAST), Problem(window, mask=mask)
    threshold = PART * RELAXED * enough(differences(window), size)
    kernel = cleaning.of_side(hypothesis.kernel.to(window), size)
    state = BlindState(window, kernel, 0, threshold, STRENGTH)
    turn = Turn(estimator, 0)
    for n in range(TURNS):
        state = turn(problem, state)
        if course is not None:
            course.tell((n + 1) / TURNS)
    return replace(hypothesis, kernel=estimator.finished(state))
