"""The training loop: a run, its end, and that a run that was stopped goes on as if it had not been."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import acutance
from acutance.errors import ConfigError, DataError
from acutance.methods.acute import Acute, AcuteConfig
from acutance.methods.spec import find
from acutance_lab.data.photographs import Photographs
from acutance_lab.synth import Degradation
from acutance_lab.train import checkpoint
from acutance_lab.train.config import (
    DegradationConfig,
    LossConfig,
    OptimiserConfig,
    Phase,
    TrainConfig,
    ValidationConfig,
)
from acutance_lab.train.episodes import Unroll, synthesis
from acutance_lab.train.episodes import episode as make_episode
from acutance_lab.train.loop import Budget, train
from acutance_lab.train.pool import Work
from acutance_lab.train.schedule import set_schedule
from acutance_lab.train.validate import Score

RESUMED = 40
HALF = 20


def losses(folder: Path) -> dict[int, float]:
    """iteration -> loss, from the log; each iteration is there once."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    steps = [(line["iteration"], line["loss"]) for line in lines if "progress" not in line]
    assert max(Counter(i for i, _ in steps).values()) == 1
    return dict(steps)


def run(config: TrainConfig, data: Path, folder: Path, iterations: int, **settings: Any) -> Any:
    budget = Budget(iterations=iterations, checkpoint_iterations=settings.pop("every", None))
    return train(config, data, folder, budget, accelerator="cpu", **settings)


