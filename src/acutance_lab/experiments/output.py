"""What every experiment leaves in a folder: plots as PNG, and its numbers, with what they were made on, as JSON."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from acutance.errors import MissingExtra, OutputError
from acutance.images import write_atomically
from acutance_lab.bench.machine import hardware, revision
from acutance_lab.bench.report_plots import STYLE


def require_matplotlib() -> None:
    """See that plots can be drawn.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtra("plots of an experiment", "lab") from error


def prepare_folder(folder: Path) -> None:
    """Create the folder of the results, so that a wrong one is known before anything is computed.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}; give another --out") from error


@contextmanager
def figure_of(width: float, height: float) -> Iterator[tuple[Any, Callable[[], bytes]]]:
    """A figure of that size in inches, and the function that makes it a PNG."""
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {**dict(rcParamsDefault.items()), **STYLE}
    with rc_context(style):
        figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)

        def finish() -> bytes:
            stream = io.BytesIO()
            figure.savefig(stream, format="png", metadata={"Software": None})
            return stream.getvalue()

        yield figure, finish


def write_plot(file: Path, width: float, height: float, draw: Callable[[Any], None]) -> Path:
    """Draw on a figure of that size in inches and write it as PNG, in the place of an older one.

    Raises:
        MissingExtra: matplotlib is not installed. OutputError: the file cannot be written.
    """
    require_matplotlib()
    with figure_of(width, height) as (figure, finish):
        draw(figure)
        write_atomically(file, finish(), overwrite=True)
    return file


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
