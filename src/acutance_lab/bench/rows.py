"""What was measured: one row for each restored picture, kept as JSON lines."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from acutance_lab.bench.cuts import Cut
from acutance_lab.bench.lines import append_lines, read_lines

Key = tuple[str, str, str, str, float | None, str | None]


@dataclass(frozen=True)
class Row:
    """One picture restored by one method.

    Args:
        suite, picture, kernel, noise: of the case; noise is a fraction of the range, None: as captured.
        method: name and settings, as "rgdn:steps=50"; see `acutance_lab.bench.contender.Contender`.
        psnr, ssim: of the restored picture; psnr_blurred: of the blurred one, under the same protocol. Not a number
            where nobody knows the truth.
        seconds: wall-clock time of the method. steps: behind the result. outcome: name of an `Outcome`.
        peak_mb: most memory held while restoring, 10^6 bytes: of the process on the CPU, of tensors on a GPU; None
            where the system does not tell.
        weights: version of the weights, None for a method without.
        revision: of the source. hardware: what it ran on.
        curve: PSNR after each step, where asked for and the method has steps.
        psnr_border, psnr_interior: of the outer 20 pixels and of the rest, where the whole picture is scored.
        sparsity, sparsity_blurred: where nobody knows the truth; see `acutance_lab.bench.score.sparsity`; lower is
            sharper.
        kernel_similarity: of an estimated kernel, see `acutance.metrics.kernel_similarity`.
        psnr_whole, psnr_margin, psnr_published: PSNR in the three cuts, see `acutance_lab.bench.cuts`, where the suite
            records them. With added noise `psnr` is the first, as captured the second.
    """

    suite: str
    method: str
    picture: str
    kernel: str
    noise: float | None
    psnr: float
    ssim: float
    psnr_blurred: float
    seconds: float
    steps: int
    outcome: str
    peak_mb: float | None
    weights: str | None
    revision: str
    hardware: str
    curve: tuple[float, ...] | None = None
    psnr_border: float | None = None
    psnr_interior: float | None = None
    sparsity: float | None = None
    sparsity_blurred: float | None = None
    kernel_similarity: float | None = None
    psnr_whole: float | None = None
    psnr_margin: float | None = None
    psnr_published: float | None = None

    @property
    def key(self) -> Key:
        """What makes two rows the same measurement."""
        return (self.suite, self.method, self.picture, self.kernel, self.noise, self.weights)

    def recorded(self, cut: Cut) -> float | None:
        """PSNR in dB in a cut; None where it was not recorded, as in rows of earlier versions."""
        return {Cut.WHOLE: self.psnr_whole, Cut.MARGIN: self.psnr_margin, Cut.PUBLISHED: self.psnr_published}[cut]


FIELDS = {f.name for f in fields(Row)}
OPTIONAL = {f.name for f in fields(Row) if f.default is not MISSING}
"""What rows of an earlier version may lack."""

NUMBERS = ("psnr", "ssim", "psnr_blurred", "seconds")


def read_rows(file: Path) -> list[Row]:
    """The rows of a file, the last one where a measurement was repeated; none if there is no file.

    A line that is cut off, as by a crash while it was written, is left out with a warning.

    Raises:
        DataError: a line is whole but no row.
    """
    rows: dict[Key, Row] = {}
    for row in read_lines(file, _row, what="benchmark result"):
        rows.pop(row.key, None)
        rows[row.key] = row
    return list(rows.values())


def append_rows(file: Path, rows: Iterable[Row]) -> None:
    """Add rows to the end of a file, which is created with its folders.

    Raises:
        OutputError: it cannot be written.
    """
    append_lines(file, map(asdict, rows))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _row(values: Any) -> Row | None:
    if not isinstance(values, dict) or not FIELDS - OPTIONAL <= set(values) <= FIELDS:
        return None
    try:
        curve = values.get("curve")
        known = {k: _number(values[k]) for k in NUMBERS}
        return Row(**{**values, **known, "curve": None if curve is None else tuple(_number(v) for v in curve)})
    except (TypeError, ValueError):
        return None
