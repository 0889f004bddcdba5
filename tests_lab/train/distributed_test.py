"""The same configuration on several processes, started by torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from acutance.problem import Problem
from acutance.settings import from_table
from acutance_lab.synth import Example
from acutance_lab.train import checkpoint, loop
from acutance_lab.train.config import TrainConfig
from acutance_lab.train.pool import Work
from acutance_lab.train.trunk import read_trunk

CONFIG = """
method = "acute"
one_channel = 0.5
[model]
widths = "8,8"
blocks = "1,1"
steps = 2
[[phases]]
until = 1.0
batch = 1
crop = 32
steps = 2
windows = 2
spans = [5]
[validation]
crops = 1
crop = 32
steps = [1]
"""


DGUNET = """
method = "dgunet-denoise"
precision = "float32"
[model]
width = 8
growth = 4
tail = 4
stages = 3
[optimiser]
warmup = 0.0
[loss]
kind = "charbonnier"
gradient = 0.0
growth = 0.0
edge = 0.05
[[phases]]
until = 1.0
batch = 2
crop = 32
steps = 3
windows = 1
spans = [1]
[noise]
camera = 0.5
[validation]
crops = 1
crop = 32
steps = [3]
"""


def on_two_processes(config: str, photographs: Path, folder: Path, iterations: int) -> None:
    (folder / "tiny.toml").write_text(config)
    (folder / "training").mkdir(exist_ok=True)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "acutance_lab",
        "train", "tiny", "--config", str(folder / "tiny.toml"), "--data", str(photographs), "--out",
        str(folder / "run"), "--ledger", str(folder / "training"), "--iterations", str(iterations), "--devices", "2",
        "--accelerator", "cpu",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_rank_ends_the_run_and_it_goes_on_from_its_trunk(photographs: Path, tmp_path: Path) -> None:
    """The second run is in another folder, as on other machines."""
    script, trunk = Path(__file__).with_name("killed_rank.py"), tmp_path / "tiny.safetensors"

    def on_two(folder: str, victim: int) -> subprocess.CompletedProcess[str]:
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
        command = [*start, str(photographs), str(tmp_path / folder), str(trunk), str(victim)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)

    killed = on_two("killed", 1)
    assert killed.returncode != 0
    assert "Signal 9 (SIGKILL)" in killed.stderr
    first = read_trunk(trunk)
    assert first.episode >= 3
    again = on_two("again", -1)
    assert again.returncode == 0, again.stderr[-3000:]
    second = read_trunk(trunk)
    assert second.episode == first.episode + 6
    assert all(bool(torch.isfinite(value).all()) for value in second.tensors.values())


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line and "minutes" not in line]


def test_two_processes_are_one_with_the_double_batch(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one process is given what both were given."""
    single = loop.episode
    config = from_table(TrainConfig, tomllib.loads(DGUNET), where="here")

    def both(*arguments: Any) -> tuple[Work, int]:
        (one, windows), (other, _) = (single(*arguments[:-1], rank) for rank in (0, 1))
        pixels = torch.cat((one.example.problem.observed, other.example.problem.observed))
        example = Example(torch.cat((one.example.sharp, other.example.sharp)), Problem(pixels))
        return Work(example, one.steps), windows

    monkeypatch.setattr(loop, "episode", both)
    loop.train(config, photographs, tmp_path / "one", loop.Budget(iterations=5), accelerator="cpu")
    monkeypatch.undo()
    on_two_processes(DGUNET, photographs, tmp_path, 5)
    alone, together = losses(tmp_path / "one"), losses(tmp_path / "run")
    assert together == pytest.approx(alone, rel=1e-4)
    assert len(alone) == 5
    assert len(set(alone)) == 5


def test_two_processes_train_one_model(photographs: Path, tmp_path: Path) -> None:
    on_two_processes(CONFIG, photographs, tmp_path, 6)
    tensors, record = checkpoint.load(tmp_path / "run" / checkpoint.NAME)
    assert record["clock"]["iteration"] >= 6
    assert all(bool(torch.isfinite(t).all()) for t in tensors.values())
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    iterations = [line["iteration"] for line in lines if "loss" in line and "minutes" not in line]
    assert iterations == list(range(1, record["clock"]["iteration"] + 1)), "one process writes the log"
    assert len((tmp_path / "training" / "ledger.jsonl").read_text().splitlines()) == 1, "one row in the ledger"
