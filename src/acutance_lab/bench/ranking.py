"""Methods by mean PSNR at a noise level, and which of the means are over a part of a set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from acutance_lab.bench.case import Noise
from acutance_lab.bench.cuts import Cut
from acutance_lab.bench.report_kernels import finds_kernels
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import SUITES
from acutance_lab.bench.tables import CASE, NAME, NOTHING, frame, noise_levels, set_size

if TYPE_CHECKING:
    from pandas import DataFrame

Name = tuple[str, str | None]
"""A method in a report: its label and the version of its weights."""


@dataclass(frozen=True)
class Standing:
    """A method at one noise level.

    Args:
        name: label and weights. rank: from 1; None: not every case was measured, so it has none.
        psnr, ssim: means over its own cases. cases: how many of them. failed: restored to no finite picture.
        gap: mean PSNR less that of the best ranked method on the same cases; None: there is none.
        size: cases of the whole set.
    """

    name: Name
    rank: int | None
    psnr: float
    ssim: float
    cases: int
    failed: int
    gap: float | None
    size: int

    @property
    def part(self) -> bool:
        """Its means are over a part of the set."""
        return self.cases < self.size

    @property
    def best(self) -> bool:
        """It is the first, over the whole set: what a table may print in bold."""
        return self.rank == 1 and not self.part


@dataclass(frozen=True)
class Ranking:
    """The methods at one noise level, best first; the unranked behind.

    Args:
        noise: the level. cases: on which the ranked were compared, which is all that anybody has (`whole`), or those
            that everybody has, where nobody has all. blurred: mean PSNR of the blurred pictures on them.
        size: cases of the whole set.
    """

    noise: Noise
    standings: tuple[Standing, ...]
    cases: int
    whole: bool
    blurred: float
    size: int

    @property
    def part(self) -> bool:
        """The ranked were compared on a part of the set."""
        return self.cases < self.size

    def of(self, name: Name) -> Standing | None:
        """The method of that name, if it has a mean."""
        return next((s for s in self.standings if s.name == name and s.cases), None)


def ranking(rows: Iterable[Row], noise: Noise) -> Ranking:
    """Methods by mean PSNR at one noise level, those that were measured on every case; the others behind, unranked.

    A case that was restored to no finite picture counts as not measured. The rows are of one suite.
    """
    rows = [row for row in rows if row.noise == noise]
    here = frame(rows)
    failed = here[here.psnr.isna() & here.psnr_blurred.notna()].groupby(NAME).size()  # else nobody knows the truth
    blurred = here.drop_duplicates(CASE, keep="last").set_index(CASE).psnr_blurred
    psnr = scores(here, "psnr")
    ssim = scores(here, "ssim").where(psnr.notna())
    whole = bool(psnr.notna().all().any())
    shared = psnr if whole else psnr.dropna()
    size = max(set_size(rows, noise), len(blurred))
    ranked = list(shared.dropna(axis=1).mean().sort_values(ascending=False, kind="stable").index) if len(shared) else []
    counts = psnr.notna().sum()
    others = sorted((n for n in psnr if n not in ranked), key=lambda n: (-counts[n], n[0], n[1].strip(NOTHING)))
    standings = []
    for position, name in enumerate([*ranked, *others], 1):
        used = shared.index if name in ranked else psnr[name].dropna().index
        gap = float((shared[name] - shared[ranked[0]]).mean()) if ranked else math.nan
        standings.append(
            Standing(
                name=(name[0], None if name[1] == NOTHING else name[1]),
                rank=position if name in ranked else None,
                psnr=float(psnr[name][used].mean()),
                ssim=float(ssim[name][used].mean()),
                cases=len(used),
                failed=int(failed.get(name, 0)),
                gap=gap if math.isfinite(gap) else None,
                size=size,
            )
        )
    shown = shared.index if len(shared) else blurred.index
    return Ranking(noise, tuple(standings), len(shown), whole, float(blurred[shown].mean()), size)


def scores(rows: DataFrame, column: str) -> DataFrame:
    """Values of a column at one noise level: cases x methods, both in the order of their coming."""
    once = rows.drop_duplicates([*CASE, *NAME], keep="last").set_index([*CASE, *NAME])
    return once[column].unstack(NAME, sort=False)


def rankings(rows: Sequence[Row]) -> list[Ranking]:
    """At each noise level; the rows are of one suite."""
    return [ranking(rows, noise) for noise in noise_levels(rows)]


def overall(places: Sequence[Ranking]) -> list[Name]:
    """All methods, best first: ranked at the most levels, then by the mean of their PSNRs there."""
    found: dict[Name, list[float]] = {}
    for standing in (s for place in places for s in place.standings):
        found.setdefault(standing.name, []).extend([] if standing.rank is None else [standing.psnr])
    return sorted(found, key=lambda n: (-len(found[n]), -fmean(found[n] or [0.0]), n[0], n[1] or ""))


def display_names(methods: Iterable[Name]) -> dict[Name, str]:
    """Labels, with the weights where a label alone is not clear."""
    names = list(methods)
    labels = [label for label, _ in names]
    return {n: f"{n[0]} ({n[1] or 'no weights'})" if labels.count(n[0]) > 1 else n[0] for n in names}


def in_cut(rows: Iterable[Row], cut: Cut) -> list[Row]:
    """The rows that are known in a cut, with the PSNR in it as `psnr`.

    Rows of earlier versions, and suites that record no cuts, are known in the usual cut of their suite only.
    """
    found = []
    for row in rows:
        usual = SUITES[row.suite].cut(row.noise) if row.suite in SUITES else Cut.WHOLE
        if cut == usual and not finds_kernels(row.method):  # those are aligned and cropped where others are not
            found.append(row)
        elif (value := row.recorded(cut)) is not None:
            found.append(replace(row, psnr=value, ssim=math.nan, psnr_blurred=math.nan))
    return found


def rankings_in(cut: Cut, rows: Iterable[Row]) -> list[Ranking]:
    """The methods of one suite in a cut, at each level where they are known in it."""
    return rankings(in_cut(rows, cut))
