"""Blur kernels in users' files: pictures, arrays, tables, MATLAB.

A file is read whole, bounded, and told apart by its first bytes; what it declares is checked against what it holds
before anything is allocated for it. Then `acutance.images.kernel_repair` makes a kernel of it.
"""

from __future__ import annotations

import io
import math
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from acutance.errors import ImageError, KernelError, OutputError
from acutance.images import lazy_codecs
from acutance.images.atomic import write_atomically
from acutance.images.decoded import Decoded
from acutance.images.fits_layout import GZIP, MAGIC, split
from acutance.images.image import Image
from acutance.images.kernel_found import MAX_PIXELS, Found, Values, check_pixels, pick
from acutance.images.kernel_matlab import looks_like_mat4, read_mat, read_mat4
from acutance.images.kernel_repair import KernelFile, repair_kernel
from acutance.images.kernel_tables import read_text
from acutance.images.png import encode_png
from acutance.images.read_fits import read_kernel_values
from acutance.images.read_simple import read_gif, read_webp
from acutance.images.recognise import HEAD, recognise
from acutance.images.tiff_directory import check_directories
from acutance.images.write_fits import encode_fits
from acutance.kernel_fit import cut_to

__all__ = ["KernelFile", "read_kernel", "repair_kernel", "write_kernel"]

_TAIL = 0.02  # part of its light that a kernel larger than `max_size` may lose
_MAX_FILE = 200_000_000  # bytes
_MAX_DIRECTORY = 1_000_000  # bytes of a zip's table of contents
_TEXT = (".txt", ".csv", ".tsv", ".dat")
ENLARGED = "Acutance kernel enlarged"  # keyword of a PNG's text
LOSSY = (
    "{} is lossy, its traces are in the kernel, and they may hide that it was enlarged; PNG, TIFF or .npy keep a "
    "kernel as it is."
)
_KNOWN = "PNG, TIFF, BMP, JPEG, FITS, .npy, .npz, .txt, .csv or .mat (saved with -v7)"
_TIFF_CODECS = (1, 5, 8, 32773, 32946, 50000)  # none, LZW, deflate, PackBits, old deflate, zstd


def read_kernel(path: str | Path, *, centre: bool = False, flip: bool = False, max_size: int = 1025) -> KernelFile:
    """Read a blur kernel from a user's file, repair it, and say what was repaired.

    Pictures: PNG, TIFF (integers or floats), BMP, JPEG, GIF, WebP. Arrays: `.npy`, `.npz`. Tables: `.txt`, `.csv`, with
    blanks, commas or semicolons between the numbers and `#` before comments. MATLAB: `.mat` up to -v7. If a `.npz` or
    `.mat` file holds several arrays, one called psf, kernel, ker, k, f, h or blur is taken. FITS (extra `fits`): the
    first picture, or FILE[EXT], see `acutance.images.fits_layout`; rows keep their numbers.

    Args:
        path: The file; its kind is told from its content.
        centre: Move the centre of mass to the centre, see `repair_kernel`.
        flip: Rotate by 180 degrees, see `repair_kernel`.
        max_size: Largest side of the repaired kernel, px; a larger one is cut if hardly any light is lost.

    Returns:
        The kernel, (1, C, h, w) float32, and the notes.

    Raises:
        KernelError: not a file, not one of these formats, damaged, too large, not one kernel, or not repairable.
    """
    path = Path(path)
    try:
        found = read_values(path)
        repaired = repair_kernel(found.values, centre=centre, flip=flip, bits=found.bits, enlarged=found.enlarged)
        kernel, lost = cut_to(repaired.kernel, (max_size, max_size), most=_TAIL)
    except (KernelError, ImageError) as error:
        raise KernelError(f"{path.name}: {error}") from error.__cause__
    except Exception as error:  # decoders raise whatever they like on damaged files
        said = re.sub("<[^>]*>", "it", f"{type(error).__name__}: {error}"[:200])
        raise KernelError(f"{path.name}: damaged or unusual ({said}); save it again, as {_KNOWN}") from error
    return KernelFile(kernel, (*found.notes, *repaired.notes, *([] if lost is None else [f"{lost}."])))


