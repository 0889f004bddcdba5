"""Training runs side by side: what they differ in, what a picture costs them, what they reached."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acutance.errors import DataError
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.run import run
from acutance_lab.bench.scenes import random_suite
from acutance_lab.bench.tables import markdown

FILE = "checkpoint.json"
SIDE = 256
"""Sides of the grey picture whose arithmetic is counted."""


@dataclass(frozen=True)
class TrainingRun:
    """A run as its folder tells it.

    Args:
        name: of the folder. config: every value of the configuration, "section.key". minutes, iterations: spent.
        scores: PSNR in dB by number of steps, and `levels` of them by noise level, of the last validation.
        weights: numbers that were learned. arithmetic: 1e9 multiply-accumulates for a grey 256 x 256 picture.
    """

    name: str
    config: dict[str, Any]
    minutes: float
    iterations: int
    scores: dict[int, float]
    levels: tuple[float, ...]
    weights: int
    arithmetic: float


def read_run(folder: Path) -> TrainingRun:
    """The run in a folder.

    Raises:
        DataError: no run there, or one without configuration or scores.
    """
    try:
        record = json.loads((folder / FILE).read_text())
        last = record["scores"][-1]
        steps = tuple(last["steps"])
        config = dict(_flat(record["config"]))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{folder} holds no scored training run ({type(error).__name__}: {error})") from None
    settings = {**record["model"], "steps": record["model"].get("steps", 5)}
    contender = Contender(record["method"], settings, untrained=True)
    (spent,) = run(random_suite(SIDE, SIDE, channels=1), [contender], device="cpu", count=True)
    return TrainingRun(
        folder.name,
        config,
        record["clock"]["elapsed"] / 60,
        record["clock"]["iteration"],
        dict(zip(steps, last["psnr"], strict=True)),
        tuple(last.get("levels", ())),
        spent.parameters or 0,
        (spent.gmac_networks or 0) + (spent.gmac_transforms or 0),
    )


def _flat(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            yield from _flat({str(i): v for i, v in enumerate(value, 1)}, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def runs_table(runs: Sequence[TrainingRun]) -> str:
    """A row for each run; the first is the one that the others are described against."""
    if not runs:
        raise DataError("no runs to compare")
    base = runs[0]
    steps = list(base.scores)
    head = ["run", "differs in", "weights", "GMAC", "min", "iterations", *(f"{t} steps" for t in steps)]
    lines = []
    for each in runs:
        keys = sorted(set(base.config) | set(each.config))
        differs = [k for k in keys if base.config.get(k) != each.config.get(k)]
        words = ", ".join(f"{k.split('.')[-1]} {each.config.get(k, 'default')}" for k in differs)
        cells = [
            each.name, words, f"{each.weights:,}", f"{each.arithmetic:.1f}", f"{each.minutes:.1f}",
            str(each.iterations),
            *(f"{each.scores[t]:.2f}" if t in each.scores else "" for t in steps),
        ]  # fmt: skip
        lines.append(cells)
    return markdown(head, lines)
