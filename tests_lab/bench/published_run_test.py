"""One command for every suite with published figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from acutance.errors import ConfigError
from acutance_lab.bench.published import published_levels, published_suites
from acutance_lab.bench.rows import read_rows
from acutance_lab.cli.app import app


def test_suites_and_levels_are_those_of_the_figures() -> None:
    assert published_suites() == ("levin32", "set12")
    assert published_levels("levin32") == (None, 0.01, 0.02, 0.03, 0.04, 0.05)
    assert published_levels("set12") == (0.01, 0.02, 0.03, 0.04, 0.05)


def test_another_suite_is_refused(data: Path, tmp_path: Path) -> None:
    words = ["bench", "published", f"--data={data}", f"--out={tmp_path}", "--suites=levin32,kodak24"]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, ConfigError)
    assert "kodak24" in str(refused.exception)


def test_the_command_measures_goes_on_and_fills_a_page(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acutance_lab.cli.benching.published_levels", lambda _: (0.01,))
    readme = tmp_path / "README.md"
    readme.write_text(
        "<!-- bench levin32 -->\nas it was\n<!-- /bench -->\n<!-- bench levin32 cut -->\n<!-- /bench -->\n"
    )
    words = [
        "bench", "published", f"--data={data}", f"--out={tmp_path / 'out'}", "--suites=levin32", "--methods=wiener",
        "--parts=wiener:strength=2", "--limit=1", f"--into={readme}", "--device=cpu",
    ]  # fmt: skip
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    rows = read_rows(tmp_path / "out" / "levin32.jsonl")
    assert len(rows) == 32 + 1
    assert "| wiener | – | published cut |" in result.output
    assert "VEM, published" in result.output
    assert "(1 of 32 cases)" in result.output
    page = readme.read_text()
    assert "as it was" in page
    assert page.count("VEM, published") == 1
    assert CliRunner().invoke(app, words).exit_code == 0
    assert read_rows(tmp_path / "out" / "levin32.jsonl") == rows
    assert readme.read_text() == page
