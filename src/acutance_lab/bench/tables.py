"""Tables of measured rows in Markdown, made by pandas: of suites that vary one thing, of time, memory, arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

from acutance.errors import ConfigError, MissingExtra
from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.curves import STEPS
from acutance_lab.bench.machine import instructions
from acutance_lab.bench.rows import Row
from acutance_lab.bench.score import OUTER
from acutance_lab.bench.suites import SUITES
from acutance_lab.bench.window import MARGIN

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


BLURRED = "(blurred picture)"
"""What stands in the place of a method where nothing was restored."""

T = TypeVar("T")

Cells = tuple[list[str], list[list[str]]]
"""Head and lines of a table."""


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

    return "\n".join([line(head), line(["---"] * len(head)), *map(line, lines)])


def listed(items: Iterable[T], columns: Mapping[str, Callable[[T], str]]) -> Cells:
    """A line for each item; columns: head -> text of a cell."""
    return list(columns), [[text(each) for text in columns.values()] for each in items]


def border_table(rows: Sequence[Row]) -> str:
    """Rows of `acutance_lab.bench.window`: for each method and level what the unknown border costs."""
    groups = frame(rows).groupby(["title", "at", "value"], sort=False, observed=True)
    means = groups[["psnr_border", "psnr_interior"]].mean().unstack("value", sort=False)
    counts = groups.size().unstack("value", sort=False)[0.0]
    lines = []
    for name, m in means.iterrows():
        alone, within = m["psnr_border", 0.0], m["psnr_border", MARGIN]
        values = (alone, within, within - alone, m["psnr_interior", 0.0])
        lines.append([*name, *(f"{v:.2f}" for v in values), f"{counts[name]:.0f}"])
    head = ["method", "noise", "border, alone", "border, within", "cost", "inside, alone", "cases"]
    return (
        f"{markdown(head, lines)}\n\nPSNR in dB of the outer {OUTER} pixels of a window, {MARGIN} pixels from the edge "
        "of the picture: restored alone, and as a part of the whole picture. Their difference is what the unknown "
        "border costs."
    )


def curve_means(rows: Sequence[Row]) -> Mapping[str, Mapping[float, float]]:
    """Mean PSNR in dB over the pictures, by name and value, of the rows of one curve; the last are `BLURRED`.

    A row without a value has one for each step; where a run ended early it keeps its last.
    """
    found = frame(rows)
    steps = [
        (*(r.curve or ()), *[r.psnr] * (STEPS - len(r.curve or ()))) if r.value is None else (r.psnr,) for r in rows
    ]
    found["value"] = [range(1, len(s) + 1) if r.value is None else [r.value] for r, s in zip(rows, steps, strict=True)]
    found = found.assign(psnr=steps).explode(["psnr", "value"]).astype({"psnr": float, "value": float})
    blurred = found.drop_duplicates(["value", "picture"], keep="last").groupby("value", sort=False).psnr_blurred.mean()
    by_name = found.groupby(["title", "value"], sort=False).psnr.mean()
    return {name: dict(by_name[name]) for name in found.title.unique()} | {BLURRED: dict(blurred.sort_index())}


def curve_table(rows: Sequence[Row]) -> str:
    """A row for each method and a column for each value, for the rows of one curve; what was measured below."""
    means = curve_means(rows)
    values = sorted(means[BLURRED])
    lines = [[name, *(f"{psnr[v]:.2f}" if v in psnr else "" for v in values)] for name, psnr in means.items()]
    widths = sorted({r.width for r in rows if r.width is not None})
    suites = ", ".join(dict.fromkeys(r.suite for r in rows))
    sides = " to ".join(map(str, dict.fromkeys((widths[0], widths[-1]))))
    return (
        f"{markdown(['method', *(f'{v:g}' for v in values)], lines)}\n\nMean PSNR in dB, pictures: "
        f"{len({(r.suite, r.picture) for r in rows})} of {suites}, {sides} pixels square."
    )


def level_table(rows: Sequence[Row]) -> str:
    """A row for each suite, kind of noise, level and estimator; ratios are estimated / true noise level."""
    found = frame(rows)
    found["what"] = [f"{r.kernel}: {r.varied}" if r.varied else r.suite for r in rows]
    found["ratio"] = found.level / found.level_true
    lines = []
    for words, here in found[found.level_true > 0].groupby(["what", "at", "method"], sort=False, observed=True):
        true, ratios = 100 * here.level_true[here.ratio.notna()], here.ratio.dropna()
        low, middle, high = ratios.quantile([0.05, 0.5, 0.95])
        cells = [f"{true.min():.2f}-{true.max():.2f} %", f"{middle:.2f}", f"{low:.2f}-{high:.2f}", str(len(ratios))]
        lines.append([*words, *cells])
    return markdown(["picture and noise", "level", "estimator", "true", "ratio", "5-95 %", "cases"], lines)


def times_table(rows: Sequence[Row], against: str | None = None) -> str:
    """Rows of methods that took turns: their seconds beside those of the first, or of the one called `against`.

    Raises:
        ConfigError: nobody is called that.
    """
    reference = rows[0] if against is None else next((r for r in rows if r.method == against), None)
    if reference is None:
        raise ConfigError(f"--against {against}: give one of {', '.join(r.method for r in rows)}")
    return f"{markdown(*times_cells(rows, reference))}\n\n{times_words(rows[0])}"


def times_cells(rows: Sequence[Row], reference: Row) -> Cells:
    """Head and lines of methods that took turns."""
    return listed(
        rows,
        {
            "method": lambda r: r.title,
            "seconds (median)": lambda r: f"{r.seconds:.3g}",
            "fastest to slowest": lambda r: " to ".join(f"{end(r.rounds or (r.seconds,)):.3g}" for end in (min, max)),
            f"time / that of {reference.method}": lambda r: f"{r.ratio(reference):.3g}",
            "PSNR, dB": lambda r: f"{r.psnr:.2f}",
            "gain, dB": lambda r: f"{r.psnr - r.psnr_blurred:+.2f}",
            "steps": lambda r: str(r.steps),
        },
    )


def times_words(row: Row) -> str:
    """What a run of methods in turn measured, in a sentence or two."""
    return (
        f"{row.picture}, {row.width}x{row.height}, {'grey' if row.channels == 1 else 'colour'}, kernel "
        f"{row.kernel}x{row.kernel}, noise {describe_noise(row.noise)}, blurred input {row.psnr_blurred:.2f} dB. In "
        f"turn in one process, {len(row.rounds or ())} rounds after one to warm up; the ratio is the median of those "
        f"of the rounds. Hardware: {row.hardware}. Revision {row.revision}; begun {row.begun}."
    )


def size_table(rows: Sequence[Row]) -> str:
    """Rows that were measured apart: the forecast beside the seconds, and the memory of the whole process."""
    cells = listed(
        rows,
        {
            "method": lambda r: r.title,
            "picture": lambda r: f"{r.width}x{r.height}, {r.picture}",
            "kernel": lambda r: f"{r.kernel}x{r.kernel}",
            "steps": lambda r: str(r.steps),
            "forecast": lambda r: f"{r.forecast or math.nan:.1f} s",
            "actual": lambda r: f"{r.seconds:.1f} s",
            "forecast off by": lambda r: f"{100 * ((r.forecast or math.nan) / r.seconds - 1):+.0f} %",
            "processor got": lambda r: f"{100 * (r.processor_share or 0):.0f} %",
            "peak memory": lambda r: "?" if r.peak_mb is None else f"{r.peak_mb / 1e3:.2f} GB",
        },
    )
    return f"{markdown(*cells)}\n\nMemory is the whole process's. {rows[0].hardware}, {instructions()}."


def arithmetic_table(rows: Sequence[Row]) -> str:
    """A row for each count; the last column says how many times less than the most expensive one of that size."""

    def share(row: Row) -> str:
        most = max(_gmac(r) for r in rows if (r.width, r.height, r.channels) == (row.width, row.height, row.channels))
        return "1" if _gmac(row) == most else f"1/{most / max(_gmac(row), 1e-9):.0f}"

    cells = listed(
        rows,
        {
            "method": lambda r: r.title,
            "picture": lambda r: f"{r.width}x{r.height}",
            "channels": lambda r: str(r.channels),
            "weights": lambda r: f"{r.parameters:,}",
            "steps": lambda r: str(r.steps),
            "networks, GMAC": lambda r: f"{r.gmac_networks:.2f}",
            "transforms, GMAC": lambda r: f"{r.gmac_transforms:.3f}",
            "share of the largest": share,
        },
    )
    return markdown(*cells)


def _gmac(row: Row) -> float:
    return (row.gmac_networks or 0) + (row.gmac_transforms or 0)
