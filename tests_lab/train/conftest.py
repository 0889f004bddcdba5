"""A tiny training run: a few generated photographs and a network that learns in milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from acutance_lab.train.config import Phase, TrainConfig, ValidationConfig

THREADS = 1
"""More threads than free cores make steps of a few milliseconds a hundred times slower, and these are all tiny."""

NAMES = ("000.png", "001.png", "002.png", "010.png")  # the hash of its name holds the last one out


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    i, j = np.mgrid[:200, :210]
    for n, name in enumerate(NAMES):
        shapes = ((i // (11 + n) + j // (13 - n)) % 4) * 50
        colour = np.stack((shapes, np.roll(shapes, 5 * n, 1), 120 + 100 * np.sin(i / (9 + n) + j / 30)), -1)
        Image.fromarray(colour.clip(0, 255).astype(np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def config() -> TrainConfig:
    return tiny()


def tiny(*, windows: int = 1, seed: int = 1) -> TrainConfig:
    phase = Phase(until=0.5, batch=2, crop=12, steps=1, windows=windows, spans=(5,))
    return TrainConfig(
        method="rgdn",
        phases=(phase, replace(phase, until=1.0, steps=2)),
        seed=seed,
        model={"features": 6},
        validation=ValidationConfig(crops=1, crop=16, steps=(1, 2)),
    )
