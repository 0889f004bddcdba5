"""`acutance-lab bench equal`: price and PSNR of learned methods in one table, a plot, and a page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError
from acutance.methods.spec import find
from acutance.weights.store import embedded, write_weights
from acutance_lab.bench import equal
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.rows import Row
from acutance_lab.cli.app import app

ROW = Row(
    "set12", "csf", "01", "1", 0.01, 29.0, 0.8, 22.0, 0.1, 5, "CONVERGED", None, "csf-9-12345678", "abc1234", "cpu"
)
PRICE = equal.Price("csf", "csf-9-12345678", 20.0, 9255, 2.5, 0.75)


def test_minutes_are_those_of_the_card(tmp_path: Path) -> None:
    shipped = embedded("csf")
    assert equal.training_minutes(Contender.parse("csf")) == shipped.card["minutes"]
    file = tmp_path / "mine.safetensors"
    write_weights(file, shipped.tensors, {**shipped.card, "minutes": 60.5})
    assert equal.training_minutes(Contender.parse(f"csf:weights={file}")) == 60.5
    assert find("wiener").weights is None
    assert equal.training_minutes(Contender.parse("wiener")) is None


def test_every_level_counts_alike() -> None:
    rows = [ROW, replace(ROW, picture="02", psnr=31.0), replace(ROW, noise=0.03, psnr=26.0)]
    plain = [replace(row, method="wiener", weights=None, psnr=60.0) for row in rows]
    others = [replace(ROW, weights="csf-8-00000000", psnr=50.0), *plain, replace(plain[0], picture="03", psnr=0.0)]
    table = equal.price_table([PRICE, equal.Price("wiener", None, None, 0, 0.3, 0.05)], rows + others)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert lines[2] == ["csf (csf-9-12345678)", "20", "9,255", "2.5", "0.75", "28.00"]
    assert lines[3] == ["wiener", "–", "–", "0.3", "0.05", "60.00"]


def test_the_plot_wants_measured_methods() -> None:
    svg = equal.equal_plot([PRICE], [replace(ROW, psnr_published=29.5)])
    assert svg.lstrip().startswith(b"<?xml")
    assert b"published cut" in svg
    with pytest.raises(DataError, match="nothing to plot"):
        equal.equal_plot([PRICE], [replace(ROW, method="tnrd")])


def test_prices_are_measured_in_turn() -> None:
    wiener, levin = equal.prices([Contender.parse("wiener"), Contender.parse("levin")], rounds=1)
    assert (wiener.method, levin.method) == ("wiener", "levin")
    assert 0 < wiener.gmac < levin.gmac
    assert wiener.seconds > 0
    assert wiener.parameters == 0
    assert wiener.minutes is None


def test_tables_go_into_a_page(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equal, "SIDE", 96)
    page = tmp_path / "page.md"
    page.write_text("# Page\n<!-- bench equal -->\n<!-- /bench -->\nand\n<!-- bench set12 -->\n<!-- /bench -->\nend\n")
    options = ["--suites", "set12", "--noise", "1", "--limit", "1", "--data", str(data), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(
        app, ["bench", "equal", "--methods", "wiener,fd", *options, "--runs", "1", "--into", str(page)]
    )
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert text.startswith("# Page\n")
    assert text.endswith("end\n")
    assert text.count("| wiener |") == 2
    assert text.count("| fd |") == 2
    rows = [json.loads(line) for line in (tmp_path / "out" / "set12.jsonl").read_text().splitlines()]
    assert {row["method"] for row in rows} == {"wiener", "fd"}
    assert (tmp_path / "out" / "equal.svg").is_file()
    again = tmp_path / "again.md"
    again.write_text("<!-- bench equal -->\n<!-- /bench -->\n<!-- bench set12 -->\n<!-- /bench -->\n")
    done = CliRunner().invoke(app, ["bench", "report", str(tmp_path / "out"), "--into", str(again)])
    assert done.exit_code == 0, done.output
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert [line for line in again.read_text().splitlines() if line.startswith("|")] == tables


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--methods", "fd,fd"], "name every method once"),
        (["--suites", "lai,moon"], "--suites lai,moon"),
        (["--into", "no-such-page.md"], "cannot be read"),
    ],
)
def test_wrong_options_are_told_first(options: list[str], words: str, data: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "equal", "--data", str(data), "--out", str(tmp_path / "out"), *options])
    assert isinstance(done.exception, ConfigError | DataError)
    assert words in str(done.exception)
    assert not (tmp_path / "out").exists()
