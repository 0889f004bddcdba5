"""What stands beside what in a report: equal cuts, whole sets."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from acutance.errors import DataError
from acutance_lab.bench.cuts import HOW_CUTS, Cut
from acutance_lab.bench.published import PUBLISHED, compared
from acutance_lab.bench.ranking import in_cut, ranking
from acutance_lab.bench.report import put_into, report, table
from acutance_lab.bench.report_page import page
from acutance_lab.bench.report_tables import cuts_table, published_cut_table
from acutance_lab.bench.rows import Row
from acutance_lab.bench.tables import of_set, set_size
from acutance_lab.records import append_records

BASE = Row(
    "levin32", "wiener", "1", "1", 0.01, 30.0, 0.8, 20.0, 1.0, 1, "CONVERGED", 300.0, None, "abc1234", "cpu, 2",
    psnr_whole=30.0, psnr_margin=31.0, psnr_published=32.0,
)  # fmt: skip
VEM = next(p for p in PUBLISHED if (p.suite, p.method) == ("levin32", "VEM"))


def rows(method: str, better: float = 0.0, *, cases: int = 32, noise: float | None = 0.01) -> list[Row]:
    """Cases of a method; as captured the usual score is that without 25 pixels."""
    usual = 31.0 if noise is None else 30.0
    return [
        replace(
            BASE, method=method, kernel=str(k), noise=noise, psnr=usual + better, psnr_whole=30.0 + better,
            psnr_margin=31.0 + better, psnr_published=32.0 + better,
        )
        for k in range(cases)
    ]  # fmt: skip


def lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_three_scores_in_the_table() -> None:
    text = table([*rows("wiener"), *rows("wiener", noise=None), *rows("acute", 1.0, cases=3)])
    assert "| wiener | – | whole picture | 30.00 | 30.00 |" in text
    assert "| wiener | – | without 25 pixels | 31.00 | 31.00 |" in text
    assert "| wiener | – | published cut | 32.00 | 32.00 |" in text
    assert "| acute | – | published cut | – | 33.00 (3 of 32 cases) |" in text
    assert HOW_CUTS in text


def test_old_rows_are_known_in_their_own_cut_only() -> None:
    old = [
        replace(row, psnr_whole=None, psnr_margin=None, psnr_published=None)
        for row in (*rows("wiener"), *rows("wiener", noise=None))
    ]
    assert {cut: {row.noise for row in in_cut(old, cut)} for cut in Cut} == {
        Cut.WHOLE: {0.01}, Cut.MARGIN: {None}, Cut.PUBLISHED: set(),
    }  # fmt: skip
    assert cuts_table(old).lines == []
    assert published_cut_table("levin32", old).lines == []
    assert "Three cuts" not in table(old)
    mixed = cuts_table([*old, *rows("acute")])
    assert [(line[0], line[2]) for line in mixed.lines][:2] == [
        ("wiener", "whole picture"), ("wiener", "without 25 pixels"),
    ]  # fmt: skip
    with pytest.raises(DataError, match="no row of levin32 has a published cut"):
        put_into("<!-- bench levin32 cut --><!-- /bench -->", old)


def test_a_method_that_finds_the_kernel_is_whole_only_where_that_was_recorded() -> None:
    """Its usual score is aligned and cropped where others' are not."""
    blind = replace(BASE, method="blind", psnr=29.0, psnr_whole=27.0)
    assert [row.psnr for row in in_cut([blind], Cut.WHOLE)] == [27.0]
    assert in_cut([replace(blind, psnr_whole=None)], Cut.WHOLE) == []


@pytest.mark.parametrize("by", [-0.5, 0.5])
def test_ours_and_the_published_in_one_cut(by: float) -> None:
    """The best of a level is in bold, whoever it is; VEM has 34.31."""
    ours = rows("acute", 34.31 - 32.0 + by)
    text = published_cut_table("levin32", ours).markdown()
    (vem,) = lines(text, f"| VEM, published [{VEM.source}]")
    (line,) = lines(text, "| acute")
    assert ("**" in line, "**" in vem) == (by > 0, by < 0)
    assert f"{34.31 + by:.2f}" in line
    assert "IRCNN" not in text, "the source does not say its cut"
    assert "as captured" not in published_cut_table("levin32", [*ours, *rows("acute", noise=None)]).markdown()


def test_a_part_is_marked_and_is_never_the_best() -> None:
    found = [*rows("wiener"), *rows("lucky", 9.0, cases=4)]
    text = table(found)
    assert "39.00 / 0.800 (4 of 32 cases)" in text
    assert "41.00 (4 of 32 cases)" in text
    assert "**39.00" not in text
    assert "**41.00" not in text
    assert [(s.name[0], s.rank, s.best, s.part) for s in ranking(found, 0.01).standings] == [
        ("wiener", 1, True, False), ("lucky", None, False, True),
    ]  # fmt: skip
    short = put_into("<!-- bench levin32 --><!-- /bench -->", found)
    assert "| **30.00 / 0.800** |" in short
    assert "| 39.00 / 0.800 (4 of 32 cases) |" in short


