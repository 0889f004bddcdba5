"""The record of the benchmark: one row for each picture and method, whatever was measured, kept as JSON lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from acutance.errors import DataError
from acutance_lab.bench.cuts import Cut
from acutance_lab.records import read_records

Key = tuple[str, str, str, str, float | None, str | None, str, float | None]


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
        varied, value: the one thing that the suite varies and what it was here; "": nothing.
        width, height, channels: of the blurred picture. note: what else the case says of itself.
        fitting_error: root mean square of k * x - y inside the frame, a fraction of the range; without a truth.
        rounds: seconds of each round, where methods took turns after one round to warm up; `seconds` is their median.
            begun: when, UTC; the same for all that took turns.
        forecast: seconds that were foretold. processor_share: part of its threads' time that the process got.
        level, level_true: noise level that was estimated and that is there, fractions of the range.
        gmac_networks, gmac_transforms: 1e9 multiply-accumulates. parameters: numbers that were learned.
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
    varied: str = ""
    value: float | None = None
    width: int | None = None
    height: int | None = None
    channels: int | None = None
    note: str = ""
    fitting_error: float | None = None
    rounds: tuple[float, ...] | None = None
    begun: str | None = None
    forecast: float | None = None
    processor_share: float | None = None
    level: float | None = None
    level_true: float | None = None
    gmac_networks: float | None = None
    gmac_transforms: float | None = None
    parameters: int | None = None

    @property
    def key(self) -> Key:
        """What makes two rows the same measurement."""
        return (
            self.suite, self.method, self.picture, self.kernel, self.noise, self.weights, self.varied, self.value,
        )  # fmt: skip

    @property
    def title(self) -> str:
        """The method with the version of its weights."""
        return f"{self.method} ({self.weights})" if self.weights else self.method

    def ratio(self, reference: Row) -> float:
        """Median over the rounds of its time over that of another in the same round.

        Raises:
            DataError: one has no rounds, or another number of them.
        """
        mine, others = self.rounds or (), reference.rounds or ()
        if not mine or len(mine) != len(others):
            raise DataError(f"{self.method} and {reference.method} did not take turns; measure them together")
        return median(a / b if b > 0 else math.inf for a, b in zip(mine, others, strict=True))

    def recorded(self, cut: Cut) -> float | None:
        """PSNR in dB in a cut; None where it was not recorded, as in rows of earlier versions."""
        return {Cut.WHOLE: self.psnr_whole, Cut.MARGIN: self.psnr_margin, Cut.PUBLISHED: self.psnr_published}[cut]


def read_rows(file: Path) -> list[Row]:
    """The rows of a file, the last one where a measurement was repeated; none if there is no file.

    A line that is cut off, as by a crash while it was written, is left out with a warning.

    Raises:
        DataError: a line is whole but no row.
    """
    rows: dict[Key, Row] = {}
    for row in read_records(file, Row, what="benchmark result"):
        rows.pop(row.key, None)
        rows[row.key] = row
    return list(rows.values())
