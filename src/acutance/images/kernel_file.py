"""Blur kernels in users' files: pictures, arrays, tables, MATLAB.

A file is read whole, bounded, and told apart by its first bytes; what it declares is checked against what it holds
before anything is allocated for it. Then `acutance.images.kernel_repair` makes a kernel of it.
"""

from __future__ import annotations

import codecs
import io
import math
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from acutance.errors import KernelError, OutputError
from acutance.images import lazy_codecs
from acutance.images.kernel_repair import KernelFile, repair_kernel
from acutance.images.tiff_directory import check_directories

__all__ = ["KernelFile", "read_kernel", "repair_kernel", "write_kernel"]

Values = NDArray[np.generic]

_MAX_PIXELS = 16_000_000
_MAX_TEXT = 50_000_000  # bytes
_MAX_LINE = 1_000_000  # characters
_MAX_ROWS = 20_000
_MAX_FILE = 200_000_000  # bytes
_MAX_DIRECTORY = 1_000_000  # bytes of a zip's table of contents
_NAMES = ("psf", "kernel", "ker", "k", "f", "h", "blur")  # what kernels are called in MATLAB files
_TEXT = (".txt", ".csv", ".tsv", ".dat")
_KNOWN = "PNG, TIFF, BMP, JPEG, .npy, .npz, .txt, .csv or .mat (saved with -v7)"
_TIFF_CODECS = (1, 5, 8, 32773, 32946, 50000)  # none, LZW, deflate, PackBits, old deflate, zstd


@dataclass(frozen=True, eq=False)
class _Found:
    """What a file held: an array, its depth if it has one, and what there is to say."""

    values: Values
    bits: int | None = None
    notes: tuple[str, ...] = ()


def read_kernel(path: str | Path, *, centre: bool = False, flip: bool = False, max_size: int = 1025) -> KernelFile:
    """Read a blur kernel from a user's file, repair it, and say what was repaired.

    Pictures: PNG, TIFF (integers or floats), BMP, JPEG. Arrays: `.npy`, `.npz`. Tables: `.txt`, `.csv`, with blanks,
    commas or semicolons between the numbers and `#` before comments. MATLAB: `.mat` up to -v7. If a `.npz` or `.mat`
    file holds several arrays, one called psf, kernel, ker, k, f, h or blur is taken.

    Args:
        path: The file; its kind is told from its content.
        centre: Move the centre of mass to the centre, see `repair_kernel`.
        flip: Rotate by 180 degrees, see `repair_kernel`.
        max_size: Largest side of the repaired kernel, px.

    Returns:
        The kernel, (1, C, h, w) float32, and the notes.

    Raises:
        KernelError: not a file, not one of these formats, damaged, too large, not one kernel, or not repairable.
    """
    path = Path(path)
    try:
        found = _read(path)
        repaired = repair_kernel(found.values, centre=centre, flip=flip, bits=found.bits)
        h, w = repaired.kernel.shape[-2:]
        if max(h, w) > max_size:
            raise KernelError(f"a kernel of {h} x {w} is larger than {max_size} px; is it a picture? If not, cut it")
    except KernelError as error:
        raise KernelError(f"{path.name}: {error}") from error.__cause__
    except Exception as error:  # decoders raise whatever they like on damaged files
        said = re.sub("<[^>]*>", "it", f"{type(error).__name__}: {error}"[:200])
        raise KernelError(f"{path.name}: damaged or unusual ({said}); save it again, as {_KNOWN}") from error
    return KernelFile(repaired.kernel, found.notes + repaired.notes)


