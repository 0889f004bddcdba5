"""The command line of the laboratory."""

from __future__ import annotations

from collections.abc import Callable

from acutance.cli import start

__all__ = ["main"]


def main() -> None:
    """`acutance-lab`."""
    start(_load)


def _load() -> Callable[[], None]:
    from acutance_lab.cli.app import main as program

    return program
