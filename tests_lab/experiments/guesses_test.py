"""Guesses of the blur: the picture behind one, and the report."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image as PillowImage

from acutance.blind.guess import Guess
from acutance_lab.experiments import guesses
from acutance_lab.experiments.guesses import Settings, Trial, behind, report
from acutance_lab.experiments.use_cases import load, room

SIDE = 192


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One held-out photograph."""
    path = tmp_path_factory.mktemp("sharp")
    parts = [torch.rand(1, 3, n, n, generator=torch.Generator().manual_seed(n)) for n in (7, 60)]
    x = sum(torch.nn.functional.interpolate(part, (room(SIDE) + 9,) * 2) for part in parts)
    assert isinstance(x, torch.Tensor)
    PillowImage.fromarray((127 * x[0]).byte().permute(1, 2, 0).numpy()).save(path / "010.png")
    return path


@pytest.mark.parametrize("true", [Guess("disc", 3.0), Guess("line", 11.0, 30.0)])
def test_a_picture_is_behind_the_kernel_that_it_says(folder: Path, true: Guess) -> None:
    case = behind(true, load(folder, SIDE), Settings(side=SIDE))
    assert case.kernel is not None
    assert torch.allclose(case.kernel, true.kernel)
    again = behind(true, load(folder, SIDE), Settings(side=SIDE))
    assert again.file == case.file


def test_every_blur_is_guessed_too_small_and_too_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "TRUE", (Guess("gaussian", 2.0), Guess("line", 9.0, 20.0)))
    seen: list[Trial] = []
    trials = guesses.run(folder, Settings(side=SIDE, method="wiener"), seen.append)
    assert seen == trials
    assert [t.guess for t in trials] == ["gaussian 1.54", "gaussian 2.6", "line 6.92,5", "line 11.7,35"]
    assert all(t.refined != t.guess or t.after == t.as_given for t in trials)
    head, lines = report(trials, Settings()).tables[0]
    assert [len(line) for line in lines] == [len(head)] * 5
    assert lines[-1][0] == "mean"
