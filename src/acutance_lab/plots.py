"""Plots in one style: the only place that makes figures of matplotlib."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
