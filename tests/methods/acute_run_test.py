"""A run of Acute: its steps, what ends it, and the mean over views."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from acute_problems import TINY, blur_of, masked, perturbed, same_weights, untrained
from problems import noisy

from acutance.methods.acute import AcuteState, Descend, build
from acutance.operators import Blur
from acutance.problem import Outcome, Problem, Progress
from acutance.views import VIEWS, View


@pytest.mark.parametrize("steps", [1, 2, 5, 6, 7, 20])
def test_any_number_of_steps(steps: int) -> None:
    problem = noisy(1, 3, 14, 15)
    torch.manual_seed(3)
    result = build(**{**TINY, "steps": steps, "precision": "float32"}).double().run(problem)
    assert result.steps == (steps,)
    assert result.outcomes == (Outcome.COMPLETED,)
    assert result.trace.shape == (steps + 1, 1)
    assert bool(torch.isfinite(result.x).all())
    torch.testing.assert_close(result.trace[-1], problem.fitting_error(result.x))


def test_a_standstill_ends_a_run() -> None:
    problem = noisy(1, 1, 16, 16)
    result = untrained(steps=60, threshold=2e-3).run(problem)
    assert result.outcomes == (Outcome.CONVERGED,)
    assert 1 < result.steps[0] < 60


@pytest.mark.parametrize("views", [1, 4])
def test_seconds_end_a_run(views: int) -> None:
    problem = noisy(1, 1, 12, 12)
    result = perturbed(steps=20, seconds=1e-9, views=views).run(problem)
    assert result.steps == (1,), "one step at least"
    assert result.outcomes == (Outcome.EXHAUSTED,)
    patient = perturbed(steps=4, seconds=100.0, views=views).run(problem)
    assert patient.steps == (4,)
    assert patient.outcomes == (Outcome.COMPLETED,)
    torch.testing.assert_close(patient.x, perturbed(steps=4, views=views).run(problem).x, rtol=0, atol=0)


def test_the_seconds_are_those_of_all_views_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a second with every step: 12 seconds are three for each of four views."""
    now = [0.0]
    call = Descend.__call__

    def slow(self: Descend, problem: Problem, state: AcuteState) -> AcuteState:
        now[0] += 1
        return call(self, problem, state)

    monkeypatch.setattr(Descend, "__call__", slow)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    result = perturbed(steps=20, seconds=12.0, views=4).run(noisy(1, 1, 12, 12))
    assert now == [12.0]
    assert result.steps == (3,)


def seen_as(problem: Problem, view: View) -> Problem:
    assert problem.mask is not None
    blur = Blur(view(blur_of(problem).kernel), blur_of(problem).boundary)
    return replace(problem, observed=view(problem.observed), operator=blur, mask=view(problem.mask))


@pytest.mark.parametrize("count", [2, 5, 8])
def test_views_are_the_mean_of_turned_problems(count: int) -> None:
    model, problem = perturbed(), masked(noisy(2, 3, 12, 17, kernel=(3, 5)))
    result = same_weights(model, views=count).run(problem)
    each = [v.back(model.run(seen_as(problem, v)).x) for v in VIEWS[:count]]
    torch.testing.assert_close(result.x, torch.stack(each).mean(0), rtol=1e-12, atol=1e-13)
    assert float((each[0] - each[1]).abs().max()) > 1e-4, "views differ, or there would be no point"
    torch.testing.assert_close(result.trace[-1], problem.fitting_error(result.x))
    assert result.trace.shape == (4, 2)


@pytest.mark.parametrize("view", VIEWS[1:], ids=str)
def test_with_all_views_it_does_not_matter_how_the_picture_is_held(view: View) -> None:
    model, problem = perturbed(steps=2, views=8), masked(noisy(1, 3, 12, 17, kernel=(3, 5)))
    expected = model.run(problem).x
    torch.testing.assert_close(view.back(model.run(seen_as(problem, view)).x), expected, rtol=1e-11, atol=1e-12)


def test_views_are_reported_together() -> None:
    seen: list[Progress] = []
    problem = noisy(1, 1, 12, 12)
    y = problem.observed.clone().requires_grad_()
    result = perturbed(views=3).run(replace(problem, observed=y), on_step=seen.append)
    assert [p.step for p in seen] == [1, 2, 3]
    assert all(p.steps == 3 for p in seen)
    assert torch.equal(seen[-1].state.x, result.x)
    assert not result.trace.requires_grad
    assert not result.x.requires_grad
    assert torch.is_grad_enabled()
