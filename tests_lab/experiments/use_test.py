"""The pictures of users: how they are made, how they are scored, and what is reported."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from PIL import Image as PillowImage

from acutance.errors import DataError
from acutance.metrics import kernel_similarity
from acutance.restoration.restorer import Restorer
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments import use
from acutance_lab.experiments.alignment import best_shift
from acutance_lab.experiments.output import write_report
from acutance_lab.experiments.use import Settings, Trial, score
from acutance_lab.experiments.use_cases import KINDS, MARGIN, Case, cases, load, room, smaller
from acutance_lab.synth import kernels

SIDE = 192


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One held-out photograph: shapes of many sizes."""
    path = tmp_path_factory.mktemp("sharp")
    side = room(SIDE) + 20
    parts = [torch.rand(1, 3, n, n, generator=torch.Generator().manual_seed(n)) for n in (5, 17, 60)]
    x = sum(torch.nn.functional.interpolate(part, (side, side)) for part in parts)
    assert isinstance(x, torch.Tensor)
    PillowImage.fromarray((85 * x[0]).byte().permute(1, 2, 0).numpy()).save(path / "010.png")
    return path


@pytest.fixture(scope="module")
def made(folder: Path) -> list[Case]:
    return list(cases(load(folder, SIDE), side=SIDE, seed=0, portion=0.01))


def test_there_is_a_case_of_every_kind_in_a_file(made: list[Case]) -> None:
    assert [case.kind for case in made] == list(KINDS)
    for case in made:
        with PillowImage.open(io.BytesIO(case.file)) as picture:
            assert picture.format == "JPEG"
            assert picture.size == (SIDE, SIDE)
        assert case.truth.shape == (1, 3, SIDE, SIDE)
        assert (case.kernel is not None) == (KINDS[case.kind].kernel is not None)
        if case.kernel is not None:
            assert float(case.kernel.sum()) == pytest.approx(1)
            assert case.kernel.shape[-1] <= 2 * MARGIN + 1


def test_blurred_cases_are_worse_than_sharp_ones(made: list[Case]) -> None:
    before = {case.kind: score(use.read(case).pixels, case.truth) for case in made}
    assert before["sharp"] > 27
    assert all(before[case.kind] < before["sharp"] - 2 for case in made if case.blurred and case.kind != "night")


def test_a_case_is_the_same_whatever_else_is_made(made: list[Case], folder: Path) -> None:
    (alone,) = cases(load(folder, SIDE), side=SIDE, seed=0, portion=0.01, kinds=("disc",))
    (there,) = (case for case in made if case.kind == "disc")
    assert alone.file == there.file
    (other,) = cases(load(folder, SIDE), side=SIDE, seed=1, portion=0.01, kinds=("disc",))
    assert other.file != there.file


def test_small_photographs_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="at least"):
        load(folder, 900)


def test_a_kernel_shrinks_with_its_picture() -> None:
    disc = kernels.disc(8.0)
    half = smaller(disc, 0.5)
    assert half.shape[-1] % 2 == 1
    assert float(kernel_similarity(half, kernels.disc(4.0))) > 0.98


@pytest.mark.parametrize("shift", [(0, 0), (5, -9), (-24, 24)])
def test_a_shifted_picture_scores_as_if_it_were_in_place(made: list[Case], shift: tuple[int, int]) -> None:
    truth = made[0].truth
    moved = torch.roll(truth, shift, (-2, -1))
    assert best_shift(moved, truth) == shift
    assert score(moved, truth) > 60
    assert score(truth.flip(-1), truth) < 30


def _trial(kind: str, before: float, after: float, kept: float = 30.0, confidence: float | None = None) -> Trial:
    return Trial(kind, f"{kind} 1", kind != "sharp", before, after, kept, 1.0, confidence, ())


@pytest.mark.parametrize(
    ("trial", "verdict"),
    [
        (_trial("disc", 20, 21.0), "better"),
        (_trial("disc", 20, 20.9), "same"),
        (_trial("disc", 20, 19.7), "worse"),
        (_trial("sharp", 30, 30, kept=40), "left"),
        (_trial("sharp", 30, 31, kept=39.9), "changed"),
    ],
)
def test_verdicts(trial: Trial, verdict: str) -> None:
    assert trial.verdict == verdict


def test_the_table_counts() -> None:
    trials = [
        _trial("disc", 20, 22, confidence=0.9),
        _trial("disc", 20, 19, confidence=0.1),
        _trial("sharp", 30, 30, 60),
    ]
    text = use.report(trials, Settings()).text
    assert "| disc | 1 | 1 | 0 | 0.50 | 1.0 |" in text
    assert "| sharp | 1 | 0 | 0 | 0.00 | 1.0 |" in text
    assert "| all blurred | 1 | 1 | 0 | 0.50 | 1.0 |" in text
    assert "| 0.8 to 1.0 | 1 | 1 | 2.00 |" in text


def test_the_experiment_runs(folder: Path, tmp_path: Path) -> None:
    settings = Settings(side=SIDE, portion=0.01, kinds=("gaussian", "sharp"))
    seen = []
    found = use.run(folder, settings, Restorer.load("blind", method="fd", size=9), on_trial=lambda *a: seen.append(a))
    assert [t.kind for t in found] == ["gaussian", "sharp"]
    assert len(seen) == 2
    use.write_pictures(tmp_path, seen[0][1], seen[0][2], seen[0][3])
    with PillowImage.open(tmp_path / "gaussian-1.png") as picture:
        assert picture.size == (3 * SIDE, SIDE)
    file, plot = write_report(tmp_path, use.report(found, settings))
    assert plot.name == "calibration.png"
    assert len(json.loads(file.read_text())["trials"]) == 2


def test_held_out_photographs_only(folder: Path) -> None:
    assert isinstance(load(folder, SIDE), Photographs)
    with pytest.raises(DataError):
        load(folder, SIDE, validation=False)
    assert int(load(folder, SIDE).sizes.min()) >= room(SIDE)
