"""A tiny training run: a network that learns in milliseconds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acutance_lab.train.config import Phase, TrainConfig, ValidationConfig


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
