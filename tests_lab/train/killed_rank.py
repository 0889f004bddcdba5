"""A training run of two processes, started by torchrun from a test: `killed_rank.py PHOTOGRAPHS FOLDER TRUNK RANK`.

The process of that rank kills itself as soon as the trunk is there; -1 is none.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.conftest import tiny

from acutance_lab.train.loop import Budget, train
from acutance_lab.train.trunk import read_trunk

EVERY = 3


def die(trunk: Path) -> None:
    while not trunk.with_suffix(".json").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


def main(photographs: Path, folder: Path, trunk: Path, victim: int) -> None:
    config = tiny()
    config = replace(config, optimiser=replace(config.optimiser, schedule="constant", rise=3))
    if int(os.environ["RANK"]) == victim:
        threading.Thread(target=die, args=(trunk,), daemon=True).start()
    budget = Budget(iterations=100_000 if victim >= 0 else 2 * EVERY, checkpoint_iterations=EVERY)
    train(
        config, photographs, folder, budget, accelerator="cpu", devices=2,
        trunk=read_trunk(trunk) if trunk.exists() else None, trunk_file=trunk,
    )  # fmt: skip


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), int(sys.argv[4]))