def write_kernel(
    path: str | Path,
    kernel: Tensor | NDArray[np.floating],
    *,
    bits: Literal[8, 16] = 16,
    overwrite: bool = False,
    enlarge: int = 1,
) -> None:
    """Write a kernel; the suffix of the path tells the format. The file is there whole or not at all.

    `.npy` and `.txt` hold every float32 exactly, `.tif` and `.fits` too (float32, as a picture), `.png` is scaled
    to its maximum for the eye and has `bits` bits.

    Args:
        path: Ends in `.npy`, `.png`, `.txt`, `.tif` or `.fits`.
        kernel: (1, C, h, w), C = 1 or 3, or (h, w), a tensor or an array, non-negative; `.txt` takes one channel only.
        bits: Depth of a `.png`.
        overwrite: Whether a file that is there may be replaced.
        enlarge: Each value becomes a square of so many pixels in a `.png`, which says so; `read_kernel` undoes it.

    Raises:
        KernelError: not such a kernel.
        OutputError: unknown suffix, file there, or not writable.
    """
    path = Path(path)
    if not isinstance(kernel, Tensor | np.ndarray):
        raise KernelError(f"a kernel to write is a tensor or an array, not a {type(kernel).__name__}")
    values = kernel.detach().float().cpu().numpy() if isinstance(kernel, Tensor) else kernel
    if values.dtype.kind not in "uif":
        raise KernelError(f"a kernel to write has real numbers, not {values.dtype}")
    planes: NDArray[np.float32] = (values[None, None] if values.ndim == 2 else values).astype(np.float32)
    if planes.ndim != 4 or planes.shape[0] != 1 or planes.shape[1] not in (1, 3) or planes.size == 0:
        raise KernelError(f"one kernel to write is (h, w), or (1, C, h, w) with C = 1 or 3, not {tuple(kernel.shape)}")
    if not np.isfinite(planes).all() or planes.min() < 0 or planes.max() <= 0:
        raise KernelError("a kernel to write must be finite and non-negative, and not all zero")
    if bits not in (8, 16):
        raise KernelError(f"bits={bits}: a picture of a kernel has 8 or 16 bits")
    if enlarge < 1 or (enlarge > 1 and path.suffix.lower() != ".png"):
        raise KernelError(f"enlarge={enlarge}: 1 or more, and more than 1 for a .png only")
    write_atomically(path, _encode(path, planes, bits, enlarge), overwrite=overwrite)


def _encode(path: Path, planes: NDArray[np.float32], bits: int, enlarge: int) -> bytes:
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
            scaled = scaled.repeat(enlarge, 0).repeat(enlarge, 1)
            texts = () if enlarge == 1 else ((b"tEXt", f"{ENLARGED}\0{enlarge}".encode("latin-1")),)
            return encode_png(scaled, exif_block=None, icc=None, dpi=None, texts=texts)
        case ".fits" | ".fit":
            pixels = Image(torch.from_numpy(planes))
            return encode_fits(pixels, None, 32, None, packed=False).data
        case ".txt" if grey:
            np.savetxt(stream, picture, fmt="%.9g")
        case ".txt":
            raise OutputError(f"{path}: a table holds one channel; write a kernel of three as .npy, .tif or .png")
        case other:
            raise OutputError(
                f"{path}: kernels are written as .npy, .png, .txt, .tif or .fits, not {other or 'without suffix'}"
            )
    return stream.getvalue()


# -- which format -----------------------------------------------------------------------------------------------------


def read_values(name: Path) -> Found:
    """Read the values of a kernel's file, before anything is repaired.

    Raises:
        KernelError: see `read_kernel`. Exception: whatever decoders raise on damaged files.
    """
    path, where = split(name)
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
    if data.startswith((MAGIC, GZIP)):
        recognise(data[:HEAD], path)
        return read_kernel_values(data, where)
    for magic, reader in _READERS.items():
        if data.startswith(magic):
            return reader(data)
    if data[:128].startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise KernelError("MATLAB 7.3 (HDF5) files are not read; save it in MATLAB with save(name, 'psf', '-v7')")
    if path.suffix.lower() == ".mat" and looks_like_mat4(data):
        return read_mat4(data)
    if path.suffix.lower() in _TEXT:
        return read_text(data)
    raise KernelError(f"neither its content nor its name is that of a kernel file; save it as {_KNOWN}")


# -- pictures ---------------------------------------------------------------------------------------------------------


