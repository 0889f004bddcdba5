"""A curve as a PNG: mean PSNR of every method against the one thing that was varied."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acutance.errors import MissingExtra, OutputError
from acutance.images import write_atomically
from acutance_lab.bench.curves_points import BLURRED, Point, means
from acutance_lab.bench.report_plots import SOFT, STYLE, Look, look


def require_matplotlib() -> None:
    """See that plots can be drawn.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtra("plots of curves", "lab") from error


def write_plot(file: Path, points: Sequence[Point], *, axis: str) -> Path:
    """Draw the points of one curve into a PNG, which is replaced if it is there; its folder is created.

    The line of the blurred pictures is left out where it would take the room that the differences need.

    Args:
        axis: what was varied, with its unit.

    Raises:
        MissingExtra: matplotlib is not installed. OutputError: the file cannot be written.
    """
    require_matplotlib()
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = dict(means(points))
    blurred = lines.pop(BLURRED)
    looks = {name: look(i) for i, name in enumerate(lines)}
    scores = [v for psnr in lines.values() for v in psnr.values() if math.isfinite(v)]
    if scores and max(blurred.values()) > min(scores) - 0.15 * (max(scores) - min(scores)):
        lines[BLURRED], looks[BLURRED] = blurred, Look(SOFT, ".", (0, (1, 2)))
    style: Any = {**dict(rcParamsDefault.items()), **STYLE}
    with rc_context(style):
        figure = Figure(figsize=(8.0, 4.8), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for name, psnr in lines.items():
            x, each = sorted(psnr), looks[name]
            axes.plot(
                x, [psnr[v] for v in x], label=name, color=each.colour, marker=each.marker, linestyle=each.line,
                linewidth=1.8, markersize=6, markeredgecolor="white", markeredgewidth=0.8,
            )  # fmt: skip
        values = sorted({p.value for p in points})
        axes.set_xticks(values, [f"{v:g}" for v in values])
        axes.set_xlabel(axis)
        axes.set_ylabel("mean PSNR, dB")
        axes.legend(fontsize=9)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", metadata={"Software": None})
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}; give another --out") from error
    write_atomically(file, stream.getvalue(), overwrite=True)
    return file
