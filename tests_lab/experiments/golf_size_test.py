"""The sizes of Golf: counted in the modules, equal to the paper's, and written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from acutance.networks.blocks import BasicBlocks
from acutance_lab.cli.app import app
from acutance_lab.experiments.golf_size import OWN, TABLE_1, Row, rows_of, run
from acutance_lab.experiments.golf_size_report import own_sizes, size_table


def test_every_number_of_table_1() -> None:
    for network in run():
        weights, total, layers = TABLE_1[network.name]
        assert tuple(row.weights for row in network.rows) == weights
        assert (network.weights, network.layers) == (total, layers)


def test_the_sizes_of_table_3() -> None:
    assert {name: round(size, 2) for name, size in own_sizes(run()).items()} == OWN


def test_it_is_counted_in_the_modules() -> None:
    """Another network, another count; what is no layer of the paper has weights all the same."""
    network = BasicBlocks(5)
    rows = rows_of(network)
    assert sum(row.weights for row in rows) == sum(p.numel() for p in network.parameters())
    assert rows[0] == Row("Conv 3 → 5", "7×7", 3 * 5 * 49, 1)
    assert rows[4].kernels == "7×7, 5×5, 1×1"
    network.head = torch.nn.Conv2d(3, 5, 3, bias=False)
    assert rows_of(network)[0] == Row("Conv 3 → 5", "3×3", 3 * 5 * 9, 1)


def test_the_table_has_both() -> None:
    table = size_table(run())
    for text in (
        "| 2 BB 32 → 3 | 7×7, 5×5, 1×1 | 12 | 5,779 | 5,779 |",
        "466,348 in 50 layers",
        "| Golf, F and G | 2.24 |",
    ):
        assert text in table
    assert "| Nah et al. 2017 | not measured | 303.6 |" in table


def test_the_command(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["experiment", "golf-size", "--out", str(tmp_path / "sizes")])
    assert result.exit_code == 0, result.output
    assert "| all | | 50 | 120,188 |" in result.output
    values = json.loads((tmp_path / "sizes" / "golf-size.json").read_text(encoding="utf-8"))
    assert values["megabytes"]["F and G"] == pytest.approx(2.24, abs=0.005)
    assert values["networks"]["F"]["weights"] == values["published"]["networks"]["F"]["weights"]
    with Image.open(tmp_path / "sizes" / "golf-size.png") as plot:
        assert plot.format == "PNG"
