"""The command line. The only place that prints."""

from __future__ import annotations

import os
import sys

from acutance.cli.streams import prepare_streams

__all__ = ["main"]


def main() -> None:
    """`acutance`: an interrupt while everything is still being imported ends it as quietly as a later one.

    On Linux torch then asks for memory in pages of 2 MiB: large pictures otherwise spend half their time on page
    faults. It looks once, before its first tensor.
    """
    prepare_streams()
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        from acutance.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
