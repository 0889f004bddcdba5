"""Where output goes: results to stdout, everything said to the person to stderr."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.frame import Precision

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def say(text: str) -> None:
    """A line to the person at the keyboard."""
    err.print(text)


def escape(text: object) -> str:
    """Text from outside, safe from being read as markup."""
    return str(text).replace("[", r"\[")


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


def parse_level(text: str | None) -> float | None:
    """A noise level as a fraction of the range from "1%", "2.55/255" or "0.01".

    Raises:
        ConfigError: none of these, or not between 0 and 0.5.
    """
    if text is None:
        return None
    number = r"([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
    for pattern, divide in ((rf"{number}\s*%", 100.0), (rf"{number}\s*/\s*{number}", None), (number, 1.0)):
        match = re.fullmatch(pattern, text.strip())
        if match:
            below = float(match[2]) if divide is None else divide
            value = float(match[1]) / below if below else float("inf")
            if 0 <= value <= 0.5:
                return value
            break
    raise ConfigError(f"--sigma {text}: give the noise level as 1%, 2.55/255 or 0.01, between 0 and 50%")


def parse_levels(text: str | None) -> list[float | None] | None:
    """Noise levels separated by commas, plain numbers in percent; None for "captured".

    Raises:
        ConfigError: a part that is no level.
    """
    if text is None:
        return None
    levels: list[float | None] = []
    for part in text.split(","):
        level = None if part.strip() == "captured" else parse_level(part if "/" in part or "%" in part else f"{part}%")
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