def write_kernel(path: str | Path, kernel: Tensor, *, bits: Literal[8, 16] = 16, overwrite: bool = False) -> None:
    """Write a kernel; the suffix of the path tells the format.

    `.npy` and `.txt` hold every float32 exactly, `.tif` too (float32, as a picture), `.png` is scaled to its maximum
    for the eye and has `bits` bits.

    Args:
        path: Ends in `.npy`, `.png`, `.txt` or `.tif`.
        kernel: (1, C, h, w), C = 1 or 3, non-negative; `.txt` takes C = 1 only.
        bits: Depth of a `.png`.
        overwrite: Whether a file that is there may be replaced.

    Raises:
        KernelError: not such a kernel.
        OutputError: unknown suffix, file there, or not writable.
    """
    path = Path(path)
    if kernel.ndim != 4 or kernel.shape[0] != 1 or kernel.shape[1] not in (1, 3) or kernel.numel() == 0:
        raise KernelError(f"one kernel to write is (1, C, h, w) with C = 1 or 3, not {tuple(kernel.shape)}")
    planes: NDArray[np.float32] = kernel.detach().float().cpu().numpy()
    if not np.isfinite(planes).all() or planes.min() < 0 or planes.max() <= 0:
        raise KernelError("a kernel to write must be finite and non-negative, and not all zero")
    if bits not in (8, 16):
        raise KernelError(f"bits={bits}: a picture of a kernel has 8 or 16 bits")
    data = _encode(path, planes, bits)
    try:
        with path.open("wb" if overwrite else "xb") as file:
            file.write(data)
    except FileExistsError as error:
        raise OutputError(
            f"{path} exists; choose another name, or overwrite it (overwrite=True, --overwrite)"
        ) from error
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be written: {error}") from error


def _encode(path: Path, planes: NDArray[np.float32], bits: int) -> bytes:
    """(1, C, h, w) -> the content of a file with this suffix."""
    grey = planes.shape[1] == 1
    picture = planes[0, 0] if grey else np.ascontiguousarray(np.moveaxis(planes[0], 0, -1))  # (h, w) or (h, w, 3)
    stream = io.BytesIO()
    match path.suffix.lower():
        case ".npy":
            np.save(stream, picture if grey else planes, allow_pickle=False)
        case ".tif" | ".tiff":
            tifffile.imwrite(stream, picture, photometric="minisblack" if grey else "rgb", metadata=None)
        case ".png":
            kind = {8: np.uint8, 16: np.uint16}[bits]
            scaled = np.rint(picture / np.float64(picture.max()) * (2**bits - 1)).astype(kind)
            return bytes(lazy_codecs.png_encode(scaled))
        case ".txt" if grey:
            np.savetxt(stream, picture, fmt="%.9g")
        case ".txt":
            raise OutputError(f"{path}: a table holds one channel; write a kernel of three as .npy, .tif or .png")
        case other:
            raise OutputError(
                f"{path}: kernels are written as .npy, .png, .txt or .tif, not {other or 'without suffix'}"
            )
    return stream.getvalue()


# -- which format -----------------------------------------------------------------------------------------------------


def _read(path: Path) -> _Found:
    try:
        if not path.is_file():
            raise KernelError("no such file" if not path.exists() else "not a file")
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except (OSError, ValueError) as error:
        raise KernelError(f"cannot be opened: {error}") from error
    if not data:
        raise KernelError("the file is empty")
    if len(data) > _MAX_FILE:
        raise KernelError(f"larger than {_MAX_FILE // 1_000_000} MB; a kernel is far smaller, is it the right file?")
    for magic, reader in _READERS.items():
        if data.startswith(magic):
            return reader(data)
    if data[:128].startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise KernelError("MATLAB 7.3 (HDF5) files are not read; save it in MATLAB with save(name, 'psf', '-v7')")
    if path.suffix.lower() in _TEXT:
        return _read_text(data)
    raise KernelError(f"neither its content nor its name is that of a kernel file; save it as {_KNOWN}")


def _check_pixels(*sides: int) -> None:
    if not sides or min(sides) < 1:
        raise KernelError(f"an array of shape {sides} is empty or not an array")
    if math.prod(sides) > _MAX_PIXELS:
        size = " x ".join(map(str, sides))
        raise KernelError(f"{size} values are too many for a kernel (at most {_MAX_PIXELS}); is it the right file?")


