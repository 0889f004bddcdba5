"""What `acutance-lab bench curves` measured: a point for each picture, kept as JSON lines, and the table of a curve."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

from acutance_lab.bench.lines import append_lines, read_lines

FILE = "curves.jsonl"
"""In a folder of curves; it holds no suite."""

BLURRED = "(blurred picture)"
"""What stands in the place of a method where nothing was restored."""

PointKey = tuple[str, float, str, str, int, str, str | None]


@dataclass(frozen=True)
class Point:
    """One picture restored by one method, at one value of what a curve varies.

    Args:
        curve, value: of `acutance_lab.bench.curves_kinds.CURVES`. suite, picture: where the sharp picture is from.
        side: of the blurred picture, pixels.
        method, weights: as in an `acutance_lab.bench.rows.Row`.
        psnr, psnr_blurred: dB, of the restored and of the blurred picture, whole.
        seconds: wall-clock time of the method; of the whole run where `value` counts its steps.
        revision: of the source. hardware: what it ran on.
    """

    curve: str
    value: float
    suite: str
    picture: str
    side: int
    method: str
    weights: str | None
    psnr: float
    psnr_blurred: float
    seconds: float
    revision: str
    hardware: str

    @property
    def key(self) -> PointKey:
        """What makes two points the same measurement."""
        return (self.curve, self.value, self.suite, self.picture, self.side, self.method, self.weights)

    @property
    def name(self) -> str:
        """Of the method, with the version of its weights."""
        return f"{self.method} ({self.weights})" if self.weights else self.method


def means(points: Sequence[Point]) -> Mapping[str, Mapping[float, float]]:
    """Mean PSNR in dB over the pictures, by name and value, for the points of one curve; the last are `BLURRED`."""
    found: dict[str, dict[float, list[float]]] = {}
    blurred: dict[float, dict[str, float]] = {}
    for p in points:
        found.setdefault(p.name, {}).setdefault(p.value, []).append(p.psnr)
        blurred.setdefault(p.value, {})[p.picture] = p.psnr_blurred
    found[BLURRED] = {value: list(each.values()) for value, each in blurred.items()}
    return {name: {v: fmean(each) for v, each in by_value.items()} for name, by_value in found.items()}


def curve_table(points: Sequence[Point]) -> str:
    """Markdown: a row for each method and a column for each value, for the points of one curve."""
    values = sorted({p.value for p in points})
    lines = [f"| method | {' | '.join(f'{v:g}' for v in values)} |", "| --- " * (len(values) + 1) + "|"]
    for name, psnr in means(points).items():
        cells = [f"{psnr[v]:.2f}" if v in psnr else "" for v in values]
        lines.append(f"| {name.replace('|', '/')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def describe(points: Sequence[Point]) -> str:
    """What was measured on what, in a sentence."""
    pictures = {(p.suite, p.picture): p.side for p in points}
    suites = ", ".join(dict.fromkeys(suite for suite, _ in pictures))
    sides = " to ".join(str(side) for side in sorted({min(pictures.values()), max(pictures.values())}))
    return f"Mean PSNR in dB, pictures: {len(pictures)} of {suites}, {sides} pixels square."


def append_points(file: Path, points: Iterable[Point]) -> None:
    """Add points to the end of a file, which is created with its folders.

    Raises:
        OutputError: it cannot be written.
    """
    append_lines(file, map(asdict, points))


def read_points(file: Path) -> dict[PointKey, Point]:
    """The points of a file, the last one where a measurement was repeated; none if there is no file.

    A line that is cut off, as by a crash while it was written, is left out with a warning.

    Raises:
        DataError: a line is whole but no point.
    """
    return {point.key: point for point in read_lines(file, _point, what="point of a curve")}


def _point(values: Any) -> Point | None:
    if not isinstance(values, dict) or set(values) != {f.name for f in fields(Point)}:
        return None
    try:
        scores = {k: math.nan if values[k] is None else float(values[k]) for k in ("psnr", "psnr_blurred", "seconds")}
        words = {k: str(values[k]) for k in ("curve", "suite", "picture", "method", "revision", "hardware")}
        weights = None if values["weights"] is None else str(values["weights"])
        numbers: dict[str, Any] = {**words, **scores, "value": float(values["value"]), "side": int(values["side"])}
        return Point(**numbers, weights=weights)
    except (TypeError, ValueError):
        return None
