"""What was measured: one row for each restored picture, kept as JSON lines."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from acutance.errors import DataError, OutputError

log = logging.getLogger(__name__)

Key = tuple[str, str, str, str, float | None, str | None]


@dataclass(frozen=True)
class Row:
    """One picture restored by one method.

    Args:
        suite, picture, kernel, noise: of the case; noise is a fraction of the range, None: as captured.
        method: name and settings, as "rgdn:steps=50"; see `acutance.bench.contender.Contender`.
        psnr, ssim: of the restored picture; psnr_blurred: of the blurred one, under the same protocol. Not a number
            where nobody knows the truth.
        seconds: wall-clock time of the method. steps: behind the result. outcome: name of an `Outcome`.
        peak_mb: most memory held while restoring, 10^6 bytes: of the process on the CPU, of tensors on a GPU; None
            where the system does not tell.
        weights: version of the weights, None for a method without.
        revision: of the source. hardware: what it ran on.
        curve: PSNR after each step, where asked for and the method has steps.
        psnr_border, psnr_interior: of the outer 20 pixels and of the rest, where the whole picture is scored.
        sparsity, sparsity_blurred: where nobody knows the truth, see `acutance.bench.score.sparsity`; lower is sharper.
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

    @property
    def key(self) -> Key:
        """What makes two rows the same measurement."""
        return (self.suite, self.method, self.picture, self.kernel, self.noise, self.weights)

    def to_json(self) -> str:
        """One line without its end; numbers that are not finite become null."""
        return json.dumps({k: _finite(v) for k, v in asdict(self).items()}, ensure_ascii=False, allow_nan=False)


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
    if not file.is_file():
        return []
    rows: dict[Key, Row] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError:
            log.warning("%s, line %d is cut off and left out", file, number)
            continue
        row = _row(values)
        if row is None:
            raise DataError(f"{file}, line {number} is no benchmark result; move the file away or remove the line")
        rows.pop(row.key, None)
        rows[row.key] = row
    return list(rows.values())


def append_rows(file: Path, rows: Iterable[Row]) -> None:
    """Add rows to the end of a file, which is created with its folders.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a+b") as stream:
            if stream.tell() > 0:
                stream.seek(-1, 2)
                if stream.read(1) != b"\n":  # a line that was cut off stays one line
                    stream.write(b"\n")
            stream.write("".join(f"{row.to_json()}\n" for row in rows).encode())
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}; give another --out") from error


def _finite(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
