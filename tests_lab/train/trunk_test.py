"""Trunks: training that goes on from what is kept beside the code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from acutance.errors import ConfigError, WeightsError
from acutance_lab.train import checkpoint
from acutance_lab.train.config import TrainConfig
from acutance_lab.train.loop import Budget, train
from acutance_lab.train.trunk import Trunk, config_hash, read_trunk


def grown(config: TrainConfig, data: Path, folder: Path, file: Path, iterations: int) -> Trunk:
    """A trunk after so many iterations more, in a fresh folder as after a move to another machine."""
    trunk = read_trunk(file) if file.exists() else None
    train(config, data, folder, Budget(iterations=iterations), accelerator="cpu", trunk=trunk, trunk_file=file)
    return read_trunk(file)


@pytest.fixture
def constant(config: TrainConfig) -> TrainConfig:
    return replace(config, optimiser=replace(config.optimiser, schedule="constant", rise=3))


def test_it_goes_on_elsewhere(constant: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    file = tmp_path / "trunks" / "tiny.safetensors"
    first = grown(constant, photographs, tmp_path / "a", file, 4)
    assert (first.episode, first.pictures, len(first.curve)) == (4, 8, 1)
    assert first.config == config_hash(constant)
    second = grown(constant, photographs, tmp_path / "b", file, 3)
    assert (second.episode, second.pictures, len(second.curve)) == (7, 14, 2)
    assert second.minutes > first.minutes > 0
    assert second.curve[0] == first.curve[0]
    assert any(not torch.equal(v, first.tensors[k]) for k, v in second.tensors.items())
    numbers = [json.loads(line)["iteration"] for line in (tmp_path / "b" / "log.jsonl").read_text().splitlines()]
    assert numbers[0] == 1, "the log is of this machine's part"


def test_its_weights_are_the_moving_average_in_bfloat16(
    constant: TrainConfig, photographs: Path, tmp_path: Path
) -> None:
    trunk = grown(constant, photographs, tmp_path / "run", tmp_path / "tiny.safetensors", 2)
    model = checkpoint.part(checkpoint.load(tmp_path / "run" / checkpoint.NAME)[0], "ema.")
    assert set(model) == set(trunk.tensors)
    for key, value in model.items():
        torch.testing.assert_close(trunk.tensors[key], value, rtol=2**-8, atol=0)


def test_a_checkpoint_in_the_folder_comes_before_the_trunk(
    constant: TrainConfig, photographs: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.safetensors"
    grown(constant, photographs, tmp_path / "run", file, 2)
    trunk = read_trunk(file)
    more = Budget(iterations=5)
    done = train(constant, photographs, tmp_path / "run", more, accelerator="cpu", trunk=trunk, trunk_file=file)
    assert done.clock.iteration == 5
    assert read_trunk(file).episode == 5


def test_an_older_run_does_not_replace_the_trunk(constant: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.safetensors"
    grown(constant, photographs, tmp_path / "a", file, 2)
    grown(constant, photographs, tmp_path / "b", file, 3)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match=r"the trunk has grown .* give another --out"):
        grown(constant, photographs, tmp_path / "a", file, 5)
    assert file.read_bytes() == before


def test_a_trunk_of_another_network_is_refused(constant: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    trunk = grown(constant, photographs, tmp_path / "run", tmp_path / "tiny.safetensors", 1)
    other = replace(constant, model={"features": 8})
    with pytest.raises(ConfigError, match="the trunk is of rgdn"):
        train(other, photographs, tmp_path / "other", Budget(iterations=1), accelerator="cpu", trunk=trunk)


def test_a_file_that_describes_no_trunk_is_refused(constant: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.safetensors"
    grown(constant, photographs, tmp_path / "run", file, 1)
    file.with_suffix(".json").write_text("{}")
    with pytest.raises(WeightsError, match="describes no trunk"):
        read_trunk(file)


def test_the_moving_average_of_a_trunk_does_not_begin_anew(
    constant: TrainConfig, photographs: Path, tmp_path: Path
) -> None:
    """With a decay of 0.995 four updates move it by less than a fiftieth of what they move the weights."""
    constant = replace(constant, optimiser=replace(constant.optimiser, learning_rate=1e-2, rise=0))
    file = tmp_path / "tiny.safetensors"
    first = grown(constant, photographs, tmp_path / "a", file, 2)
    grown(constant, photographs, tmp_path / "b", file, 4)
    tensors, _ = checkpoint.load(tmp_path / "b" / checkpoint.NAME)
    key = "prior.main.0.weight"
    moved = float((tensors[f"model.{key}"] - first.tensors[key]).norm())
    followed = float((tensors[f"ema.{key}"] - first.tensors[key]).norm())
    assert 0 < followed < moved / 50
