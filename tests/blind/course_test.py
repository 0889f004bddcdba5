"""How far a search is: told often, in order, and ended by whoever hears of it."""

from __future__ import annotations

import pytest
import torch
from blind.scenes import shaken

from acutance.blind.choice import choose
from acutance.blind.course import COSTS, LAST_LEVEL, Course
from acutance.blind.hypothesis import Look
from acutance.blind.method import build
from acutance.blind.xu_l0 import XuL0
from acutance.methods.capabilities import watched
from acutance.methods.wrappers import InViews
from acutance.problem import Problem, Stage


class Stopped(Exception):
    """What an observer raises."""


@pytest.fixture(scope="module")
def told() -> list[Stage]:
    """A search in linear light with everything that it may do."""
    stages: list[Stage] = []
    x, _, _ = shaken()
    # a sharp picture gains nothing, so that turns and trials of the method come as well
    choose(Look.of(x, linear=True), on_stage=stages.append, solve=lambda p, on_step: p.start())
    return stages


def test_the_share_grows_and_parts_come_in_order(told: list[Stage]) -> None:
    shares = [s.share for s in told]
    assert shares == sorted(shares)
    assert 0 == shares[0] < 0.5 < shares[-1] <= 1
    names = list(dict.fromkeys(s.name for s in told))
    assert names == [name for name in COSTS if name in names]
    assert {"estimating", "judging", "lights", "shapes"} <= set(names)


def test_every_kernel_that_is_estimated_is_named(told: list[Stage]) -> None:
    kernels = list(dict.fromkeys((s.size, s.number, s.count) for s in told if s.name == "estimating" and s.size))
    assert kernels == [(31, 1, 3), (45, 2, 3), (31, 3, 3)]
    each = [s for s in told if s.name == "estimating" and s.size == 45]
    assert len(each) > 10, "every step at every scale"


@pytest.mark.parametrize("part", ["estimating", "judging", "polishing", "lights", "shapes"])
def test_an_observer_ends_the_search(part: str) -> None:
    _, y, _ = shaken()
    heard: list[str] = []

    def observer(stage: Stage) -> None:
        heard.append(stage.name)
        if stage.name == part:
            raise Stopped

    with pytest.raises(Stopped):
        choose(Look.of(y), on_stage=observer)
    assert heard.count(part) == 1


@pytest.mark.parametrize("size", [None, 15])
def test_other_estimators_tell_as_well(size: int | None) -> None:
    _, y, _ = shaken(100)
    stages: list[Stage] = []
    choose(Look.of(y), lambda side: XuL0(size=side, iterations=1), size, on_stage=stages.append)
    sizes = list(dict.fromkeys(s.size for s in stages if s.size))
    assert sizes == ([15] if size else [9, 15, 21])
    assert max(s.share for s in stages if s.size == 15) <= 1


@pytest.mark.parametrize("views", [1, 2])
def test_a_method_that_searches_is_watched(views: int) -> None:
    _, y, _ = shaken()
    method = build(method="fd", otherwise="nothing")

    def ends(stage: Stage) -> None:
        raise Stopped

    heard = watched(InViews(method, views) if views > 1 else method, ends)
    with pytest.raises(Stopped):
        heard.run(Problem(y))
    assert method.on_stage is None


def test_parts_that_are_left_out_do_not_count() -> None:
    stages: list[Stage] = []
    course = Course(stages.append, ("estimating", "turning", "trying"))
    course.begin("estimating")
    course.piece(0.5, 1.0, size=9, number=2, count=2)
    course.on_level(1, last=False)
    course.on_level(0, last=True)
    course.begin("trying")
    course.tell(1.0)
    one, three, whole = COSTS["estimating"], COSTS["trying"], sum(COSTS[p] for p in ("estimating", "turning", "trying"))
    part = 0.5 + 0.5 * LAST_LEVEL * 0.5
    wanted = [0, 0.5 * one / whole, part * one / whole, one / whole, one / (one + three), 1]
    assert [s.share for s in stages] == pytest.approx(wanted)
    assert stages[1] == Stage("estimating", pytest.approx(0.5 * one / whole), 9, 2, 2)
    assert stages[-1].size is None


def test_who_does_not_listen_costs_nothing() -> None:
    _, y, _ = shaken()
    heard = choose(Look.of(y), on_stage=lambda stage: None)
    assert torch.equal(choose(Look.of(y)).kernel, heard.kernel)
