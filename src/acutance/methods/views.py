r"""A picture restored in several views, flipped and turned, and the step after which more steps no longer help.

    x(t)  = mean over v of  T_v' x_v(t),                          x_v(t): the estimate of view v after t steps
    d(t)^2 = sum over v of (T_v' x_v(t) - x(t))^2 / (V - 1),      mean over the pixels inside the frame

T_v turns and flips, T_v' undoes it. A blur knows no view, so what the views disagree about is the network's invention.
All views take a step together, and a picture is done at the first t >= `SURE` with

    ||x(t) - x(t-1)||  <=  `SHARE` d(t),                          root mean square inside the frame

Neither side depends on the brightness of the picture, nor on which weights the steps have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Generic, TypeVar

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.operators import Blur
from acutance.problem import Problem, State, Step

View = tuple[bool, bool, bool]

VIEWS: tuple[View, ...] = tuple((a, b, c) for a, b, c in product((False, True), repeat=3))
"""Whether a view is transposed, then flipped in its rows, then in its columns; the first is the picture as it is."""

SURE = 5
"""Steps that every picture takes; learned steps are unrolled about so far in training."""

SHARE = 0.5
"""See the module. Measured with `acute` and four views on 36 crops of held-out photographs, kernels of 9 to 51 pixels,
0.3 to 5 % noise, against five steps of one view: 0.23 dB more on the mean and 0.05 less at worst, with 6.0 steps; ten
steps 0.25 more and 0.44 less. A share of 0.4 has 0.25 and 0.06, one of 0.6 has 0.20 and 0.05."""

S = TypeVar("S", bound=State)


@dataclass(frozen=True, eq=False)
class ViewsState(State, Generic[S]):
    """x, the mean of the views; the state of each view; which pictures are done, (B,)."""

    views: tuple[S, ...]
    step: int
    settled: Tensor


@dataclass(frozen=True, eq=False)
class Views(Generic[S]):
    """A step that is taken in several views.

    Args:
        inner: the step of one view. count: of the views, the first of `VIEWS`.
    """

    inner: Step[S]
    count: int

    def init(self, problem: Problem) -> ViewsState[S]:
        """Every view begun.

        Raises:
            ConfigError: the blur is no convolution.
        """
        states = tuple(self.inner.init(seen(problem, view)) for view in VIEWS[: self.count])
        x, _ = self._mean(problem, states)
        return ViewsState(x, states, 0, torch.zeros(len(x), dtype=torch.bool, device=x.device))

    def __call__(self, problem: Problem, state: ViewsState[S]) -> ViewsState[S]:
        """One step in every view."""
        states = tuple(
            self.inner(seen(problem, view), one) for view, one in zip(VIEWS[: self.count], state.views, strict=True)
        )
        x, disagreement = self._mean(problem, states)
        move = problem.crop(x - state.x).square().mean((1, 2, 3)).sqrt()
        settled = (move <= SHARE * disagreement) & (state.step + 1 >= SURE)
        return ViewsState(x, states, state.step + 1, settled)

    def _mean(self, problem: Problem, states: tuple[S, ...]) -> tuple[Tensor, Tensor]:
        """x, and d, (B,)."""
        every = [back(state.x, view) for state, view in zip(states, VIEWS[: self.count], strict=True)]
        x = torch.stack(every).mean(0)
        square = sum(problem.crop(one - x).square().mean((1, 2, 3)) for one in every)
        return x, torch.as_tensor(square / (self.count - 1)).sqrt()


def seen(problem: Problem, view: View) -> Problem:
    """The problem of the picture transposed first and flipped then.

    Raises:
        ConfigError: the blur is no convolution.
    """
    if not isinstance(problem.blur, Blur):
        raise ConfigError("views of a blur that is no convolution are not known; give views=1")

    def turned(z: Tensor) -> Tensor:
        return _flipped(z.mT if view[0] else z, *view[1:])

    blur = replace(problem.blur, kernel=turned(problem.blur.kernel))
    mask, saturated = (None if m is None else turned(m) for m in (problem.mask, problem.saturated))
    return replace(problem, observed=turned(problem.observed), blur=blur, mask=mask, saturated=saturated)


def back(z: Tensor, view: View) -> Tensor:
    """A picture of that view as it was."""
    z = _flipped(z, *view[1:])
    return z.mT if view[0] else z


def _flipped(z: Tensor, rows: bool, cols: bool) -> Tensor:
    dims = [d for d, flip in ((-2, rows), (-1, cols)) if flip]
    return z.flip(dims) if dims else z
