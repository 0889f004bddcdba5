"""A report as one page of HTML that needs nothing else: tables, plots, crops, provenance.

Labels and files come from outside: the template escapes every one of them, and pictures are decoded and encoded anew.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from statistics import median

from acutance.errors import MissingExtra
from acutance.images import write_atomically
from acutance_lab.bench import report_plots as plots
from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.cuts import Cut
from acutance_lab.bench.gallery import CROP, data_uri, strips
from acutance_lab.bench.published import in_the_published_cut
from acutance_lab.bench.ranking import Name, Ranking, display_names, overall, rankings, rankings_in
from acutance_lab.bench.report import TIMES, lead, protocol, read_suites, warnings
from acutance_lab.bench.report_tables import mean_curve, suite_tables
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import SUITES
from acutance_lab.bench.tables import distinct, of_set, times_cells, times_words
from acutance_lab.records import read_records

TEMPLATE = "report.html.j2"

Plot = tuple[bytes, str, str]
"""An SVG, its title, and what must be known of it."""


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
    runs: dict[str | None, list[Row]] = {}
    for row in read_records(folder / TIMES, Row, what="benchmark result"):
        runs.setdefault(row.begun, []).append(row)
    everything = [row for rows in suites.values() for row in rows]
    names = dict.fromkeys((row.method, row.weights) for row in everything)
    looks = {name: plots.look(i) for i, name in enumerate(names)}  # the same in every plot

    def label(text: str) -> Markup:
        """With places where it may break."""
        return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[:,])(?=\S)", _printable(text)))

    def cell(text: str) -> Markup:
        bold = re.fullmatch(r"\*\*(.*)\*\*", text, re.DOTALL)
        return Markup("<strong>") + label(bold[1]) + Markup("</strong>") if bold else label(text.strip("*"))

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"words": _printable, "label": label, "cell": cell, "kind": _kind}
    source = (resources.files("acutance_lab.bench") / TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        suites=suites, everything=everything, crop=CROP, known=SUITES, lead=lead, warnings=warnings,
        tables=suite_tables, protocol=protocol, distinct=distinct,
        svg=partial(data_uri, form="svg+xml"), plots=lambda rows: _plots(rows, looks, list(runs.values())),
        strips=lambda rows: strips(folder, rows, overall(rankings(rows))),
        runs=[(times_words(run[0]), *times_cells(run, run[0])) for run in reversed(runs.values())],
    )  # fmt: skip


def _plots(rows: Sequence[Row], looks: Mapping[Name, plots.Look], runs: Sequence[Sequence[Row]]) -> list[Plot]:
    """Draw the plots of a suite."""
    places = rankings(rows)
    order = overall(places)
    labels, found = _labels(order), list[Plot]()
    places = [p for p in places if not p.part] or places  # means over a part and over the whole never share a plot
    parts = ", ".join(f"{describe_noise(p.noise)}{of_set(p.cases, p.size)}" for p in places)
    lines = _lines(places, labels, looks)
    if lines and len(places) > 1:
        blurred = plots.Line("blurred input", plots.BLURRED, {_place(p.noise): p.blurred for p in places})
        caption = "Means over the cases of the ranking; methods without a rank at a level are left out there."
        caption += f" Means over a part of the set: {parts}." if places[0].part else ""
        found.append((_against_noise([*lines, blurred], places, "mean PSNR, dB"), "PSNR against noise", caption))
    found += _published_plot(rows, labels, looks)
    main = max(places, key=lambda p: (sum(s.rank is not None for s in p.standings), p.noise == 0.01, p.noise or 0.0))
    means = {s.name: s.psnr for s in main.standings if s.rank is not None}
    what = f"mean PSNR, {describe_noise(main.noise)}, dB"
    seconds, axis, caption = _seconds(rows, main.noise, list(means), runs)
    points = [(labels[n], looks[n], seconds[n], means[n]) for n in order if n in means and n in seconds]
    if len(points) > 1:
        caption += " The dashed line joins those that none beats in both."
        found.append((plots.times_plot(points, axis=axis, what=what), "PSNR against time", caption))
    curves = []
    for n in order:
        here = [r for r in rows if (r.method, r.weights, r.noise) == (*n, main.noise) and r.curve]
        curve = {float(t): psnr for t, psnr in enumerate(mean_curve(here), 1)}
        if len(curve) > 1 and all(map(math.isfinite, curve.values())):
            curves.append(plots.Line(labels[n] + of_set(len(here), main.size), looks[n], curve))
    if curves:
        caption = "Means over the rows that have a curve; one that ended early keeps its last value."
        found.append((plots.lines_plot(curves, axis="steps", what=what), "PSNR after each step", caption))
    return found


def _place(noise: Noise) -> float:
    """Of a level along the axis; as captured stands apart."""
    return -1.0 if noise is None else 100 * noise


def _lines(places: Sequence[Ranking], labels: Mapping[Name, str], looks: Mapping[Name, plots.Look]) -> list[plots.Line]:
    """PSNR by place along the axis, of each method that has a rank somewhere."""
    found = []
    for name, label in labels.items():
        standings = [(place.noise, place.of(name)) for place in places]
        means = {_place(noise): s.psnr for noise, s in standings if s is not None and s.rank is not None}
        found += [plots.Line(label, looks[name], means)] if means else []
    return found


def _against_noise(lines: Sequence[plots.Line], places: Sequence[Ranking], what: str) -> bytes:
    ticks = {_place(p.noise): "captured" if p.noise is None else f"{100 * p.noise:g}" for p in places}
    return plots.lines_plot(lines, axis="noise, % of the range", what=what, ticks=ticks)


def _published_plot(rows: Sequence[Row], labels: Mapping[Name, str], looks: Mapping[Name, plots.Look]) -> list[Plot]:
    """Ours and the published in the published cut, where both are known on the whole set; else nothing."""
    figures = in_the_published_cut(rows[0].suite)
    levels = {noise for each in figures for noise in each.psnr}
    places = [p for p in rankings_in(Cut.PUBLISHED, rows) if p.noise in levels and not p.part]
    if len(places) < 2:
        return []
    lines, shown = _lines(places, labels, looks), {place.noise for place in places}
    for i, each in enumerate(figures):
        psnr = {_place(noise): float(figure) for noise, figure in each.psnr.items() if noise in shown}
        lines.append(plots.Line(f"{each.method} (published)", plots.published_look(i), psnr))
    sources = distinct(each.source for each in figures)
    caption = f"Means over the whole set, all in the {Cut.PUBLISHED}; dotted and grey: published [{sources}]."
    plot = _against_noise(lines, places, f"mean PSNR in the {Cut.PUBLISHED}, dB")
    return [(plot, "Measured and published in the same cut", caption)]


def _seconds(
    rows: Sequence[Row], noise: Noise, names: Sequence[Name], runs: Sequence[Sequence[Row]]
) -> tuple[dict[Name, float], str, str]:
    """Seconds by method, the name of the axis, and where they come from: methods in turn if there are some."""
    timed = [{(t.method, t.weights): t.seconds for t in run if (t.method, t.weights) in names} for run in runs]
    best, used = max(zip(timed[::-1], runs[::-1], strict=True), key=lambda t: len(t[0]), default=({}, ()))
    if len(best) < 2:
        known = [row for row in rows if row.noise == noise and row.seconds > 0 and (row.method, row.weights) in names]
        by_name = {n: [r.seconds for r in known if (r.method, r.weights) == n] for n in names}
        caption = "Medians over the rows of the benchmark, not measured side by side: only large differences count."
        axis = "seconds for a picture of the set, median (log scale)"
        return {n: median(values) for n, values in by_name.items() if values}, axis, caption
    missing = len(names) - len(best)
    left_out = f" {missing} of {len(names)} methods were not timed and are left out." if missing else ""
    rounds, where = len(used[0].rounds or ()), used[0].hardware
    caption = f"Medians of {rounds} rounds side by side in one process, {where}.{left_out}"
    return best, f"seconds for a picture of {used[0].width}×{used[0].height} (log scale)", caption


def _labels(order: Sequence[Name]) -> dict[Name, str]:
    """Names without settings where that is clear."""
    bare, titles = [label.partition(":")[0] for label, _ in order], display_names(order)
    return {n: b if bare.count(b) == 1 else titles[n] for n, b in zip(order, bare, strict=True)}


def _kind(cell: str) -> str:
    """The class of a cell: a number, or words."""
    return "n" if re.match(r"[\d+−≈–*†-]+", cell) and len(cell) < 40 else "m"


def _printable(text: object) -> str:
    """Characters that would hide or turn what follows become visible."""
    return "".join(c if c.isprintable() or c == "\u00a0" else "�" for c in str(text))