def test_where_everything_is_a_part_nothing_is_in_bold() -> None:
    found = [*rows("wiener", cases=4), *rows("acute", 1.0, cases=4)]
    place = ranking(found, 0.01)
    assert (place.cases, place.size, place.part) == (4, 32, True)
    assert [s.rank for s in place.standings] == [1, 2], "they were measured on the same cases"
    assert "**" not in put_into("<!-- bench levin32 --><!-- /bench -->", found)
    assert "| *blurred input* | 20.00 (4 of 32 cases) |" in put_into("<!-- bench --><!-- /bench -->", found)
    bold = published_cut_table("levin32", found).markdown()
    assert "**34.31**" in bold
    assert "**33.00" not in bold


def test_only_equal_cuts_have_a_difference() -> None:
    found = compared("levin32", [row for method in ("epll", "pnp", "levin") for row in rows(method)])
    assert {(c.published.cut, c.cut, c.measured) for c in found} == {
        (None, Cut.WHOLE, 30.0), (Cut.PUBLISHED, Cut.PUBLISHED, 32.0),
    }  # fmt: skip
    for c in found:
        assert (c.difference is None) == (c.published.cut is None)
    text = table(rows("pnp"))
    assert f"| pnp | 1 % | published cut | 32.00 | DMSP 32.61 [{VEM.source}] | −0.61 |" in text
    old = [replace(row, psnr_published=None) for row in rows("pnp")]
    assert {(c.published.cut, c.difference) for c in compared("levin32", old)} == {(None, None)}


def test_sizes_of_sets() -> None:
    assert (set_size([BASE], 0.01), set_size([BASE], None)) == (32, 0)
    stranger = replace(BASE, suite="somebody's")
    assert set_size([stranger, replace(stranger, kernel="2")], 0.01) == 2
    assert [of_set(*pair) for pair in ((0, 32), (3, 32), (32, 32))] == ["", " (3 of 32 cases)", ""]


def test_a_page_of_text_gets_the_table_of_the_cut_alone() -> None:
    text = "<!-- bench set12 -->\nold\n<!-- /bench -->\n<!-- bench levin32 cut -->\n<!-- /bench -->\n"
    once = put_into(text, rows("acute"), cuts_only=True)
    assert "old" in once
    assert "| acute | 32.00 |" in once
    assert "VEM, published" in once
    assert put_into(once, rows("acute"), cuts_only=True) == once
    with pytest.raises(DataError, match="set12"):
        put_into(text, rows("acute"))
    with pytest.raises(DataError, match="lines"):
        put_into("nothing here", rows("acute"))


def test_the_page(tmp_path: Path) -> None:
    found = [row for noise in (None, 0.01, 0.02) for m in ("wiener", "acute") for row in rows(m, noise=noise)]
    append_records(tmp_path / "levin32.jsonl", [*found, *rows("lucky", 9.0, cases=4)])
    text = page(tmp_path)
    for words in (
        "Three cuts", "Measured and published in the same cut", "VEM, published", "32 cases, without 25 pixels",
        "32 cases, whole picture", "41.00 (4 of 32 cases)", "4 of 32</td>",
    ):  # fmt: skip
        assert words in text
    assert "<strong>41.00" not in text
    assert "<strong>34.31</strong>" in text
    assert text.count('alt="Measured and published in the same cut"') == 1
    assert "<strong>wiener</strong>" in text or "<strong>acute</strong>" in text
    assert "lucky at" not in text, "a part leads nothing"
    assert "nan" not in report(tmp_path).replace(VEM.source, "")


def test_a_page_of_parts_says_so(tmp_path: Path) -> None:
    found = [row for noise in (0.01, 0.02) for m in ("wiener", "acute") for row in rows(m, noise=noise, cases=3)]
    append_records(tmp_path / "levin32.jsonl", found)
    text = page(tmp_path)
    assert "Means over a part of the set" in text
    assert 'alt="Measured and published in the same cut"' not in text, "no plot of a part beside whole sets"
    assert "<strong>acute" not in text


def test_pictures_that_failed_make_a_part() -> None:
    found = rows("wiener")
    found[3] = replace(found[3], psnr=math.nan, psnr_whole=None, psnr_margin=None, psnr_published=None)
    text = table(found)
    assert "30.00 / 0.800 (31 of 32 cases) (1 failed)" in text
    assert "| wiener | – | published cut | 32.00 (31 of 32 cases) |" in text