def _pick(shapes: Mapping[str, Sequence[int]], everything: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """(name, notes) of the array that is the kernel, of those that can be one."""
    flat = [name for name, shape in shapes.items() if len(shape) == 2 and math.prod(shape) > 1]
    called = [name for wanted in _NAMES for name in flat if name.lower() == wanted]
    called = called[:1] if called and called[0].lower() in _NAMES[:2] else called
    if len(called) != 1:
        called = flat if len(flat) == 1 else list(shapes) if len(shapes) == 1 else []
    listed = ", ".join(everything)[:500]
    if not called:
        raise KernelError(
            f"which of its variables is the kernel cannot be told (it holds: {listed or 'nothing'}); "
            "save the kernel alone, or under the name psf, as a two-dimensional array of real numbers"
        )
    return called[0], (f"The variable {called[0]} was taken, of {listed}.",) if len(everything) > 1 else ()


# -- pictures ---------------------------------------------------------------------------------------------------------


def _read_picture(data: bytes) -> _Found:
    """PNG, BMP, JPEG."""
    notes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=["PNG", "BMP", "JPEG"]) as image:
            _check_pixels(image.height, image.width, len(image.getbands()))
            mode, jpeg = image.mode, image.format == "JPEG"
            if mode == "P":
                notes.append("The palette was expanded.")
            if image.format == "PNG" and data[24] == 16 and data[25] in (2, 4, 6):
                values, bits = np.asarray(lazy_codecs.png_decode(data)), 16  # Pillow reads 16-bit colour as 8 bits
            elif mode in ("1", "L", "LA", "RGB", "RGBA", "I", "F") or mode.startswith("I;16"):
                values = np.asarray(image)
                bits = {"1": 1, "I": 16}.get(mode, 16 if mode.startswith("I;16") else 8)
            else:
                alpha = mode in ("PA", "La", "RGBa") or (mode == "P" and "transparency" in image.info)
                values, bits = np.asarray(image.convert("RGBA" if alpha else "RGB")), 8
    if jpeg:
        notes.append("JPEG is lossy, its traces are in the kernel; PNG, TIFF or .npy keep a kernel as it is.")
    values, alpha_notes = _without_alpha(values)
    return _Found(values, bits, (*notes, *alpha_notes))


def _without_alpha(values: Values) -> tuple[Values, tuple[str, ...]]:
    """(h, w) or (h, w, 1|2|3|4) -> (h, w) or (1, 3, h, w), and what there is to say."""
    if values.ndim < 3:
        return values, ()
    if values.shape[-1] in (1, 3):
        return np.expand_dims(np.moveaxis(values, -1, 0), 0), ()
    if values.ndim > 3 or values.shape[-1] not in (2, 4):
        raise KernelError(f"a picture with {values.shape[-1]} channels is not a kernel; save it in grey or in colour")
    colour, alpha = values[..., :-1], values[..., -1]
    if (colour == colour[:1, :1]).all() and (alpha != alpha[0, 0]).any():
        raise KernelError("all of the kernel is in the picture's transparency; flatten it onto black and save it again")
    return _without_alpha(colour)[0], ("The alpha channel was dropped.",)


def _read_tiff(data: bytes) -> _Found:
    """One page of integers or floats, grey or colour, of a plain compression."""
    check_directories(io.BytesIO(data))
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        _check_pixels(*page.shape)
        _check_pixels(*page.chunks)
        if len(tiff.pages) > 1 or page.imagedepth > 1 or int((tiff.imagej_metadata or {}).get("images", 1)) > 1:
            raise KernelError("it holds several pictures (a volume or a stack); save the one that is the kernel")
        if page.dtype is None or page.dtype.kind not in "buif" or page.dtype.itemsize > 8:
            raise KernelError(f"its values are of a kind that is not read ({page.dtype}); save 8, 16 bits or float32")
        if page.compression not in _TIFF_CODECS:
            raise KernelError(f"its compression ({page.compression}) is not read; save it without compression")
        if sum(page.databytecounts) > len(data):
            raise KernelError("it says that it holds more than it does; it is damaged, save it again")
        values: Values = np.asarray(page.asarray(maxworkers=1))
        bits = int(page.bitspersample) if page.dtype.kind in "bu" else None
        axes, photometric, colours = page.axes, int(page.photometric), page.colormap
    notes: tuple[str, ...] = ()
    if photometric == 0 and bits is not None:  # white is zero
        values = np.subtract(2**bits - 1, values, dtype=np.float64)
    if photometric == 3 and colours is not None:
        values, bits, notes = np.moveaxis(np.asarray(colours), 0, -1)[values], 16, ("The palette was expanded.",)
    if axes == "SYX":  # colour by planes
        values = np.moveaxis(values, 0, -1)
    values, alpha_notes = _without_alpha(values)
    return _Found(values, bits, notes + alpha_notes)


# -- arrays -----------------------------------------------------------------------------------------------------------


