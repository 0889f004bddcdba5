"""Views: their mean, what they disagree about, and the step after which a picture is done."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from problems import noisy
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods.views import SHARE, SURE, Views, ViewsState
from acutance.operators import Sensing
from acutance.problem import Outcome, Problem, State
from acutance.solver import Solver
from acutance.views import VIEWS


@dataclass(frozen=True, eq=False)
class Counted(State):
    """x and the number of steps behind it."""

    step: int


def slope(x: Tensor) -> Tensor:
    """Of mean 0, the number of the row and twice that of the column, (H, W)."""
    rows, cols = (torch.arange(n, dtype=x.dtype) - (n - 1) / 2 for n in x.shape[-2:])
    return rows[:, None] + 2 * cols


@dataclass(frozen=True)
class Drifts:
    """x + mean(y) / 100 (1 / 2^t + invention * slope): the first is the same in all views, the second is not."""

    invention: float

    def init(self, problem: Problem) -> Counted:
        """y."""
        return Counted(problem.start(), 0)

    def __call__(self, problem: Problem, state: Counted) -> Counted:
        """One step."""
        scale = 0.01 * problem.observed.mean((1, 2, 3), keepdim=True)
        return Counted(state.x + scale * (0.5**state.step + self.invention * slope(state.x)), state.step + 1)


def plain(problem: Problem, invention: float, count: int, steps: int) -> tuple[list[Tensor], list[list[bool]]]:
    """The means, and which pictures are done, by one run for each view."""
    inner, every = Drifts(invention), []
    for view in VIEWS[:count]:
        part = view.problem(problem)
        state = inner.init(part)
        xs = [state.x]
        for _ in range(steps):
            state = inner(part, state)
            xs.append(state.x)
        every.append([problem.crop(view.back(x)) for x in xs])
    means = [torch.stack(xs).mean(0) for xs in zip(*every, strict=True)]
    done = []
    for t in range(1, steps + 1):
        spread = torch.stack([xs[t] for xs in every]).var(0).mean((1, 2, 3)).sqrt()
        move = (means[t] - means[t - 1]).square().mean((1, 2, 3)).sqrt()
        done.append([t >= SURE and m <= SHARE * s for m, s in zip(move.tolist(), spread.tolist(), strict=True)])
    return means, done


@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize("invention", [0.0, 1e-3, 0.02, 1.0])
def test_a_picture_is_done_where_a_step_moves_it_less_than_the_views_disagree(count: int, invention: float) -> None:
    problem = noisy(2, 3, 9, 12, kernel=(3, 5))
    step = Views(Drifts(invention), count)
    state = step.init(problem)
    means, done = plain(problem, invention, count, 9)
    for t in range(1, 10):
        state = step(problem, state)
        torch.testing.assert_close(problem.crop(state.x), means[t], rtol=1e-12, atol=1e-13)
        assert state.settled.tolist() == done[t - 1]
    assert any(map(any, done)) == (invention > 0), "without any disagreement nobody is ever done"
    if invention == 1.0:
        assert done[SURE - 1] == [True, True], "no sooner than that"


@pytest.mark.parametrize("scale", [0.125, 64.0])
def test_when_a_picture_is_done_does_not_depend_on_its_brightness(scale: float) -> None:
    ends = []
    for factor in (1.0, scale):
        problem = noisy(1, 1, 9, 12)
        problem, step = replace(problem, observed=factor * problem.observed), Views(Drifts(1e-3), 4)
        state = step.init(problem)
        while not bool(state.settled):
            state = step(problem, state)
        ends.append(state.step)
    assert SURE < ends[0] == ends[1]


def test_each_picture_of_a_batch_has_its_own_end() -> None:
    """The views of the second disagree from the start, those of the first never."""

    @dataclass(frozen=True)
    class Some(Drifts):
        def __call__(self, problem: Problem, state: Counted) -> Counted:
            new = super().__call__(problem, state)
            steep = torch.tensor([0.0, 1e-3], dtype=new.x.dtype).reshape(2, 1, 1, 1)
            return replace(new, x=new.x + steep * slope(new.x))

    problem = noisy(2, 1, 9, 12)
    result = Solver([Views(Some(0.0), 4)] * 7).run(problem)
    assert result.steps == (7, SURE)
    assert result.outcomes == (Outcome.COMPLETED, Outcome.CONVERGED)
    short = Solver([Views(Some(0.0), 4)] * SURE).run(problem)
    torch.testing.assert_close(result.x[1], short.x[1], rtol=0, atol=0)
    assert float((result.x[0] - short.x[0]).abs().max()) > 0


def test_a_blur_that_is_no_convolution_is_refused() -> None:
    problem = Problem(torch.rand(1, 4, 1, 1), Sensing(torch.rand(4, 1024), (32, 32)))
    with pytest.raises(ConfigError, match="give views=1"):
        Views(Drifts(0.0), 2).init(problem)


def test_a_state_knows_its_views() -> None:
    problem = noisy(1, 1, 9, 12)
    state = Views(Drifts(0.1), 3).init(problem)
    assert isinstance(state, ViewsState)
    assert len(state.views) == 3
    assert state.settled.tolist() == [False]
