"""Catastrophic forgetting, in the smallest: what is trained when, what is measured, and that it can be run again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError
from acutance_lab.cli.app import app
from acutance_lab.experiments import forgetting, short_training
from acutance_lab.experiments.forgetting import CLAIMS, DEBLUR, KEEP, RUNS, Forgetting, report, run


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            (short_training, "SIDE", 24), (short_training, "POOL", 12), (forgetting, "SIDE", 24),
            (forgetting, "JUDGED", 2), (forgetting, "POINTS", 2),
        ):  # fmt: skip
            patch.setattr(module, name, value)
        yield


@pytest.fixture(scope="module")
def found(photographs: Path) -> Forgetting:
    return run(photographs, seed=1, iterations=6, features=3)


def test_the_runs_are_those_of_the_paper() -> None:
    assert list(RUNS.values()) == [
        ((DEBLUR,), (KEEP,)),
        ((DEBLUR,), (DEBLUR,)),
        ((KEEP,), (DEBLUR,)),
        ((KEEP, DEBLUR), (KEEP, DEBLUR)),
    ]
    assert CLAIMS.keys() == RUNS.keys()


def test_all_begin_alike_and_part_where_the_tasks_do(found: Forgetting) -> None:
    assert len({found.after(name, 0) for name in RUNS}) == 1
    first = {name: found.after(name, 1) for name in RUNS}
    assert first["task 2, then task 1"] == first["task 2 alone"]
    assert len(set(first.values())) == 3
    assert len({found.after(name, 2) for name in RUNS}) == 4
    assert all([p.iteration for p in points] == [0, 3, 6, 9, 12] for points in found.curves.values())
    assert found.photographs == (3, 1)


def test_keeping_is_learned(found: Forgetting) -> None:
    for name in ("task 1, then task 2", "both at once"):
        assert found.after(name, 1).kept > found.after(name, 0).kept


def test_a_seed_gives_the_same_again(photographs: Path, found: Forgetting) -> None:
    again = run(photographs, seed=1, iterations=6, features=3)
    assert (again.curves, again.data, again.blurred) == (found.curves, found.data, found.blurred)
    other = run(photographs, seed=2, iterations=1, features=3)
    assert other.blurred == found.blurred, "judged by the same pictures"
    assert other.after("task 2 alone", 0) != found.after("task 2 alone", 0)


def test_what_cannot_be_run_is_refused(photographs: Path, tmp_path: Path) -> None:
    for wrong in ({"iterations": 0}, {"features": 0}, {"seed": -1}):
        with pytest.raises(ConfigError, match="at least 1"):
            run(photographs, **wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError):
        run(tmp_path / "nothing")


def test_the_table_says_what_was_lost(found: Forgetting) -> None:
    table = report(found).text
    assert "| task 2 alone | start | " in table
    assert "| 12 iterations, task 1 and 2 |" in table
    assert "Forgotten: learning task 2 took task 1 from " in table
    assert "3 features (the paper's F has 32)" in table
    assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) == 1


def test_the_command(photographs: Path, tmp_path: Path) -> None:
    options = ["--data", str(photographs), "--iterations", "2", "--features", "2", "--out", str(tmp_path / "new")]
    result = CliRunner().invoke(app, ["experiment", "forgetting", *options])
    assert result.exit_code == 0, result.output
    values = json.loads((tmp_path / "new" / "forgetting.json").read_text(encoding="utf-8"))
    assert list(values["outcome"]["curves"]) == list(RUNS)
    assert values["blur"]["still"] == 0
    with Image.open(tmp_path / "new" / "forgetting.png") as plot:
        assert plot.format == "PNG"
