"""The queue of runs to come and the ledger of runs that were: two tables in `docs/training.md`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from acutance.errors import ConfigError
from acutance.train import checkpoint
from acutance.train.config import TrainConfig
from acutance.train.loop import Run
from acutance.weights import read_weights

QUEUE, LEDGER = "## Queue", "## Ledger"


@dataclass(frozen=True)
class Entry:
    """A run that waits: its name, configuration, minutes, weights to start from, and what it is expected to gain."""

    name: str
    config: Path
    minutes: float
    init: Path | None
    why: str


def next_run(notes: Path) -> Entry:
    """The first row of the queue whose state is "open".

    Raises:
        ConfigError: no such file, or nothing open.
    """
    for cells in _table(notes, QUEUE):
        if len(cells) >= 6 and cells[5].lower() == "open":
            start = None if cells[3] in ("", "-", "random") else Path(cells[3].strip("`"))
            return Entry(cells[0].strip("`"), Path(cells[1].strip("`")), float(cells[2]), start, cells[4])
    raise ConfigError(f"no row of the queue in {notes} has the state `open`; name a configuration instead")


def start_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a run's folder or checkpoint (its moving average), or of a weights file."""
    if path.is_dir():
        path = path / checkpoint.NAME
    if path.name == checkpoint.NAME:
        tensors, _ = checkpoint.load(path)
        return checkpoint.part(tensors, "ema.")
    return read_weights(path).tensors


def row(name: str, config: TrainConfig, run: Run) -> str:
    """The ledger's row for a run: date, name, settings, data, minutes, device, iterations, speed, scores."""
    score = run.scores[-1] if run.scores else None
    scores = "-" if score is None else ", ".join(f"{p:.2f} ({s})" for s, p in zip(score.steps, score.psnr, strict=True))
    blurred = "-" if score is None else f"{score.blurred:.2f}"
    model = ", ".join(f"{k}={v}" for k, v in config.model.items()) or "defaults"
    cells = (
        time.strftime("%Y-%m-%d"), name, f"{config.method}: {model}; seed {config.seed}", run.data,
        f"{run.clock.elapsed / 60:.1f}", run.device, str(run.clock.iteration), f"{run.images_per_second:.1f}",
        f"{100 * run.data_share:.1f} %", blurred, scores,
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def append(notes: Path, line: str) -> bool:
    """Add a row to the ledger if there is one; returns whether it was added."""
    if not notes.is_file():
        return False
    lines = notes.read_text().splitlines()
    if LEDGER not in lines:
        return False
    at = lines.index(LEDGER)
    last = max((i for i in range(at, len(lines)) if lines[i].startswith("|")), default=None)
    if last is None:
        return False
    lines.insert(last + 1, line)
    notes.write_text("\n".join(lines) + "\n")
    return True


def _table(notes: Path, heading: str) -> list[list[str]]:
    try:
        lines = notes.read_text().splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read the queue {notes}: {error.strerror}; run in the project's folder") from None
    rows: list[list[str]] = []
    inside = False
    for line in lines:
        if line.startswith("## "):
            inside = line.strip() == heading
        elif inside and line.startswith("|"):
            rows.append([c.strip() for c in line.strip().strip("|").split("|")])
    return rows[2:]  # without head and rule
