"""A report as one page of HTML that needs nothing else: rankings, plots, crops, published figures, provenance.

Labels and files come from outside: the template escapes every one of them, and pictures are decoded and encoded anew.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from statistics import median

from acutance.errors import MissingExtra
from acutance.images import write_atomically
from acutance_lab.bench import report_plots as plots
from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.cuts import HOW_CUTS, Cut
from acutance_lab.bench.published import PUBLISHED, Comparison
from acutance_lab.bench.ranking import (
    Name,
    Ranking,
    display_names,
    grouped,
    of_set,
    overall,
    ranking,
    set_size,
)
from acutance_lab.bench.report import TIMES, distinct, mean_curve, read_suites
from acutance_lab.bench.report_crops import CROP, Strip, strips
from acutance_lab.bench.report_published import (
    UNKNOWN,
    CutTable,
    compared,
    cuts_table,
    difference,
    in_the_published_cut,
    published_cut_table,
    rankings_in,
)
from acutance_lab.bench.report_tables import (
    BorderLine,
    ClassTable,
    PictureTable,
    SharpLine,
    border_lines,
    class_tables,
    picture_table,
    sharp_lines,
)
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import SUITES
from acutance_lab.bench.tables import times_words
from acutance_lab.plots import SOFT
from acutance_lab.records import read_records

TEMPLATE = "report.html.j2"
CLOSE = 0.05
"""dB below which the best is not said to be ahead."""


@dataclass(frozen=True)
class Plot:
    """A plot: SVG, title and what must be known of it."""

    svg: str
    title: str
    caption: str


@dataclass(frozen=True)
class BesideLine:
    """One of our methods beside one published row: comparisons by level, and how the protocols differ."""

    first: Comparison
    cells: tuple[Comparison | None, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True)
class SuiteView:
    """What the page says of one suite, in the order of the page; without `truth` there is no PSNR to speak of."""

    name: str
    summary: str
    truth: bool
    lead: str
    rankings: tuple[Ranking, ...]
    usual_cuts: Mapping[Noise, Cut]
    cuts: CutTable
    published_cut: CutTable
    titles: Mapping[Name, str]
    classes: tuple[ClassTable, ...]
    plots: tuple[Plot, ...]
    strips: tuple[Strip, ...]
    strips_left_out: int
    comparisons: tuple[BesideLine, ...]
    compared_at: tuple[Noise, ...]
    published: bool
    border: tuple[BorderLine, ...]
    border_at: tuple[Noise, ...]
    sharpness: tuple[SharpLine, ...]
    pictures: tuple[PictureTable, ...]
    means: tuple[tuple[str, str, float, float | None, str], ...]
    protocol: str
    warnings: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def write_page(folder: Path, file: Path | None = None) -> Path:
    """The page of a folder of rows, written to FOLDER/report.html or another file, which is replaced.

    Raises:
        DataError: no rows. MissingExtra: matplotlib or Jinja2 is not installed. OutputError: it cannot be written.
    """
    target = folder / "report.html" if file is None else file
    write_atomically(target, page(folder).encode(), overwrite=True)
    return target


def page(folder: Path) -> str:
    """The page of a folder of rows: the same rows and pictures make the same bytes.

    Raises:
        DataError: no rows. MissingExtra: matplotlib or Jinja2 is not installed.
    """
    try:
        import jinja2
        from markupsafe import Markup, escape
    except ImportError as error:
        raise MissingExtra("a report as a page", "lab") from error
    suites = read_suites(folder)
    taken: dict[str | None, list[Row]] = {}
    for row in read_records(folder / TIMES, Row, what="benchmark result"):
        taken.setdefault(row.begun, []).append(row)
    runs = list(taken.values())
    names = dict.fromkeys((row.method, row.weights) for rows in suites.values() for row in rows)
    looks = {name: plots.look(i) for i, name in enumerate(names)}  # the same in every plot
    views = [suite_view(name, rows, runs, folder / "pictures", looks) for name, rows in suites.items()]
    everything = [row for rows in suites.values() for row in rows]

    def label(text: str) -> Markup:
        """With places where it may break."""
        return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[:,])", _printable(text)))

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "noise": _level, "db": _db, "ssim": _ssim, "gain": _gain, "seconds": _seconds, "svg": Markup,
        "difference": difference, "words": _printable,
        "label": label,
    }  # fmt: skip
    source = (resources.files("acutance_lab.bench") / TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        suites=views,
        runs=[_RunView(run, times_words(run[0]), tuple(t.ratio(run[0]) for t in run)) for run in reversed(runs)],
        methods=len({row.method for row in everything}),
        count=len(everything),
        revisions=distinct(row.revision for row in everything),
        crop=CROP,
        how_cuts=HOW_CUTS,
        unknown=UNKNOWN,
    )


@dataclass(frozen=True)
class _RunView:
    timings: Sequence[Row]
    description: str
    ratios: tuple[float, ...]


def suite_view(
    name: str,
    rows: Sequence[Row],
    runs: Sequence[Sequence[Row]],
    pictures: Path,
    looks: Mapping[Name, plots.Look],
) -> SuiteView:
    """Everything that the page says of a suite.

    Args:
        rows: of that suite. runs: of `acutance_lab.bench.times`, perhaps none. pictures: folder, perhaps missing.
        looks: of all methods in plots.
    """
    noises, methods = grouped(rows)
    rankings = [ranking(rows, noise) for noise in noises]
    order = overall(rankings)
    titles = display_names(order)
    suite = SUITES.get(name)
    shown, left_out = strips(pictures / name, rows, order)
    truth = any(math.isfinite(row.psnr) for row in rows)
    beside = compared(name, rows)
    border_at, border = border_lines(noises, methods, titles, order)
    levels = [noise for noise in noises if any(c.noise == noise for c in beside)]
    return SuiteView(
        name=name,
        summary="" if suite is None else suite.summary,
        truth=truth,
        lead=_lead(rankings, titles),
        rankings=tuple(rankings),
        usual_cuts={n: Cut.WHOLE if suite is None else suite.cut(n) for n in noises},
        cuts=cuts_table(rows),
        published_cut=published_cut_table(name, rows),
        titles=titles,
        classes=() if suite is None else tuple(class_tables(suite, rows, noises, order, titles)),
        plots=tuple(_plots(rows, rankings, order, titles, looks, runs)),
        strips=tuple(shown),
        strips_left_out=left_out,
        comparisons=tuple(_beside(beside, levels)),
        compared_at=tuple(levels),
        published=any(each.suite == name for each in PUBLISHED),
        border=tuple(border),
        border_at=tuple(border_at),
        sharpness=tuple(sharp_lines(noises, methods, titles, order)),
        pictures=tuple(picture_table(rows, place.noise, order, titles) for place in rankings) if truth else (),
        means=tuple(_costs(methods[n], titles[n]) for n in order),
        protocol="" if suite is None else suite.protocol,
        warnings=tuple(_warnings(rows, rankings, titles)),
        facts=(
            ("revision", distinct(row.revision for row in rows)),
            ("hardware", distinct(row.hardware for row in rows)),
            ("weights", distinct(row.weights for row in rows if row.weights is not None) or "none"),
            ("rows", str(len(rows))),
        ),
    )


def _lead(rankings: Sequence[Ranking], titles: Mapping[Name, str]) -> str:
    """Who is best where, in a sentence; the same method at levels in a row is named once."""
    answers: list[tuple[str, list[str]]] = []
    for place in rankings:
        ranked = [s for s in place.standings if s.rank is not None]
        if len(ranked) < 2:
            continue
        if place.part and not all(each.part for each in rankings):
            continue
        ahead = ranked[0].psnr - ranked[1].psnr
        names = titles[ranked[0].name]
        if ahead < CLOSE:
            names = f"{names} level with {titles[ranked[1].name]}"
        where = f"{'' if place.noise is None else 'at '}{_level(place.noise)}"
        where += f" ({ahead:.2f}\u00a0dB ahead)" if ahead >= CLOSE else ""
        where += of_set(place.cases, place.size)
        if answers and answers[-1][0] == names:
            answers[-1][1].append(where)
        else:
            answers.append((names, [where]))
    if not answers:
        return ""
    return f"Best mean PSNR: {'; '.join(f'{names} {_listed(where)}' for names, where in answers)}."


def _level(noise: Noise) -> str:
    """The level with a space that does not break."""
    return describe_noise(noise).replace(" %", "\u00a0%")


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _plots(
    rows: Sequence[Row],
    rankings: Sequence[Ranking],
    order: Sequence[Name],
    titles: Mapping[Name, str],
    looks: Mapping[Name, plots.Look],
    runs: Sequence[Sequence[Row]],
) -> list[Plot]:
    labels = _plot_labels(order, titles)
    found = []
    whole = [place for place in rankings if not place.part]
    rankings = whole or rankings  # means over a part and over the whole do not belong into one plot
    part = "" if whole else f" Means over a part of the set, {_listed([_part(place) for place in rankings])}."
    ranked = {place.noise: {s.name: s.psnr for s in place.standings if s.rank is not None} for place in rankings}
    lines = [
        plots.Line(labels[n], looks[n], {noise: means[n] for noise, means in ranked.items() if n in means})
        for n in order
    ]
    lines = [line for line in lines if line.psnr]
    if lines and len(rankings) > 1:
        blurred = {place.noise: place.blurred for place in rankings}
        apart = " Pictures as captured stand apart: they are others, scored in another cut." if None in blurred else ""
        found.append(
            Plot(
                plots.against_noise(lines, blurred),
                "PSNR against noise",
                "Means over the cases of the ranking, in its cut; methods without a rank at a level are left out "
                f"there.{apart}{part}",
            )
        )
    found += _published_plot(rows, order, labels, looks)
    noise = _main_level(ranked)
    means = ranked.get(noise, {})
    seconds, what, caption = _seconds_of(rows, noise, list(means), runs)
    points = [plots.Point(labels[n], looks[n], seconds[n], means[n]) for n in order if n in means and n in seconds]
    if len(points) > 1:
        found.append(Plot(plots.against_seconds(points, noise=noise, what=what), "PSNR against time", caption))
    curves = []
    for n in order:
        here = [r for r in rows if (r.method, r.weights) == n and r.noise == noise and r.curve]
        curve = mean_curve(here)
        if len(curve) > 1 and all(map(math.isfinite, curve)):
            curves.append((labels[n] + of_set(len(here), set_size(here, noise)), looks[n], curve))
    if curves:
        caption = "Means over the rows that have a curve; one that ended early keeps its last value."
        found.append(Plot(plots.against_steps(curves, noise=noise), "PSNR after each step", caption))
    return found


def _part(place: Ranking) -> str:
    """Name a noise level with its number of cases: "1 % (4 of 32 cases)"."""
    return f"{_level(place.noise)}{of_set(place.cases, place.size)}"


def _published_plot(
    rows: Sequence[Row], order: Sequence[Name], labels: Mapping[Name, str], looks: Mapping[Name, plots.Look]
) -> list[Plot]:
    """Ours and the published in the published cut, where both are known on the whole set; else nothing."""
    figures = in_the_published_cut(rows[0].suite)
    levels = {noise for each in figures for noise in each.psnr}
    places = [p for p in rankings_in(Cut.PUBLISHED, rows) if p.noise in levels and not p.part]
    means: dict[Name, dict[Noise, float]] = {}
    for place in places:
        for s in place.standings:
            if s.rank is not None:
                means.setdefault(s.name, {})[place.noise] = s.psnr
    if len(places) < 2:
        return []
    lines = [plots.Line(labels[n], looks[n], means[n]) for n in order if n in means]
    shown = {place.noise for place in places}
    for i, each in enumerate(figures):
        style = plots.Look(SOFT, plots.MARKERS[i % len(plots.MARKERS)], (0, (1, 2)))
        psnr = {noise: float(figure) for noise, figure in each.psnr.items() if noise in shown}
        lines.append(plots.Line(f"{each.method} (published)", style, psnr))
    sources = distinct(each.source for each in figures)
    caption = f"Means over the whole set, all in the {Cut.PUBLISHED}; dotted and grey: published [{sources}]."
    svg = plots.against_noise(lines, {}, name="published", what=f"mean PSNR in the {Cut.PUBLISHED}, dB")
    return [Plot(svg, "Measured and published in the same cut", caption)]


def _main_level(ranked: Mapping[Noise, Mapping[Name, float]]) -> Noise:
    """Where most methods have a rank; 1 % before others."""
    return max(ranked, key=lambda n: (len(ranked[n]), n == 0.01, n is not None, -(n or 0)))


def _seconds_of(
    rows: Sequence[Row], noise: Noise, names: Sequence[Name], runs: Sequence[Sequence[Row]]
) -> tuple[dict[Name, float], str, str]:
    """Seconds by method, the name of the axis, and where they come from."""
    dashed = " The dashed line joins those that none beats in both: what to take for a given time."
    best: Mapping[Name, float] = {}
    used: Sequence[Row] = ()
    for run in runs:
        here = {(t.method, t.weights): t.seconds for t in run if (t.method, t.weights) in names}
        if len(here) >= max(2, len(best)):
            best, used = here, run
    if used:
        t = used[0]
        kind = "grey" if t.channels == 1 else "colour"
        missing = len(names) - len(best)
        left_out = f" {missing} of {len(names)} methods were not timed and are left out." if missing else ""
        return (
            dict(best),
            f"seconds for a picture of {t.width}×{t.height}, {kind} (log scale)",
            f"Medians of {len(t.rounds or ())} rounds side by side in one process, {t.hardware}.{left_out}{dashed}",
        )
    medians = {
        n: median(r.seconds for r in rows if (r.method, r.weights) == n and r.noise == noise and r.seconds > 0)
        for n in names
        if any((r.method, r.weights) == n and r.noise == noise and r.seconds > 0 for r in rows)
    }
    note = "Medians over the rows of the benchmark, not measured side by side: only large differences count."
    return medians, "seconds for a picture of the set, median (log scale)", note + dashed


def _plot_labels(order: Sequence[Name], titles: Mapping[Name, str]) -> dict[Name, str]:
    """Names without settings where that is clear."""
    bare = [label.partition(":")[0] for label, _ in order]
    return {n: _printable(b if bare.count(b) == 1 else titles[n]) for n, b in zip(order, bare, strict=True)}


def _costs(rows: Sequence[Row], title: str) -> tuple[str, str, float, float | None, str]:
    """Title, weights, median seconds, peak of memory in MB, steps of a method."""
    peaks = [r.peak_mb for r in rows if r.peak_mb is not None]
    steps = sorted(r.steps for r in rows)
    shown = str(steps[0]) if steps[0] == steps[-1] else f"{steps[0]} to {steps[-1]}, median {median(steps):g}"
    return title, rows[0].weights or "–", median(r.seconds for r in rows), max(peaks, default=None), shown


def _warnings(rows: Sequence[Row], rankings: Sequence[Ranking], titles: Mapping[Name, str]) -> list[str]:
    found = []
    revisions = list(dict.fromkeys(row.revision for row in rows))
    machines = list(dict.fromkeys(row.hardware for row in rows))
    if len(revisions) > 1:
        found.append(f"The rows come from {len(revisions)} revisions of the source: {', '.join(revisions)}.")
    if any(r.endswith("-dirty") for r in revisions):
        found.append("Some rows were measured with uncommitted changes (-dirty): the revision does not say what ran.")
    if "unknown" in revisions:
        found.append("Of some rows the revision is unknown.")
    if len(machines) > 1:
        found.append(
            f"The rows come from different machines or settings ({'; '.join(machines)}): seconds do not compare."
        )
    short: dict[int, list[str]] = {}
    for place in rankings:
        level = describe_noise(place.noise)
        if not any(s.cases for s in place.standings):
            continue
        if not place.whole:
            found.append(f"{level}: no method has every case; ranked on the {place.cases} that all of them have.")
        elif place.part:
            short.setdefault(place.cases, []).append(level)
        for s in place.standings:
            if s.failed:
                found.append(f"{level}: {titles[s.name]} gave no finite picture in {s.failed} of {s.cases + s.failed}.")
    for count, levels in short.items():
        found.append(f"{count} of the {rankings[0].size} cases of the set: {_listed(levels)}.")
    diverged = [row for row in rows if row.outcome == "DIVERGED"]
    if diverged:
        found.append(f"{len(diverged)} runs diverged: {distinct(row.method for row in diverged)}.")
    return found


def _db(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _ssim(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _gain(value: float | None) -> str:
    """With its sign; a true minus."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{abs(value):.2f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def _seconds(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.001 else f"{value:.1g}"


def _beside(found: Sequence[Comparison], noises: Sequence[Noise]) -> list[BesideLine]:
    """Comparisons with the levels of one published row on one line."""
    lines: dict[tuple[int, Name], list[Comparison]] = {}
    for c in found:
        lines.setdefault((id(c.published), (c.method, c.weights)), []).append(c)
    return [
        BesideLine(
            first=here[0],
            cells=tuple(next((c for c in here if c.noise == noise), None) for noise in noises),
            differences=tuple(dict.fromkeys(text for c in here for text in c.differences)),
        )
        for here in lines.values()
    ]


def _printable(text: object) -> str:
    """Characters that would hide or turn what follows become visible."""
    return "".join(c if c.isprintable() or c == "\u00a0" else "�" for c in str(text))
