"""The loop of small networks: it learns, keeps time, examines, and leaves out what is not finite."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from acutance_lab.train import plain_fit

UPDATES = 40


def fitted(monkeypatch: pytest.MonkeyPatch, broken: int | None = None) -> tuple[float, list[float], int]:
    """Error of the average, minutes at examinations, and batches drawn, of a fit in which every update takes 1 s."""
    seconds = itertools.count()
    monkeypatch.setattr(plain_fit, "core_seconds", lambda _: float(next(seconds)))
    torch.manual_seed(0)
    network, wanted = nn.Linear(4, 4), torch.randn(4, 4)
    batches = itertools.count()
    told: list[float] = []

    def backward(done: float) -> None:
        assert 0 <= done < 1
        x = torch.randn(8, 4)
        loss = (network(x) - x @ wanted).square().mean()
        (loss * (torch.nan if next(batches) == broken else 1.0)).backward()

    def examine(weights: dict[str, torch.Tensor]) -> float:
        return float((weights["weight"].T - wanted).square().mean())

    before = examine(network.state_dict())
    _, error = plain_fit.fit(
        network, backward, examine, minutes=(UPDATES + 1) / 60, rate=0.3, floor=0.01,
        on_examination=lambda minutes, weights, found: told.append(minutes),
    )  # fmt: skip
    return error / before, told, next(batches)


@pytest.mark.parametrize("broken", [None, 3, 17])
def test_it_learns_whatever_one_batch_does(monkeypatch: pytest.MonkeyPatch, broken: int | None) -> None:
    error, told, batches = fitted(monkeypatch, broken)
    assert error < 0.5
    assert batches == UPDATES
    assert len(told) == 4
    assert told == sorted(told)
