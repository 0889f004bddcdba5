"""The standard streams, made safe before anything is loaded or printed."""

from __future__ import annotations

import io
import os
import sys


def prepare_streams() -> None:
    """No stream is closed, and what a code page lacks is written as an escape, not refused."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # else the next file that is opened would take its place, and get what is printed
            os.open(os.devnull, os.O_RDWR if number else os.O_RDONLY)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
