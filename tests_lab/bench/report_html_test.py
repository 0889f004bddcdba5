"""The page of what was measured."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from acutance.errors import DataError
from acutance_lab.bench.cuts import Cut
from acutance_lab.bench.gallery import CROP, detail, png_uri
from acutance_lab.bench.published import COUNTERPARTS, PUBLISHED, compared, comparisons, difference, told_here
from acutance_lab.bench.ranking import display_names, ranking
from acutance_lab.bench.report import put_into, read_suites, report
from acutance_lab.bench.report_page import page, write_page
from acutance_lab.bench.report_plots import Line, front, lines_plot, look, short, times_plot
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import SUITES
from acutance_lab.cli.app import app
from acutance_lab.records import append_records

HOSTILE = "<img src=x onerror=alert(1)>\"'&$x_{$<!--|\u202e"
BASE = Row("levin32", "wiener", "1", "1", 0.01, 30.0, 0.8, 20.0, 1.0, 1, "CONVERGED", 300.0, None, "abc1234", "cpu, 2")
TIMING = replace(
    BASE, suite="times", picture="leaves", kernel="9", width=64, height=64, channels=1, rounds=(0.1, 0.3, 0.2),
    seconds=0.2, begun="2025-01-01T00:00:00+00:00",
)  # fmt: skip


class Elements(HTMLParser):
    """Names, attributes and ends, and whether they fit together."""

    VOID = ("meta", "img", "br", "wbr", "link", "input")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def elements(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser.found


def rows(*methods: str, kernels: int = 2) -> list[Row]:
    return [
        replace(
            BASE, method=m, kernel=str(k), noise=n, psnr=30.0 - i - 100 * (n or 0) + k, seconds=0.1 * (i + 1),
            curve=(28.0, 29.0 + i),
        )
        for n in (None, 0.01, 0.02)
        for i, m in enumerate(methods)
        for k in range(kernels)
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rows of two suites, times, and pictures of one case."""
    append_records(tmp_path / "levin32.jsonl", rows("wiener", "rgdn:steps=5", HOSTILE))
    append_records(tmp_path / "set12.jsonl", [replace(r, suite="set12") for r in rows("wiener", "rgdn") if r.noise])
    slow = replace(TIMING, method="rgdn:steps=5", rounds=(1.0, 1.5, 1.2), seconds=1.2)
    append_records(tmp_path / "times.jsonl", [TIMING, slow])
    place = tmp_path / "pictures" / "levin32" / "1" / "1-0"
    place.mkdir(parents=True)
    g = np.random.default_rng(0)
    for name in ("blurred", "wiener", "rgdn_steps=5", re.sub(r"[^A-Za-z0-9._=,-]", "_", HOSTILE), "truth", "stranger"):
        Image.fromarray(g.integers(0, 255, (200, 210), dtype=np.uint8)).save(place / f"{name}.png")
    (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    return tmp_path


def test_the_page_is_whole_and_needs_nothing_else(folder: Path) -> None:
    text = page(folder)
    found = elements(text)
    assert {tag for tag, _ in found} >= {"table", "details", "img"}
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in found}
    for _, attributes in found:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value is not None
                assert value.startswith(("data:image/png;base64,", "data:image/svg+xml;base64,", "#"))
            assert "http" not in (value or "")
    assert "url(" not in re.sub(r"url\(#[\w.-]+\)", "", text)
    assert "http:" not in text
    assert "https:" not in text


def test_what_comes_from_outside_is_escaped(folder: Path) -> None:
    text = page(folder)
    assert "<img src=x" not in text
    assert "\u202e" not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;") > 5
    assert "cannot be read" in text
    assert [a["src"] for t, a in elements(text) if t == "img" and not str(a["src"]).startswith("data:")] == []


def test_the_same_rows_make_the_same_page(folder: Path) -> None:
    assert page(folder) == page(folder)


def test_crops_show_the_same_place(folder: Path) -> None:
    images = [a for t, a in elements(page(folder)) if t == "img" and "svg" not in str(a["src"])]
    assert [a["alt"] for a in images][:2] == ["blurred", "wiener"]
    assert [a["alt"] for a in images][-2:] == ["stranger", "truth"]
    content = base64.b64decode(str(images[-1]["src"]).partition(",")[2])
    shown = np.asarray(Image.open(io.BytesIO(content)))
    whole = np.asarray(Image.open(folder / "pictures" / "levin32" / "1" / "1-0" / "truth.png"))
    assert shown.shape == (CROP, CROP)
    assert any(np.array_equal(shown, whole[t : t + CROP, u : u + CROP]) for t in range(41) for u in range(51))


