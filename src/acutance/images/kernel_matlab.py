"""Blur kernels in MATLAB files: versions 5 to 7, and version 4.

Not through scipy, which crashes the interpreter on some damaged files; of the formats, this much is needed.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from acutance.errors import KernelError
from acutance.images.kernel_found import Found, Values, check_pixels, pick


@dataclass(frozen=True)
class _Variable:
    """A variable of a MATLAB 5 file: its header, and where its element is in the file."""

    name: str
    kind: int  # MATLAB's class
    flags: int
    shape: tuple[int, ...]
    values_at: int  # of the tag of the values, counted from the header
    start: int
    length: int
    packed: bool


def read_mat(data: bytes) -> Found:
    """MATLAB 5 to 7, full numeric arrays."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise KernelError("its header is damaged; save it again with -v7")
    variables: dict[str, _Variable] = {}
    position = 128
    while position < len(data):
        kind, start, length, position = _mat_tag(data, position, order)
        if kind not in (14, 15) or not length or len(variables) > 1000:
            raise KernelError("it is damaged or holds too many variables; save the kernel alone with -v7")
        variable = _mat_variable(data, start, length, order, packed=kind == 15)
        variables[variable.name] = variable
        if kind == 15:  # packed elements are not padded
            position = start + length
    variables.pop("", None)  # a nameless one is MATLAB's own
    shapes = {v.name: v.shape for v in variables.values() if v.kind in _MAT_CLASSES and v.shape}
    name, notes = pick(shapes, list(variables))
    return Found(_mat_values(data, variables[name], order), notes=notes)


def _mat_tag(data: bytes, at: int, order: str) -> tuple[int, int, int, int]:
    """(type, start, length, position of the next) of the element at a position."""
    if at + 8 > len(data):
        raise KernelError("it is cut off; save it again with -v7")
    first, second = struct.unpack_from(f"{order}II", data, at)
    if first >> 16:  # up to four bytes are kept in the tag
        return first & 0xFFFF, at + 4, min(first >> 16, 4), at + 8
    return first, at + 8, second, at + 8 + second + -second % 8


def _mat_variable(data: bytes, start: int, length: int, order: str, *, packed: bool) -> _Variable:
    content = _mat_content(data, start, length, 1024, packed=packed)
    _, flags_at, size, at = _mat_tag(content, 0, order)
    if size != 8 or len(content) < at:
        raise KernelError("a variable in it is damaged; save the kernel alone with -v7")
    flags = struct.unpack_from(f"{order}I", content, flags_at)[0]
    shape: tuple[int, ...] = ()
    kind, shape_at, size, after = _mat_tag(content, at, order)
    if kind == 5 and 8 <= size <= 64 and size % 4 == 0:  # objects have no shape
        shape = struct.unpack_from(f"{order}{size // 4}i", content, shape_at)
        at = after
    _, name_at, size, at = _mat_tag(content, at, order)
    name = str(content[name_at : name_at + min(size, 64)], "latin-1")
    return _Variable(name, flags & 0xFF, flags, shape, at, start, length, packed)


def _mat_content(data: bytes, start: int, length: int, limit: int, *, packed: bool) -> bytes:
    """The first bytes, at most `limit`, of what is in an element, without its tag."""
    if not packed:
        return data[start : start + min(length, limit)]
    return zlib.decompressobj().decompress(data[start : start + length], limit + 8)[8:]


def _mat_values(data: bytes, variable: _Variable, order: str) -> Values:
    check_pixels(*variable.shape)
    if variable.flags & 0x0800:
        raise KernelError("a kernel must be of real numbers, not complex; save its real part")
    count = math.prod(variable.shape)
    limit = variable.values_at + 16 + 8 * count  # no type is longer than 8 bytes
    content = _mat_content(data, variable.start, variable.length, limit, packed=variable.packed)
    kind, start, length, _ = _mat_tag(content, variable.values_at, order)
    stored = _MAT_TYPES.get(kind)
    if stored is None or length != count * int(stored[1]) or start + length > len(content):
        raise KernelError(f"the values of {variable.name!r} are damaged or cut off; save it again with -v7")
    values = np.frombuffer(content, f"{order}{stored}", count, start).reshape(variable.shape, order="F")
    meant = "?" if variable.flags & 0x0200 else _MAT_CLASSES[variable.kind]  # MATLAB stores whole doubles as bytes
    return values.astype(meant)


_MAT_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MAT_CLASSES = dict(enumerate(("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"), 6))


def looks_like_mat4(data: bytes) -> bool:
    """Whether a file begins as one of version 4 does, which has no mark of its own."""
    return _mat4_header(data, 0) is not None


def read_mat4(data: bytes) -> Found:
    """MATLAB 4, full real matrices."""
    shapes: dict[str, tuple[int, ...]] = {}
    matrices: dict[str, tuple[str, int, tuple[int, int]]] = {}
    position = 0
    while position < len(data):
        header = _mat4_header(data, position)
        if header is None or len(shapes) > 1000:
            raise KernelError("it is damaged or holds too many variables; save the kernel alone with -v7")
        stored, (rows, cols), imaginary, named = header
        start = position + 20 + named
        name = str(data[position + 20 : start - 1], "latin-1")
        length = rows * cols * int(stored[2]) * (1 + imaginary)
        if start + length > len(data):
            raise KernelError("it is cut off; save it again with -v7")
        if not imaginary:
            shapes[name], matrices[name] = (rows, cols), (stored, start, (rows, cols))
        position = start + length
    name, notes = pick(shapes, list(shapes))
    stored, start, shape = matrices[name]
    check_pixels(*shape)
    return Found(np.frombuffer(data, stored, math.prod(shape), start).reshape(shape, order="F"), notes=notes)


def _mat4_header(data: bytes, at: int) -> tuple[str, tuple[int, int], bool, int] | None:
    """(dtype, (rows, columns), imaginary, bytes of the name) of the matrix at a position; None if there is none."""
    if at + 20 > len(data):
        return None
    for order in "<>":
        kind, rows, cols, imaginary, named = struct.unpack_from(f"{order}5i", data, at)
        thousands, precision, what = kind // 1000, kind // 10 % 10, kind % 10
        told = (thousands, kind // 100 % 10, what) == (0 if order == "<" else 1, 0, 0)
        if told and precision < len(_MAT4_TYPES) and min(rows, cols) >= 1 and imaginary in (0, 1) and 1 < named <= 64:
            return order + _MAT4_TYPES[precision], (rows, cols), bool(imaginary), named
    return None


_MAT4_TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")
