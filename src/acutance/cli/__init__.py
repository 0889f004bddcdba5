"""The command line. The only place that prints."""

from acutance.cli.app import main

__all__ = ["main"]