def test_the_crop_is_where_the_detail_is() -> None:
    truth = torch.zeros(1, 1, 400, 500)
    truth[..., 220:380:2, 30:180] = 1
    top, left = detail(truth)
    assert abs(top - 220) <= 8
    assert abs(left - 25) <= 8
    assert detail(torch.zeros(1, 3, 50, 60)) == (0, 0)
    assert png_uri(torch.rand(1, 3, 4, 5)).startswith("data:image/png;base64,")


def test_the_page_says_what_to_beware_of(tmp_path: Path) -> None:
    append_records(
        tmp_path / "levin32.jsonl",
        [
            replace(BASE, revision="abc-dirty"),
            replace(BASE, kernel="2", hardware="gpu"),
            replace(BASE, method="fd", outcome="DIVERGED"),
            replace(BASE, method="fd", kernel="2", psnr=float("nan")),
        ],
    )
    text = page(tmp_path)
    for words in ("2 revisions", "-dirty", "different machines", "diverged", "no finite picture", "2 of the 32 cases"):
        assert words in text
    assert "†" in text


def test_only_the_same_cases_are_ranked_against_each_other() -> None:
    found = [
        replace(BASE, psnr=30.0),
        replace(BASE, kernel="2", psnr=20.0),
        replace(BASE, method="lucky", psnr=29.0),
        replace(BASE, method="worse", psnr=28.0),
        replace(BASE, method="worse", kernel="2", psnr=18.0),
    ]
    place = ranking(found, 0.01)
    assert [(s.name[0], s.rank) for s in place.standings] == [("wiener", 1), ("worse", 2), ("lucky", None)]
    lucky = place.standings[-1]
    assert lucky.psnr == 29.0
    assert lucky.gap == pytest.approx(-1.0)  # on the case that both have
    assert place.whole
    apart = ranking([replace(BASE), replace(BASE, method="other", kernel="2")], 0.01)
    assert not apart.whole
    assert [s.rank for s in apart.standings] == [None, None]
    shared = ranking([*found[:1], found[2], replace(found[2], kernel="2"), replace(BASE, kernel="3")], 0.01)
    assert (shared.whole, shared.cases) == (False, 1)
    assert [s.name[0] for s in shared.standings] == ["wiener", "lucky"]


def test_published_figures_stand_beside_the_same_method() -> None:
    rows = [
        replace(BASE, method=m, kernel=str(k), psnr_published=31.0)
        for m in ("epll", "pnp", "wiener", "rgdn:steps=50")
        for k in range(32)
    ]
    found = compared("levin32", rows)
    assert {(c.method, c.published.method, c.same) for c in found} == {
        ("epll", "EPLL", True),
        ("rgdn:steps=50", "RGDN", True),
        ("pnp", "IDD-BM3D", False),
        ("pnp", "DMSP", False),
        ("pnp", "IRCNN", False),
    }
    rgdn = next(c for c in found if c.method == "rgdn:steps=50")
    assert (rgdn.figure, rgdn.measured, rgdn.cut) == ("33.68", 30.0, Cut.WHOLE)
    assert difference(rgdn) == "–", "nobody says in which cut that figure is"
    assert "settings of ours" in rgdn.differences
    assert "cut there not stated, so no difference; ours: whole picture" in rgdn.differences
    family = next(c for c in found if c.published.method == "DMSP")
    assert (family.figure, family.measured, family.cut) == ("32.61", 31.0, Cut.PUBLISHED)
    assert family.difference == pytest.approx(-1.61)
    assert difference(family) == "−1.61"
    part = compared("levin32", rows[:-1] + rows[32:33])
    assert {(c.method, c.cases): difference(c) for c in part if c.published.method == "DMSP"} == {("pnp", 32): "−1.61"}
    part = compared("levin32", rows[32:36])
    assert {difference(c) for c in part} == {"–"}
    assert all("4 of 32 cases here, so no difference" in c.differences for c in part)


def test_illegible_figures() -> None:
    means = {("rgdn", None, 0.02, Cut.WHOLE): (29.0, 32), ("ircnn", None, 0.01, Cut.WHOLE): (30.0, 32)}
    rows = [replace(p, cut=Cut.WHOLE) for p in PUBLISHED if p.suite == "levin32"]
    found = {(c.method, c.figure): difference(c) for c in comparisons("levin32", means, published=rows)}
    assert found == {("rgdn", "30.1?"): "≈ −1.2", ("ircnn", "3?.?"): "–", ("ircnn", "32.66"): "−2.66"}
    unknown = comparisons("levin32", means)
    assert {(c.method, c.figure): difference(c) for c in unknown} == dict.fromkeys(found, "–")


def test_estimated_kernels_compare_by_who_estimated_them() -> None:
    suite = "levin32_kernels"
    found = [
        replace(BASE, suite=suite, method="levin", noise=None, kernel=f"{who}/1", psnr=value)
        for who, value in (("levin_cvpr_2011", 30.0), ("fergus_tog_2006", 29.0), ("pan_cvpr_2016", 31.0))
    ]
    assert [(c.figure, c.measured) for c in compared(suite, found)] == [("30.05", 30.0), ("28.38", 29.0)]


