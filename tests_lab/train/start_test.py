"""What a run starts from: weights that fit, in whole or in part, and weights that stay as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from acutance.errors import ConfigError, WeightsError
from acutance.methods.spec import find
from acutance_lab.synth.in_place import Untouched
from acutance_lab.train import checkpoint
from acutance_lab.train.config import LossConfig, OptimiserConfig, Phase, TrainConfig, ValidationConfig
from acutance_lab.train.loop import Budget, train


def run(config: TrainConfig, data: Path, folder: Path, iterations: int, **settings: Any) -> Any:
    budget = Budget(iterations=iterations, checkpoint_iterations=settings.pop("every", None))
    return train(config, data, folder, budget, accelerator="cpu", **settings)


def test_weights_to_start_from(config: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    method = find("rgdn").build(features=6)
    assert isinstance(method, nn.Module)
    config = replace(config, optimiser=replace(config.optimiser, learning_rate=0.0))
    run(config, photographs, tmp_path, 1, init=method.state_dict())
    model = checkpoint.part(checkpoint.load(tmp_path / checkpoint.NAME)[0], "model.")
    assert all(torch.equal(model[k], v) for k, v in method.state_dict().items())


def test_what_does_not_fit_begins_afresh(photographs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    small = {"width": 8, "growth": 4, "tail": 4, "stages": 3}
    build = find("dgunet-sense").build
    phase = Phase(until=1.0, batch=1, crop=32, steps=3, windows=1, spans=(1,))
    config = TrainConfig(
        method="dgunet-sense", phases=(phase,), model={"ratio": 0.04, **small},
        optimiser=OptimiserConfig(learning_rate=0), sensed=Untouched(),
        loss=LossConfig(kind="log-mse", gradient=0.0, growth=1.0),
        validation=ValidationConfig(crops=1, crop=32, steps=(3,)),
    )  # fmt: skip
    torch.manual_seed(7)
    other: Any = build(ratio=0.1, **small)
    run(config, photographs, tmp_path, 1, init=other.state_dict())
    model = checkpoint.part(checkpoint.load(tmp_path / checkpoint.NAME)[0], "model.")
    key = "network.sampling.weight"
    assert all(torch.equal(model[k], v) for k, v in other.state_dict().items() if k != key)
    assert model[key].shape == (41, 1024)
    assert key in caplog.text
    wider: Any = build(ratio=0.04, **small | {"width": 12})
    with pytest.raises(WeightsError, match="another size"):
        run(config, photographs, tmp_path / "b", 1, init=wider.state_dict())
    with pytest.raises(WeightsError, match="another network"):
        run(config, photographs, tmp_path / "c", 1, init={"a": torch.zeros(1)})


def test_frozen_weights_stay(config: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    run(replace(config, frozen=("prior.",)), photographs, tmp_path, 2)
    torch.manual_seed(config.seed)
    start: Any = find("rgdn").build(**config.model)
    model = checkpoint.part(checkpoint.load(tmp_path / checkpoint.NAME)[0], "model.")
    moved = {k.split(".")[0] for k, v in start.named_parameters() if not torch.equal(model[k], v)}
    assert "prior" not in moved
    assert moved
    with pytest.raises(ConfigError, match="nothing to train"):
        run(replace(config, frozen=("",)), photographs, tmp_path / "all", 1)


def test_new_inputs_of_a_matrix_count_for_nothing_at_first(
    config: TrainConfig, photographs: Path, tmp_path: Path
) -> None:
    torch.manual_seed(7)
    small = {"widths": "8,8", "blocks": "1,1", "steps": 2}
    plain: Any = find("acute").build(**small)
    torch.nn.init.normal_(plain.networks[0].gains.weight)
    still = replace(config.optimiser, learning_rate=0.0)
    flagged = replace(config, method="acute", model={**small, "flagged": True}, optimiser=still)
    run(flagged, photographs, tmp_path, 1, init=plain.state_dict())
    key, model = "networks.0.gains.weight", checkpoint.part(checkpoint.load(tmp_path / checkpoint.NAME)[0], "model.")
    assert torch.equal(model[key][:, :3], plain.state_dict()[key])
    assert model[key].shape[1] == 4
    assert not model[key][:, 3].any()
