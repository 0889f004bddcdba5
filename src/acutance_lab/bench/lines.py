"""Files of JSON lines: each a record, added at the end; what a crash cuts off is one line and costs no other."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from acutance.errors import DataError, OutputError

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


def read_lines(file: Path, parse: Callable[[Any], T | None], *, what: str) -> list[T]:
    """What `parse` makes of each line of a file, in order; nothing if there is no file.

    A line that is cut off, as by a crash while it was written, is left out with a warning.

    Args:
        parse: from the value of a line, whatever JSON that is; None: it is not one of these.
        what: a line holds, for the message.

    Raises:
        DataError: a line is whole but `parse` made nothing of it.
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
        except ValueError:
            log.warning("%s, line %d is cut off and left out", file, number)
            continue
        record = parse(values)
        if record is None:
            raise DataError(f"{file}, line {number} is no {what}; move the file away or remove the line")
        found.append(record)
    return found


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps({k: _finite(v) for k, v in record.items()}, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
