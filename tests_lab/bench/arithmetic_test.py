"""What a method computes, counted; and training runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acutance.errors import DataError
from acutance_lab.bench.arithmetic import arithmetic_table, count
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.runs import FILE, read_run, runs_table

TINY = {"widths": "8,8", "blocks": "1,1", "memory": 4, "bank": 2, "steps": 3}


def test_convolutions_are_counted_exactly() -> None:
    found = count(Contender("rgdn", {"features": 6, "steps": 2, "threshold": 0.0}), 32, 40, untrained=True)
    points = (32 + 18) * (40 + 18)
    stack = 25 * (3 * 6 + 4 * 6 * 6 + 6 * 3)
    assert found.steps == 2
    assert found.networks == pytest.approx(2 * 3 * stack * points / 1e9)
    assert found.weights == 3 * stack + 3 * 4 * 2 * 6


def test_grey_costs_no_more_networks_than_its_entrance_and_a_third_of_the_transforms() -> None:
    grey, colour = (count(Contender("acute", TINY), 64, 64, channels=c, untrained=True) for c in (1, 3))
    assert grey.networks < colour.networks
    assert colour.transforms == pytest.approx(3 * grey.transforms, rel=0.1)


def test_a_classical_method_has_transforms_only() -> None:
    found = count(Contender("wiener"), 32, 32)
    assert found.networks < 1e-4
    assert found.transforms > 0
    assert "wiener" in arithmetic_table([found])


def run(folder: Path, name: str, *, psnr: float, **config: object) -> Path:
    record = {
        "method": "acute",
        "model": TINY,
        "config": {"seed": 1, "model": {**TINY, **config}},
        "clock": {"elapsed": 120.0, "iteration": 50},
        "scores": [{"steps": [1, 5], "psnr": [20.0, psnr], "blurred": 19.0, "levels": [30.0, 20.0]}],
    }
    (folder / name).mkdir()
    (folder / name / FILE).write_text(json.dumps(record))
    return folder / name


def test_runs_are_described_by_what_they_differ_in(tmp_path: Path) -> None:
    runs = [read_run(run(tmp_path, "base", psnr=25.0)), read_run(run(tmp_path, "other", psnr=26.25, bank=1))]
    first, second = runs_table(runs).splitlines()[2:]
    assert first.startswith("| base |  |")
    assert "bank 1" in second
    assert "26.25" in second
    assert "2.0 | 50" in second


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no scored training run"):
        read_run(tmp_path)
