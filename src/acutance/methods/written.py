"""A method with settings as a person writes it: ``rgdn:steps=50,threshold=0``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acutance.errors import ConfigError


def read_method(text: str) -> tuple[str, dict[str, Any]]:
    """Name and settings from ``NAME`` or ``NAME:SETTING=VALUE,SETTING=VALUE``; whether they exist is not looked at.

    ``weights`` is a path. Other values are read as true, false, none, an integer, a number, or else as a word.

    Raises:
        ConfigError: a setting without a name or a value.

    Example:
        >>> read_method("rgdn:threshold=0,steps=50")
        ('rgdn', {'threshold': 0, 'steps': 50})
    """
    name, _, rest = text.partition(":")
    settings: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = (s.strip() for s in part.partition("="))
        if not key or not equals or not value:
            raise ConfigError(f"{part!r} in {text!r} is no setting; write METHOD:SETTING=VALUE,SETTING=VALUE")
        settings[key] = Path(value) if key == "weights" else _value(value)
    return name.strip(), settings


def value_text(value: object) -> str:
    """A value as `read_method` reads it."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _value(text: str) -> bool | int | float | str | None:
    words: dict[str, bool | None] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
