"""What a method computes, counted; a large picture in a process of its own; training runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from acutance.errors import DataError, WeightsError
from acutance.methods.rgdn import build
from acutance.weights import write_weights
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.rows import Row
from acutance_lab.bench.run import run
from acutance_lab.bench.runs import FILE, read_run, runs_table
from acutance_lab.bench.scenes import large_suite, random_suite
from acutance_lab.bench.tables import arithmetic_table

FEATURES = 6
TINY = {"widths": "8,8", "blocks": "1,1", "memory": 4, "bank": 2, "steps": 3}


def count(contender: Contender, height: int, width: int, channels: int = 3) -> Row:
    (found,) = run(random_suite(height, width, channels), [contender], device="cpu", count=True)
    return found


def test_convolutions_are_counted_exactly() -> None:
    found = count(Contender("rgdn", {"features": 6, "steps": 2, "threshold": 0.0}, untrained=True), 32, 40)
    points = (32 + 18) * (40 + 18)
    stack = 25 * (3 * 6 + 4 * 6 * 6 + 6 * 3)
    assert found.steps == 2
    assert found.gmac_networks == pytest.approx(2 * 3 * stack * points / 1e9)
    assert found.parameters == 3 * stack + 3 * 4 * 2 * 6


def test_grey_costs_no_more_networks_than_its_entrance_and_a_third_of_the_transforms() -> None:
    grey, colour = (count(Contender("acute", TINY, untrained=True), 64, 64, c) for c in (1, 3))
    assert grey.gmac_networks is not None
    assert colour.gmac_networks is not None
    assert grey.gmac_networks < colour.gmac_networks
    assert grey.gmac_transforms is not None
    assert colour.gmac_transforms == pytest.approx(3 * grey.gmac_transforms, rel=0.1)


def test_a_classical_method_has_transforms_only() -> None:
    found = count(Contender("wiener"), 32, 32)
    assert found.gmac_networks is not None
    assert found.gmac_networks < 1e-4
    assert found.gmac_transforms
    assert "wiener" in arithmetic_table([found])


def trained(folder: Path, name: str, *, psnr: float, **config: object) -> Path:
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
    runs = [read_run(trained(tmp_path, "base", psnr=25.0)), read_run(trained(tmp_path, "other", psnr=26.25, bank=1))]
    first, second = runs_table(runs).splitlines()[2:]
    assert first.startswith("| base |  |")
    assert "bank 1" in second
    assert "26.25" in second
    assert "2.0 | 50" in second


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no scored training run"):
        read_run(tmp_path)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(4)
    file = tmp_path / "small.safetensors"
    write_weights(file, build(features=FEATURES).state_dict(), {"name": "small", "model": {"features": FEATURES}})
    return file


def test_a_run_in_its_own_process(weights: Path) -> None:
    methods = [f"rgdn:weights={weights}", f"rgdn:weights={weights},tile=none"]
    for row in run(large_suite(0.05, 9), methods, steps=2, apart=True, device="cpu"):
        assert row.steps == 2
        assert row.seconds > 0
        assert row.forecast is not None
        assert row.forecast > 0
        assert row.processor_share is not None
        assert row.processor_share > 0
        assert row.peak_mb is not None
        assert 50 < row.peak_mb < 2000


def test_errors_come_before_any_process(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot read"):
        run(large_suite(0.05), [f"rgdn:weights={tmp_path / 'none.safetensors'}"], apart=True)
