"""The one loop: each image of a batch by itself, trouble as an outcome, budgets, observers, the stopping rule."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from acutance.operators import Blur
from acutance.problem import Outcome, Problem, Progress, State
from acutance.solver import BLOWN_UP, RelativeChange, Solver, Standstill, StopRule


@dataclass(frozen=True)
class Descent:
    """x <- x - rate * gradient, with a rate for each image."""

    rate: tuple[float, ...] = (1.0,)

    def init(self, problem: Problem) -> State:
        return State(problem.start())

    def __call__(self, problem: Problem, state: State) -> State:
        rate = torch.tensor(self.rate, dtype=state.x.dtype).reshape(-1, 1, 1, 1)
        return State(state.x - rate * problem.gradient(state.x))


@dataclass(frozen=True, eq=False)
class Counting(State):
    t: int = 0


@dataclass(frozen=True)
class Spoil:
    """A good step until `at`, from then on image `which` becomes `value`."""

    at: int
    value: float
    which: int = 0

    def init(self, problem: Problem) -> Counting:
        return Counting(problem.start())

    def __call__(self, problem: Problem, state: Counting) -> Counting:
        x, t = state.x - problem.gradient(state.x), state.t + 1
        if t >= self.at:
            x = x.clone()
            x[self.which] = self.value
        return Counting(x, t)


@dataclass(frozen=True)
class Slow:
    seconds: float

    def init(self, problem: Problem) -> State:
        return State(problem.start())

    def __call__(self, problem: Problem, state: State) -> State:
        time.sleep(self.seconds)
        return state


def problems(generator: torch.Generator, n: int = 3) -> Problem:
    """n pictures, blurred by different kernels, of very different difficulty."""
    k = torch.rand(n, 1, 3, 3, generator=generator, dtype=torch.float64)
    k[0] = 0
    k[0, 0, 1, 1], k[0, 0, 1, 2] = 0.9, 0.1
    blur = Blur(k / k.sum((-2, -1), keepdim=True))
    sharp = torch.rand(n, 1, *blur.domain_size(9, 10), generator=generator, dtype=torch.float64)
    noise = torch.randn(n, 1, 9, 10, generator=generator, dtype=torch.float64)
    return Problem(blur.forward(sharp) + 0.02 * noise, blur)


def one(problem: Problem, i: int) -> Problem:
    assert isinstance(problem.operator, Blur)
    blur = replace(problem.operator, kernel=problem.operator.kernel[i : i + 1])
    return Problem(problem.observed[i : i + 1], blur)


@pytest.mark.parametrize("patience", [1, 3])
@pytest.mark.parametrize("threshold", [0.03, 3e-3])
def test_each_image_of_a_batch_stops_by_itself(threshold: float, patience: int, generator: torch.Generator) -> None:
    problem = problems(generator)
    solver = Solver([Descent()] * 60, stop=RelativeChange(threshold, patience))
    together = solver.run(problem)
    for i in range(3):
        alone = solver.run(one(problem, i))
        assert together.steps[i] == alone.steps[0]
        assert together.outcomes[i] is alone.outcomes[0]
        torch.testing.assert_close(together.x[i : i + 1], alone.x, rtol=1e-12, atol=1e-12)
        steps = len(alone.trace)
        torch.testing.assert_close(together.trace[:steps, i], alone.trace[:, 0], rtol=1e-10, atol=1e-14)
        assert bool((together.trace[steps - 1 :, i] == together.trace[steps - 1, i]).all())
    if threshold == 0.03:
        assert len(set(together.steps)) > 1, "the case is meant to have images that stop at different steps"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("at", [1, 4])
def test_trouble_is_an_outcome_with_the_last_good_estimate(at: int, value: float, generator: torch.Generator) -> None:
    problem = problems(generator)
    good = Solver([Descent()] * 6).run(problem, keep=True)
    result = Solver([Spoil(at, value, which=1)] * 6).run(problem)
    assert result.outcomes == (Outcome.COMPLETED, Outcome.DIVERGED, Outcome.COMPLETED)
    assert result.outcome is Outcome.DIVERGED
    assert result.steps == (6, at - 1, 6)
    last_good = problem.start()[1] if at == 1 else good.iterates[at - 2][1]
    assert torch.equal(result.x[1], last_good)
    assert torch.equal(result.x[[0, 2]], good.x[[0, 2]])
    assert bool(torch.isfinite(result.trace).all())
    assert bool((result.trace[at - 1 :, 1] == result.trace[at - 1, 1]).all())


def test_slow_growth_is_found_where_it_passes_the_limit(generator: torch.Generator) -> None:
    problem = problems(generator)
    result = Solver([Descent((1.0, 4.0, 1.0))] * 200).run(problem)
    assert result.outcomes == (Outcome.COMPLETED, Outcome.DIVERGED, Outcome.COMPLETED)
    assert 0 < result.steps[1] < 200
    assert bool((result.trace[:, 1] <= BLOWN_UP * result.trace[0, 1]).all())


def test_a_run_ends_when_every_image_has(generator: torch.Generator) -> None:
    seen: list[int] = []
    result = Solver([Spoil(2, math.nan)] * 50).run(problems(generator, 1), on_step=lambda p: seen.append(p.step))
    assert (result.steps, seen) == ((1,), [1, 2])


def test_a_perfect_start_may_get_a_little_worse(generator: torch.Generator) -> None:
    """With a first error of zero, 1e-6 ||y||^2 stands in for it."""

    class Drift(Descent):
        def __call__(self, problem: Problem, state: State) -> State:
            return State(state.x * 1.001)

    result = Solver([Drift()] * 3).run(Problem(torch.rand(1, 1, 8, 8, generator=generator)))
    assert (result.outcome, result.steps) == (Outcome.COMPLETED, (3,))


@pytest.mark.parametrize("sigma", [0.05, 0.4])
@pytest.mark.parametrize("kernel", [None, 1], ids=["no blur", "one pixel"])
def test_removing_noise_is_no_divergence(kernel: int | None, sigma: float, generator: torch.Generator) -> None:
    """Where nothing was blurred the start fits perfectly, and the error has to rise to that of the noise."""

    class Flatten(Descent):
        def __call__(self, problem: Problem, state: State) -> State:
            return State(state.x.mean((-2, -1), keepdim=True).expand_as(state.x))

    y = 0.5 + sigma * torch.randn(1, 1, 32, 32, generator=generator)
    blur = None if kernel is None else Blur(torch.ones(1, 1, kernel, kernel))
    result = Solver([Flatten()] * 2).run(Problem(y, blur, torch.tensor(sigma)))
    assert result.outcome is Outcome.COMPLETED
    assert float(result.x.std()) < 1e-6


def test_a_schedule_is_gone_through_and_a_search_is_cut_short(generator: torch.Generator) -> None:
    problem = problems(generator, 1)
    assert Solver([Descent()] * 3).run(problem).outcome is Outcome.COMPLETED
    assert Solver([Descent()] * 3, stop=RelativeChange(1e-12)).run(problem).outcome is Outcome.EXHAUSTED


def test_no_step_is_begun_after_the_seconds_are_spent(generator: torch.Generator) -> None:
    result = Solver([Slow(0.02)] * 1000, seconds=0.1).run(problems(generator, 1))
    assert 1 <= result.steps[0] <= 6
    assert result.outcome is Outcome.EXHAUSTED
    assert Solver([Slow(0.0)] * 5, seconds=0.0).run(problems(generator, 1)).steps == (1,)


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_kept(keep: bool, generator: torch.Generator) -> None:
    problem = problems(generator)
    solver = Solver([Descent()] * 7)
    result = solver.run(problem, keep=keep)
    assert result.trace.shape == (8, 3)
    assert len(result.iterates) == (7 if keep else 0)
    for iterate, state in zip(result.iterates, solver.iterate(problem), strict=False):
        assert torch.equal(iterate, state.x)
    torch.testing.assert_close(result.trace[0], problem.fitting_error(problem.start()))
    torch.testing.assert_close(result.trace[-1], problem.fitting_error(result.x))


def test_kept_estimates_stand_still_once_an_image_is_done(generator: torch.Generator) -> None:
    result = Solver([Descent()] * 40, stop=RelativeChange(0.03)).run(problems(generator), keep=True)
    for i, step in enumerate(result.steps):
        assert all(torch.equal(x[i], result.x[i]) for x in result.iterates[step - 1 :])


def test_the_observer_sees_every_step(generator: torch.Generator) -> None:
    seen: list[Progress] = []
    result = Solver([Descent()] * 4).run(problems(generator), on_step=seen.append)
    assert [p.step for p in seen] == [1, 2, 3, 4]
    assert {p.steps for p in seen} == {4}
    assert torch.equal(torch.stack([p.error for p in seen]), result.trace[1:])
    assert torch.equal(seen[-1].state.x, result.x)


def test_steps_are_taken_in_order(generator: torch.Generator) -> None:
    rates = (0.1, 0.7, 0.4)
    problem = problems(generator, 1)
    x = problem.start()
    for rate, state in zip(rates, Solver([Descent((r,)) for r in rates]).iterate(problem), strict=True):
        x = x - rate * problem.gradient(x)
        assert torch.equal(state.x, x)


def test_iterate_is_differentiable_and_run_is_not(generator: torch.Generator) -> None:
    problem = problems(generator, 1)
    y = problem.observed.clone().requires_grad_()
    *_, last = Solver([Descent()] * 3).iterate(replace(problem, observed=y))
    (grad,) = torch.autograd.grad(last.x.sum(), y)
    assert float(grad.abs().max()) > 0
    assert not Solver([Descent()] * 3).run(replace(problem, observed=y)).x.requires_grad


def test_a_solver_needs_a_step() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        Solver([])


def trace(*norms: float) -> list[Tensor]:
    """Fitting errors (1/2 ||r||^2 up to the half, which cancels) of one image from norms."""
    return [torch.tensor([n * n]) for n in norms]


@pytest.mark.parametrize(
    ("norms", "threshold", "patience", "done"),
    [
        ((1.0,), 0.1, 1, False),  # nothing to compare with yet
        ((1.0, 0.95), 0.1, 1, True),
        ((1.0, 0.85), 0.1, 1, False),
        ((1.0, 1.05), 0.1, 1, True),  # a change upwards counts the same
        ((1.0, 1.15), 0.1, 1, False),
        ((2.0, 1.0, 0.85), 0.1, 1, True),  # relative to the first error: 0.15 / 2
        ((1.0, 0.95), 0.1, 2, False),  # two small changes in a row are needed
        ((1.0, 0.95, 0.91), 0.1, 2, True),
        ((1.0, 0.5, 0.45), 0.1, 2, False),
        ((1.0, 0.97, 0.5, 0.45, 0.42), 0.1, 2, True),
        ((1.0, 1.0), 0.0, 1, False),  # a threshold of zero never ends a run
    ],
)
def test_relative_change(norms: tuple[float, ...], threshold: float, patience: int, done: bool) -> None:
    rule: StopRule = RelativeChange(threshold, patience)
    assert rule.done(trace(*norms), []).tolist() == [done]


def test_relative_change_is_that_of_the_norm_not_of_its_square() -> None:
    errors = trace(1.0, 0.94)  # the norm falls by 0.06, its square by 0.12
    assert bool(RelativeChange(0.1).done(errors))
    assert not bool(RelativeChange(0.05).done(errors))


def test_relative_change_does_not_depend_on_the_scale(generator: torch.Generator) -> None:
    values = torch.rand(5, 4, generator=generator) + 0.5
    for threshold, scale in itertools.product((0.05, 0.2, 0.5), (1e-6, 1e6)):
        rule = RelativeChange(threshold)
        assert torch.equal(rule.done(list(values)), rule.done(list(scale * values)))


def test_standstill_ends_each_image_when_its_picture_no_longer_changes(generator: torch.Generator) -> None:
    problem = problems(generator)
    every = Solver([Descent()] * 40).run(problem, keep=True)
    frames = [problem.crop(x) for x in (problem.start(), *every.iterates)]
    moves = [(b - a).square().mean((1, 2, 3)).sqrt() for a, b in itertools.pairwise(frames)]
    threshold = float(moves[5].min()) * 1.001
    result = Solver([Descent()] * 40, stop=Standstill(threshold)).run(problem)
    for i in range(problem.observed.shape[0]):
        first = next((t for t, m in enumerate(moves, 1) if m[i] <= threshold), 40)
        assert result.steps[i] == first
        torch.testing.assert_close(result.x[i], every.iterates[first - 1][i])
    assert min(result.steps) <= 6
    assert Outcome.CONVERGED in result.outcomes
