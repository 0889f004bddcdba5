"""What a run costs: seconds of cores, pictures a second, the share of the data, the name of the device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch


def core_seconds(device: torch.device) -> float:
    """Seconds of processor cores so far; where the work is done elsewhere, seconds."""
    return time.process_time() if device.type == "cpu" else time.monotonic()


class Meter:
    """Pictures a second, and the share of the time that goes into making the data."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.images, self.spent, self.begun = device, 0, 0.0, time.monotonic()

    @contextmanager
    def data(self) -> Iterator[None]:
        """What is done inside is making data."""
        self._synchronise()
        begun = time.monotonic()
        yield
        self._synchronise()
        self.spent += time.monotonic() - begun

    def images_per_second(self) -> float:
        """`images` over the seconds since the start."""
        return self.images / max(1e-9, time.monotonic() - self.begun)

    def share(self) -> float:
        """The part of the time that was spent on data, 0..1."""
        return self.spent / max(1e-9, time.monotonic() - self.begun)

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def device_name(device: torch.device) -> str:
    """For people: the processor with the number of threads, or the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {torch.get_num_threads()} threads"
    return "CPU"
