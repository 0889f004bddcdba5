"""Plots of a report as SVG that stands inside a page: nothing from outside, always the same bytes.

Methods are told apart by colour (Okabe and Ito's, safe for the colour-blind), marker, line style and a label at the
line, so that none of these is needed alone.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from acutance.errors import MissingExtra
from acutance_lab.bench.case import Noise, describe_noise

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
LINES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (5, 1.4, 1.2, 1.4)))
INK, SOFT, RULE = "#1b1f24", "#57606a", "#d8dee4"
WIDTH = 9.2
"""Of a plot, inches at 100 %."""

LONGEST = 30
"""Characters of a label; what is longer is cut."""

STYLE: dict[str, Any] = {
    "text.parse_math": False,
    "font.size": 10,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
}
"""Of every plot of measured rows and curves, as settings of matplotlib."""

_INSIDE_A_PAGE: dict[str, Any] = {
    **STYLE,
    "svg.fonttype": "none",
    "svg.hashsalt": "acutance",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # measured with a wide face; the page's own is narrower
    "axes.linewidth": 0.8,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "lines.linewidth": 1.8,
    "lines.markersize": 6.5,
}


@dataclass(frozen=True)
class Look:
    """How a method is drawn."""

    colour: str
    marker: str
    line: Any


@dataclass(frozen=True)
class Line:
    """A method's PSNR in dB by noise level or step; NaN where there is none."""

    label: str
    look: Look
    psnr: Mapping[Noise, float]


@dataclass(frozen=True)
class Point:
    """A method's seconds and PSNR in dB."""

    label: str
    look: Look
    seconds: float
    psnr: float


