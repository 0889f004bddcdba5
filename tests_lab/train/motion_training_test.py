"""Training of methods that are told no kernel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from acutance_lab.synth import DynamicBlur
from acutance_lab.train import checkpoint
from acutance_lab.train.config import LossConfig, Phase, TrainConfig, ValidationConfig
from acutance_lab.train.loop import Budget, train


def run(config: TrainConfig, data: Path, folder: Path, iterations: int, **settings: Any) -> Any:
    return train(config, data, folder, Budget(iterations=iterations), accelerator="cpu", **settings)


def test_a_method_that_knows_nothing_of_the_blur_is_trained_on_motion(photographs: Path, tmp_path: Path) -> None:
    """First the drive, then the putt from the same weights, with the drive frozen."""
    config = TrainConfig(
        method="golf",
        model={"drive": 3, "putt": 3, "putts": 0},
        motion=DynamicBlur(extent=(1.0, 6.0)),
        loss=LossConfig(kind="mse", gradient=0.0, growth=0.0),
        phases=(Phase(until=1.0, batch=2, crop=24, steps=1, windows=1, spans=(3, 5)),),
        validation=ValidationConfig(crops=2, crop=24, steps=(1,)),
    )
    run(config, photographs, tmp_path / "f", 2)
    f = checkpoint.part(checkpoint.load(tmp_path / "f" / checkpoint.NAME)[0], "model.")
    second = replace(
        config,
        model={**config.model, "putts": 2},
        frozen=("drives.",),
        phases=(replace(config.phases[0], steps=3),),
        validation=ValidationConfig(crops=2, crop=24, steps=(1, 3)),
    )
    done = run(second, photographs, tmp_path / "g", 2, init=f)
    g = checkpoint.part(checkpoint.load(tmp_path / "g" / checkpoint.NAME)[0], "model.")
    assert {k.split(".")[0] for k, v in g.items() if not torch.equal(v, f[k])} == {"putt"}
    assert done.scores[-1].levels == ()
    assert 10 < done.scores[-1].blurred < 60
