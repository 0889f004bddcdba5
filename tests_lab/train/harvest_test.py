"""Squares of iterates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from acutance.errors import ConfigError
from acutance.methods.rgdn import Rgdn, RgdnConfig
from acutance_lab.synth import Degradation
from acutance_lab.train.config import HarvestConfig, LossConfig, PoolConfig, TrainConfig
from acutance_lab.train.episodes import Unroll
from acutance_lab.train.harvest import Harvest, teacher
from acutance_lab.train.loop import Budget, train
from acutance_lab.train.pool import Work

SMALL = HarvestConfig(pieces=8, batch=4, side=20, margin=2, each=3, late=0.5, latest=2)


def made(number: int) -> Work:
    generator = torch.Generator().manual_seed(number)
    sharp = torch.rand(2, 3, 34, 36, generator=generator)
    return Work(Degradation(grey=0.0)(sharp, generator, span=5), 1)


@pytest.fixture
def window() -> Unroll:
    torch.manual_seed(1)
    return Unroll(Rgdn(RgdnConfig(features=6)).eval(), LossConfig(gradient=0.0))


def harvest(window: Unroll, config: HarvestConfig = SMALL) -> Harvest:
    return Harvest(config, made, window.begin, window.advance, seed="1")


def test_squares_hold_the_gradient_of_their_problem(window: Unroll) -> None:
    """Cut without a turn from the middle of a domain, the slope is that of the whole problem."""
    work = made(0)
    window.begin(work)
    assert work.state is not None
    slope = work.example.problem.gradient(work.state.x)
    drawn = harvest(window, replace(SMALL, late=0.0, pieces=40, batch=40)).draw(0)
    cut = drawn.example.problem
    own = [s for s in cut.gradient(cut.observed) if _inside(s, slope)]
    assert own, "at least one of forty squares is of the first problem, as it was"


def _inside(square: torch.Tensor, whole: torch.Tensor) -> bool:
    side = square.shape[-1]
    pieces = whole.unfold(-2, side, 1).unfold(-2, side, 1)  # (B, C, rows, cols, side, side)
    return bool((pieces.movedim(1, 3) == square).flatten(3).all(-1).any())


def test_a_step_on_squares_is_the_step_on_the_whole_where_it_counts(window: Unroll) -> None:
    """Away from the cut by the reach of the networks: here the whole square, a margin of its reach taken off."""
    work = made(3)
    window.begin(work)
    assert work.state is not None
    step = window.method.solver().steps[0]
    problem, x = work.example.problem, work.state.x
    whole = step(problem, work.state).x
    rows, cols = slice(0, x.shape[-2]), slice(0, x.shape[-1] - 4)
    drawn = harvest(window).draw(0).example.problem
    cut = replace(drawn, observed=x[..., rows, cols], slope=problem.gradient(x)[..., rows, cols])
    piece = step(cut, replace(work.state, x=x[..., rows, cols])).x
    reach = 24
    kept = x.shape[-1] - 4 - reach
    assert kept > 0
    torch.testing.assert_close(piece[..., :kept], whole[..., :kept])


def test_nothing_counts_beside_a_cut_or_outside_the_frame(window: Unroll) -> None:
    source = harvest(window, replace(SMALL, pieces=60, batch=60))
    counted = source.draw(0).example.problem.crop(torch.ones(60, 1, 20, 20))
    assert set(counted.unique().tolist()) == {0.0, 1.0}
    edges = torch.stack([counted[..., 0, :], counted[..., -1, :], counted[..., :, 0], counted[..., :, -1]])
    assert float(edges.mean()) < 0.02, "a domain is larger than its frame, so no edge of a square counts"
    assert float(counted.flatten(1).mean(1).min()) > 0.2


def test_late_iterates_come_with_first_ones(window: Unroll) -> None:
    steps: list[int] = []

    def advance(work: Work, n: int) -> None:
        steps.append(n)
        window.advance(work, n)

    source = Harvest(replace(SMALL, pieces=200, batch=9), made, window.begin, advance, seed="1")
    source.draw(0)
    assert set(steps) == {1, 2}
    assert 0 < len(steps) < source.problems


def test_what_diverged_is_not_taken(window: Unroll) -> None:
    def diverging(work: Work, n: int) -> None:
        work.life = 0

    source = Harvest(replace(SMALL, late=0.9), made, window.begin, diverging, seed="1")
    source.draw(0)
    assert source.problems > 3


def test_a_run_trains_from_a_harvest(config: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    config = replace(config, harvest=replace(SMALL, side=14, batch=3), mixed=True)
    runs = [train(config, photographs, tmp_path / name, Budget(iterations=6), accelerator="cpu") for name in ("a", "b")]
    lines = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("a", "b")]
    losses = [[json.loads(line)["loss"] for line in each if "minutes" not in line] for each in lines]
    assert losses[0] == losses[1], "the seed decides"
    assert len(losses[0]) == 6
    assert runs[0].clock.pictures == 6 * 3


def test_the_answer_may_be_that_of_a_teacher(window: Unroll) -> None:
    teach = teacher("fd:steps=2", torch.device("cpu"))
    assert teach is not None
    config = replace(SMALL, late=0.0, pieces=40, batch=40)
    taught = Harvest(config, made, window.begin, window.advance, seed="1", teach=teach).draw(0).example
    true = harvest(window, config).draw(0).example
    assert torch.equal(taught.problem.observed, true.problem.observed)
    assert not torch.equal(taught.sharp, true.sharp)
    whole = teach(made(0).example.problem)
    assert any(_inside(square, whole) for square in taught.sharp), "one of forty is of the first problem, as it was"


def test_a_teacher_that_needs_no_kernel_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs no kernel"):
        teacher("golf", torch.device("cpu"))
    assert teacher(None, torch.device("cpu")) is None


@pytest.mark.parametrize(
    "values", [{"batch": 0}, {"batch": 400}, {"each": 0}, {"margin": 36}, {"late": 1.5}, {"latest": 0}], ids=str
)
def test_a_harvest_that_cannot_be_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="harvest: "):
        HarvestConfig(**values)  # type: ignore[arg-type]


def test_pool_and_harvest_exclude_each_other(config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match="give one of them"):
        replace(config, pool=PoolConfig(), harvest=HarvestConfig())
