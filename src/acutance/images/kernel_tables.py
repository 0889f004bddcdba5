"""Blur kernels in tables of text: blanks, tabs, commas or semicolons between the numbers, 0.5 or 0,5."""

from __future__ import annotations

import codecs
import io
import re

import numpy as np
from numpy.typing import NDArray

from acutance.errors import KernelError
from acutance.images.kernel_found import Found, check_pixels

_MAX_TEXT = 50_000_000  # bytes
_MAX_LINE = 1_000_000  # characters
_MAX_ROWS = 20_000


def read_text(data: bytes) -> Found:
    """A table, one row of the kernel a line; `#` and `%` go before comments.

    Decimal commas are understood where something else separates the numbers.
    """
    if len(data) > _MAX_TEXT:
        raise KernelError(f"a table of more than {_MAX_TEXT // 1_000_000} MB is too large; save it with numpy.save")
    rows: list[NDArray[np.float64]] = []
    total, separator = 0, ""
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    lines = io.TextIOWrapper(io.BytesIO(data), encoding)
    for number in range(1, len(data) + 2):
        try:
            line = lines.readline(_MAX_LINE)
        except UnicodeError as error:
            raise KernelError(f"line {number} or one soon after is not text; save it as plain UTF-8") from error
        if not line:
            break
        if len(line) >= _MAX_LINE:
            raise KernelError(f"line {number} is longer than {_MAX_LINE} characters; one row of the kernel goes there")
        line = re.split("[#%]", line, maxsplit=1)[0].strip()
        if not line or (not rows and re.fullmatch(r"sep=[;,]?", line)):  # that line is a spreadsheet's
            continue
        separator = separator or _separator(line)
        row = _parse_row(line, number, separator)
        if rows and row.size != rows[0].size:
            raise KernelError(
                f"line {number} has {row.size} numbers, but the first row has {rows[0].size}; "
                "all rows must be equally long"
            )
        rows.append(row)
        total += row.size
        check_pixels(total)
        if len(rows) > _MAX_ROWS:
            raise KernelError(f"it has more than {_MAX_ROWS} rows; is it a kernel, one row to a line?")
    if not rows:
        raise KernelError("there are no numbers in it")
    return Found(np.stack(rows))


def _separator(line: str) -> str:
    """What stands between the numbers of a line: a semicolon, a tab, a comma or blanks."""
    for mark in ";\t":
        if mark in line:
            return mark
    decimal = re.fullmatch(r"\s*[-+]?\d+(,\d+)?([eE][-+]?\d+)?(\s+[-+]?\d+(,\d+)?([eE][-+]?\d+)?)+\s*", line)
    return "," if "," in line and not decimal else " "


_COMMA = re.compile(r"([-+]?\d+),(\d+(?:[eE][-+]?\d+)?)")


def _parse_row(line: str, number: int, separator: str) -> NDArray[np.float64]:
    """One row of a table -> (w,)."""
    cells = line.split() if separator == " " else [cell.strip() for cell in line.split(separator)]
    if separator != " " and len(cells) > 1 and not cells[-1]:
        cells.pop()  # a separator at the end of every row
    cells = [cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell for cell in cells]
    if separator != "," and not any("." in cell for cell in cells):
        cells = [_COMMA.sub(r"\1.\2", cell) if _COMMA.fullmatch(cell) else cell for cell in cells]
    values = np.empty(len(cells))
    for column, cell in enumerate(cells):
        if re.search(r"\d,\d", cell) or (separator == "," and re.fullmatch(r"0\d+|\d+\s+\d+", cell)):
            raise KernelError(
                f"line {number} seems to have decimal commas ({line[:30]!r}); "
                "write 0.5 instead of 0,5, and the same separator everywhere"
            )
        try:
            if "_" in cell:
                raise ValueError
            values[column] = float(cell)
        except ValueError:
            what = f"{cell[:30]!r} is not a number" if cell else "nothing stands between two separators"
            raise KernelError(
                f"line {number}, column {column + 1}: {what}; # goes before comments and titles"
            ) from None
    return values
