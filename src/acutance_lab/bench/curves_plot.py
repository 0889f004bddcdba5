"""A curve as a PNG: mean PSNR of every method against the one thing that was varied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acutance.errors import OutputError
from acutance_lab.bench.report_plots import Look, look
from acutance_lab.bench.rows import Row
from acutance_lab.bench.tables import BLURRED, curve_means
from acutance_lab.plots import SOFT, require_matplotlib
from acutance_lab.plots import write_plot as write_figure


def write_plot(file: Path, points: Sequence[Row], *, axis: str) -> Path:
    """Draw the points of one curve into a PNG, which is replaced if it is there; its folder is created.

    The line of the blurred pictures is left out where it would take the room that the differences need.

    Args:
        axis: what was varied, with its unit.

    Raises:
        MissingExtra: matplotlib is not installed. OutputError: the file cannot be written.
    """
    require_matplotlib()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}; give another --out") from error
    return write_figure(file, 8.0, 4.8, lambda figure: _draw(figure, points, axis))


def _draw(figure: Any, points: Sequence[Row], axis: str) -> None:
    lines = dict(curve_means(points))
    blurred = lines.pop(BLURRED)
    looks = {name: look(i) for i, name in enumerate(lines)}
    scores = [v for psnr in lines.values() for v in psnr.values() if math.isfinite(v)]
    if scores and max(blurred.values()) > min(scores) - 0.15 * (max(scores) - min(scores)):
        lines[BLURRED], looks[BLURRED] = blurred, Look(SOFT, ".", (0, (1, 2)))
    axes = figure.subplots()
    for name, psnr in lines.items():
        x, each = sorted(psnr), looks[name]
        axes.plot(
            x, [psnr[v] for v in x], label=name, color=each.colour, marker=each.marker, linestyle=each.line,
            linewidth=1.8, markersize=6, markeredgecolor="white", markeredgewidth=0.8,
        )  # fmt: skip
    values = sorted(curve_means(points)[BLURRED])
    axes.set_xticks(values, [f"{v:g}" for v in values])
    axes.set_xlabel(axis)
    axes.set_ylabel("mean PSNR, dB")
    axes.legend(fontsize=9)
