"""What a report says of one suite, as tables of text; a mean over a part of a set is marked and is never the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING

from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.cuts import HOW_CUTS, Cut
from acutance_lab.bench.published import PUBLISHED, Comparison, Published, compared, difference, in_the_published_cut
from acutance_lab.bench.ranking import Name, Ranking, display_names, overall, rankings, rankings_in, scores
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import SUITES
from acutance_lab.bench.tables import (
    CASE,
    NAME,
    NOTHING,
    decimals,
    frame,
    listed,
    markdown,
    noise_levels,
    of_set,
    pivot,
    set_size,
    signed,
)

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN_STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100)
BLURRED = "*blurred input*"
UNKNOWN = "not stated"
"""The cut of a figure whose source does not say it."""


@dataclass(frozen=True)
class Table:
    """Text in cells, the best as "**33.01**"; without lines there is nothing to show. folded: for a page only."""

    title: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]
    note: str = ""
    folded: bool = False

    def markdown(self) -> str:
        """The table alone; "" without lines."""
        return markdown(self.head, self.lines) if self.lines else ""


def suite_tables(name: str, rows: Sequence[Row]) -> list[Table]:
    """Every table of a suite that has a line, in the order of a report."""
    found, noises = frame(rows), noise_levels(rows)
    classes = SUITES[name].classes if name in SUITES else None
    tables = [] if classes is None else [_classes(found, classes)]
    tables += [
        cuts_table(rows), _border(found), _curves(rows), published_cut_table(name, rows), _published(name, noises),
        _compared(name, rows),
    ]  # fmt: skip
    if found.psnr_blurred.notna().any():
        tables = [_measured(name, found, noises), *(_ranking(name, place) for place in rankings(rows)), *tables]
        tables += [_pictures(describe_noise(n), [row for row in rows if row.noise == n]) for n in noises]
    else:
        tables.insert(0, _sparsity(found))
    return [table for table in tables if table.lines]


def _measured(name: str, rows: DataFrame, noises: Sequence[Noise]) -> Table:
    """Means by method and level, and what they cost."""

    def cell(here: DataFrame) -> str:
        good = here[here.psnr.notna()]
        failed = here.psnr_blurred.notna().sum() - len(good)
        text = f"{good.psnr.mean():.2f} / {good.ssim.mean():.3f}" if len(good) else NOTHING
        return text + of_set(len(good), here["size"].iloc[0]) + (f" ({failed} failed)" if failed > 0 else "")

    cases = rows.drop_duplicates([*CASE, "at"], keep="last").groupby("at", observed=False)
    before = cases.agg({"psnr_blurred": ["mean", "count"], "size": "first"})
    means = [f"{psnr:.2f}{of_set(n, size)}" if n else NOTHING for _, psnr, n, size in before.itertuples()]
    lines = [[BLURRED, "", *means, "", "", "", ""]]
    groups = [here for _, here in rows.groupby(NAME, sort=False)]
    for line, here in zip(pivot(rows, cell), groups, strict=True):
        counts = here.groupby("at", observed=False).size()
        costs = [decimals(here.seconds.median()), decimals(here.peak_mb.max(), 0)]
        lines.append([*line, *costs, ", ".join(map(str, counts if counts.nunique() > 1 else counts[:1])), _steps(here)])
    cuts = [str(_usual_cut(name, noise)) for noise in noises]
    levels = [describe_noise(noise) for noise in noises]
    words = "; ".join(map(": ".join, zip(levels, cuts, strict=True))) if len(set(cuts)) > 1 else cuts[0]
    head = ["method", "weights", *levels, "seconds (median)", "peak MB", "cases", "steps"]
    return Table("Measured", head, lines, f"Mean PSNR in dB / SSIM; {words}.")


def _steps(rows: DataFrame) -> str:
    return " to ".join(dict.fromkeys((f"{rows.steps.min()}", f"{rows.steps.max()}")))


def _usual_cut(name: str, noise: Noise) -> Cut:
    return SUITES[name].cut(noise) if name in SUITES else Cut.WHOLE


def _ranking(name: str, place: Ranking) -> Table:
    titles = display_names(s.name for s in place.standings)
    lines = []
    for s in place.standings:
        cells = [titles[s.name], decimals(s.psnr), "" if s.rank == 1 else signed(s.gap), decimals(s.ssim, 3)]
        cells = [f"**{cell}**" if s.best and i < 2 else cell for i, cell in enumerate(cells)]
        lines.append(["†" if s.rank is None else str(s.rank), *cells, f"{s.cases}{f' of {s.size}' if s.part else ''}"])
    lines.append(["", BLURRED, decimals(place.blurred), "", "", str(place.cases)])
    count = f"{place.cases}{f' of {place.size}' if place.part else ''} cases, {_usual_cut(name, place.noise)}"
    note = f"{count}. † Not measured on every case: means are over its own, the gap is on those that the first has too."
    head = ["rank", "method", "PSNR, dB", "gap, dB", "SSIM", "cases"]
    return Table(f"Ranking, {describe_noise(place.noise)}", head, lines, note)


def _sparsity(rows: DataFrame) -> Table:
    """For a suite without truth: the score that needs no reference, of the blurred pictures and of the restored."""
    lines = []
    for name, here in rows.groupby(NAME, sort=False):
        known = here.dropna(subset=["sparsity", "sparsity_blurred"])
        if len(known):
            before, after = (f"{known[column].mean():.3f}" for column in ("sparsity_blurred", "sparsity"))
            lower = f"{(known.sparsity < known.sparsity_blurred).sum()} of {len(known)}"
            lines.append([*name, before, after, lower, f"{here.seconds.median():.2f}"])
    head = ["method", "weights", "blurred", "restored", "lower in", "seconds (median)"]
    note = (
        "Mean sparsity of the gradients of the luma; lower is sharper. It goes up with noise and ringing: it is a "
        "hint, the pictures are what counts."
    )
    return Table("Sharpness without a truth", head, lines, note)


def _classes(rows: DataFrame, class_of: Callable[[str], str]) -> Table:
    rows = rows.assign(kind=rows.picture.map(class_of)).dropna(subset="psnr")
    names = sorted(rows.kind.unique())
    lines = []
    for name, mine in rows.groupby(NAME, sort=False):
        for at, here in mine.groupby("at", observed=True):
            cells = [decimals(here.psnr[here.kind == kind].mean()) for kind in names]
            lines.append([*name, at + of_set(len(here), here["size"].iloc[0]), *cells])
    return Table("By class of picture", ["method", "weights", "noise", *names], lines, "Mean PSNR in dB.")


def _border(rows: DataFrame) -> Table:
    def cell(here: DataFrame) -> str:
        outer, rest = here.psnr_border.mean(), here.psnr_interior.mean()
        return f"{outer:.2f} / {rest:.2f} ({signed(outer - rest)}){of_set(len(here), here['size'].iloc[0])}"

    known = rows.dropna(subset=["psnr_border", "psnr_interior"])
    note = "Mean PSNR in dB of the outer 20 pixels, of the rest, and the difference."
    lines = pivot(known, cell) if len(known) else []
    return Table("The border", ["method", "weights", *rows["at"].cat.categories], lines, note)


def mean_curve(rows: Sequence[Row]) -> tuple[float, ...]:
    """Mean PSNR in dB after step 1, 2, ... over the rows that have a curve; one that ended early keeps its last value.

    Returns:
        Nothing if no row has a curve.
    """
    curves = [row.curve for row in rows if row.curve]
    longest = max(map(len, curves), default=0)
    return tuple(fmean(c[min(t, len(c) - 1)] for c in curves) for t in range(longest))


def _curves(rows: Sequence[Row]) -> Table:
    found = []
    for name in dict.fromkeys((row.method, row.weights) for row in rows):
        for noise in noise_levels(rows):
            here = [r for r in rows if (r.method, r.weights, r.noise, bool(r.curve)) == (*name, noise, True)]
            marked = describe_noise(noise) + of_set(len(here), set_size(rows, noise))
            found += [([name[0], name[1] or NOTHING, marked], mean_curve(here))] if here else []
    longest = max((len(curve) for _, curve in found), default=0)
    steps = sorted({t for t in (*SHOWN_STEPS, longest) if 0 < t <= longest})
    lines = [[*words, *(f"{c[t - 1]:.2f}" if t <= len(c) else NOTHING for t in steps)] for words, c in found]
    return Table("After each step", ["method", "weights", "noise", *map(str, steps)], lines, "Mean PSNR in dB.")


def cuts_table(rows: Sequence[Row]) -> Table:
    """Mean PSNR in dB of every method of one suite in every cut; without lines where no row records them."""
    noises = noise_levels(rows)
    known = any(row.recorded(cut) is not None for row in rows for cut in Cut)
    places = {(cut, place.noise): place for cut in Cut for place in rankings_in(cut, rows)} if known else {}
    lines = []
    for name in dict.fromkeys((row.method, row.weights) for row in rows):
        for cut in Cut:
            cells = [_cell(places.get((cut, noise)), name) for noise in noises]
            if set(cells) != {NOTHING}:
                lines.append([name[0], name[1] or NOTHING, str(cut), *cells])
    head = ["method", "weights", "cut", *map(describe_noise, noises)]
    return Table("Three cuts", head, lines, f"Mean PSNR in dB. {HOW_CUTS}")


def published_cut_table(suite: str, rows: Sequence[Row]) -> Table:
    """Mean PSNR in dB in the published cut by level, ours and the published, with the best of a level.

    Returns:
        A table without lines where no figure is published in that cut, or no row records it at a level of one.
    """
    figures = in_the_published_cut(suite)
    levels = {noise for each in figures for noise in each.psnr}
    places = [place for place in rankings_in(Cut.PUBLISHED, rows) if place.noise in levels]
    order = [name for name in overall(places) if any(place.of(name) for place in places)]
    best = {place.noise: _best(place, figures) for place in places}
    lines = [
        [title, *(_cell(place, name, best[place.noise]) for place in places)] for name, title in _titles(order).items()
    ]
    for each in figures if places else ():
        texts = [(each.psnr.get(noise, NOTHING), f"{top:.2f}") for noise, top in best.items()]
        cells = [f"**{text}**" if text == top else text for text, top in texts]
        lines.append([f"{each.method}, published [{each.source}]", *cells])
    note = "Mean PSNR in dB in the published cut. A mean over a part of the set is marked, and never in bold."
    head = ["method", *map(describe_noise, best)]
    return Table("Measured and published in the same cut", head, lines, note)


def _titles(order: Sequence[Name]) -> dict[Name, str]:
    """Labels, each with its weights."""
    names = display_names(order)
    return {n: f"{names[n]} ({n[1]})" if n[1] and n[1] not in names[n] else names[n] for n in order}


def _cell(place: Ranking | None, name: Name, best: float = math.inf) -> str:
    """A mean; it can be the best only over the whole set."""
    found = None if place is None else place.of(name)
    if found is None:
        return NOTHING
    text = f"{found.psnr:.2f}"
    return f"**{text}**" if not found.part and text == f"{best:.2f}" else text + of_set(found.cases, found.size)


def _best(place: Ranking, figures: Sequence[Published]) -> float:
    """The highest mean of a level over the whole set, ours or published."""
    theirs = [float(each.psnr[place.noise]) for each in figures if place.noise in each.psnr]
    return max([s.psnr for s in place.standings if not s.part] + theirs, default=math.inf)


def _published(suite: str, noises: Sequence[Noise]) -> Table:
    """Every published row of a suite at the levels given, as printed there, with its cut."""
    lines = [
        [each.method, f"[{each.source}]", each.cut or UNKNOWN, *(each.psnr.get(n, NOTHING) for n in noises), each.note]
        for each in PUBLISHED
        if each.suite == suite and any(noise in each.psnr for noise in noises)
    ]
    note = "Mean PSNR in dB; compares in the same cut only, and as far as the protocols agree."
    head = ["method", "source", "cut", *map(describe_noise, noises), "note"]
    return Table("Published, not measured here", head, lines, note)


def _compared(suite: str, rows: Sequence[Row]) -> Table:
    columns: dict[str, Callable[[Comparison], str]] = {
        "ours": lambda c: c.method if c.weights is None else f"{c.method} ({c.weights})",
        "noise": lambda c: describe_noise(c.noise),
        "cut": lambda c: c.published.cut or UNKNOWN,
        "measured": lambda c: f"{c.measured:.2f}{of_set(c.cases, c.size or 0)}",
        "published": lambda c: f"{c.published.method} {c.figure} [{c.published.source}]",
        "difference": difference,
        "the protocols differ": lambda c: "; ".join(c.differences) or "none known",
    }
    note = "Mean PSNR in dB; measured less published, where the cut is the same and the whole set was measured."
    return Table("Published against measured", *listed(compared(suite, rows), columns), note)


def _pictures(level: str, rows: Sequence[Row]) -> Table:
    """Every picture at a level."""
    titles = display_names(dict.fromkeys((r.method, r.weights) for r in rows))
    psnr = scores(frame(rows), "psnr")
    before = {(r.picture, r.kernel): r.psnr_blurred for r in rows}
    lines = []
    for case, values in psnr.iterrows():
        cells = (f"**{decimals(v)}**" if v == values.max() else decimals(v) for v in values)
        lines.append([*case, decimals(before[case]), *cells])
    head = ["picture", "kernel", "blurred", *titles.values()]
    return Table(f"Every picture, {level}", head, lines, "PSNR in dB.", folded=True)


def short_table(rows: Sequence[Row]) -> str:
    """Markdown: PSNR in dB / SSIM of one suite by noise level, and seconds; best mean first."""
    places = rankings(rows)
    lines = []
    for name, title in _titles(overall(places)).items():
        cells = []
        for place in places:
            found = place.of(name)
            text = NOTHING if found is None else f"{found.psnr:.2f} / {found.ssim:.3f}{of_set(found.cases, found.size)}"
            cells.append(f"**{text}**" if found is not None and found.best and len(place.standings) > 1 else text)
        seconds = median(r.seconds for r in rows if (r.method, r.weights) == name)
        lines.append([title, *cells, f"{seconds:.2f}"])
    if not all(p.blurred >= 100.0 for p in places):  # what a picture has with itself
        blurred = [(decimals(p.blurred), of_set(p.cases, p.size)) for p in places]
        lines.append([BLURRED, *(text + mark if text != NOTHING else text for text, mark in blurred), ""])
    return markdown(["method", *(describe_noise(p.noise) for p in places), "seconds (median)"], lines)
