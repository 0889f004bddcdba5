"""Which pixels count."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from acutance_lab.bench.cuts import MARGIN, SHARP_MARGIN, Cut, cut_of, cut_scores
from acutance_lab.bench.rows import Row, read_rows
from acutance_lab.bench.run import run
from acutance_lab.bench.score import BLIND, LUMA, PERFECT, WHOLE, Score, Scoring, score
from acutance_lab.bench.suites import SUITES, find_suite
from acutance_lab.records import append_records

ALIGN = Scoring(border=MARGIN, shift=5, fraction=4)


def noisy(truth: Tensor, seed: int = 1) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return truth + 0.03 * torch.randn(truth.shape, generator=g, dtype=truth.dtype)


def smooth(height: int, width: int, row: float = 0, col: float = 0) -> Tensor:
    y = torch.arange(height, dtype=torch.float64)[:, None] + row
    x = torch.arange(width, dtype=torch.float64)[None, :] + col
    return (0.5 + 0.2 * torch.sin(0.31 * y + 0.2 * x) + 0.2 * torch.cos(0.4 * x - 0.11 * y))[None, None]


def by_hand(estimate: Tensor, truth: Tensor, rows: int, cols: int, *, levels: bool = False) -> float:
    """As a few lines of numpy have it."""
    a, b = (x[0, 0, rows : x.shape[-2] - rows, cols : x.shape[-1] - cols].numpy() for x in (estimate, truth))
    a = np.clip(a, 0, 1)
    a = np.round(a * 255) / 255 if levels else a
    return float(-10 * np.log10(np.mean((a - b) ** 2)))


@pytest.mark.parametrize("radius", [(0, 0), (9, 9), (6, 13), (29, 30), (37, 40)])
def test_the_cuts_by_hand(radius: tuple[int, int]) -> None:
    """The published one leaves out 30 pixels of the sharp picture: of ours less by the radius, never below none."""
    truth = smooth(100, 110)
    estimate = noisy(truth)
    estimate[..., :3, :] = 0
    estimate[..., :, -25:] += 0.2
    found = cut_scores(estimate, truth, radius, score(estimate, truth), WHOLE)
    rows, cols = (max(0, SHARP_MARGIN - r) for r in radius)
    assert found[Cut.WHOLE] == pytest.approx(by_hand(estimate, truth, 0, 0), abs=1e-9)
    assert found[Cut.MARGIN] == pytest.approx(by_hand(estimate, truth, MARGIN, MARGIN), abs=1e-9)
    assert found[Cut.PUBLISHED] == pytest.approx(by_hand(estimate, truth, rows, cols, levels=True), abs=1e-9)
    assert found[Cut.WHOLE] < found[Cut.MARGIN] - 0.5


def test_only_the_published_cut_has_8_bits() -> None:
    truth = torch.full((1, 1, 80, 80), 100 / 255, dtype=torch.float64)
    found = cut_scores(truth + 0.4 / 255, truth, (5, 5), score(truth + 0.4 / 255, truth), WHOLE)
    assert found[Cut.PUBLISHED] == PERFECT
    assert found[Cut.WHOLE] == pytest.approx(found[Cut.MARGIN])
    assert found[Cut.WHOLE] == pytest.approx(20 * math.log10(255 / 0.4))


@pytest.mark.parametrize(("row", "col"), [(0, 0), (3, -5), (0.25, -1.5), (-4.75, 2)])
def test_the_alignment_holds_for_every_cut(row: float, col: float) -> None:
    truth = smooth(110, 100)
    estimate = smooth(110, 100, -row, -col)
    scored = score(estimate, truth, ALIGN)
    assert scored.shift == (row, col)
    found = cut_scores(estimate, truth, (0, 0), scored, ALIGN)
    assert found[Cut.MARGIN] == scored.psnr
    assert found[Cut.PUBLISHED] > 44
    assert found[Cut.WHOLE] > 30, "the rim rings where the picture is mirrored, and nothing is compared beyond it"


def test_a_cut_that_leaves_nothing_is_left_out() -> None:
    truth = smooth(52, 70)
    estimate = noisy(truth)
    assert set(cut_scores(estimate, truth, (3, 3), score(estimate, truth), WHOLE)) == {Cut.WHOLE, Cut.MARGIN}
    small = truth[..., :40, :]
    assert set(cut_scores(small, small, (3, 3), Score(30.0, 0.9), WHOLE)) == {Cut.WHOLE}
    assert set(cut_scores(small, small, (12, 3), Score(30.0, 0.9), WHOLE)) == {Cut.WHOLE, Cut.PUBLISHED}


@pytest.mark.parametrize(
    ("scoring", "cut"),
    [(WHOLE, Cut.WHOLE), (ALIGN, Cut.MARGIN), (BLIND, Cut.MARGIN), (LUMA, None), (Scoring(border=10), None)],
)
def test_the_cut_of_a_protocol(scoring: Scoring, cut: Cut | None) -> None:
    assert cut_of(scoring) is cut


@pytest.mark.parametrize("suite", ["levin32", "set12", "bsd68"])
def test_a_run_records_three_scores_where_figures_are_published(suite: str, data: Path, tmp_path: Path) -> None:
    rows = run(suite, ["wiener"], data=data, noises=[0.01], limit=2, out=tmp_path)
    assert read_rows(tmp_path / f"{suite}.jsonl") == rows
    for row in rows:
        assert (row.psnr_whole is not None) == (suite != "bsd68")
        assert row.psnr_whole in (None, row.psnr)
        assert row.recorded(Cut.WHOLE) == row.psnr_whole
    if suite == "levin32":  # pictures of 70 pixels; those of set12 are too small here
        margins = [(row.psnr_margin, row.psnr_published) for row in rows]
        assert all(a is not None and b is not None and a != b for a, b in margins)


def test_captured_pictures_are_aligned_in_every_cut(data: Path) -> None:
    (row,) = run("levin32", ["wiener"], data=data, noises=[None], limit=1)
    assert row.psnr_margin == row.psnr
    assert row.psnr_whole is not None
    assert row.psnr_published is not None
    assert row.psnr_whole > row.psnr_blurred, "not aligned it would be far below"


def test_the_radius_of_a_case_is_that_of_its_kernel(data: Path) -> None:
    folder = data / "bench"
    captured, anew = (find_suite("levin32").cases(folder, noise)[0].load() for noise in (None, 0.01))
    assert captured.radius == (0, 0), "photographs have the size of the sharp pictures"
    assert anew.radius == (3, 3)
    assert anew.truth is not None
    assert captured.truth is not None
    assert [a - 2 * r for a, r in zip(captured.truth.shape[-2:], anew.radius, strict=True)] == [*anew.truth.shape[-2:]]


def test_rows_without_cuts_are_read(tmp_path: Path) -> None:
    row = Row("set12", "wiener", "01", "1", 0.01, 28.1, 0.8, 22.0, 0.1, 1, "CONVERGED", None, None, "abc1234", "cpu")
    old = {k: v for k, v in asdict(row).items() if k not in ("psnr_whole", "psnr_margin", "psnr_published")}
    (tmp_path / "set12.jsonl").write_text(json.dumps(old) + "\n")
    append_records(tmp_path / "set12.jsonl", [Row(**{**old, "picture": "02", "psnr_published": 29.0})])
    before, after = read_rows(tmp_path / "set12.jsonl")
    assert before == row
    assert [before.recorded(cut) for cut in Cut] == [None, None, None]
    assert [after.recorded(cut) for cut in Cut] == [None, None, 29.0]


def test_every_suite_says_how_many_cases_it_has_and_its_cut() -> None:
    assert all(suite.size for suite in SUITES.values())
    assert [SUITES[name].cut(None) for name in ("levin32", "levin32_kernels", "reds")] == [
        Cut.MARGIN, Cut.MARGIN, Cut.WHOLE,
    ]  # fmt: skip
    assert {suite.cut(0.01) for suite in SUITES.values()} == {Cut.WHOLE}