def _read_picture(data: bytes) -> Found:
    """PNG, BMP, JPEG."""
    notes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with PillowImage.open(io.BytesIO(data), formats=["PNG", "BMP", "JPEG"]) as image:
            check_pixels(image.height, image.width, len(image.getbands()))
            mode, jpeg = image.mode, image.format == "JPEG"
            enlarged = str(getattr(image, "text", {}).get(ENLARGED, "1"))
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
        notes.append(LOSSY.format("JPEG"))
    values, alpha_notes = _without_alpha(values)
    return Found(values, bits, (*notes, *alpha_notes), int(enlarged) if re.fullmatch(r"\d{1,4}", enlarged) else 1)


def _read_gif(data: bytes) -> Found:
    if len(data) < 14:
        raise KernelError(f"it is cut short; save it as {_KNOWN}")
    return _of_decoded(read_gif(data, MAX_PIXELS))


def _read_webp(data: bytes) -> Found:
    if data[8:12] != b"WEBP":
        raise KernelError(f"its content is not that of a kernel file; save it as {_KNOWN}")
    return _of_decoded(read_webp(data, MAX_PIXELS))


def _of_decoded(decoded: Decoded) -> Found:
    """Of a picture that the readers of pictures decoded."""
    lossy = () if decoded.lossless else (LOSSY.format("WebP"),)
    values, notes = _without_alpha(decoded.colour)
    return Found(values, 8, (*lossy, *notes))


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


def _read_tiff(data: bytes) -> Found:
    """One page of integers or floats, grey or colour, of a plain compression."""
    check_directories(io.BytesIO(data))
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        check_pixels(*page.shape)
        check_pixels(*page.chunks)
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
    if axes == "SYX" and len(values) == 3:  # three planes: of colour, or of a volume; the values tell
        return Found(values, bits, notes)
    if axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    values, alpha_notes = _without_alpha(values)
    return Found(values, bits, notes + alpha_notes)


# -- arrays -----------------------------------------------------------------------------------------------------------


def npy_header(stream: io.BytesIO, what: str = "a kernel") -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, fortran order, dtype), refusing all but plain numbers."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise KernelError(f"version {version} of .npy is not that of a plain array; save it with numpy.save")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject or dtype.kind not in "biuf":
        raise KernelError(f"an array of {dtype} is not {what}; save real numbers with numpy.save")
    return shape, fortran, dtype


def _read_npy(data: bytes) -> Found:
    stream = io.BytesIO(data)
    shape, fortran, dtype = npy_header(stream)
    if len(shape) > 4 or not shape:
        raise KernelError(f"an array of shape {shape} is not a kernel; save one two-dimensional array")
    check_pixels(*shape)
    count, start = math.prod(shape), stream.tell()
    if count * dtype.itemsize > len(data) - start:
        raise KernelError(f"{shape} values of {dtype} do not fit into the file; it is cut off, save it again")
    flat = np.frombuffer(data, dtype, count, start)
    return Found(flat.reshape(shape, order="F" if fortran else "C"))


def _read_npz(data: bytes) -> Found:
    check_directory(data)
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
                    shapes[name] = npy_header(io.BytesIO(head))[0]
                except KernelError:
                    if len(members) == 1:
                        raise
        name, notes = pick(shapes, list(members))
        with archive.open(members[name]) as file:
            content = file.read(MAX_PIXELS * 8 + 12_000)
    return Found(_read_npy(content).values, notes=notes)


def check_directory(data: bytes) -> None:
    """A zip's table of contents is read whole by `zipfile`, so it must be small."""
    end = data.rfind(b"PK\5\6", max(0, len(data) - 65_557))
    if end < 0 or len(data) < end + 22:
        raise KernelError("the archive is cut off; save it again with numpy.savez")
    (size,) = struct.unpack_from("<I", data, end + 12)
    if size > _MAX_DIRECTORY or data[max(0, end - 20) : end].startswith(b"PK\6\7"):
        raise KernelError("the archive holds too many files; save the kernel alone with numpy.savez")


_READERS: Mapping[bytes, Callable[[bytes], Found]] = {
    b"\x89PNG\r\n\x1a\n": _read_picture,
    b"BM": _read_picture,
    b"GIF8": _read_gif,
    b"RIFF": _read_webp,
    b"\xff\xd8\xff": _read_picture,
    b"II*\0": _read_tiff,
    b"MM\0*": _read_tiff,
    b"II+\0": _read_tiff,
    b"MM\0+": _read_tiff,
    b"\x93NUMPY": _read_npy,
    b"PK\3\4": _read_npz,
    b"MATLAB 5.0": read_mat,
}
