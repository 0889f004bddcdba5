"""The command line. The only place that prints."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """`acutance`: an interrupt while everything is still being imported ends it as quietly as a later one."""
    try:
        from acutance.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
