"""Coverage of the product's intervals by kind of picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from acutance.errors import ConfigError
from acutance_lab.cli.app import app
from acutance_lab.experiments.coverage import DRAWN, PHOTOGRAPHS, SIZE, Settings, measure
from acutance_lab.experiments.trust import NOMINAL


@pytest.mark.parametrize("kind", DRAWN)
def test_pictures_are_the_same_each_time(kind: str) -> None:
    one = DRAWN[kind](5, 1)
    assert one.shape == (SIZE, SIZE)
    assert 0 <= float(one.min()) < float(one.max()) <= 1
    assert torch.equal(one, DRAWN[kind](5, 1))
    assert not torch.equal(one, DRAWN[kind](5, 2))


def test_the_command(photographs: Path, tmp_path: Path) -> None:
    options = [
        "--method",
        "wiener",
        "--count",
        "1",
        "--window",
        "64",
        "--out",
        str(tmp_path),
        "--data",
        str(photographs),
    ]
    done = CliRunner().invoke(app, ["experiment", "coverage", "--kinds", "photographs,stars", *options])
    assert done.exit_code == 0, done.output
    assert "| photographs |" in done.output
    assert "| stars |" in done.output
    found = json.loads((tmp_path / "coverage.json").read_text(encoding="utf-8"))["found"]
    assert len(found) == 2 * 3
    for each in found:
        assert len(each["shares"]) == len(NOMINAL)
        assert each["shares"] == sorted(each["shares"])  # a wider interval holds more
        assert 0 < each["shares"][-1] <= 1
    assert (tmp_path / "kinds.png").is_file()


@pytest.mark.parametrize(
    "settings", [{"kinds": ("trees",)}, {"kinds": ()}, {"side": 250}, {"count": 0}], ids=lambda s: next(iter(s))
)
def test_wrong_settings_are_told(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Settings(**settings)  # type: ignore[arg-type]


def test_photographs_want_a_folder() -> None:
    with pytest.raises(ConfigError, match="folder"):
        measure(Settings(kinds=(PHOTOGRAPHS,), method="wiener", count=1))
