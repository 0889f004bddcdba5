"""What `acutance-lab bench times` measured: rows of contenders side by side, kept as JSON lines, and their table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

from acutance.errors import ConfigError
from acutance_lab.bench.lines import append_lines, read_lines

FILE = "times.jsonl"
"""In a folder of rows; it holds no suite."""


@dataclass(frozen=True)
class Timing:
    """One contender in one run.

    Args:
        run: when it began, UTC; the same for all that ran in turn.
        method, weights: as in a `Row`. picture: "leaves", or the name of a photograph's file.
        height, width, channels: of the blurred picture. kernel: side of the kernel. noise: fraction of the range.
        seconds: of each round, in order; one more before them warms up. steps, outcome: of the last round.
        psnr, psnr_blurred: dB, whole picture.
        revision: of the source. hardware: what it ran on.
    """

    run: str
    method: str
    weights: str | None
    picture: str
    height: int
    width: int
    channels: int
    kernel: int
    noise: float
    seconds: tuple[float, ...]
    steps: int
    outcome: str
    psnr: float
    psnr_blurred: float
    revision: str
    hardware: str

    @property
    def median(self) -> float:
        """Of the rounds."""
        return median(self.seconds)


def times_table(found: Sequence[Timing], against: str | None = None) -> str:
    """Markdown: a row for each contender, its seconds beside those of the first, or of the one called `against`.

    Raises:
        ConfigError: nobody is called that.
    """
    reference = found[0] if against is None else next((t for t in found if t.method == against), None)
    if reference is None:
        raise ConfigError(f"--against {against}: give one of {', '.join(t.method for t in found)}")
    label = reference.method.replace("|", "/")
    lines = [
        f"| method | seconds (median) | fastest to slowest | time / that of {label} | PSNR, dB | gain, dB | steps |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for t in found:
        lines.append(
            f"| {t.method.replace('|', '/')}{f' ({t.weights})' if t.weights else ''} | {t.median:.3g} | "
            f"{min(t.seconds):.3g} to {max(t.seconds):.3g} | {ratio(t, reference):.3g} | {t.psnr:.2f} | "
            f"{t.psnr - t.psnr_blurred:+.2f} | {t.steps} |"
        )
    return "\n".join([*lines, "", describe(found[0])])


def describe(timing: Timing) -> str:
    """What a run measured, in a sentence or two."""
    kind = "grey" if timing.channels == 1 else "colour"
    return (
        f"{timing.picture}, {timing.width}x{timing.height}, {kind}, kernel {timing.kernel}x{timing.kernel}, noise "
        f"{100 * timing.noise:g} %, blurred input {timing.psnr_blurred:.2f} dB. In turn in one process, "
        f"{len(timing.seconds)} rounds after one to warm up; the ratio is the median of those of the rounds. "
        f"Hardware: {timing.hardware}. Revision {timing.revision}; begun {timing.run}."
    )


def ratio(timing: Timing, reference: Timing) -> float:
    """Median over the rounds of the time of one over that of the other in the same round."""
    return median(a / b if b > 0 else math.inf for a, b in zip(timing.seconds, reference.seconds, strict=True))


def append_times(folder: Path, found: Sequence[Timing]) -> Path:
    """Add rows to FOLDER/times.jsonl, which is created with its folders.

    Raises:
        OutputError: it cannot be written.
    """
    file = folder / FILE
    append_lines(file, map(asdict, found))
    return file


def read_times(file: Path) -> list[list[Timing]]:
    """The runs in a file, each with its contenders; none if there is no file. What is cut off is left out.

    Raises:
        DataError: a line is whole but no timing.
    """
    runs: dict[str, list[Timing]] = {}
    for timing in read_lines(file, _timing, what="timing"):
        runs.setdefault(timing.run, []).append(timing)
    return list(runs.values())


def _timing(values: Any) -> Timing | None:
    if not isinstance(values, dict) or set(values) != {f.name for f in fields(Timing)}:
        return None
    try:
        seconds = tuple(float(v) for v in values["seconds"])
        scores = {k: math.nan if values[k] is None else float(values[k]) for k in ("psnr", "psnr_blurred")}
        words = {k: str(values[k]) for k in ("run", "method", "picture", "outcome", "revision", "hardware")}
        sizes = {k: int(values[k]) for k in ("height", "width", "channels", "kernel", "steps")}
        weights = None if values["weights"] is None else str(values["weights"])
        known: dict[str, Any] = {**words, **sizes, **scores, "weights": weights, "noise": float(values["noise"])}
        return Timing(**known, seconds=seconds) if seconds else None
    except (TypeError, ValueError):
        return None
