"""A report as one page of HTML that needs nothing else: tables, plots, crops, provenance.

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
from typing import Any

from acutance.errors import MissingExtra
from acutance.images import write_atomically
from acutance_lab.bench import report_plots as plots
from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.cuts import Cut
from acutance_lab.bench.published import in_the_published_cut
from acutance_lab.bench.ranking import Name, Ranking, display_names, grouped, of_set, overall, ranking, rankings_in
from acutance_lab.bench.report import TIMES, lead, protocol, read_suites, revisions, warnings
from acutance_lab.bench.report_crops import CROP, data_uri, strips
from acutance_lab.bench.report_tables import Table, distinct, mean_curve, suite_tables
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import SUITES
from acutance_lab.bench.tables import times_cells, times_words
from acutance_lab.records import read_records

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Plot:
    """A plot: its address, title and what must be known of it."""

    uri: str
    title: str
    caption: str


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
        suites=[_view(name, rows, folder, looks, runs) for name, rows in suites.items()],
        runs=[Table("", *times_cells(run, run[0]), note=times_words(run[0])) for run in reversed(runs)],
        methods=len({row.method for row in everything}),
        count=len(everything),
        revisions=revisions(everything),
        crop=CROP,
    )


def _view(
    name: str, rows: Sequence[Row], folder: Path, looks: Mapping[Name, plots.Look], runs: Sequence[Sequence[Row]]
) -> dict[str, Any]:
    """Everything that the page says of a suite."""
    rankings = [ranking(rows, noise) for noise in grouped(rows)[0]]
    order = overall(rankings)
    shown, left_out = strips(folder, rows, order)
    return {
        "name": name,
        "summary": SUITES[name].summary if name in SUITES else "",
        "lead": lead(rows),
        "warnings": warnings(rows),
        "tables": suite_tables(name, rows),
        "plots": _plots(rows, rankings, order, looks, runs),
        "strips": shown,
        "strips_left_out": left_out,
        "protocol": protocol(name),
        "revisions": revisions(rows),
        "hardware": distinct(row.hardware for row in rows),
    }


def _plots(
    rows: Sequence[Row],
    rankings: Sequence[Ranking],
    order: Sequence[Name],
    looks: Mapping[Name, plots.Look],
    runs: Sequence[Sequence[Row]],
) -> list[Plot]:
    labels, found = _labels(order), []
    whole = [place for place in rankings if not place.part]
    places = whole or rankings  # means over a part and over the whole do not belong into one plot
    parts = ", ".join(f"{describe_noise(p.noise)}{of_set(p.cases, p.size)}" for p in places)
    part = "" if whole else f" Means over a part of the set: {parts}."
    lines = [plots.Line(labels[n], looks[n], means) for n, means in _means(places, order).items()]
    if lines and len(places) > 1:
        blurred = plots.Line("blurred input", plots.BLURRED, {_place(p.noise): p.blurred for p in places})
        caption = f"Means over the cases of the ranking; methods without a rank at a level are left out there.{part}"
        found.append(Plot(_against_noise([*lines, blurred], places, "mean PSNR, dB"), "PSNR against noise", caption))
    found += _published_plot(rows, order, labels, looks)
    main = max(places, key=lambda p: (sum(s.rank is not None for s in p.standings), p.noise == 0.01, p.noise or 0.0))
    means = {s.name: s.psnr for s in main.standings if s.rank is not None}
    what = f"mean PSNR, {describe_noise(main.noise)}, dB"
    seconds, axis, caption = _seconds(rows, main.noise, list(means), runs)
    points = [(labels[n], looks[n], seconds[n], means[n]) for n in order if n in means and n in seconds]
    if len(points) > 1:
        uri = data_uri(plots.times_plot(points, axis=axis, what=what), "svg+xml")
        found.append(Plot(uri, "PSNR against time", f"{caption} The dashed line joins those that none beats in both."))
    curves = []
    for n in order:
        here = [r for r in rows if (r.method, r.weights) == n and r.noise == main.noise and r.curve]
        curve = {float(t): psnr for t, psnr in enumerate(mean_curve(here), 1)}
        if len(curve) > 1 and all(map(math.isfinite, curve.values())):
            curves.append(plots.Line(labels[n] + of_set(len(here), main.size), looks[n], curve))
    if curves:
        caption = "Means over the rows that have a curve; one that ended early keeps its last value."
        uri = data_uri(plots.lines_plot(curves, axis="steps", what=what), "svg+xml")
        found.append(Plot(uri, "PSNR after each step", caption))
    return found


def _place(noise: Noise) -> float:
    """Of a level along the axis; as captured stands apart."""
    return -1.0 if noise is None else 100 * noise


def _means(places: Sequence[Ranking], order: Sequence[Name]) -> dict[Name, dict[float, float]]:
    """PSNR by method and place along the axis, of those that have a rank."""
    found: dict[Name, dict[float, float]] = {name: {} for name in order}
    for place in places:
        for s in place.standings:
            if s.rank is not None:
                found[s.name][_place(place.noise)] = s.psnr
    return {name: means for name, means in found.items() if means}


def _against_noise(lines: Sequence[plots.Line], places: Sequence[Ranking], what: str) -> str:
    ticks = {_place(p.noise): "captured" if p.noise is None else f"{100 * p.noise:g}" for p in places}
    return data_uri(plots.lines_plot(lines, axis="noise, % of the range", what=what, ticks=ticks), "svg+xml")


def _published_plot(
    rows: Sequence[Row], order: Sequence[Name], labels: Mapping[Name, str], looks: Mapping[Name, plots.Look]
) -> list[Plot]:
    """Ours and the published in the published cut, where both are known on the whole set; else nothing."""
    figures = in_the_published_cut(rows[0].suite)
    levels = {noise for each in figures for noise in each.psnr}
    places = [p for p in rankings_in(Cut.PUBLISHED, rows) if p.noise in levels and not p.part]
    if len(places) < 2:
        return []
    lines = [plots.Line(labels[n], looks[n], means) for n, means in _means(places, order).items()]
    shown = {place.noise for place in places}
    for i, each in enumerate(figures):
        psnr = {_place(noise): float(figure) for noise, figure in each.psnr.items() if noise in shown}
        lines.append(plots.Line(f"{each.method} (published)", plots.published_look(i), psnr))
    sources = distinct(each.source for each in figures)
    caption = f"Means over the whole set, all in the {Cut.PUBLISHED}; dotted and grey: published [{sources}]."
    uri = _against_noise(lines, places, f"mean PSNR in the {Cut.PUBLISHED}, dB")
    return [Plot(uri, "Measured and published in the same cut", caption)]


def _seconds(
    rows: Sequence[Row], noise: Noise, names: Sequence[Name], runs: Sequence[Sequence[Row]]
) -> tuple[dict[Name, float], str, str]:
    """Seconds by method, the name of the axis, and where they come from: methods in turn if there are some."""
    best: dict[Name, float] = {}
    used: Row | None = None
    for run in runs:
        here = {(t.method, t.weights): t.seconds for t in run if (t.method, t.weights) in names}
        if len(here) >= max(2, len(best)):
            best, used = here, run[0]
    if used is not None:
        missing = len(names) - len(best)
        left_out = f" {missing} of {len(names)} methods were not timed and are left out." if missing else ""
        caption = f"Medians of {len(used.rounds or ())} rounds side by side in one process, {used.hardware}.{left_out}"
        return best, f"seconds for a picture of {used.width}×{used.height} (log scale)", caption
    for name in names:
        known = [r.seconds for r in rows if (r.method, r.weights) == name and r.noise == noise and r.seconds > 0]
        best |= {name: median(known)} if known else {}
    caption = "Medians over the rows of the benchmark, not measured side by side: only large differences count."
    return best, "seconds for a picture of the set, median (log scale)", caption


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