def look(index: int) -> Look:
    """Of the n-th method; different for the first 77 but in few details after 7."""
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    return Look(colour, marker, LINES[index // len(COLOURS) % len(LINES)])


def against_noise(
    lines: Sequence[Line], blurred: Mapping[Noise, float], *, name: str = "noise", what: str = "mean PSNR, dB"
) -> str:
    """PSNR against noise level; "as captured" stands apart, as its pictures and its cut are others.

    Args:
        name: of the plot within its page. what: along the vertical axis.
    """
    levels = sorted({n for each in lines for n in each.psnr if n is not None})
    captured = any(None in each.psnr for each in lines)
    apart = (levels[0] - 0.85 * max(0.01, levels[0])) * 100 - 0.75 if levels else 0.0
    values = [v for each in lines for v in each.psnr.values()]
    near = [v for v in blurred.values() if v > min(values) - 0.15 * (max(values) - min(values))]
    if near:  # else it would take the room that the differences need
        lines = [*lines, Line("blurred input", Look(SOFT, ".", (0, (1, 2))), blurred)]
    with _axes(0.6 + max(3.9, 0.21 * len(lines)), [each.label for each in lines]) as (axes, finish):
        ends = []
        levels_apart = [each for each in lines if math.isfinite(each.psnr.get(None, math.nan))]
        for each in lines:
            there = [n for n in levels if math.isfinite(each.psnr.get(n, math.nan))]
            x, y = [100 * n for n in there], [each.psnr[n] for n in there]
            style: dict[str, Any] = {"color": each.look.colour, "marker": each.look.marker, "markeredgecolor": "white"}
            style |= {"markeredgewidth": 0.8}
            if x:
                axes.plot(x, y, linestyle=each.look.line, **style)
            at_left = each.psnr.get(None, math.nan)
            if math.isfinite(at_left):
                aside = levels_apart.index(each) / max(1, len(levels_apart) - 1) - 0.5  # so that all can be seen
                axes.plot([apart + 0.5 * aside], [at_left], linestyle="none", **style)
            if x:
                ends.append((x[-1], y[-1], each.label, each.look.colour))
            elif math.isfinite(at_left):
                ends.append((apart, at_left, each.label, each.look.colour))
        ticks = [*([apart] if captured else []), *(100 * n for n in levels)]
        words = [*(["captured"] if captured else []), *(f"{100 * n:g}" for n in levels)]
        axes.set_xticks(ticks, words)
        axes.set_xlabel("noise, % of the range")
        axes.set_ylabel(what)
        axes.grid(axis="x", visible=False)
        right = ticks[-1] if ticks else 1.0
        span = max(right - ticks[0], 1.0) if ticks else 1.0
        left = (ticks[0] if ticks else 0) - 0.06 * span - (0.25 if captured else 0)
        axes.set_xlim(left, right + 0.02 * span)
        if captured and levels:
            axes.axvline((apart + 100 * levels[0]) / 2, color=RULE, linewidth=1)
        _label_ends(axes, ends)
        return finish(name)


def against_seconds(points: Sequence[Point], *, noise: Noise, what: str) -> str:
    """PSNR against seconds on a logarithmic axis, with the front of those that nothing beats in both."""
    with _axes(4.7) as (axes, finish):
        from matplotlib.ticker import LogLocator, NullFormatter

        axes.set_xscale("log")
        best = front([(p.seconds, p.psnr) for p in points])
        if len(best) > 1:
            axes.step(
                *zip(*best, strict=True), where="post", color=SOFT, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1
            )
        for p in points:
            on_front = (p.seconds, p.psnr) in best
            axes.plot(
                [p.seconds], [p.psnr], linestyle="none", marker=p.look.marker, markersize=9 if on_front else 7.5,
                color=p.look.colour, markeredgecolor="white", markeredgewidth=0.8, zorder=3,
            )  # fmt: skip
        low, high = min(p.seconds for p in points), max(p.seconds for p in points)
        room = max(math.log10(high / low), 0.8)
        axes.set_xlim(low / 10 ** (0.12 * room), high * 10 ** (0.34 * room))
        bottom, top = min(p.psnr for p in points), max(p.psnr for p in points)
        margin = max(0.12 * (top - bottom), 0.25)
        axes.set_ylim(bottom - margin, top + margin)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if room > 1.5 else (1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(what)
        axes.set_ylabel(
            f"mean PSNR at {describe_noise(noise)}, dB" if noise is not None else "mean PSNR as captured, dB"
        )
        _label_points(axes, points, best)
        return finish("seconds")


def against_steps(lines: Sequence[tuple[str, Look, Sequence[float]]], *, noise: Noise) -> str:
    """PSNR after each step."""
    with _axes(4.3, [label for label, *_ in lines]) as (axes, finish):
        for _, style, curve in lines:
            steps = range(1, len(curve) + 1)
            axes.plot(
                steps, curve, color=style.colour, linestyle=style.line, marker=style.marker,
                markevery=max(1, len(curve) // 10), markeredgecolor="white", markeredgewidth=0.8,
            )  # fmt: skip
        axes.set_xlabel("steps")
        axes.set_ylabel(
            f"mean PSNR at {describe_noise(noise)}, dB" if noise is not None else "mean PSNR as captured, dB"
        )
        axes.margins(x=0.02)
        _label_ends(axes, [(len(c), c[-1], label, style.colour) for label, style, c in lines])
        return finish("steps")


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (seconds, PSNR) those with which none is at once as fast and better; by seconds."""
    best: list[tuple[float, float]] = []
    for seconds, psnr in sorted(set(points), key=lambda p: (p[0], -p[1])):
        if not best or psnr > best[-1][1]:
            best.append((seconds, psnr))
    return best


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places next to those wanted, in their order, no two closer than `gap`; as few moved as little as may be."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[tuple[list[int], float]] = []  # members, centre
    for i in order:
        members, centre = [i], wanted[i]
        while blocks and centre - (len(members) - 1) * gap / 2 < blocks[-1][1] + (len(blocks[-1][0]) + 1) * gap / 2:
            members = blocks.pop()[0] + members
            offsets = [wanted[m] - (k - (len(members) - 1) / 2) * gap for k, m in enumerate(members)]
            centre = sum(offsets) / len(offsets)
        blocks.append((members, centre))
    places = [0.0] * len(wanted)
    for members, centre in blocks:
        for k, m in enumerate(members):
            places[m] = centre + (k - (len(members) - 1) / 2) * gap
    return places


def _label_ends(axes: Any, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """A name to the right of each line's end, moved apart where they would lie on each other."""
    figure = axes.figure
    figure.canvas.draw()
    heights = [axes.transData.transform((x, y))[1] for x, y, *_ in ends]
    places = spread(heights, 1.3 * 9.5 * figure.dpi / 72)
    right = axes.get_window_extent().x1 + 16
    for (x, y, label, colour), place in zip(ends, places, strict=True):
        target = axes.transData.inverted().transform((right, place))
        axes.annotate(
            _short(label), (x, y), xytext=tuple(target), va="center", ha="left", color=INK, fontsize=9.5,
            annotation_clip=False, arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.9, "shrinkA": 2,
            "shrinkB": 5, "relpos": (0, 0.5)},
        )  # fmt: skip


def _label_points(axes: Any, points: Sequence[Point], steps: Sequence[tuple[float, float]]) -> None:
    """A name beside each point, where it covers least of the others."""
    from matplotlib.transforms import Bbox

    figure = axes.figure
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    frame = axes.get_window_extent()
    dots = [axes.transData.transform((p.seconds, p.psnr)) for p in points]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in dots]
    corners = [tuple(axes.transData.transform(step)) for step in steps]
    for (x, y), (after, above) in pairwise(corners):  # the dashed line
        taken += [Bbox([[x, y - 2], [after, y + 2]]), Bbox([[after - 2, y], [after + 2, above]])]
    for p, (x, y) in sorted(zip(points, dots, strict=True), key=lambda pair: (pair[1][0], pair[1][1])):
        text = axes.text(0, 0, _short(p.label), color=INK, fontsize=9.5, transform=None, ha="left", va="bottom")
        box = text.get_window_extent(renderer)
        w, h = box.width, box.height
        choices: list[tuple[float, int, Any, float]] = []
        for far in (9.0, 22.0, 38.0):
            for dx, dy in ((far, -h / 2), (-w / 2, far - 2), (-w / 2, -far - h + 2), (-w - far, -h / 2),
                           (far * 0.7, far * 0.7), (far * 0.7, -far * 0.7 - h), (-w - far * 0.7, far * 0.7),
                           (-w - far * 0.7, -far * 0.7 - h)):  # fmt: skip
                place = Bbox.from_bounds(x + dx, y + dy, w, h)
                cover = sum(_overlap(place, other) for other in taken)
                outside = w * h - _overlap(place, frame)
                choices.append((cover + 2 * outside + 0.02 * far * h, len(choices), place, far))
        _, _, place, far = min(choices)
        taken.append(place)
        text.remove()
        anchor = axes.transData.inverted().transform((place.x0, place.y0))
        axes.annotate(
            _short(p.label), (p.seconds, p.psnr), xytext=tuple(anchor), ha="left", va="bottom", color=INK, fontsize=9.5,
            annotation_clip=False, arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.7, "shrinkB": 5}
            if far > 9 else None,
        )  # fmt: skip


def _overlap(a: Any, b: Any) -> float:
    width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    return float(width * height) if width > 0 and height > 0 else 0.0


def _short(label: str) -> str:
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"


@contextmanager
def _axes(height: float, labels: Sequence[str] = ()) -> Iterator[tuple[Any, Callable[[str], str]]]:
    """Axes, and the function that makes them an SVG of that name; with room for labels on the right."""
    try:
        from matplotlib import rc_context, rcParamsDefault
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("plots in a report", "lab") from error
    style: Any = {**dict(rcParamsDefault.items()), **_INSIDE_A_PAGE}
    with rc_context(style), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that the measuring face lacks; the page's faces have them
        figure = Figure(figsize=(WIDTH, height), dpi=100)
        FigureCanvasAgg(figure)
        room = 0.35 + 0.084 * max(len(_short(label)) for label in labels) if labels else 0.15
        axes = figure.add_axes((0.7 / WIDTH, 0.6 / height, 1 - (0.7 + room) / WIDTH, 1 - 0.75 / height))

        def finish(name: str) -> str:
            stream = io.StringIO()
            nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            figure.savefig(stream, format="svg", metadata=nothing)
            return _inline(stream.getvalue(), name)

        yield axes, finish


def _inline(svg: str, name: str) -> str:
    """A file of SVG as an element of HTML: without prologue, namespaces, and names that nothing refers to."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s+xmlns(?::\w+)?="[^"]*"', "", svg).replace("xlink:href=", "href=")
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"', r"\1\2", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"([^>]*?) height="[^"]*"', r"\1\2", svg, count=1)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # its rule would hold for the whole page
    used = set(re.findall(r'(?:href="|url\()#([\w.-]+)', svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(href="|url\()#([\w.-]+)', rf"\1#{name}-\2", svg)
    return svg.strip()
