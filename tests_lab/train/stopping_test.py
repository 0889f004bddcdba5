"""A run that is asked to stop is saved and scored, and goes on later."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from acutance_lab.train import checkpoint
from acutance_lab.train.config import TrainConfig
from acutance_lab.train.loop import Budget, train
from acutance_lab.train.stopping import Stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_signal_asks_and_the_second_is_for_whoever_was_there_before(number: signal.Signals) -> None:
    seen: list[int] = []
    before = signal.signal(number, lambda n, _: seen.append(n))
    try:
        with Stopping() as stop:
            assert not stop.asked
            os.kill(os.getpid(), number)
            assert stop.asked
            assert seen == []
            os.kill(os.getpid(), number)
            assert seen == [number]
        os.kill(os.getpid(), number)
        assert seen == [number, number]
    finally:
        signal.signal(number, before)


def test_without_a_signal_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stopping():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    """A run under nohup outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopping() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.asked
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_it_does_nothing() -> None:
    asked: list[bool] = []

    def work() -> None:
        with Stopping() as stop:
            asked.append(stop.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [False]


def test_a_run_that_is_asked_to_stop_is_scored_and_goes_on(
    config: TrainConfig, photographs: Path, tmp_path: Path
) -> None:
    def ask(line: dict[str, Any]) -> None:
        if line["iteration"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    budget = Budget(iterations=6, checkpoint_iterations=2)
    stopped = train(config, photographs, tmp_path / "stopped", budget, accelerator="cpu", report=ask)
    assert stopped.clock.iteration == 3
    assert len(stopped.scores) == 1
    done = train(config, photographs, tmp_path / "stopped", budget, accelerator="cpu")
    assert done.clock.iteration == 6
    train(config, photographs, tmp_path / "whole", budget, accelerator="cpu")
    ours, theirs = (checkpoint.load(tmp_path / name / checkpoint.NAME)[0] for name in ("stopped", "whole"))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
