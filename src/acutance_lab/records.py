"""Files of JSON lines: each a record, added at the end; what a crash cuts off is one line and costs no other.

Records are dataclasses. A number that is not finite is null in the file, and NaN again where a float is wanted.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from acutance.errors import ConfigError, DataError, OutputError
from acutance.settings import from_table

log = logging.getLogger(__name__)

T = TypeVar("T")


def append_lines(file: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Add each record as a line to the end of a file, which is created with its folders; all is written on return.

    Numbers that are not finite become null.

    Raises:
        OutputError: it cannot be written.
    """
    content = "".join(f"{_line(record)}\n" for record in records).encode()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a+b") as stream:
            if stream.tell() > 0:
                stream.seek(-1, 2)
                if stream.read(1) != b"\n":  # a line that was cut off stays one line
                    stream.write(b"\n")
            stream.write(content)
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}; give another --out") from error


def append_records(file: Path, records: Iterable[Any]) -> None:
    """Add dataclasses to the end of a file; see `append_lines`."""
    append_lines(file, map(asdict, records))


def read_records(file: Path, kind: type[T], *, what: str, by_hand: bool = False) -> list[T]:
    """The records of a file, in order; nothing if there is no file.

    A line that is cut off, as by a crash while it was written, is left out with a warning.

    Args:
        kind: dataclass of a record; fields with a default may be absent. what: a line holds, for the message.
        by_hand: people edit the file, so that a line that is no JSON is a slip, and an error as well.

    Raises:
        DataError: a line is whole but no such record.
    """
    if not file.is_file():
        return []
    found: list[T] = []
    # Bytes: a line may be cut inside a letter, and in a string the separators of Unicode (U+2028) end no line.
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line.decode())
        except ValueError as error:
            if by_hand:
                raise DataError(f"{file}, line {number} is no {what} ({error}); repair or remove the line") from None
            log.warning("%s, line %d is cut off and left out", file, number)
            continue
        try:
            if not isinstance(values, dict):
                raise ConfigError("it is no table")
            found.append(from_table(kind, values, where=what, null=math.nan))
        except ConfigError as error:
            wrong = f"{file}, line {number} is no {what} ({error})"
            raise DataError(f"{wrong}; move the file away or remove the line") from None
    return found


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps({k: _finite(v) for k, v in record.items()}, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
