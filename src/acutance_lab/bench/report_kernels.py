r"""How good estimated kernels are: by what the same method makes of the picture with them and with the true ones.

    error ratio = || x(k_estimated) - x ||^2 / || x(k_true) - x ||^2

(Levin et al. 2009), here of pictures that were scored alike; below 3 a picture looks well restored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from acutance.blind.method import SPEC as BLIND
from acutance.blind.method import BlindConfig
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.rows import Row
from acutance_lab.bench.tables import Cells, decimals, frame, listed

if TYPE_CHECKING:
    from pandas import DataFrame

SUCCESS = (2, 3)
"""Error ratios below which a kernel counts as found."""

OF_OTHERS = "levin32_kernels"
"""The suite of kernels that others estimated; its kernels are called AUTHORS/NUMBER, those of `ORIGINAL` NUMBER."""

ORIGINAL = "levin32"

HOW_KERNELS = (
    "Error ratio: mean square error with the estimated kernel over that with the true one, same finish, both scored by "
    "the suite's protocol. Similarity: largest normalised cross-correlation with the true kernel. Seconds: of estimate "
    "and finish together."
)

COLUMNS: dict[str, Callable[[Any], str]] = {
    "suite": lambda f: f.suite,
    "kernels": lambda f: f.origin,
    "finish": lambda f: f.finish,
    "noise": lambda f: f.at,
    "PSNR": lambda f: f"{f.psnr:.2f}",
    "true kernels": lambda f: f"{f.psnr_true:.2f}",
    "ratio < 2": lambda f: f"{100 * f.below_2:.0f} %",
    "ratio < 3": lambda f: f"{100 * f.below_3:.0f} %",
    "median ratio": lambda f: f"{f.ratio:.2f}",
    "similarity": lambda f: decimals(f.similarity),
    "seconds (median)": lambda f: decimals(f.seconds),
    "cases": lambda f: str(f.cases),
}
"""Columns of the table, each from a line of `kernels_found`."""

SHORT = ("kernels", "finish", "PSNR", "ratio < 2", "ratio < 3", "similarity", "seconds (median)")


def finds_kernels(label: str) -> bool:
    """Whether a method, by its label, estimates the kernel itself."""
    return label.partition(":")[0] == BLIND.name


def kernels_found(rows: Iterable[Row]) -> DataFrame:
    """Every origin of kernels that can be judged, the best first: the same finish was measured with the true ones.

    Returns:
        A line for each suite, origin (label of the blind method, or the authors), finish and level (`at`), with means
        over the cases where both were measured: psnr and psnr_true in dB, with these and with the true kernels; ratio,
        the median; below_2 and below_3, shares of the ratios; similarity; seconds, the median; cases. What was not
        measured is missing.
    """
    rows = [row for row in rows if math.isfinite(row.psnr)]
    truth = {(r.suite, r.method, r.picture, r.kernel, r.noise): r.psnr for r in rows}
    judged = []
    for row in rows:
        if row.suite == OF_OTHERS:
            origin, _, number = row.kernel.partition("/")
            suite, finish = ORIGINAL, row.method
        elif finds_kernels(row.method):
            suite, origin, number = row.suite, row.method, row.kernel
            finish = str(Contender.parse(row.method).settings.get("method", BlindConfig().method))
        else:
            continue
        true = truth.get((suite, finish, row.picture, number, row.noise))
        if true is not None:
            judged.append((row, origin, finish, true))
    found = frame(row for row, *_ in judged)
    for i, column in enumerate(("origin", "finish", "psnr_true"), 1):
        found[column] = [each[i] for each in judged]
    found["ratio"] = 10 ** ((found.psnr_true - found.psnr) / 10)
    found["seconds"] = found.seconds.where(found.suite != OF_OTHERS)
    for limit in SUCCESS:
        found[f"below_{limit}"] = found.ratio < limit
    means = ("psnr", "psnr_true", "below_2", "below_3")
    groups = found.groupby(["suite", "origin", "finish", "at"], sort=False, observed=True)
    table = groups.agg(
        **{name: (name, "mean") for name in means}, similarity=("kernel_similarity", "mean"), ratio=("ratio", "median"),
        seconds=("seconds", "median"), cases=("ratio", "size"),
    )  # fmt: skip
    return table.reset_index().sort_values("psnr", ascending=False, kind="stable")


def table_of_kernels(rows: Iterable[Row]) -> Cells:
    """Head and lines of the table; no lines where no estimated kernel can be judged."""
    lines = sorted(kernels_found(rows).itertuples(), key=lambda f: (f.suite != ORIGINAL, f.suite))
    return listed(lines, COLUMNS)


def short_table_of_kernels(rows: Iterable[Row]) -> Cells:
    """Head and lines, best first, each origin with the finish that does best with its kernels."""
    best = kernels_found(rows).drop_duplicates(["origin", "at"])
    return listed(best.itertuples(), {name: COLUMNS[name] for name in SHORT})
