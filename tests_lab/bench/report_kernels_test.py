"""Success of estimated kernels, from rows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from acutance.errors import DataError
from acutance_lab.bench.report import put_into, table
from acutance_lab.bench.report_kernels import kernels_found, table_of_kernels
from acutance_lab.bench.rows import Row

TRUE = Row("levin32", "fd", "1", "1", None, 33.0, 0.8, 20.0, 1.0, 1, "COMPLETED", 300.0, None, "abc1234", "cpu, 2")
OWN = replace(TRUE, method="blind:method=fd", psnr=31.0, seconds=4.0, kernel_similarity=0.9)
THEIRS = replace(TRUE, suite="levin32_kernels", kernel="someone_2011/1", psnr=28.0)


def test_error_ratios_and_success() -> None:
    worse = replace(OWN, picture="2", psnr=29.0, kernel_similarity=0.5)
    rows = [TRUE, replace(TRUE, picture="2", psnr=33.0), OWN, worse, replace(TRUE, method="acute", psnr=35.0)]
    [found] = kernels_found(rows).itertuples()
    assert (found.origin, found.finish, found.suite) == ("blind:method=fd", "fd", "levin32")
    assert (found.ratio, found.cases) == (pytest.approx((10**0.2 + 10**0.4) / 2), 2)
    assert (found.below_2, found.below_3) == (0.5, 1.0)
    assert found.similarity == pytest.approx(0.7)
    assert (found.psnr, found.psnr_true, found.seconds) == pytest.approx((30.0, 33.0, 4.0))


def test_the_finish_is_acute_unless_said() -> None:
    rows = [TRUE, replace(TRUE, method="acute", psnr=34.0), replace(OWN, method="blind", psnr=32.0)]
    [found] = kernels_found(rows).itertuples()
    assert found.finish == "acute"
    assert found.ratio == pytest.approx(10**0.2)


def test_kernels_of_others_are_judged_by_the_same_finish() -> None:
    [found] = kernels_found([TRUE, THEIRS, replace(THEIRS, method="wiener")]).itertuples()
    assert (found.origin, found.finish) == ("someone_2011", "fd")
    assert math.isnan(found.seconds)
    assert math.isnan(found.similarity)
    assert found.ratio == pytest.approx(10**0.5)


def test_without_the_true_kernel_or_a_finite_picture_nothing_is_said() -> None:
    assert kernels_found([OWN, THEIRS]).empty
    assert kernels_found([TRUE, replace(OWN, psnr=float("nan"))]).empty
    assert table_of_kernels([TRUE])[1] == []
    assert "Estimated kernels" not in table([TRUE])


def test_the_report_has_the_table() -> None:
    text = table([TRUE, OWN, THEIRS])
    assert "## Estimated kernels" in text
    line = next(line for line in text.splitlines() if line.startswith("| levin32 | blind:method=fd | fd |"))
    assert "| 31.00 | 33.00 | 100 % | 100 % | 1.58 | 0.90 | 4.00 | 1 |" in line
    assert "| levin32_kernels | someone_2011 | fd | as captured | 28.00 | 33.00 | 0 % | 0 % | 3.16 |" in text


def test_a_page_gets_the_short_table() -> None:
    other = replace(TRUE, method="wiener", psnr=29.0)
    page = "<!-- bench kernels -->\n<!-- /bench -->"
    filled = put_into(page, [TRUE, OWN, THEIRS, other, replace(THEIRS, method="wiener", psnr=25.0)])
    assert "| blind:method=fd | fd | 31.00 | 100 % | 100 % | 0.90 | 4.00 |" in filled
    assert "| someone_2011 | fd | 28.00 | 0 % | 0 % | – | – |" in filled, "with the finish that does best"
    assert "wiener" not in filled
    with pytest.raises(DataError, match="kernels"):
        put_into(page, [TRUE])


def test_other_tables_are_of_methods_that_are_told_the_kernel() -> None:
    page = "<!-- bench levin32 -->\n<!-- /bench -->"
    assert "blind" not in put_into(page, [TRUE, OWN])
    assert "blind" in put_into(page, [OWN])
