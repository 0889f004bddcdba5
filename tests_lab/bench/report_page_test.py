"""A measured table in a page."""

from __future__ import annotations

import pytest

from acutance.errors import DataError
from acutance_lab.bench.report import CLOSING, OPENING, put_into
from acutance_lab.bench.rows import Row


def row(psnr: float) -> Row:
    return Row(
        suite="levin32", method="wiener", picture="1", kernel="1", noise=0.01, psnr=psnr, ssim=0.9, psnr_blurred=20.0,
        seconds=0.1, steps=1, outcome="CONVERGED", peak_mb=None, weights=None, revision="r", hardware="h", curve=None,
    )  # fmt: skip


def test_the_table_replaces_what_was_there() -> None:
    page = f"before\n{OPENING}\nold\n{CLOSING}\nafter\n"
    once = put_into(page, [row(29.5)])
    assert "29.50" in once
    assert "old" not in once
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert put_into(once, [row(29.5)]) == once


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(DataError, match="lines"):
        put_into("nothing here", [row(29.5)])