def _npy_header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, fortran order, dtype), refusing all but plain numbers."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise KernelError(f"version {version} of .npy is not that of a plain array; save it with numpy.save")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject or dtype.kind not in "biuf":
        raise KernelError(f"an array of {dtype} is not a kernel; save real numbers with numpy.save")
    return shape, fortran, dtype


def _read_npy(data: bytes) -> _Found:
    stream = io.BytesIO(data)
    shape, fortran, dtype = _npy_header(stream)
    if len(shape) > 4 or not shape:
        raise KernelError(f"an array of shape {shape} is not a kernel; save one two-dimensional array")
    _check_pixels(*shape)
    count, start = math.prod(shape), stream.tell()
    if count * dtype.itemsize > len(data) - start:
        raise KernelError(f"{shape} values of {dtype} do not fit into the file; it is cut off, save it again")
    flat = np.frombuffer(data, dtype, count, start)
    return _Found(flat.reshape(shape, order="F" if fortran else "C"))


def _read_npz(data: bytes) -> _Found:
    _check_directory(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        if len(members) > 100:
            raise KernelError("it holds more than 100 files; save the kernel alone with numpy.savez")
        shapes = {}
        for name, entry in members.items():
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise KernelError("it is not compressed as numpy does; save it again with numpy.savez")
            with archive.open(entry) as file:
                head = file.read(12_000)
            if head.startswith(b"\x93NUMPY"):
                try:
                    shapes[name] = _npy_header(io.BytesIO(head))[0]
                except KernelError:
                    if len(members) == 1:
                        raise
        name, notes = _pick(shapes, list(members))
        with archive.open(members[name]) as file:
            content = file.read(_MAX_PIXELS * 8 + 12_000)
    return _Found(_read_npy(content).values, notes=notes)


def _check_directory(data: bytes) -> None:
    """A zip's table of contents is read whole by `zipfile`, so it must be small."""
    end = data.rfind(b"PK\5\6", max(0, len(data) - 65_557))
    if end < 0 or len(data) < end + 22:
        raise KernelError("the archive is cut off; save it again with numpy.savez")
    (size,) = struct.unpack_from("<I", data, end + 12)
    if size > _MAX_DIRECTORY or data[max(0, end - 20) : end].startswith(b"PK\6\7"):
        raise KernelError("the archive holds too many files; save the kernel alone with numpy.savez")


# -- tables -----------------------------------------------------------------------------------------------------------


def _read_text(data: bytes) -> _Found:
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
        if not line:
            continue
        separator = separator or next((c for c in ";,\t" if c in line), " ")
        row = _parse_row(line, number, separator)
        if rows and row.size != rows[0].size:
            raise KernelError(
                f"line {number} has {row.size} numbers, but the first row has {rows[0].size}; "
                "all rows must be equally long"
            )
        rows.append(row)
        total += row.size
        _check_pixels(total)
        if len(rows) > _MAX_ROWS:
            raise KernelError(f"it has more than {_MAX_ROWS} rows; is it a kernel, one row to a line?")
    if not rows:
        raise KernelError("there are no numbers in it")
    return _Found(np.stack(rows))


def _parse_row(line: str, number: int, separator: str) -> NDArray[np.float64]:
    """One row of a table -> (w,)."""
    cells = line.split() if separator == " " else [cell.strip() for cell in line.split(separator)]
    if separator != " " and len(cells) > 1 and not cells[-1]:
        cells.pop()  # a separator at the end of every row
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


# -- MATLAB -----------------------------------------------------------------------------------------------------------


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


def _read_mat(data: bytes) -> _Found:
    """MATLAB 5 to 7, full numeric arrays.

    Not through scipy, which crashes the interpreter on some damaged files; of the format, this much is needed.
    """
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
    name, notes = _pick(shapes, list(variables))
    return _Found(_mat_values(data, variables[name], order), notes=notes)


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
    _check_pixels(*variable.shape)
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

_READERS: Mapping[bytes, Callable[[bytes], _Found]] = {
    b"\x89PNG\r\n\x1a\n": _read_picture,
    b"BM": _read_picture,
    b"\xff\xd8\xff": _read_picture,
    b"II*\0": _read_tiff,
    b"MM\0*": _read_tiff,
    b"II+\0": _read_tiff,
    b"MM\0+": _read_tiff,
    b"\x93NUMPY": _read_npy,
    b"PK\3\4": _read_npz,
    b"MATLAB 5.0": _read_mat,
}
