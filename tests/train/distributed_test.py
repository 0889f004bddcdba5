"""The same configuration on several processes, started by torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from acutance.train import checkpoint

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


def test_two_processes_train_one_model(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(CONFIG)
    (tmp_path / "notes.md").write_text("## Ledger\n\n| date |\n|---|\n")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "acutance",
        "train", "tiny", "--config", str(tmp_path / "tiny.toml"), "--data", str(photographs), "--out",
        str(tmp_path / "run"), "--notes", str(tmp_path / "notes.md"), "--iterations", "6", "--devices", "2",
        "--accelerator", "cpu",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    tensors, record = checkpoint.load(tmp_path / "run" / checkpoint.NAME)
    assert record["clock"]["iteration"] >= 6
    assert all(bool(torch.isfinite(t).all()) for t in tensors.values())
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    iterations = [line["iteration"] for line in lines if "loss" in line and "minutes" not in line]
    assert iterations == list(range(1, record["clock"]["iteration"] + 1)), "one process writes the log"
    assert (tmp_path / "notes.md").read_text().count("| tiny |") == 1, "one row in the ledger"
