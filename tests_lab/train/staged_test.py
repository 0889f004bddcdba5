"""Chains of stages: each is trained alone on what the stages before it make, and begins as a copy of the last one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from acutance.errors import ConfigError
from acutance.methods.spec import find
from acutance_lab.train import checkpoint
from acutance_lab.train.config import Phase, PoolConfig, TrainConfig, ValidationConfig, read_config
from acutance_lab.train.loop import Budget, train
from acutance_lab.train.schedule import copy_stage

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
STAGED = ("fdn", "csf", "tnrd", "gradnet")


def greedy(**settings: Any) -> TrainConfig:
    """GradNet's first stage in three updates, then its second one in three."""
    phase = Phase(until=0.5, batch=1, crop=12, steps=1, windows=1, spans=(5,))
    return TrainConfig(
        method="gradnet", phases=(phase, replace(phase, until=1.0, behind=1)), one_channel=1.0,
        model={"stages": 3, "side": 3}, validation=ValidationConfig(crops=1, crop=16, steps=(1, 2)), **settings,
    )  # fmt: skip


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.part(checkpoint.load(folder / checkpoint.NAME)[0], "model.")


def run(config: TrainConfig, data: Path, folder: Path, iterations: int, **budget: int) -> None:
    train(config, data, folder, Budget(iterations=iterations, **budget), accelerator="cpu")


def test_each_stage_is_trained_alone(photographs: Path, tmp_path: Path) -> None:
    run(greedy(), photographs, tmp_path, 6)
    after = weights(tmp_path)
    untrained = find("gradnet").build(weights=None, stages=3, side=3).state_dict()
    moved = {t: any(not torch.equal(after[k], untrained[k]) for k in after if k.startswith(f"stages.{t}."))
             for t in range(3)}  # fmt: skip
    assert moved == {0: True, 1: True, 2: False}
    assert checkpoint.load(tmp_path / checkpoint.NAME)[1]["stage"] == 1


class Stop(Exception):
    """Ends a run from outside."""


def stop(line: dict[str, Any]) -> None:
    raise Stop(line)


def test_a_stage_that_goes_on_is_not_copied_again(photographs: Path, tmp_path: Path) -> None:
    run(greedy(), photographs, tmp_path / "whole", 6)
    with pytest.raises(Stop):
        train(greedy(), photographs, tmp_path / "resumed", Budget(iterations=6, checkpoint_iterations=5),
              accelerator="cpu", report=stop)  # fmt: skip
    run(greedy(), photographs, tmp_path / "resumed", 6)
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "resumed")
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)


def test_a_stage_begins_as_the_average_of_the_one_before() -> None:
    method = find("gradnet").build(weights=None, stages=2, side=3)
    average = {k: v + 1 if k.startswith("stages.0.") else v.clone() for k, v in method.state_dict().items()}
    copy_stage(method, average, 1)
    for key, value in method.state_dict().items():
        if key.startswith("stages.1."):
            first = key.replace("stages.1.", "stages.0.")
            assert torch.equal(value, average[first])
            assert torch.equal(average[key], average[first])


@pytest.mark.parametrize(
    ("method", "message"),
    [(nn.Linear(2, 2), "Linear has no stage 2"),
     (nn.ModuleDict({"stages": nn.ModuleList([nn.Linear(1, 2), nn.Linear(2, 2)])}), "are not alike")],
    ids=["no stages", "other shapes"],
)  # fmt: skip
def test_stages_that_cannot_be_copied_are_refused(method: nn.Module, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        copy_stage(method, {k: v.clone() for k, v in method.state_dict().items()}, 1)


def test_steps_behind_take_no_part_in_a_pool() -> None:
    with pytest.raises(ConfigError, match="behind=1 and a pool"):
        greedy(pool=PoolConfig(batches=2, life=(1, 2)))
    phase = replace(greedy().phases[0], until=1.0, behind=-1)
    with pytest.raises(ConfigError, match="behind=-1"):
        replace(greedy(), phases=(phase,))


@pytest.mark.parametrize("name", STAGED)
def test_the_configurations_fit_their_methods(name: str) -> None:
    greedy, joint = read_config(CONFIGS / f"{name}-stages.toml"), read_config(CONFIGS / f"{name}.toml")
    degradation = read_config(CONFIGS / "acute.toml").degradation
    method = find(name).build(weights=None, **greedy.model)
    stages = len(method.solver().steps)
    assert [p.behind for p in greedy.phases] == list(range(stages))
    assert greedy.model == joint.model
    assert all(p.steps == stages for p in joint.phases)
    assert greedy.degradation == joint.degradation == degradation
    assert joint.optimiser.schedule == "constant" != greedy.optimiser.schedule
    assert math.isclose(greedy.phases[-1].until, 1)
