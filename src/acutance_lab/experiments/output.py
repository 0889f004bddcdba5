"""What every experiment leaves in a folder: plots as PNG, and its numbers, with what they were made on, as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from acutance.errors import OutputError
from acutance.images import write_atomically
from acutance_lab.bench.machine import hardware, revision


def prepare_folder(folder: Path) -> None:
    """Create the folder of the results, so that a wrong one is known before anything is computed.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}; give another --out") from error


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
