"""What a service is started with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from acutance.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """What one picture, and all of them together, may take.

    Args:
        queue: pictures that may wait; the next one is refused with 429.
        max_bytes: of a request.
        max_pixels: of a picture.
        deadline: seconds from the moment a picture is accepted to its answer.
        memory: bytes that one worker may have resident; 0: no ceiling.
        keep: seconds for which results of jobs are kept. kept: jobs that are kept at most.
    """

    queue: int = 16
    max_bytes: int = 200_000_000
    max_pixels: int = 50_000_000
    deadline: float = 900.0
    memory: int = 0
    keep: float = 900.0
    kept: int = 64

    def __post_init__(self) -> None:
        for name in ("queue", "max_bytes", "max_pixels", "deadline", "keep", "kept"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}={getattr(self, name)}: give a number above 0")


@dataclass(frozen=True)
class Access:
    """Who may come in.

    Args:
        token: what requests must carry as `Authorization: Bearer TOKEN`; None: nothing.
        names: host names under which the service is reached, besides localhost and plain IP addresses. Requests for
            any other name are refused: they come from a page that had its own name point here (DNS rebinding).
        rate: pictures a minute that one client may send; None: any number.
    """

    token: str | None = None
    names: tuple[str, ...] = ()
    rate: float | None = None


@dataclass(frozen=True)
class Settings:
    """A service.

    Args:
        workers: processes that restore. threads: processor threads of each.
        devices: where they run, worker i on `devices[i % len(devices)]`; "auto" takes a GPU if there is one.
        preload: methods that every worker loads before it is ready.
        version: of the program, told to clients.
        limits, access: see there.
    """

    workers: int = 1
    threads: int = 2
    devices: tuple[str, ...] = ("auto",)
    preload: tuple[str, ...] = ("blind", "acute")
    version: str = "0"
    limits: Limits = field(default_factory=Limits)
    access: Access = field(default_factory=Access)

    def __post_init__(self) -> None:
        if self.workers < 1 or self.threads < 1 or not self.devices:
            raise ConfigError("a service needs at least one worker, one thread and one device")


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> int:
    """NVIDIA devices that the system knows, counted without loading torch."""
    place = Path("/proc/driver/nvidia/gpus")
    return len(list(place.iterdir())) if place.is_dir() else 0


def default_workers() -> int:
    """One worker for each GPU, else one for each pair of cores."""
    return gpus() or max(1, cores() // 2)


def default_memory(workers: int) -> int:
    """Ceiling of one worker in bytes: its share of 80 % of the machine's memory; 0 where that is unknown."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 0
    return int(0.8 * total / workers)
