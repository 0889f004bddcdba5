"""How far a command is, where there is no terminal."""

from __future__ import annotations

import time

import pytest
import torch

from acutance.cli import watching
from acutance.cli.watching import Watch
from acutance.problem import Progress, Stage, State


def step(number: int, of: int) -> Progress:
    return Progress(step=number, steps=of, state=State(torch.zeros(1, 1, 1, 1)), error=torch.zeros(1))


def test_lines_come_by_themselves(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(watching, "EVERY", 0.1)
    with Watch(3) as watch:
        watch.begin("a\x1b.png")
        time.sleep(0.25)
        watch.on_step(step(1, 30))
        watch.end()
        time.sleep(0.25)
    said = capsys.readouterr().err.splitlines()
    assert 1 <= len(said) <= 3, "a line every while, and none between two pictures"
    assert said[0].startswith(r"a\x1b.png, picture 1 of 3: 0.1 s so far")


def test_what_a_line_says(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Watch(1)
    assert watch.line() is None
    watch.begin("a.png")
    watch.on_stage(Stage("estimating", 0.0))
    now[0] += 20
    watch.on_stage(Stage("estimating", 0.4, 45, 2, 5))
    said = (
        "a.png: 20.0 s so far, finding the kernel: trying sizes, 45 pixels (2 of 5), at most about 30.0 s more for it"
    )
    assert watch.line() == said
    watch.on_stage(Stage("polishing", 0.05))
    assert watch.line() == "a.png: 20.0 s so far, finding the kernel: refining"
    watch.on_step(step(1, 3))
    assert watch.line() == "a.png: 20.0 s so far, step 1 of at most 3"
    watch.begin("a.png")
    now[0] += 5
    watch.on_step(step(1, 30))
    now[0] += 20
    watch.on_step(step(11, 30))
    assert watch.line() == "a.png: 25.0 s so far, step 11 of at most 30, about 38.0 s left"
    watch.end()
    assert watch.line() is None


def test_the_forecast_is_taken_from_the_second_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Watch(2)
    for _ in range(2):
        watch.begin("a.png")
        watch.announce("30 x 20 pixels")
        now[0] += 5  # reading, and what comes before the first step
        watch.on_step(step(1, 30))
        assert watch.forecast is None
        for number in range(2, 31):
            now[0] += 2
            watch.on_step(step(number, 30))
        assert watch.forecast == pytest.approx(5 + 29 * 2)
        watch.end()
    assert capsys.readouterr().err.count("30 x 20 pixels: about") == 1
