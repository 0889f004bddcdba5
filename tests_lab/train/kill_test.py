"""`kill -9` at random moments of a training run: it goes on from its last checkpoint to the same weights, bit by bit.

KILLS=100 pytest -s tests_lab/train/kill_test.py     more of them
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from train.loop_test import bits, losses

from acutance_lab.train import checkpoint
from acutance_lab.train.config import TrainConfig
from acutance_lab.train.loop import Budget, train

KILLS = int(os.environ.get("KILLS", "3"))
ITERATIONS, EVERY = 12, 3

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def start(config: TrainConfig, photographs: Path, folder: Path) -> int:
    """A run in a forked process, which has everything loaded."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        torch.set_num_threads(1)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        budget = Budget(iterations=ITERATIONS, checkpoint_iterations=EVERY)
        train(config, photographs, folder, budget, accelerator="cpu")
        code = 0
    finally:
        os._exit(code)


def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def digest(folder: Path) -> str:
    """Of model, moving average and optimiser."""
    tensors, record = checkpoint.load(folder / checkpoint.NAME)
    found = hashlib.sha256(str(record["clock"]["iteration"]).encode())
    for name in sorted(tensors):
        found.update(name.encode() + tensors[name].numpy().tobytes())
    return found.hexdigest()


def test_killed_at_random_moments(config: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    whole_run, folder = tmp_path / "whole", tmp_path / "killed"
    begun = time.monotonic()
    assert status_of(start(config, photographs, whole_run)) == 0
    whole = time.monotonic() - begun
    expected, told, files = digest(whole_run), bits(losses(whole_run)), {p.name for p in whole_run.iterdir()}
    rng, killed, finished = random.Random(7), 0, False
    for _ in range(KILLS):
        if finished or rng.random() < 0.1:  # now and then from the beginning
            shutil.rmtree(folder, ignore_errors=True)
        before = checkpoint.load(folder / checkpoint.NAME)[1] if (folder / checkpoint.NAME).exists() else None
        pid = start(config, photographs, folder)
        time.sleep(rng.uniform(0, whole))
        os.kill(pid, signal.SIGKILL)
        status = status_of(pid)
        assert status in (0, -signal.SIGKILL)
        killed, finished = killed + (status != 0), status == 0
        if (folder / checkpoint.NAME).exists():  # whole at every moment, and never an older one
            now = checkpoint.load(folder / checkpoint.NAME)[1]["clock"]["iteration"]
            assert now % EVERY == 0
            assert before is None or now >= before["clock"]["iteration"]
        else:
            assert before is None
    assert status_of(start(config, photographs, folder)) == 0
    assert digest(folder) == expected
    assert bits(losses(folder)) == told
    assert {p.name for p in folder.iterdir()} == files
    assert killed
    print(f"{killed} of {KILLS} runs were killed; the weights are {expected[:16]} all the same")  # noqa: T201
