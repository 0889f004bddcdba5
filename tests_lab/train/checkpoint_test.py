"""Checkpoints: everything comes back, damage is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from acutance.errors import WeightsError
from acutance_lab.train import checkpoint
from acutance_lab.train.checkpoint import NAME, Clock

RECORD: dict[str, Any] = {"clock": {"episode": 3}, "scores": [], "note": "größer"}


def network(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 3)).to(
        memory_format=torch.channels_last
    )


def stepped(net: nn.Module, steps: int = 3) -> torch.optim.Adam:
    """An optimiser with a history."""
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    step(net, optimiser, steps)
    return optimiser


def step(net: nn.Module, optimiser: torch.optim.Optimizer, steps: int) -> None:
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(steps))
    for _ in range(steps):
        optimiser.zero_grad()
        net(x).square().mean().backward()
        optimiser.step()


def save(folder: Path, net: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    ema = {k: v.detach() + 1 if v.is_floating_point() else v.clone() for k, v in net.state_dict().items()}
    assert checkpoint.save(folder, net, ema, optimiser, RECORD) == folder / NAME
    return ema


def test_model_moving_average_and_optimiser_go_round(tmp_path: Path) -> None:
    net = network()
    optimiser = stepped(net)
    ema = save(tmp_path / "new" / "run", net, optimiser)
    tensors, record = checkpoint.load(tmp_path / "new" / "run" / NAME)
    assert record == RECORD
    other = network(seed=2)
    restored = torch.optim.Adam(other.parameters(), lr=1e-2)
    again = checkpoint.restore(tensors, other, restored)
    assert set(again) == set(ema)
    assert all(torch.equal(again[k], v) for k, v in ema.items())
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in other.state_dict().items())
    step(net, optimiser, 5)
    step(other, restored, 5)
    for (name, ours), theirs in zip(net.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs), f"{name} after five further steps"


def test_an_optimiser_without_history_goes_round(tmp_path: Path) -> None:
    net = network()
    save(tmp_path, net, torch.optim.Adam(net.parameters()))
    tensors, _ = checkpoint.load(tmp_path / NAME)
    optimiser = torch.optim.Adam(net.parameters())
    checkpoint.restore(tensors, net, optimiser)
    assert not optimiser.state


def test_the_record_lies_beside_it_for_people(tmp_path: Path) -> None:
    net = network()
    save(tmp_path, net, stepped(net))
    assert json.loads((tmp_path / "checkpoint.json").read_text()) == RECORD
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.json", NAME], "nothing partial is left"


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, keep: int) -> None:
    net = network()
    save(tmp_path, net, stepped(net))
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"is no readable checkpoint .* delete it to start afresh"):
        checkpoint.load(path)


@pytest.mark.parametrize("metadata", [None, {}, {"other": "1"}, {"record": "{"}], ids=str)
def test_a_file_without_a_record_is_no_checkpoint(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / NAME, metadata)
    with pytest.raises(WeightsError, match="is no readable checkpoint"):
        checkpoint.load(tmp_path / NAME)


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is no readable checkpoint"):
        checkpoint.load(tmp_path / NAME)


def test_part_takes_the_names_that_begin_so() -> None:
    tensors = {"model.a": torch.zeros(1), "ema.a": torch.ones(1), "ema.model.b": torch.ones(2)}
    assert list(checkpoint.part(tensors, "model.")) == ["a"]
    assert list(checkpoint.part(tensors, "ema.")) == ["a", "model.b"]


@pytest.mark.parametrize("total", [1, 3, 10, 40, 49, 98, 103, 107, 1000])
def test_a_clock_ends_after_exactly_so_many_iterations(total: int) -> None:
    clock = [Clock(iteration=i, rate=1 / total) for i in (0, total - 1, total, total + 1)]
    assert clock[0].progress() == 0
    assert clock[1].progress() < 1
    assert clock[2].progress() == clock[3].progress() == 1


def test_a_clock_goes_on_from_where_it_was_measured() -> None:
    clock = Clock(iteration=30, base_iteration=20, base_progress=0.5, rate=0.01)
    assert clock.progress() == pytest.approx(0.6)
    assert Clock(**json.loads(json.dumps(vars(clock)))) == clock  # as a checkpoint keeps it
