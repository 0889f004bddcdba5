"""Rows as tables of pandas, and how a number becomes the text of a cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import TYPE_CHECKING

from acutance.errors import MissingExtra
from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import SUITES

if TYPE_CHECKING:
    from pandas import DataFrame

NAME, CASE = ["method", "weights"], ["picture", "kernel"]
"""Columns that name a method, and a case at one noise level."""

NOTHING = "–"
"""A cell without a value."""


def frame(rows: Iterable[Row]) -> DataFrame:
    """A table with a column for each field of `Row`; numbers that are not finite are missing.

    `weights` is "–" where there are none. Further columns: `title`; `at`, the noise level in words, a category in
    ascending order; `size`, cases of the whole set at that level.

    Raises:
        MissingExtra: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra("a table of measurements", "lab") from error
    rows = list(rows)
    sizes = {noise: set_size(rows, noise) for noise in noise_levels(rows)}
    names = [field.name for field in fields(Row)]
    found = pd.DataFrame([vars(row) for row in rows], columns=names)
    numbers = [f.name for f in fields(Row) if f.type in ("float", "float | None", "int | None")]
    found[numbers] = found[numbers].astype(float).replace([math.inf, -math.inf], math.nan)
    found["weights"] = [row.weights or NOTHING for row in rows]
    found["title"] = [row.title for row in rows]
    found["size"] = [sizes[row.noise] for row in rows]
    found["at"] = pd.Categorical([describe_noise(row.noise) for row in rows], [describe_noise(n) for n in sizes])
    return found


def pivot(rows: DataFrame, cell: Callable[[DataFrame], str], across: str = "at") -> list[list[str]]:
    """A line for each method: its name, its weights, and for each value of a category the text of the rows there."""
    cells = rows.groupby([*NAME, across], sort=False, observed=True).apply(cell)
    wide = cells.unstack(across, sort=False, fill_value=NOTHING)
    wide = wide.reindex(columns=rows[across].cat.categories, fill_value=NOTHING)
    return [[*name, *texts] for name, *texts in wide.itertuples()]


def noise_levels(rows: Iterable[Row]) -> list[Noise]:
    """Ascending, "as captured" first."""
    return sorted({row.noise for row in rows}, key=lambda n: -1.0 if n is None else n)


def set_size(rows: Iterable[Row], noise: Noise) -> int:
    """Cases of the whole set at a level: as its suite says; of an unknown suite all that there are rows of."""
    here = [row for row in rows if row.noise == noise]
    known = {SUITES[row.suite].size for row in here if row.suite in SUITES}
    return max((size for size in known if size is not None), default=len({(r.picture, r.kernel) for r in here}))


def of_set(cases: int, size: int) -> str:
    """The mark of a mean over a part of a set; nothing for one over the whole."""
    return f" ({cases} of {size} cases)" if 0 < cases < size else ""


def decimals(value: float, digits: int = 2) -> str:
    """A number, "–" where it is not finite."""
    return f"{value:.{digits}f}" if math.isfinite(value) else NOTHING


def signed(value: float | None) -> str:
    """With its sign, a true minus; "–" without a finite number."""
    text = decimals(math.nan if value is None else abs(value))
    return text if value is None or text in (NOTHING, "0.00") else f"{'+' if value > 0 else '−'}{text}"


def distinct(values: Iterable[str]) -> str:
    """Every value once, with commas."""
    return ", ".join(dict.fromkeys(values))