def test_what_was_told_here_and_there() -> None:
    assert told_here("wiener:strength=2") is True
    assert told_here("wiener:sigma=estimated") is False
    assert told_here("rgdn:steps=5") is False
    assert told_here("skimage-something") is None
    assert {p.suite for p in PUBLISHED} <= set(SUITES)
    assert set(COUNTERPARTS) <= {p.method for p in PUBLISHED}


def test_a_page_of_text_gets_the_tables_of_several_suites(folder: Path) -> None:
    everything = [row for found in read_suites(folder).values() for row in found if row.method != HOSTILE]
    text = "a\n<!-- bench levin32 -->\nold\n<!-- /bench -->\nb\n<!-- bench set12 -->\n<!-- /bench -->\nc\n"
    once = put_into(text, everything)
    assert "old" not in once
    assert once.count("| method |") == 2
    assert "| **wiener** |" not in once
    assert put_into(once, everything) == once
    assert re.findall(r"^(a|b|c)$", once, re.MULTILINE) == ["a", "b", "c"]
    with pytest.raises(DataError, match="kodak24"):
        put_into("<!-- bench kodak24 --><!-- /bench -->", everything)


def test_times_are_no_suite(folder: Path) -> None:
    assert list(read_suites(folder)) == ["levin32", "set12"]
    assert "## set12" in report(folder)


def test_curves_change_nothing_in_a_report(folder: Path) -> None:
    before, tables = page(folder), report(folder)
    append_records(folder / "curves.jsonl", [replace(BASE, suite="set12", varied="noise", value=2.0)])
    result = CliRunner().invoke(app, ["bench", "report", str(folder)])
    assert result.exit_code == 0, result.output
    assert (page(folder), report(folder)) == (before, tables)


def test_the_command(folder: Path) -> None:
    target = folder / "page.html"
    readme = folder / "README.md"
    readme.write_text("<!-- bench set12 -->\n<!-- /bench -->\n")
    result = CliRunner().invoke(app, ["bench", "report", str(folder), "--html", str(target), "--into", str(readme)])
    assert result.exit_code == 0, result.output
    assert target.read_text().startswith("<!doctype html>")
    assert "| rgdn |" in readme.read_text()
    assert write_page(folder) == folder / "report.html"


def test_names_say_the_weights_only_where_they_must() -> None:
    names = display_names([("a", None), ("b", "w-1"), ("b", "w-2")])
    assert list(names.values()) == ["a", "b (w-1)", "b (w-2)"]


def test_the_front_is_what_nothing_beats() -> None:
    assert front([(3, 3.0), (1, 1.0), (2, 0.5), (2, 2.0), (4, 3.0)]) == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_many_methods_are_told_apart() -> None:
    assert len({repr(look(i)) for i in range(30)}) == 30
    lines = [Line(f"method-{i}", look(i), {-1: 31.0, 1: 30.0 - i / 10, 2: 28.0}) for i in range(20)]
    svg = lines_plot(lines, axis="noise", what="dB", ticks={-1: "captured", 1: "1", 2: "2"}).decode()
    assert svg.count("<!-- method-") == 20
    points = [(f"method-{i}", look(i), 0.1, 30.0) for i in range(3)]
    assert "method-2" in times_plot(points, axis="seconds", what="dB").decode()
    assert short("x" * 50 + "\u202e") == "x" * 39 + "…"
    assert short("a\u202eb") == "a�b"


def test_border_and_sharpness_where_there_are_any(tmp_path: Path) -> None:
    nan = float("nan")
    blind = replace(
        BASE, suite="kohler", noise=None, psnr=nan, ssim=nan, psnr_blurred=nan, sparsity=0.21, sparsity_blurred=0.34
    )
    append_records(tmp_path / "kohler.jsonl", [blind, replace(blind, kernel="2")])
    append_records(tmp_path / "set12.jsonl", [replace(BASE, suite="set12", psnr_border=27.0, psnr_interior=31.5)])
    text = page(tmp_path)
    assert "27.00 / 31.50 (−4.50)" in text
    assert "0.340" in text
    assert "0.210" in text
    assert text.count(">Ranking") == 1
    assert "2 of 2" in text
    assert "0.210" in report(tmp_path)


def test_suites_with_classes_say_them(tmp_path: Path) -> None:
    rows = [
        replace(BASE, suite="lai", picture=f"{name}_01", psnr=20.5 + i) for i, name in enumerate(("people", "text"))
    ]
    append_records(tmp_path / "lai.jsonl", rows)
    text = page(tmp_path)
    assert "By class of picture" in text
    assert "<th>people</th>" in text
    assert "21.50" in text
