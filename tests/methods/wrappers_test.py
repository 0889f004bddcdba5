"""Methods made of any other: each channel alone, several views."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from problems import noisy
from small_methods import SMALL, built

from acutance.errors import ConfigError
from acutance.methods.spec import find
from acutance.methods.wiener import Wiener
from acutance.methods.wrappers import ChannelsApart, InViews
from acutance.noise.level import level_of
from acutance.problem import Problem, Progress, worst
from acutance.restoration.restorer import Restorer
from acutance.views import VIEWS

ITERATIVE = ("fd", "tv", "richardson-lucy")


@pytest.mark.parametrize("name", ["wiener", *ITERATIVE])
def test_channels_apart_are_the_channels_one_by_one(name: str) -> None:
    method, problem = built(find(name), **SMALL.get(name, {})), replace(noisy(2, 3, 14, 17, kernel=(3, 5)), sigma=None)
    result = ChannelsApart(method).run(problem)
    told = replace(problem, sigma=level_of(problem))
    alone = [method.run(told.channel(c)) for c in range(3)]
    assert torch.equal(result.x, torch.cat([r.x for r in alone], 1))
    assert result.outcomes == tuple(worst([r.outcomes[i] for r in alone]) for i in range(2))
    torch.testing.assert_close(result.trace[0], problem.fitting_error(problem.start()))
    torch.testing.assert_close(result.trace[-1], problem.fitting_error(result.x), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["wiener", *ITERATIVE, "nlm"])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_views_are_the_mean_of_turned_problems(name: str, count: int) -> None:
    spec = find(name)
    method, problem = built(spec, **SMALL.get(name, {})), noisy(2, 3, 11, 14, kernel=(3, 5))
    problem = problem if spec.needs.kernel else Problem(problem.observed, sigma=torch.full((2,), 0.05))
    result = InViews(method, count).run(problem)
    each = [view.back(method.run(view.problem(problem)).x) for view in VIEWS[:count]]
    torch.testing.assert_close(result.x, torch.stack(each).mean(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(result.trace[-1], problem.fitting_error(result.x))


@pytest.mark.parametrize("wrap", [ChannelsApart, lambda method: InViews(method, 3)], ids=["channels", "views"])
def test_all_parts_are_reported_as_one_run(wrap: type[ChannelsApart]) -> None:
    seen: list[Progress] = []
    method = built(find("tv"), steps=4)
    wrap(method).run(noisy(1, 3, 9, 12, kernel=(3, 3)), on_step=seen.append)
    assert [p.step for p in seen] == list(range(1, len(seen) + 1))
    assert {p.steps for p in seen} == {12}


@pytest.mark.parametrize("count", [0, 9, True, 1.5])
def test_a_number_of_views_that_there_is_not(count: int) -> None:
    with pytest.raises(ConfigError, match="between 1 and 8"):
        InViews(Wiener(), count)


def test_a_restorer_takes_views_of_any_method() -> None:
    picture, kernel = noisy(1, 3, 16, 19).observed.float(), torch.full((1, 1, 3, 3), 1 / 9)
    plain, four = (Restorer.load("wiener", device="cpu", views=n)(picture, kernel, sigma=0.02) for n in (None, 4))
    difference = (plain.image.pixels - four.image.pixels).abs().max()
    assert float(difference) < 1e-4, "Wiener's filter is the same in every view, to rounding"
    assert isinstance(Restorer.load("fd", device="cpu", views=2).method, InViews)
    own = Restorer.load("acute", device="cpu", views=2).method
    assert not isinstance(own, InViews), "acute has views of its own"
