"""`acutance methods`."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.methods.spec import catalogue


def test_the_list_says_what_each_method_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acutance.cli.methods.embedded_names", lambda: ["acute"])
    result = CliRunner().invoke(app, ["methods"], terminal_width=300)
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    for name in catalogue():
        assert name in text
    assert "none are shipped" in text.split("rgdn", 1)[1].split("richardson", 1)[0]
    assert "none are shipped" not in text.split("acute", 1)[1].split("blind", 1)[0]


def test_the_summaries_stand_in_one_column() -> None:
    result = CliRunner().invoke(app, ["methods"], env={"COLUMNS": "300"}, terminal_width=300)
    lines = {line.split()[0].rstrip(","): line for line in result.output.splitlines()}
    assert len({lines[name].index(spec.summary) for name, spec in catalogue().items()}) == 1
