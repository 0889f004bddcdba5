"""A cancelled job of one megapixel stops computing within a second; `tests/serve_cancel.py` measures how soon."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from serve_cancel import METHODS, blurred, cancel, started

from acutance.serve.interrupting import Interrupting
from acutance.serve.orders import Failed, Order
from acutance.serve.pool import Pool

WORKS = {"acute": 1.5, "fd": 0.3, "blind": 1.5}
"""Seconds that a method works before it is cancelled."""


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = started(threads=1)
    yield made
    made.close(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cancel")
    blurred(made / "picture.png", 1.0)
    return made


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads /proc")
@pytest.mark.parametrize("method", METHODS)
def test_a_cancelled_job_stops_computing_within_a_second(pool: Pool, folder: Path, method: str) -> None:
    """In processor seconds of one thread, so that a busy machine does not matter."""
    stop = cancel(pool, Order("restore", folder, "picture.png", options=METHODS[method]), WORKS[method])
    assert stop is not None, "it was done before it was cancelled"
    assert stop.computed < 1.0, stop


def test_a_cancel_leaves_an_operation_of_torch() -> None:
    """It is looked for between two reports, and the mode is gone afterwards."""
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise Failed("cancelled", "cancelled")

    def computes() -> None:
        x = torch.ones(1, 1, 64, 64)
        with Interrupting(look):
            while True:
                x = torch.nn.functional.avg_pool2d(x, 3, 1, 1)

    with pytest.raises(Failed):
        computes()
    assert len(looks) == 3
    _ = torch.ones(2) + 1
    assert len(looks) == 3
