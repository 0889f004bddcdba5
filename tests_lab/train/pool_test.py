"""Pools of problems that are being solved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from acutance.errors import ConfigError
from acutance.methods.acute import Acute, AcuteConfig
from acutance_lab.synth import Degradation
from acutance_lab.train.config import LossConfig, PoolConfig, TrainConfig
from acutance_lab.train.episodes import Unroll
from acutance_lab.train.loop import Budget, train
from acutance_lab.train.pool import Pool, Work


def made(number: int, steps: int = 1) -> Work:
    generator = torch.Generator().manual_seed(number)
    sharp = torch.rand(1, 3, 20, 22, generator=generator)
    return Work(Degradation(masked=True, grey=0.0, saturation=0.5)(sharp, generator, span=5), steps)


def advance(work: Work, steps: int) -> None:
    work.done += min(steps, work.life)


def drawn(config: PoolConfig, updates: int) -> tuple[Pool, list[Work], list[int]]:
    """A pool after some updates that each take one step: what was drawn, and the steps behind it before."""
    pool = Pool(config, made, advance, seed="1")
    works, before = [], []
    for update in range(updates):
        work = pool.draw(update)
        works.append(work)
        before.append(work.done)
        work.done += 1
    return pool, works, before


def test_batches_go_on_and_are_replaced_in_the_end() -> None:
    pool, works, before = drawn(PoolConfig(batches=4, life=(2, 6)), 120)
    assert len(pool.kept) == 4
    assert max(before) <= 5, "none lives longer than six steps"
    assert {0, 1, 2, 3} <= set(before), "early and late steps come mixed"
    different = len({id(work) for work in works})
    assert 120 / 6 <= different <= 120 / 2 + 4
    assert all(2 <= work.life <= 6 for work in works)


def test_a_pool_that_fills_up_holds_late_steps_at_once() -> None:
    pool, _, before = drawn(PoolConfig(batches=40, life=(30, 40)), 60)
    assert max(before) > 20
    assert len({work.done for work in pool.kept}) > 15


def test_steps_without_gradient_are_those_of_training() -> None:
    torch.manual_seed(1)
    window = Unroll(Acute(AcuteConfig(widths="8,8", blocks="1,1")).eval(), LossConfig())
    one, other = made(3), made(3)
    one.life = 5
    window.advance(one, 2)
    for _ in range(2):
        window(other)
    assert one.done == other.done == 2
    assert one.steps == 1
    assert one.state is not None
    assert other.state is not None
    torch.testing.assert_close(one.state.x, other.state.x)


def test_a_batch_that_diverges_ends_its_life() -> None:
    work = made(3)
    work.life = 9
    for done, loss, life in ((1, -6.0, 9), (2, -6.2, 9), (3, -4.8, 9), (4, -4.6, 4)):
        work.done = done
        work.judge(loss)
        assert work.life == life


def test_a_pool_that_fills_up_takes_no_batch_that_diverged() -> None:
    def diverging(work: Work, steps: int) -> None:
        for loss in [-6.0, -7.0, 3.0, 9.0][:steps]:
            work.done += 1
            work.judge(loss)

    pool = Pool(PoolConfig(batches=10, life=(8, 9)), made, diverging, seed="1")
    starts = [pool.draw(update).done for update in range(10)]
    assert set(starts) <= {0, 1, 2}
    assert len(set(starts)) > 1


def test_an_update_is_its_number() -> None:
    first, second = (drawn(PoolConfig(batches=3, life=(2, 4)), 30)[1][-1] for _ in range(2))
    assert torch.equal(first.example.sharp, second.example.sharp)


def test_a_run_trains_from_a_pool(config: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    config = replace(config, pool=PoolConfig(batches=2, life=(2, 4)), mixed=True)
    runs = [
        train(config, photographs, tmp_path / name, Budget(iterations=12), accelerator="cpu") for name in ("a", "b")
    ]
    lines = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("a", "b")]
    losses = [[json.loads(line)["loss"] for line in each if "minutes" not in line] for each in lines]
    assert losses[0] == losses[1], "the seed decides"
    assert len(losses[0]) == 12
    assert runs[0].clock.pictures == 12 * config.phases[0].batch


@pytest.mark.parametrize("values", [{"batches": 0}, {"life": (0, 4)}, {"life": (5, 4)}], ids=str)
def test_a_pool_that_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="pool: batches="):
        PoolConfig(**values)  # type: ignore[arg-type]
