"""The command line. The only place that prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from acutance.cli.streams import prepare_streams

__all__ = ["main", "start"]


def main() -> None:
    """`acutance`."""
    start(_load)


def start(load: Callable[[], Callable[[], None]]) -> None:
    """Import a program and run it: an interrupt of the import ends it as quietly as a later one.

    On Linux torch then asks for memory in pages of 2 MiB: large pictures otherwise spend half their time on page
    faults. It looks once, before its first tensor. Threads that wait for others of OpenMP sleep instead of spinning:
    beside other work on the machine those that spin take the time of those that are waited for.

    Args:
        load: imports the program and returns its `main`.
    """
    prepare_streams()
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        run = load()
    except KeyboardInterrupt:
        sys.exit(130)
    run()


def _load() -> Callable[[], None]:
    from acutance.cli.app import main as program

    return program
