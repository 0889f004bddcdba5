"""Tables of plain values, as TOML, JSON and keyword arguments hold them, into frozen dataclasses and back."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from acutance.errors import ConfigError, UnknownSetting

T = TypeVar("T")


def from_table(kind: type[T], table: Mapping[str, Any], *, where: str, null: float | None = None) -> T:
    """A dataclass from a table; nested tables become nested dataclasses, lists become tuples.

    Values are checked against the types of the fields: dataclasses, tuples, `Literal`, dict, unions and plain classes.
    An int is a float as well, a bool is neither. A field of any other type takes what it is given.

    Args:
        where: what the table belongs to, for messages. null: what None stands for where a float is wanted; None: it is
            an error there.

    Raises:
        ConfigError: an unknown or a missing key, a value of another type, a number that is not finite.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Size:
        ...     height: int
        ...     scale: float = 1.0
        >>> from_table(Size, {"height": 3, "scale": 2}, where="size")
        Size(height=3, scale=2.0)
    """
    assert dataclasses.is_dataclass(kind)
    hints = get_type_hints(kind)
    settings = [f for f in dataclasses.fields(kind) if f.init]
    known = [f.name for f in settings]
    unknown = sorted(set(table) - set(known))
    if unknown:
        slip = f"{unknown[0]!r}{meant(unknown[0], known)}"
        raise UnknownSetting(unknown[0], f"{where} has no setting {slip}; its settings are {', '.join(known)}")
    for each in settings:
        optional = each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
        if each.name not in table and not optional:
            raise ConfigError(f"{where}: the key {each.name!r} is missing")
    return kind(**{k: _converted(hints[k], v, f"{where}: {k}", null) for k, v in table.items()})


def to_json(record: Any) -> bytes:
    """A dataclass as the content of a JSON file, for people to read as well."""
    return (json.dumps(dataclasses.asdict(record), indent=1, ensure_ascii=False) + "\n").encode()


def read_json(path: Path, *, called: str, most: int, give: str) -> Any:
    """The content of a JSON file that anybody may have made.

    Args:
        path: the file. called: what it should be, for messages: "profile". most: bytes, at most. give: the remedy.

    Raises:
        ConfigError: no such file, too large, no valid JSON, a number that is not finite.
    """
    try:
        if not path.is_file():
            raise ConfigError(f"{path} is not a file; {give}")
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    if len(raw) > most:
        raise ConfigError(f"{path} has more than {most // 1024} KiB; no {called} is so large")
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is no {called}: it is not valid JSON; {give}") from None


def _refuse_constant(text: str) -> None:
    raise ValueError(text)


def meant(name: str, known: Iterable[str]) -> str:
    """What somebody may have meant who wrote `name`, as a part of a sentence; "" where nothing is like it.

    Example:
        >>> meant("acut", ("acute", "wiener"))
        ' (did you mean acute?)'
    """
    by_small = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), by_small, n=2, cutoff=0.6)
    return f" (did you mean {' or '.join(by_small[each] for each in close)}?)" if close else ""


def _converted(hint: Any, value: Any, where: str, null: float | None) -> Any:
    origin = get_origin(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_table(hint, _table(value, where), where=where, null=null)
    if origin is tuple:
        return _tuple(get_args(hint), value, where, null)
    if origin is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{where}={value!r} is not one of {', '.join(map(str, get_args(hint)))}")
        return value
    if origin is dict:
        return _table(value, where)
    if origin in (types.UnionType, Union):
        kinds = [kind for kind in get_args(hint) if kind is not types.NoneType]
        if value is None and len(kinds) < len(get_args(hint)):
            return None
        return _converted(kinds[0], value, where, null) if len(kinds) == 1 else value
    if not isinstance(hint, type):
        return value
    if hint is float and value is None and null is not None:
        return null
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{where}={value!r} must be of type {hint.__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}={value} is no finite number")
    return value


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must be a table")
    return value


def _tuple(kinds: tuple[Any, ...], value: Any, where: str, null: float | None) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where} must be a list")
    each = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else list(kinds)
    if len(each) != len(value):
        raise ConfigError(f"{where} must have {len(each)} values, not {len(value)}")
    return tuple(_converted(k, v, where, null) for k, v in zip(each, value, strict=True))
