"""Cuts and published figures in a report: the three scores of a suite, and what was measured beside the published.

Figures stand side by side in the same cut only, see `acutance_lab.bench.cuts`. A mean over a part of a set is marked,
is never the best, and has no difference to a published mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from acutance.errors import ConfigError
from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.cuts import Cut
from acutance_lab.bench.published import PUBLISHED, Comparison, Published, comparisons
from acutance_lab.bench.ranking import (
    Name,
    Ranking,
    display_names,
    grouped,
    in_cut,
    of_set,
    overall,
    ranking,
)
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import SUITES
from acutance_lab.bench.tables import markdown

UNKNOWN = "not stated"
"""The cut of a figure whose source does not say it."""

NOTHING = "–"


def compared(suite: str, rows: Sequence[Row]) -> list[Comparison]:
    """Measured means beside the published figures that they compare with: in the cut of each figure."""
    found = []
    for kernels in dict.fromkeys(each.kernels for each in PUBLISHED if each.suite == suite):
        here = [row for row in rows if not kernels or row.kernel.startswith(f"{kernels}/")]
        means = {}
        for cut in Cut:
            for place in rankings_in(cut, here):
                for s in place.standings:
                    if s.cases:
                        means[(*s.name, place.noise, cut)] = (s.psnr, s.cases)
        found += comparisons(suite, means, kernels)
    return found


def rankings_in(cut: Cut, rows: Iterable[Row]) -> list[Ranking]:
    """The methods of one suite in a cut, at each level where they are known in it."""
    known = in_cut(rows, cut)
    return [ranking(known, noise) for noise in grouped(known)[0]]


@dataclass(frozen=True)
class Cell:
    """A mean PSNR in dB as text, marked where it is over a part of the set; whether it is the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class CutTable:
    """Means by level: the head, and lines of a few words and a cell for each level."""

    words: tuple[str, ...]
    noises: tuple[Noise, ...]
    lines: tuple[tuple[tuple[str, ...], tuple[Cell, ...]], ...]

    def markdown(self) -> str:
        """The table, the best in bold; nothing if it has no line."""
        lines = [[*words, *(f"**{c.text}**" if c.best else c.text for c in cells)] for words, cells in self.lines]
        return markdown([*self.words, *map(describe_noise, self.noises)], lines) if lines else ""


def cuts_table(rows: Sequence[Row]) -> CutTable:
    """Mean PSNR in dB of every method of one suite in every cut; without lines where no row records them."""
    noises, methods = grouped(rows)
    words = ("method", "weights", "cut")
    if not any(row.recorded(cut) is not None for row in rows for cut in Cut):
        return CutTable(words, tuple(noises), ())
    places = {(cut, place.noise): place for cut in Cut for place in rankings_in(cut, rows)}
    lines = []
    for name in methods:
        for cut in Cut:
            cells = [_cell(places.get((cut, noise)), name) for noise in noises]
            if any(cell.text != NOTHING for cell in cells):
                lines.append(((name[0], name[1] or NOTHING, str(cut)), tuple(cells)))
    return CutTable(words, tuple(noises), tuple(lines))


def in_the_published_cut(suite: str) -> list[Published]:
    """Published rows of a suite that are known to be in `Cut.PUBLISHED`."""
    return [each for each in PUBLISHED if (each.suite, each.cut) == (suite, Cut.PUBLISHED)]


def published_levels(suite: str) -> tuple[Noise, ...]:
    """Levels of the figures that are published in that cut; before them "as captured", where the suite has it.

    Raises:
        ConfigError: there are none of the suite.
    """
    levels = {noise for each in in_the_published_cut(suite) for noise in each.psnr if noise is not None}
    if not levels:
        known = ", ".join(published_suites())
        raise ConfigError(f"no figures are published in a known cut for {suite!r}; give {known}")
    captured: tuple[Noise, ...] = (None,) if None in SUITES[suite].noises else ()
    return (*captured, *sorted(levels))


def published_suites() -> tuple[str, ...]:
    """Suites with figures in the published cut."""
    return tuple(name for name in SUITES if in_the_published_cut(name))


def published_cut_table(suite: str, rows: Sequence[Row]) -> CutTable:
    """Mean PSNR in dB in the published cut by level, ours and the published, with the best of a level.

    Returns:
        A table without lines where no figure is published in that cut, or no row records it at a level of one.
    """
    figures = in_the_published_cut(suite)
    levels = {noise for each in figures for noise in each.psnr}
    places = [place for place in rankings_in(Cut.PUBLISHED, rows) if place.noise in levels]
    noises = tuple(place.noise for place in places)
    if not places:
        return CutTable(("method",), noises, ())
    order = [name for name in overall(places) if any(s.cases for p in places for s in p.standings if s.name == name)]
    names = display_names(order)
    best = {place.noise: _best(place, figures) for place in places}
    lines = []
    for name in order:
        cells = [_cell(place, name, best[place.noise]) for place in places]
        weights = f" ({name[1]})" if name[1] and name[1] not in names[name] else ""
        lines.append(((f"{names[name]}{weights}",), tuple(cells)))
    for each in figures:
        texts = {noise: each.psnr.get(noise, NOTHING) for noise in noises}
        cells = [Cell(text, text == f"{best[noise]:.2f}") for noise, text in texts.items()]
        lines.append(((f"{each.method}, published [{each.source}]",), tuple(cells)))
    return CutTable(("method",), noises, tuple(lines))


def published_table(suite: str, noises: Sequence[Noise]) -> str:
    """Markdown: every published row of a suite at the levels given, as printed there, with its cut."""
    lines = []
    for each in PUBLISHED:
        if each.suite == suite and any(noise in each.psnr for noise in noises):
            cells = [each.psnr.get(noise, "–") for noise in noises]
            lines.append([each.method, f"[{each.source}]", each.cut or UNKNOWN, *cells, each.note])
    return markdown(["method", "source", "cut", *map(describe_noise, noises), "note"], lines) if lines else ""


def compared_table(found: Sequence[Comparison]) -> str:
    """Markdown: one line for each pair of figures."""
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
        for c in found
    ]
    head = ["ours", "noise", "cut", "measured", "published", "difference", "the protocols differ"]
    return markdown(head, lines) if lines else ""


def difference(comparison: Comparison) -> str:
    """Measured less published: "+0.21", "≈ −2.4" where a digit is illegible, "–" where there is nothing to compare."""
    value = comparison.difference
    if value is None:
        return "–"
    text = f"{abs(value):.{1 if comparison.rough else 2}f}"
    return f"{'≈ ' if comparison.rough else ''}{'−' if value < 0 else '+'}{text}"


def _cell(place: Ranking | None, name: Name, best: float = math.inf) -> Cell:
    """A mean; it can be the best only over the whole set."""
    found = next((s for s in place.standings if s.name == name), None) if place is not None else None
    if found is None or not found.cases:
        return Cell(NOTHING)
    text = f"{found.psnr:.2f}"
    return Cell(text + of_set(found.cases, found.size), not found.part and text == f"{best:.2f}")


def _best(place: Ranking, figures: Sequence[Published]) -> float:
    """The highest mean of a level over the whole set, ours or published."""
    theirs = [float(each.psnr[place.noise]) for each in figures if place.noise in each.psnr]
    return max([s.psnr for s in place.standings if not s.part] + theirs, default=math.inf)
