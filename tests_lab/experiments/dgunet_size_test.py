"""DGUNet's sizes: what is more in the authors' state dicts is known to the last weight."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from acutance_lab.cli.app import app
from acutance_lab.experiments import dgunet_size

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
NAMES = (
    "deblurring", "plus_deblurring", "denoising", "plus_denoising", "deraining", "plus_deraining", "cs10", "plus_cs25",
)  # fmt: skip


@pytest.mark.parametrize(("row", "name"), list(zip(dgunet_size.run(), NAMES, strict=True)), ids=NAMES)
def test_the_published_numbers_are_those_of_the_state_dicts(row: dgunet_size.Row, name: str) -> None:
    keys = json.loads((GOLDEN / f"dgunet_{name}.keys.json").read_text())
    assert row.elements == sum(math.prod(shape) for _, shape in keys)
    if not name.endswith(("cs10", "cs25")):
        shared, unused = (19, 0) if name.startswith("plus") else (6, 18 * row.width**2)
        assert row.elements - row.weights == shared + unused


def test_the_command(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["experiment", "dgunet-size", "--out", str(tmp_path / "o")], catch_exceptions=False)
    assert "69,572,934" in done.output
    values = json.loads((tmp_path / "o" / dgunet_size.FILE).read_text())
    assert len(values["networks"]) == 8
