"""What every experiment leaves in a folder: tables, plots and pictures as PNG, and its numbers as JSON: one writer."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acutance.errors import OutputError
from acutance.images import Image, write_atomically, write_image
from acutance_lab.bench.machine import hardware, revision
from acutance_lab.bench.tables import markdown
from acutance_lab.plots import Panel, draw

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Head and lines."""


@dataclass(frozen=True)
class Report:
    """What an experiment has to say.

    Args:
        name: of the experiment; its numbers are NAME.json. tables, notes: sentences, one a line.
        numbers: see `plain`. plots: panels side by side, by the name of the file. pictures: (1, 3, H, W), alike.
    """

    name: str
    tables: Sequence[Table]
    notes: Sequence[str]
    numbers: Mapping[str, Any]
    plots: Mapping[str, Sequence[Panel]] = field(default_factory=dict)
    pictures: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Markdown."""
        return "\n\n".join([*(markdown(head, lines) for head, lines in self.tables if lines), "\n".join(self.notes)])


def prepare_folder(folder: Path) -> None:
    """Create the folder of the results, so that a wrong one is known before anything is computed.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}; give another --out") from error


def write_report(folder: Path, report: Report) -> list[Path]:
    """Write NAME.json, the plots and the pictures into a folder that is there; they are replaced.

    Raises:
        MissingExtra: matplotlib is not installed. OutputError: a file cannot be written.
    """
    files = [write_numbers(folder / f"{report.name}.json", {"experiment": report.name, **plain(report.numbers)})]
    for name, panels in report.plots.items():
        files.append(folder / name)
        write_atomically(files[-1], draw(panels), overwrite=True)
    for name, pixels in report.pictures.items():
        files.append(folder / name)
        write_image(files[-1], Image(pixels), overwrite=True)
    return files


def write_numbers(file: Path, values: Mapping[str, Any]) -> Path:
    """Write the values as JSON, in the place of older ones, and with them the versions and the hardware.

    Raises:
        OutputError: it cannot be written.
    """
    whole = {
        **values,
        "versions": {"acutance": revision(), "torch": torch.__version__, "python": platform.python_version()},
        "hardware": hardware(torch.device("cpu")),
    }
    write_atomically(file, json.dumps(whole, indent=1, ensure_ascii=False).encode(), overwrite=True)
    return file


def plain(value: Any) -> Any:
    """A value as JSON has it: tables of dataclasses without the fields that their repr leaves out; NaN is null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.repr}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Tensor):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def mean_row(values: Iterable[Sequence[float]]) -> list[float]:
    """The mean of each column."""
    return [sum(column) / len(column) for column in zip(*values, strict=True)]
