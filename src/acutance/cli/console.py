"""Where output goes: results to stdout, everything said to the person to stderr."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape as rich_escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.frame import Precision

out = Console(soft_wrap=True, highlight=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)

_lost: list[str] = []
"""Why standard output could not be written, if it could not."""


def say(text: str) -> None:
    """A line to the person at the keyboard. Whoever closed the terminal hears nothing more."""
    with suppress(OSError, ValueError):
        err.print(text)


def emit(text: str) -> None:
    """A line to standard output, exactly as it is; where that is closed or full, one message, and the work goes on."""
    try:
        if sys.stdout is None:
            raise OSError(0, "it is closed")
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        if not _lost:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            _lost.append(reason)
            say(f"[bold red]error:[/] cannot write to standard output ({escape(reason)}); the work goes on without it")
            discard_output()


def output_lost() -> bool:
    """Whether something could not be written to standard output."""
    return bool(_lost)


def discard_output() -> None:
    """Let nothing more fail, the emptying of buffers at the end included."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def plain(text: object) -> str:
    """Text from outside without what a terminal would obey: escape sequences, turned writing, broken characters.

    Example:
        >>> print(plain("a" + chr(27) + "[31m.png"))
        a\\x1b[31m.png
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in str(text))


def escape(text: object) -> str:
    """Text from outside, safe from being read as markup, and from being obeyed by a terminal. One line."""
    return rich_escape(plain(text).replace("\n", "\\n"))


def escape_message(error: object) -> str:
    """A message of an error; further lines are indented, so that a name with a line break passes for nothing else."""
    return rich_escape(plain(error).replace("\n", "\n  "))


def progress_bar(*, hidden: bool = False) -> Progress:
    """A bar with a forecast of the time that is left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=hidden or not err.is_terminal,
    )


def parse_level(text: str | None, *, zero: bool = False) -> float | None:
    """A noise level as a fraction of the range from "1%", "2.55/255" or "0.01"; `zero`: 0 is one as well.

    Raises:
        ConfigError: none of these, or not above 0 and up to 0.5.
    """
    if text is None:
        return None
    number = r"([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
    for pattern, divide in ((rf"{number}\s*%", 100.0), (rf"{number}\s*/\s*{number}", None), (number, 1.0)):
        match = re.fullmatch(pattern, text.strip())
        if match:
            below = float(match[2]) if divide is None else divide
            value = float(match[1]) / below if below else float("inf")
            if (value >= 0 if zero else value > 0) and value <= 0.5:
                return value
            break
    raise ConfigError(f"--sigma {text}: give the noise level as 1%, 2.55/255 or 0.01, above 0 and up to 50%")


def parse_levels(text: str | None) -> list[float | None] | None:
    """Noise levels separated by commas, plain numbers in percent; None for "captured".

    Raises:
        ConfigError: a part that is no level.
    """
    if text is None:
        return None
    levels: list[float | None] = []
    for part in text.split(","):
        written = part if "/" in part or "%" in part else f"{part}%"
        level = None if part.strip() == "captured" else parse_level(written, zero=True)
        if level is None and part.strip() != "captured":
            raise ConfigError(f"--noise {text}: give levels in percent, e.g. captured,1,2,3")
        levels.append(level)
    return levels


def parse_numbers(text: str, count: int, option: str, form: str) -> tuple[float, ...]:
    """`count` numbers separated by commas.

    Raises:
        ConfigError: anything else, with the form that is wanted.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count or not all(abs(v) < 1e9 for v in values):
        raise ConfigError(f"{option} {text}: give {form}")
    return values


def parse_precision(text: str) -> Precision:
    """A precision of networks.

    Raises:
        ConfigError: an unknown one.
    """
    match text:
        case "auto" | "bfloat16" | "float32" | "float64":
            return text
        case _:
            raise ConfigError(f"--precision {text}: give auto, bfloat16 or float32")


def duration(seconds: float) -> str:
    """12.3 s, 2 min 05 s, 1 h 20 min."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s"
