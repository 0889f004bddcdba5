"""The programs and the machine that a result comes from, as far as they may decide its last bits."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import __version__ as pillow_version

from acutance.version import VERSION


@dataclass(frozen=True)
class Machine:
    """The programs and the machine of a run.

    Args:
        acutance, torch, numpy, pillow, python: versions. threads: of the processor, for torch.
        precision: of networks, such as "float32". device: "cpu", "cuda:0". processor: its name and its instructions,
            or the name of the GPU.
    """

    acutance: str
    torch: str
    numpy: str
    pillow: str
    python: str
    threads: int
    precision: str
    device: str
    processor: str


def this_machine(device: torch.device, precision: torch.dtype) -> Machine:
    """This machine, as it is now. Args: device, precision: of the run."""
    return Machine(
        acutance=VERSION,
        torch=str(torch.__version__),
        numpy=np.__version__,
        pillow=pillow_version,
        python=platform.python_version(),
        threads=torch.get_num_threads(),
        precision=str(precision).removeprefix("torch."),
        device=str(device),
        processor=torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
    )


def _processor() -> str:
    """The name of the processor, and the instructions that torch takes on it."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass  # another system than Linux
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
