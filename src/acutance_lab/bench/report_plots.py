"""Plots of measured rows, with ordinary legends: lines over one thing, and PSNR against time; SVG or PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acutance_lab.bench.rows import Row
from acutance_lab.bench.tables import BLURRED as BLURRED_NAME
from acutance_lab.bench.tables import curve_means
from acutance_lab.plots import COLOURS, SOFT, Panel, Series, draw

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
LINES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (5, 1.4, 1.2, 1.4)))
SIZE = (9.2, 4.4)
"""Of a plot, inches."""

LONGEST = 40
"""Characters of a label; what is longer is cut."""

Look = Mapping[str, Any]
"""Styles of methods, as keyword arguments of matplotlib."""

_EVERY = {"linewidth": 1.8, "markersize": 6.5, "markeredgecolor": "white", "markeredgewidth": 0.8}
BLURRED: Look = {**_EVERY, "color": SOFT, "marker": ".", "linestyle": (0, (1, 2))}
"""Of the blurred pictures."""


def look(index: int) -> Look:
    """Of the n-th method; different for the first 77 but in few details after 7."""
    line = LINES[index // len(COLOURS) % len(LINES)]
    return {**published_look(index), "color": COLOURS[index % len(COLOURS)], "linestyle": line}


def published_look(index: int) -> Look:
    """Of the n-th published method: grey and dotted."""
    return {**BLURRED, "marker": MARKERS[index % len(MARKERS)]}


def short(label: str) -> str:
    """A label for a legend; characters that would hide or turn what follows become visible."""
    seen = "".join(c if c.isprintable() else "�" for c in label)
    return seen if len(seen) <= LONGEST else f"{seen[: LONGEST - 1]}…"


@dataclass(frozen=True)
class Line:
    """Values of one method by place on the axis; those that are not finite are left out."""

    label: str
    look: Look
    values: Mapping[float, float]


def lines_plot(
    lines: Sequence[Line], *, axis: str, what: str, ticks: Mapping[float, str] | None = None, form: str = "svg"
) -> bytes:
    """Lines over one thing.

    A line called `BLURRED` (by its look) is left out where it would take the room that the differences need.

    Args:
        axis, what: words at the axes. ticks: places of the axis and their words; a place before 0 stands apart, so that
            no line leads there. form: "svg" or "png".
    """
    scores = [v for each in lines if each.look is not BLURRED for v in each.values.values() if math.isfinite(v)]
    least = min(scores, default=0.0) - 0.15 * (max(scores, default=0.0) - min(scores, default=0.0))
    series = []
    for each in lines:
        known = {x: v for x, v in sorted(each.values.items()) if math.isfinite(v)}
        if each.look is BLURRED and max(known.values(), default=-math.inf) <= least:
            continue
        style = {**each.look, "markevery": max(1, len(known) // 10)}
        apart = {x: known.pop(x) for x in list(known) if x < 0}
        series += [
            Series(list(known), list(known.values()), short(each.label), style),
            Series(list(apart), list(apart.values()), style={**style, "linestyle": "none"}),
        ]
    places = {} if ticks is None else {"xticks": list(ticks), "xticklabels": list(ticks.values())}
    return draw([Panel(series, {**places, "xlabel": axis, "ylabel": what})], SIZE, form=form)


def curve_plot(rows: Sequence[Row], axis: str) -> bytes:
    """A PNG of the rows of one curve (`acutance_lab.bench.curves`): mean PSNR of every method."""
    means = dict(curve_means(rows))
    blurred = Line(BLURRED_NAME, BLURRED, means.pop(BLURRED_NAME))
    lines = [Line(name, look(i), psnr) for i, (name, psnr) in enumerate(means.items())]
    ticks = {value: f"{value:g}" for value in blurred.values}
    return lines_plot([*lines, blurred], axis=axis, what="mean PSNR, dB", ticks=ticks, form="png")


def times_plot(points: Sequence[tuple[str, Look, float, float]], *, axis: str, what: str) -> bytes:
    """Points (label, look, seconds, PSNR) on a logarithmic axis, with the front of those that nothing beats in both."""
    best = front([(seconds, psnr) for *_, seconds, psnr in points])
    step = {"drawstyle": "steps-post", "color": SOFT, "linewidth": 1.1, "linestyle": (0, (4, 2)), "zorder": 1}
    series = [Series([t for t, _ in best], [psnr for _, psnr in best], style=step)]
    for label, each, seconds, psnr in points:
        series.append(Series([seconds], [psnr], short(label), {**each, "linestyle": "none"}))
    axes = {"xscale": "log", "xmargin": 0.12, "ymargin": 0.12, "xlabel": axis, "ylabel": what}
    return draw([Panel(series, axes)], SIZE, form="svg")


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (seconds, PSNR) those with which none is at once as fast and better; by seconds."""
    best: list[tuple[float, float]] = []
    for seconds, psnr in sorted(set(points), key=lambda p: (p[0], -p[1])):
        if not best or psnr > best[-1][1]:
            best.append((seconds, psnr))
    return best
