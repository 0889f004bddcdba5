"""What a report says of one suite, as tables of text; a mean over a part of a set is marked and is never the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.cuts import HOW_CUTS, Cut
from acutance_lab.bench.published import PUBLISHED, Published, compared, difference, in_the_published_cut
from acutance_lab.bench.ranking import (
    Name,
    Ranking,
    display_names,
    grouped,
    of_set,
    overall,
    ranking,
    rankings_in,
    set_size,
)
from acutance_lab.bench.rows import Row, mean
from acutance_lab.bench.suites import SUITES
from acutance_lab.bench.tables import markdown

SHOWN_STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100)
BLURRED = "*blurred input*"
NOTHING = "–"
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
    noises, methods = grouped(rows)
    suite = SUITES.get(name)
    truth = any(math.isfinite(row.psnr_blurred) for row in rows)
    found = [measured_table(name, methods, noises) if truth else _sparsity(methods)]
    if truth:
        found += [_ranking_table(name, ranking(rows, noise)) for noise in noises]
    if suite is not None and suite.classes is not None:
        found.append(_classes(methods, noises, suite.classes))
    found += [
        cuts_table(rows), _border(methods, noises), _curves(methods, noises), published_cut_table(name, rows),
        _published_table(name, noises), _compared_table(name, rows), *(_pictures(rows, n) for n in noises if truth),
    ]  # fmt: skip
    return [table for table in found if table.lines]


def measured_table(name: str, methods: Mapping[Name, Sequence[Row]], noises: Sequence[Noise]) -> Table:
    """Means by method and level, and what they cost."""
    everything = [row for rows in methods.values() for row in rows]
    sizes = {noise: set_size(everything, noise) for noise in noises}
    cases = {(r.picture, r.kernel, r.noise): r.psnr_blurred for r in everything}
    blurred = {n: [v for (_, _, m), v in cases.items() if m == n and math.isfinite(v)] for n in noises}
    before = [f"{fmean(v):.2f}{of_set(len(v), sizes[n])}" if v else NOTHING for n, v in blurred.items()]
    lines = [[BLURRED, "", *before, "", "", "", ""]]
    for (method, weights), rows in methods.items():
        here = [[r for r in rows if r.noise == noise] for noise in noises]
        counts = [len(each) for each in here]
        steps = sorted({r.steps for r in rows})
        peaks = [r.peak_mb for r in rows if r.peak_mb is not None]
        lines.append(
            [
                method, weights or NOTHING, *(_mean(each, sizes[n]) for each, n in zip(here, noises, strict=True)),
                f"{median(r.seconds for r in rows):.2f}", f"{max(peaks):.0f}" if peaks else NOTHING,
                str(counts[0]) if len(set(counts)) == 1 else ", ".join(map(str, counts)),
                str(steps[0]) if len(steps) == 1 else f"{steps[0]} to {steps[-1]}",
            ]
        )  # fmt: skip
    cuts = {noise: _usual_cut(name, noise) for noise in noises}
    words = "; ".join(f"{describe_noise(noise)}: {cut}" for noise, cut in cuts.items())
    shown = next(iter(cuts.values())) if len(set(cuts.values())) == 1 else words
    head = ["method", "weights", *map(describe_noise, noises), "seconds (median)", "peak MB", "cases", "steps"]
    return Table("Measured", head, lines, f"Mean PSNR in dB / SSIM; {shown}.")


def _usual_cut(name: str, noise: Noise) -> Cut:
    return SUITES[name].cut(noise) if name in SUITES else Cut.WHOLE


def _mean(rows: Sequence[Row], size: int) -> str:
    """PSNR / SSIM over the finite ones, marked where they are a part of the set, and how many are not finite."""
    good = [row for row in rows if math.isfinite(row.psnr)]
    text = f"{fmean(r.psnr for r in good):.2f} / {mean(r.ssim for r in good):.3f}" if good else NOTHING
    text += of_set(len(good), size)
    failed = sum(math.isfinite(row.psnr_blurred) for row in rows) - len(good)
    return f"{text} ({failed} failed)" if failed > 0 else text


def _ranking_table(name: str, place: Ranking) -> Table:
    titles = display_names(s.name for s in place.standings)
    lines = []
    for s in place.standings:
        cells = [titles[s.name], _db(s.psnr), "" if s.rank == 1 else _gain(s.gap), _db(s.ssim, 3)]
        cells = [f"**{cell}**" if s.best and i < 2 else cell for i, cell in enumerate(cells)]
        lines.append(["†" if s.rank is None else str(s.rank), *cells, f"{s.cases}{f' of {s.size}' if s.part else ''}"])
    lines.append(["", BLURRED, _db(place.blurred), "", "", str(place.cases)])
    count = f"{place.cases}{f' of {place.size}' if place.part else ''} cases, {_usual_cut(name, place.noise)}"
    note = f"{count}. † Not measured on every case: means are over its own, the gap is on those that the first has too."
    head = ["rank", "method", "PSNR, dB", "gap, dB", "SSIM", "cases"]
    return Table(f"Ranking, {describe_noise(place.noise)}", head, lines, note)


def _sparsity(methods: Mapping[Name, Sequence[Row]]) -> Table:
    """For a suite without truth: the score that needs no reference, of the blurred pictures and of the restored."""
    lines = []
    for (method, weights), rows in methods.items():
        known = [(r.sparsity_blurred, r.sparsity) for r in rows]
        pairs = [(a, b) for a, b in known if a is not None and b is not None]
        if pairs:
            before, after = (f"{fmean(values):.3f}" for values in zip(*pairs, strict=True))
            lower = f"{sum(b < a for a, b in pairs)} of {len(pairs)}"
            lines.append([method, weights or NOTHING, before, after, lower, f"{median(r.seconds for r in rows):.2f}"])
    head = ["method", "weights", "blurred", "restored", "lower in", "seconds (median)"]
    note = (
        "Mean sparsity of the gradients of the luma; lower is sharper. It goes up with noise and ringing: it is a "
        "hint, the pictures are what counts."
    )
    return Table("Sharpness without a truth", head, lines, note)


def _classes(methods: Mapping[Name, Sequence[Row]], noises: Sequence[Noise], class_of: Callable[[str], str]) -> Table:
    names = sorted({class_of(row.picture) for rows in methods.values() for row in rows})
    lines = []
    for (method, weights), rows in methods.items():
        for noise in noises:
            here = [r for r in rows if r.noise == noise and math.isfinite(r.psnr)]
            cells = [_db(mean(r.psnr for r in here if class_of(r.picture) == name)) for name in names]
            if here:
                marked = describe_noise(noise) + of_set(len(here), set_size(rows, noise))
                lines.append([method, weights or NOTHING, marked, *cells])
    return Table("By class of picture", ["method", "weights", "noise", *names], lines, "Mean PSNR in dB.")


def _border(methods: Mapping[Name, Sequence[Row]], noises: Sequence[Noise]) -> Table:
    lines = []
    for (method, weights), rows in methods.items():
        cells = []
        for noise in noises:
            pairs = [(r.psnr_border, r.psnr_interior) for r in rows if r.noise == noise]
            known = [(a, b) for a, b in pairs if a is not None and b is not None and math.isfinite(a + b)]
            outer, rest = (fmean(each) for each in zip(*known, strict=True)) if known else (math.nan, math.nan)
            text = f"{outer:.2f} / {rest:.2f} ({_gain(outer - rest)}){of_set(len(known), set_size(rows, noise))}"
            cells.append(text if known else NOTHING)
        if any(cell != NOTHING for cell in cells):
            lines.append([method, weights or NOTHING, *cells])
    note = "Mean PSNR in dB of the outer 20 pixels, of the rest, and the difference."
    return Table("The border", ["method", "weights", *map(describe_noise, noises)], lines, note)


def mean_curve(rows: Sequence[Row]) -> tuple[float, ...]:
    """Mean PSNR in dB after step 1, 2, ... over the rows that have a curve; one that ended early keeps its last value.

    Returns:
        Nothing if no row has a curve.
    """
    curves = [row.curve for row in rows if row.curve]
    longest = max(map(len, curves), default=0)
    return tuple(fmean(c[min(t, len(c) - 1)] for c in curves) for t in range(longest))


def _curves(methods: Mapping[Name, Sequence[Row]], noises: Sequence[Noise]) -> Table:
    found = []
    for (method, weights), rows in methods.items():
        for noise in noises:
            here = [r for r in rows if r.noise == noise and r.curve]
            if here:
                marked = describe_noise(noise) + of_set(len(here), set_size(rows, noise))
                found.append(([method, weights or NOTHING, marked], mean_curve(here)))
    longest = max((len(curve) for _, curve in found), default=0)
    steps = sorted({t for t in SHOWN_STEPS if t <= longest} | ({longest} if longest else set()))
    lines = [[*words, *(f"{c[t - 1]:.2f}" if t <= len(c) else NOTHING for t in steps)] for words, c in found]
    return Table("After each step", ["method", "weights", "noise", *map(str, steps)], lines, "Mean PSNR in dB.")


def cuts_table(rows: Sequence[Row]) -> Table:
    """Mean PSNR in dB of every method of one suite in every cut; without lines where no row records them."""
    noises, methods = grouped(rows)
    known = any(row.recorded(cut) is not None for row in rows for cut in Cut)
    places = {(cut, place.noise): place for cut in Cut for place in rankings_in(cut, rows)} if known else {}
    lines = []
    for name in methods:
        for cut in Cut:
            cells = [_cell(places.get((cut, noise)), name) for noise in noises]
            if any(cell != NOTHING for cell in cells):
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
    order = [name for name in overall(places) if any(s.cases for p in places for s in p.standings if s.name == name)]
    names = display_names(order)
    best = {place.noise: _best(place, figures) for place in places}
    lines = []
    for name in order:
        weights = f" ({name[1]})" if name[1] and name[1] not in names[name] else ""
        lines.append([f"{names[name]}{weights}", *(_cell(place, name, best[place.noise]) for place in places)])
    for each in figures if places else ():
        texts = [(each.psnr.get(noise, NOTHING), f"{top:.2f}") for noise, top in best.items()]
        cells = [f"**{text}**" if text == top else text for text, top in texts]
        lines.append([f"{each.method}, published [{each.source}]", *cells])
    note = "Mean PSNR in dB in the published cut. A mean over a part of the set is marked, and never in bold."
    head = ["method", *map(describe_noise, best)]
    return Table("Measured and published in the same cut", head, lines, note)


def _cell(place: Ranking | None, name: Name, best: float = math.inf) -> str:
    """A mean; it can be the best only over the whole set."""
    found = next((s for s in place.standings if s.name == name), None) if place is not None else None
    if found is None or not found.cases:
        return NOTHING
    text = f"{found.psnr:.2f}"
    return f"**{text}**" if not found.part and text == f"{best:.2f}" else text + of_set(found.cases, found.size)


def _best(place: Ranking, figures: Sequence[Published]) -> float:
    """The highest mean of a level over the whole set, ours or published."""
    theirs = [float(each.psnr[place.noise]) for each in figures if place.noise in each.psnr]
    return max([s.psnr for s in place.standings if not s.part] + theirs, default=math.inf)


def _published_table(suite: str, noises: Sequence[Noise]) -> Table:
    """Every published row of a suite at the levels given, as printed there, with its cut."""
    lines = [
        [each.method, f"[{each.source}]", each.cut or UNKNOWN, *(each.psnr.get(n, NOTHING) for n in noises), each.note]
        for each in PUBLISHED
        if each.suite == suite and any(noise in each.psnr for noise in noises)
    ]
    note = "Mean PSNR in dB; compares in the same cut only, and as far as the protocols agree."
    head = ["method", "source", "cut", *map(describe_noise, noises), "note"]
    return Table("Published, not measured here", head, lines, note)


def _compared_table(suite: str, rows: Sequence[Row]) -> Table:
    lines = [
        [
            c.method if c.weights is None else f"{c.method} ({c.weights})",
            describe_noise(c.noise),
            c.published.cut or UNKNOWN,
            f"{c.measured:.2f}{of_set(c.cases, c.size or 0)}",
            f"{c.published.method} {c.figure} [{c.published.source}]",
            difference(c),
            "; ".join(c.differences) or "none known",
        ]
        for c in compared(suite, rows)
    ]
    note = "Mean PSNR in dB; measured less published, where the cut is the same and the whole set was measured."
    head = ["ours", "noise", "cut", "measured", "published", "difference", "the protocols differ"]
    return Table("Published against measured", head, lines, note)


def _pictures(rows: Sequence[Row], noise: Noise) -> Table:
    """Every picture at a level."""
    here = [row for row in rows if row.noise == noise]
    titles = display_names(dict.fromkeys((r.method, r.weights) for r in here))
    values = {(r.picture, r.kernel, (r.method, r.weights)): r.psnr for r in here}
    blurred = {(r.picture, r.kernel): r.psnr_blurred for r in here}
    lines = []
    for (picture, kernel), before in blurred.items():
        found = [values.get((picture, kernel, name), math.nan) for name in titles]
        top = max((v for v in found if math.isfinite(v)), default=math.nan)
        lines.append([picture, kernel, _db(before), *(f"**{_db(v)}**" if v == top else _db(v) for v in found)])
    head = ["picture", "kernel", "blurred", *titles.values()]
    return Table(f"Every picture, {describe_noise(noise)}", head, lines, "PSNR in dB.", folded=True)


def short_table(rows: Sequence[Row]) -> str:
    """Markdown: PSNR in dB / SSIM of one suite by noise level, and seconds; best mean first."""
    noises, methods = grouped(rows)
    names = display_names(methods)
    rankings = [ranking(rows, noise) for noise in noises]
    lines = []
    for name in overall(rankings):
        cells = []
        for place in rankings:
            found = next((s for s in place.standings if s.name == name), None)
            text = NOTHING if found is None or not found.cases else f"{found.psnr:.2f} / {found.ssim:.3f}"
            if found is not None and found.best and len(place.standings) > 1:
                text = f"**{text}**"
            cells.append(text if found is None else f"{text}{of_set(found.cases, found.size)}")
        weights = f" ({name[1]})" if name[1] and name[1] not in names[name] else ""
        lines.append([f"{names[name]}{weights}", *cells, f"{median(r.seconds for r in methods[name]):.2f}"])
    if not all(p.blurred >= 100.0 for p in rankings):  # what a picture has with itself
        marked = [
            f"{p.blurred:.2f}{of_set(p.cases, p.size)}" if math.isfinite(p.blurred) else NOTHING for p in rankings
        ]
        lines.append([BLURRED, *marked, ""])
    return markdown(["method", *map(describe_noise, noises), "seconds (median)"], lines)


def distinct(values: Iterable[str]) -> str:
    """Every value once, with commas."""
    return ", ".join(dict.fromkeys(values))


def _db(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else NOTHING


def _gain(value: float | None) -> str:
    """With its sign; a true minus."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{abs(value):.2f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"