def test_a_run_leaves_what_it_should(config: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    done = run(config, photographs, tmp_path, 6, report=lines.append)
    assert done.clock.iteration == 6
    assert done.clock.progress() == 1
    assert sorted(losses(tmp_path)) == [1, 2, 3, 4, 5, 6]
    assert all(math.isfinite(v) for v in losses(tmp_path).values())
    assert lines[-1]["iteration"] == 6
    assert set(lines[-1]["psnr"]) == {1, 2}
    (score,) = done.scores
    assert (score.steps, score.iteration) == ((1, 2), 6)
    assert all(0 < p < 60 for p in (*score.psnr, score.blurred))
    assert done.data == Photographs.load(photographs, device=torch.device("cpu")).digest
    assert done.images_per_second > 0
    assert 0 < done.data_share < 1
    tensors, record = checkpoint.load(tmp_path / checkpoint.NAME)
    model, ema = checkpoint.part(tensors, "model."), checkpoint.part(tensors, "ema.")
    assert record["clock"]["iteration"] == 6
    assert (record["method"], record["model"], record["data"]) == ("rgdn", {"features": 6}, done.data)
    find("rgdn").build(weights=ema, **record["model"])
    assert any(not torch.equal(model[k], ema[k]) for k in model)


def test_a_finished_run_is_not_run_again(config: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    run(config, photographs, tmp_path, 2)
    before = (tmp_path / checkpoint.NAME).read_bytes()
    assert run(config, photographs, tmp_path, 2).clock.iteration == 2
    assert (tmp_path / checkpoint.NAME).read_bytes() == before


@pytest.mark.parametrize("seed", [1, 2])
def test_the_seed_decides(config: TrainConfig, photographs: Path, tmp_path: Path, seed: int) -> None:
    torch.manual_seed(99)
    run(replace(config, seed=seed), photographs, tmp_path / "a", 2)
    torch.manual_seed(0)
    run(config, photographs, tmp_path / "b", 2)
    assert (losses(tmp_path / "a") == losses(tmp_path / "b")) == (seed == 1)


class Stop(Exception):
    """Stands for whatever ends a run from outside."""


def stop_at_the_first_checkpoint(line: dict[str, Any]) -> None:
    raise Stop(line)


def config_of(windows: int) -> TrainConfig:
    """One shape of everything: what an episode costs is mostly the first sight of a shape."""
    phase = Phase(until=0.7, batch=2, crop=12, steps=1, windows=windows, spans=(5,))
    return TrainConfig(
        method="rgdn",
        phases=(phase, replace(phase, until=1.0)),
        model={"features": 6},
        optimiser=OptimiserConfig(learning_rate=3e-3),
        validation=ValidationConfig(crops=1, crop=16, steps=(1,)),
    )


@pytest.fixture(scope="module")
def uninterrupted(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    """The losses of a whole run."""
    folder = tmp_path_factory.mktemp("whole")
    run(config_of(1), photographs, folder, RESUMED, every=HALF)
    return losses(folder)


def test_training_lowers_the_loss(uninterrupted: dict[int, float]) -> None:
    found = list(uninterrupted.values())
    assert len(found) == RESUMED
    assert sum(found[-10:]) < sum(found[:10])


def bits(found: dict[int, float]) -> dict[int, str]:
    return {i: v.hex() for i, v in found.items()}


def stopped_and_resumed(config: TrainConfig, data: Path, folder: Path, iterations: int, every: int) -> dict[int, float]:
    with pytest.raises(Stop):
        run(config, data, folder, iterations, every=every, report=stop_at_the_first_checkpoint)
    assert every <= checkpoint.load(folder / checkpoint.NAME)[1]["clock"]["iteration"] < iterations
    torch.manual_seed(123)  # nothing outside the checkpoint may matter
    run(config, data, folder, iterations, every=every)
    return losses(folder)


def test_a_resumed_run_repeats_the_losses_to_the_last_bit(
    photographs: Path, tmp_path: Path, uninterrupted: dict[int, float]
) -> None:
    found = stopped_and_resumed(config_of(1), photographs, tmp_path, RESUMED, HALF)
    assert set(found) == set(range(1, RESUMED + 1))
    assert bits(found) == bits(uninterrupted)


def test_so_does_one_whose_episodes_have_several_windows(photographs: Path, tmp_path: Path) -> None:
    config = config_of(3)
    run(config, photographs, tmp_path / "whole", 10, every=4)
    found = stopped_and_resumed(config, photographs, tmp_path / "resumed", 10, 4)
    assert bits(found) == bits(losses(tmp_path / "whole"))


def acute_config(**settings: Any) -> TrainConfig:
    """Everything that an episode can hold: both entrances, two units, windows, masks, wrong kernels."""
    phase = Phase(until=0.5, batch=2, crop=16, steps=2, windows=2, spans=(5,))
    wrong = DegradationConfig(saturation=0.5, masked=True, kernel_error=0.5, level_error=0.1, jpeg=0.3)
    return TrainConfig(
        method="acute",
        phases=(phase, replace(phase, until=1.0, steps=3)),
        model={"widths": "8,8", "blocks": "1,1", "steps": 3, "units": 2},
        one_channel=0.5,
        degradation=wrong,
        validation=ValidationConfig(crops=2, crop=16, steps=(1, 4), levels=(0.01,)),
        **settings,
    )


def test_so_does_one_of_acute(photographs: Path, tmp_path: Path) -> None:
    config = acute_config(loss=LossConfig("l1"))
    done = run(config, photographs, tmp_path / "whole", 12, every=4)
    found = stopped_and_resumed(config, photographs, tmp_path / "resumed", 12, 4)
    assert bits(found) == bits(losses(tmp_path / "whole"))
    assert all(math.isfinite(v) for v in found.values())
    whole, again = (checkpoint.load(tmp_path / name / checkpoint.NAME) for name in ("whole", "resumed"))
    assert all(torch.equal(v, again[0][k]) for k, v in whole[0].items())
    (score,) = done.scores
    assert len(score.levels) == 1
    assert whole[1]["config"]["one_channel"] == 0.5
    adam = {k.split(".")[1] for k in whole[0] if k.startswith("adam.")}
    assert len(adam) == sum(1 for _ in find("acute").build(**config.model).parameters()), "both entrances have learned"


def test_windows_go_on_where_the_last_one_ended() -> None:
    """Three windows of one step are the first three steps, each by its own unit, with no gradient between them."""
    torch.manual_seed(2)
    method = Acute(AcuteConfig(widths="8,8", blocks="1,1", steps=3, units=2)).train()
    generator = torch.Generator().manual_seed(1)
    example = Degradation(masked=True, grey=0.0)(torch.rand(2, 3, 20, 20, generator=generator), generator, span=5)
    work, window = Work(example, 1), Unroll(method, LossConfig())
    seen: list[int] = []
    for i in range(2):
        method.networks[i].register_forward_hook(lambda *_, i=i: seen.append(i))
    expected = [state.x.detach() for state in method.solver().iterate(example.problem)]
    assert seen == [0, 1, 1]
    seen.clear()
    for t in range(5):
        loss = window(work)
        assert loss.requires_grad
        assert work.state is not None
        assert not any(v.requires_grad for v in vars(work.state).values() if isinstance(v, Tensor))
        assert work.state.step == t + 1  # type: ignore[attr-defined]
        if t < 3:
            torch.testing.assert_close(work.state.x, expected[t], rtol=0, atol=0)
    assert seen == [0, 1, 1, 1, 1], "beyond its steps the last one goes on"


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import torch
from acutance_lab.train.episodes import Unroll
from acutance_lab.train.loop import Budget, train
from loop_test import HALF, RESUMED, config_of

torch.set_num_threads(int(sys.argv[4]))
calls, forward = 0, Unroll.forward
def counted(self, work):
    global calls
    calls += 1
    if calls == 27:
        os.kill(os.getpid(), signal.SIGKILL)
    return forward(self, work)
Unroll.forward = counted
budget = Budget(iterations=RESUMED, checkpoint_iterations=HALF)
train(config_of(1), Path(sys.argv[1]), Path(sys.argv[2]), budget, accelerator="cpu")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system that can kill")
def test_a_killed_process_goes_on_to_the_last_bit(
    photographs: Path, tmp_path: Path, uninterrupted: dict[int, float]
) -> None:
    """Killed for good after a checkpoint, in the middle of an update, with half a line in the log."""
    source = str(Path(acutance.__file__).parents[1])
    here = str(Path(__file__).parent)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(photographs), str(tmp_path), here, str(torch.get_num_threads())],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert checkpoint.load(tmp_path / checkpoint.NAME)[1]["clock"]["iteration"] == HALF
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write(json.dumps({"iteration": HALF + 1, "loss": 0.0}) + '\n{"iteration": 22, "lo')
    run(config_of(1), photographs, tmp_path, RESUMED, every=HALF)
    assert bits(losses(tmp_path)) == bits(uninterrupted)


def test_a_budget_of_time_ends(config: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    budget = Budget(minutes=0.5 / 60, checkpoint_seconds=0.1)
    lines: list[dict[str, Any]] = []
    done = train(config, photographs, tmp_path, budget, accelerator="cpu", report=lines.append)
    assert done.clock.iteration >= 1
    assert 0.5 <= done.clock.elapsed < 30
    progress = [line["progress"] for line in lines]
    assert progress == sorted(progress)


class Clock:
    """Time that goes on with every episode only, by what the speed of the moment says; an episode does next to nothing.

    What is left of the loop are its schedule and its checkpoints.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float]) -> None:
        self.now, self.seconds, self.episodes = 0.0, seconds, 0
        self.schedule: list[tuple[float, float]] = []  # time and progress
        loop = "acutance_lab.train.loop"
        monkeypatch.setattr(f"{loop}.time", self)
        monkeypatch.setattr(f"{loop}.episode", self.episode)
        monkeypatch.setattr(f"{loop}.set_schedule", self.scheduled)
        monkeypatch.setattr(f"{loop}.validate", lambda *_, **__: Score((1,), (20.0,), 18.0))
        monkeypatch.setattr(
            f"{loop}.Unroll.forward", lambda unroll, _: next(unroll.method.parameters()).square().mean() - 1
        )

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now

    def episode(self, *_: Any) -> Any:
        self.now += self.seconds(self.episodes)
        self.episodes += 1
        return SimpleNamespace(batch=1, judge=lambda _: None), 1

    def scheduled(self, optimiser: Any, method: Any, config: Any, progress: float, updates: int) -> None:
        self.schedule.append((self.now, progress))
        set_schedule(optimiser, method, config, progress, updates)


SPEEDS: dict[str, tuple[float, Callable[[int], float]]] = {  # seconds of the budget, seconds of each iteration
    "as guessed": (0.5, lambda i: 0.01),
    "slow": (10.0, lambda i: 0.5),
    "ten times as fast": (0.1, lambda i: 0.001),
    "slow at first": (0.4, lambda i: 0.05 if i < 4 else 0.002),
    "slow at first, for longer than it takes to measure": (4.0, lambda i: 0.4 if i < 5 else 0.02),
    "fast at first": (1.0, lambda i: 0.002 if i < 50 else 0.05),
    "faster in the middle": (2.0, lambda i: 0.05 if i < 20 else 0.01),
}


@pytest.mark.parametrize("checkpoints", [0.25, 60.0], ids=["checkpoints", "no checkpoint"])
@pytest.mark.parametrize("speed", SPEEDS)
def test_a_budget_of_time_is_used_whatever_the_speed(
    speed: str, checkpoints: float, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, and not more than an iteration beyond; the schedule keeps to the time as well as it can know."""
    budget, seconds = SPEEDS[speed]
    clock = Clock(monkeypatch, seconds)
    lines: list[dict[str, Any]] = []
    limit = Budget(minutes=budget / 60, checkpoint_seconds=checkpoints)
    done = train(config_of(1), photographs, tmp_path, limit, accelerator="cpu", report=lines.append)
    assert budget - 1e-9 <= done.clock.elapsed <= budget + seconds(clock.episodes) + 1e-9
    assert done.clock.progress() == 1
    assert done.clock.iteration == clock.episodes
    progress = [line["progress"] for line in lines]
    assert progress == sorted(progress)
    assert len(lines) <= 20 + budget / checkpoints
    assert min((now for now, progress in clock.schedule if progress > 0.95), default=budget) > 0.3 * budget
    if checkpoints < 1:
        off = [abs(now / budget - progress) for now, progress in clock.schedule]
        assert sum(off) / len(off) < 0.25
    again = train(config_of(1), photographs, tmp_path, limit, accelerator="cpu")
    assert again.clock.iteration == done.clock.iteration, "a finished run is not run again"


def test_checkpoints_come_when_they_should(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a number of iterations no speed has to be measured."""
    Clock(monkeypatch, lambda i: 10.0)
    lines: list[dict[str, Any]] = []
    limit = Budget(iterations=20, checkpoint_seconds=60.0)
    train(config_of(1), photographs, tmp_path, limit, accelerator="cpu", report=lines.append)
    assert [line["iteration"] for line in lines] == [6, 12, 18, 20]


def test_a_resumed_budget_of_time_repeats_the_losses_to_the_last_bit(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock whose ticks are powers of two; the first speed is measured wrongly."""
    limit = Budget(minutes=1 / 64, checkpoint_seconds=0.25)  # 0.9375 seconds

    def seconds(i: int) -> float:
        return 1 / 16 if i < 2 else 1 / 64

    def timed(folder: Path, **settings: Any) -> Clock:
        clock = Clock(monkeypatch, seconds)
        train(config_of(1), photographs, folder, limit, accelerator="cpu", **settings)
        return clock

    whole = timed(tmp_path / "whole")
    with pytest.raises(Stop):
        timed(tmp_path / "resumed", report=stop_at_the_first_checkpoint)
    begun = checkpoint.load(tmp_path / "resumed" / checkpoint.NAME)[1]["clock"]["iteration"]
    assert 0 < begun < whole.episodes
    monkeypatch.undo()
    resumed = Clock(monkeypatch, lambda i: seconds(begun + i))
    train(config_of(1), photographs, tmp_path / "resumed", limit, accelerator="cpu")
    assert begun + resumed.episodes == whole.episodes
    assert bits(losses(tmp_path / "resumed")) == bits(losses(tmp_path / "whole"))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_update_that_is_not_finite_is_skipped(
    config: TrainConfig,
    photographs: Path,
    tmp_path: Path,
    value: float,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run(config, photographs, tmp_path / "good", 1)
    monkeypatch.setattr("acutance_lab.train.episodes.recursive", lambda estimates, *_: estimates[-1].sum() * value)
    with caplog.at_level(logging.WARNING, "acutance_lab.train.loop"):
        run(config, photographs, tmp_path / "bad", 2)
    assert sum("update skipped" in r.message for r in caplog.records) == 2
    tensors, _ = checkpoint.load(tmp_path / "bad" / checkpoint.NAME)
    assert all(bool(torch.isfinite(v).all()) for v in tensors.values())
    assert not checkpoint.part(tensors, "adam.")


def test_crops_larger_than_a_photograph_are_refused(config: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    large = replace(config.phases[0], until=1.0, crop=210)
    with pytest.raises(DataError, match="no photograph of at least 214x214 pixels"):
        run(replace(config, phases=(large,)), photographs, tmp_path, 1)


def test_what_has_no_weights_is_refused(config: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wiener has no weights to train"):
        run(replace(config, method="wiener", model={}), photographs, tmp_path, 1)


@pytest.mark.parametrize(
    "settings",
    [{}, {"minutes": 1.0, "iterations": 5}, {"minutes": 0.0}, {"iterations": 0}, {"iterations": -1}],
    ids=str,
)
def test_a_budget_is_minutes_or_iterations(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Budget(**settings)


def test_an_episode_is_its_number(config: TrainConfig, photographs: Path) -> None:
    loaded = Photographs.load(photographs, device=torch.device("cpu"))
    degrade = synthesis(config)

    def episode(number: int, rank: int = 0, seed: int = 1) -> Tensor:
        work, _ = make_episode(replace(config, seed=seed), 0.0, degrade, loaded, number, rank)
        example = work.example
        assert example.problem.observed.shape == (2, 3, 12, 12)
        return example.problem.observed

    first = episode(5)
    assert torch.equal(episode(5), first)
    for other in (episode(6), episode(5, rank=1), episode(5, seed=2)):
        assert not torch.equal(other, first)


@pytest.mark.parametrize(("share", "channels"), [(0.0, {3}), (0.5, {1, 3}), (1.0, {1})])
def test_the_share_of_batches_of_one_channel(
    config: TrainConfig, photographs: Path, share: float, channels: set[int]
) -> None:
    """Whole batches, the same on every process; the others are as they were."""
    loaded = Photographs.load(photographs, device=torch.device("cpu"))
    degrade = synthesis(config)

    def observed(number: int, rank: int = 0, share: float = share) -> Tensor:
        work, _ = make_episode(replace(config, one_channel=share), 0.0, degrade, loaded, number, rank)
        example = work.example
        assert example.sharp.shape[1] == example.problem.observed.shape[1]
        return example.problem.observed

    episodes = [observed(i) for i in range(8)]
    assert {y.shape[1] for y in episodes} == channels
    for i, y in enumerate(episodes):
        assert y.shape == observed(i, rank=1).shape
        assert y.shape[1] == 1 or torch.equal(y, observed(i, share=0.0))


def test_the_learning_rate_warms_up_and_falls(config: TrainConfig) -> None:
    o = config.optimiser
    net = nn.Linear(1, 1)
    optimiser = torch.optim.Adam(net.parameters())

    def rate(progress: float) -> float:
        set_schedule(optimiser, net, config, progress)
        return float(optimiser.param_groups[0]["lr"])

    assert 0 < rate(0) < 0.01 * o.learning_rate
    assert rate(o.warmup / 2) == pytest.approx(o.learning_rate / 2, rel=0.02)
    assert rate(o.warmup) == pytest.approx(o.learning_rate, rel=0.01)
    assert rate(0.5) == pytest.approx(o.learning_rate * (1 + o.final) / 2)
    assert rate(1) == pytest.approx(o.learning_rate * o.final)


def test_the_learning_rate_of_the_paper_falls_in_eleven_steps(config: TrainConfig) -> None:
    """From 1e-3 to 1e-3 * 0.3^11, evenly spaced (Luo et al. 2019)."""
    o = replace(config.optimiser, learning_rate=1e-3, schedule="steps", final=0.3**11, warmup=0.0)
    net = nn.Linear(1, 1)
    optimiser = torch.optim.Adam(net.parameters())
    for step in range(12):
        for progress in ((step + 0.01) / 12, (step + 0.99) / 12):
            set_schedule(optimiser, net, replace(config, optimiser=o), progress)
            assert float(optimiser.param_groups[0]["lr"]) == pytest.approx(1e-3 * 0.3**step)
    set_schedule(optimiser, net, replace(config, optimiser=o), 1.0)
    assert float(optimiser.param_groups[0]["lr"]) == pytest.approx(1e-3 * 0.3**11)


@pytest.mark.parametrize(("frozen", "progress", "training"), [(0.0, 0.0, False), (0.5, 0.4, True), (0.5, 0.6, False)])
def test_when_statistics_are_kept(config: TrainConfig, frozen: float, progress: float, training: bool) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train()
    set_schedule(torch.optim.Adam(net.parameters()), net, replace(config, frozen_statistics=frozen), progress)
    assert net[1].training is training
    assert net[0].training
