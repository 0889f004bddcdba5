"""Plots in one style: the only place that makes figures of matplotlib."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from acutance.errors import MissingExtra

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
"""Of lines, told apart by the colour-blind as well (Okabe and Ito)."""

INK, SOFT, RULE = "#1b1f24", "#57606a", "#d8dee4"

STYLE: dict[str, Any] = {
    "text.parse_math": False,
    "svg.hashsalt": "acutance",
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


def require_matplotlib() -> None:
    """See that plots can be drawn.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtra("a plot", "lab") from error


@contextmanager
def figure_of(width: float, height: float) -> Iterator[tuple[Any, Callable[..., bytes]]]:
    """A figure of that size in inches, and the function that makes it a PNG, or an SVG: the same bytes each time.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {**dict(rcParamsDefault.items()), **STYLE}
    with rc_context(style):
        figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)

        def finish(form: str = "png") -> bytes:
            stream = io.BytesIO()
            metadata = {"Date": None} if form == "svg" else {"Software": None}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # letters that the face lacks
                figure.savefig(stream, format=form, metadata=metadata)
            return stream.getvalue()

        yield figure, finish


@dataclass(frozen=True)
class Series:
    """Something drawn on axes. Args: x, y: alike long. label: in the legend; "": none. style: of matplotlib's plot."""

    x: Sequence[float]
    y: Sequence[float]
    label: str = ""
    style: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Panel:
    """Axes of a plot. Args: options: of matplotlib's Axes.set. level, place: lines across, at y and at x."""

    series: Sequence[Series]
    options: Mapping[str, Any] = field(default_factory=dict)
    level: float | None = None
    place: float | None = None


def draw(panels: Sequence[Panel], size: tuple[float, float] | None = None, *, form: str = "png") -> bytes:
    """Panels side by side, with one legend: above them, or at the right of a picture of a given size in inches.

    Args:
        form: "svg" or "png".

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    rows = max((len(panel.options.get("yticks", ())) for panel in panels), default=0)
    width, height = size or (max(7.5, 3.9 * len(panels)), max(4.6, 1.6 + 0.28 * rows))
    with figure_of(width, height) as (figure, finish):
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for each in panel.series:
                axes.plot(each.x, each.y, label=each.label or None, **{"linewidth": 1.8, **each.style})
            for value, line in ((panel.level, axes.axhline), (panel.place, axes.axvline)):
                if value is not None:
                    line(value, color="gray", linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
            axes.set(**panel.options)
            if "yticklabels" in panel.options:
                axes.invert_yaxis()
            if axes.get_xscale() == "log":
                axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        shown: dict[str, Any] = {}
        for axes in figure.axes:
            shown |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        place = {"loc": "outside right upper"} if size else {"loc": "outside upper center", "ncols": 4}
        if shown:
            figure.legend(shown.values(), shown, fontsize=9, frameon=False, **place)
        return finish(form)
