"""Measurements of a picture in a file, `.cs`: few numbers for each block of pixels, to be made a picture again.

The container is a safetensors file with one tensor, `numbers`, (C m, ceil(H / 32), ceil(W / 32)), float16 or float32,
the m numbers of a channel together, and these texts in its header's `__metadata__`:

    format      "acutance measurements 2"
    height, width, channels     of the picture, whole numbers
    matrix      SHA-256 of the sampling matrix (m, 1024) as little-endian float32, row by row: who has another one
                cannot read the numbers
    weights     name and version of the weights that the matrix belongs to
    scale       what the picture was divided by before it was measured, its brightness
    unit        what a float file's samples are divided by to be the picture, see `acutance.images.ImageInfo.scale`
    bits, float depth of the file, 8, 16 or 32; "1" where its samples were floats

A second tensor, `alpha`, uint8, holds the deflated bytes of the alpha channel, row by row, where there is one.

A file of version 1 has no scale, which was 1; earlier ones of version 2 have no unit, bits and float: 1, 8 and 0.
Blocks are extended by reflection where they reach beyond the picture (`acutance.operators.Sensing`).
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from acutance.errors import ImageError
from acutance.images.atomic import write_atomically
from acutance.images.decoded import DEFAULT_MAX_PIXELS
from acutance.tensors import SENSED

SUFFIX = ".cs"
FORMAT = "acutance measurements 2"
READ = ("acutance measurements 1", FORMAT)


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was measured.

    Args:
        numbers: (1, C m, ceil(H / 32), ceil(W / 32)), floating point.
        size: (H, W). channels: C. matrix: SHA-256 of the sampling matrix. weights: that it belongs to.
        scale: the picture is the measured one times this number, above 0.
        alpha: (1, 1, H, W) in [0, 1]; None: there is none. bits, is_float, unit: of the file, see `ImageInfo`.
    """

    numbers: Tensor
    size: tuple[int, int]
    channels: int
    matrix: str
    weights: str = ""
    scale: float = 1.0
    alpha: Tensor | None = None
    bits: int = 8
    is_float: bool = False
    unit: float = 1.0

    @property
    def rows(self) -> int:
        """m, numbers for a block of a channel."""
        return self.numbers.shape[1] // self.channels


def matrix_hash(matrix: Tensor) -> str:
    """SHA-256 of a sampling matrix, hexadecimal."""
    return hashlib.sha256(matrix.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes()).hexdigest()


def write_measurements(path: Path, measured: Measurements, *, bits: int = 16, overwrite: bool = False) -> int:
    """Write a file whole or not at all; `bits` of a number, 16 or 32. Returns its length in bytes.

    Raises:
        OutputError: see `acutance.images.atomic`.
        ImageError: numbers that the format cannot hold.
    """
    numbers = measured.numbers[0].cpu().contiguous().to(torch.float16 if bits == 16 else torch.float32)
    if not bool(torch.isfinite(numbers).all()):
        raise ImageError("the measurements are too large for 16 bits, or not finite; store them with 32")
    header = {
        "format": FORMAT, "height": str(measured.size[0]), "width": str(measured.size[1]),
        "channels": str(measured.channels), "matrix": measured.matrix, "weights": measured.weights,
        "scale": repr(measured.scale), "unit": repr(measured.unit), "bits": str(measured.bits),
        "float": str(int(measured.is_float)),
    }  # fmt: skip
    tensors = {"numbers": numbers}
    if measured.alpha is not None:
        deflated = zlib.compress((255 * measured.alpha.cpu().clamp(0, 1)).round().byte().numpy().tobytes(), 9)
        tensors["alpha"] = torch.frombuffer(bytearray(deflated), dtype=torch.uint8)
    raw = save(tensors, header)
    write_atomically(path, raw, overwrite=overwrite)
    return len(raw)


def read_measurements(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Measurements:
    """Read a `.cs` file.

    Raises:
        ImageError: no such file, no such container, of a picture of more than `max_pixels`, or damaged.
    """
    try:
        if path.exists() and not path.is_file():
            raise ImageError(f"{path} is not an ordinary file; give a .cs file")
        if path.stat().st_size > 16 * max_pixels + 100_000:
            raise ImageError(f"{path} is larger than measurements of {max_pixels / 1e6:.0f} megapixels can be")
        raw = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        header = _header(raw)
        tensors = load(raw)
        numbers = tensors["numbers"]
        height, width, channels = (int(header[key]) for key in ("height", "width", "channels"))
        matrix, weights = str(header["matrix"]), str(header.get("weights", ""))
        scale, unit = float(header.get("scale", "1")), float(header.get("unit", "1"))
        depth, is_float = int(header.get("bits", "8")), header.get("float", "0") == "1"
        known = header["format"] in READ
    except (SafetensorError, ValueError, KeyError, TypeError, IndexError, OverflowError, RuntimeError, struct.error,
            RecursionError):  # fmt: skip
        raise ImageError(f"{path} is no file of measurements, or a damaged one; `acutance sense` writes them") from None
    if not known:
        raise ImageError(f"{path} is of the format {header['format']!r}; this version reads {FORMAT!r}")
    if not (height > 0 and width > 0 and height * width <= max_pixels and 1 <= channels <= 64):
        raise ImageError(f"{path}: measurements of {width}x{height} pixels, {channels} channels; --max-megapixels")
    blocks = (-(-height // SENSED), -(-width // SENSED))
    if (
        numbers.ndim != 3
        or tuple(numbers.shape[1:]) != blocks
        or numbers.shape[0] % channels
        or not channels <= numbers.shape[0] <= channels * SENSED**2
        or numbers.dtype not in (torch.float16, torch.float32)
        or not bool(torch.isfinite(numbers).all())
        or not 0 < scale < math.inf
        or not 0 < unit < math.inf
        or depth not in (8, 16, 32)
    ):
        raise ImageError(f"{path}: {tuple(numbers.shape)} numbers do not fit {width}x{height} pixels; it is damaged")
    alpha = _alpha(tensors["alpha"], height, width, path) if "alpha" in tensors else None
    return Measurements(
        numbers.float()[None], (height, width), channels, matrix, weights, scale, alpha, depth, is_float, unit
    )


def _alpha(deflated: Tensor, height: int, width: int, path: Path) -> Tensor:
    """The alpha channel, (1, 1, H, W).

    Raises:
        ImageError: damaged, or of another size.
    """
    try:
        inflater = zlib.decompressobj()
        content = inflater.decompress(deflated.numpy().tobytes(), height * width)
        if deflated.dtype != torch.uint8 or len(content) != height * width or not inflater.eof:
            raise ImageError(f"{path}: its alpha channel does not fit {width}x{height} pixels; it is damaged")
    except zlib.error:
        raise ImageError(f"{path}: its alpha channel is damaged") from None
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(1, 1, height, width) / 255


def _header(raw: bytes) -> dict[str, str]:
    """The texts of a safetensors file.

    Raises:
        ValueError, KeyError, struct.error: there are none.
    """
    (length,) = struct.unpack("<Q", raw[:8])
    if length > min(len(raw), 1 << 20):
        raise ValueError(length)
    texts: dict[str, str] = json.loads(raw[8 : 8 + length])["__metadata__"]
    return texts
