"""Methods by mean PSNR at a noise level, and which of the means are over a part of a set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from acutance_lab.bench.case import Noise
from acutance_lab.bench.cuts import Cut
from acutance_lab.bench.report_kernels import finds_kernels
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import SUITES

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


def grouped(rows: Iterable[Row]) -> tuple[list[Noise], dict[Name, list[Row]]]:
    """The noise levels, "as captured" first, and the rows by method in the order of their coming."""
    methods: dict[Name, list[Row]] = {}
    for row in rows:
        methods.setdefault((row.method, row.weights), []).append(row)
    noises = {row.noise for found in methods.values() for row in found}
    return sorted(noises, key=lambda n: -1.0 if n is None else n), methods


def ranking(rows: Iterable[Row], noise: Noise) -> Ranking:
    """Methods by mean PSNR at one noise level, those that were measured on every case; the others behind, unranked.

    A case that was restored to no finite picture counts as not measured. The rows are of one suite.
    """
    rows = list(rows)
    scores: dict[Name, dict[tuple[str, str], Row]] = {}
    failed: dict[Name, int] = {}
    blurred: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.noise == noise:
            name = (row.method, row.weights)
            scores.setdefault(name, {})
            blurred[row.picture, row.kernel] = row.psnr_blurred
            if math.isfinite(row.psnr):
                scores[name][row.picture, row.kernel] = row
            elif math.isfinite(row.psnr_blurred):  # else nobody knows the truth
                failed[name] = failed.get(name, 0) + 1
    wanted = set(blurred)
    size = max(set_size(rows, noise), len(wanted))
    whole = any(wanted <= set(found) for found in scores.values())
    if not whole:
        wanted = set.intersection(*(set(found) for found in scores.values())) if scores else set()

    def mean(name: Name, cases: Iterable[tuple[str, str]]) -> float:
        values = [scores[name][case].psnr for case in sorted(cases)]
        return fmean(values) if values else math.nan

    ranked = sorted((name for name in scores if wanted and wanted <= set(scores[name])), key=lambda n: -mean(n, wanted))
    others = sorted((name for name in scores if name not in ranked), key=lambda n: (-len(scores[n]), n[0], n[1] or ""))
    standings = []
    for position, name in enumerate([*ranked, *others], 1):
        found = scores[name]
        shared = set(found) & set(scores[ranked[0]]) & wanted if ranked else set()
        used = wanted if name in ranked else set(found)
        ssims = [found[case].ssim for case in sorted(used) if math.isfinite(found[case].ssim)]
        standings.append(
            Standing(
                name=name,
                rank=position if name in ranked else None,
                psnr=mean(name, used),
                ssim=fmean(ssims) if ssims else math.nan,
                cases=len(used),
                failed=failed.get(name, 0),
                gap=mean(name, shared) - mean(ranked[0], shared) if shared else None,
                size=size,
            )
        )
    shown = wanted or set(blurred)
    finite = [blurred[case] for case in sorted(shown) if math.isfinite(blurred[case])]
    return Ranking(noise, tuple(standings), len(shown), whole, fmean(finite) if finite else math.nan, size)


def overall(rankings: Sequence[Ranking]) -> list[Name]:
    """All methods, best first: ranked at the most levels, then by the mean of their PSNRs there."""
    found: dict[Name, list[float]] = {}
    for place in rankings:
        for standing in place.standings:
            values = found.setdefault(standing.name, [])
            if standing.rank is not None:
                values.append(standing.psnr)
    return sorted(found, key=lambda n: (-len(found[n]), -fmean(found[n]) if found[n] else 0.0, n[0], n[1] or ""))


def display_names(methods: Iterable[Name]) -> dict[Name, str]:
    """Labels, with the weights where a label alone is not clear."""
    names = list(methods)
    labels = [label for label, _ in names]
    return {
        (label, weights): f"{label} ({weights or 'no weights'})" if labels.count(label) > 1 else label
        for label, weights in names
    }


def set_size(rows: Iterable[Row], noise: Noise) -> int:
    """Cases of the whole set at a level: as its suite says; of an unknown suite all that there are rows of."""
    here = [row for row in rows if row.noise == noise]
    known = {SUITES[row.suite].size for row in here if row.suite in SUITES}
    return max((size for size in known if size is not None), default=len({(r.picture, r.kernel) for r in here}))


def of_set(cases: int, size: int) -> str:
    """The mark of a mean over a part of a set; nothing for one over the whole."""
    return f" ({cases} of {size} cases)" if 0 < cases < size else ""


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
    known = in_cut(rows, cut)
    return [ranking(known, noise) for noise in grouped(known)[0]]
