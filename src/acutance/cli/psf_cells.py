"""`acutance psf measure --grid`: a point-spread function for each cell of a picture."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acutance.cli.console import emit, plain, say
from acutance.cli.psf_making import ready
from acutance.errors import ConfigError
from acutance.images import read_image
from acutance.images.stack_file import is_stack
from acutance.psf.doctor import NYQUIST_WIDTH
from acutance.psf.measure_field import MeasuredField, measure_field
from acutance.psf.placed_files import SUFFIXES, write_placed


@dataclass(frozen=True)
class Limits:
    """Settings of the measurement, see `acutance.psf.measure.measure_psf`."""

    size: int | None
    threshold: float
    saturation: float | None


def cells_of(text: str) -> tuple[int, int]:
    """Rows and columns of --grid.

    Raises:
        ConfigError: no such text.
    """
    found = re.fullmatch(r"\s*(\d{1,2})\s*[x,]\s*(\d{1,2})\s*", text.lower())
    if found is None or "0" in (found[1], found[2]):
        raise ConfigError(f"--grid {text}: give rows and columns, such as --grid 3x3")
    return int(found[1]), int(found[2])


def values_of(picture: Path) -> NDArray[np.float64]:
    """A picture (H, W) in the units of its file, the mean of its channels."""
    image = read_image(picture)
    return np.asarray(image.pixels[0].mean(0).double().numpy() * image.info.scale)


def measure_cells(
    picture: Path, output: Path, grid: tuple[int, int], limits: Limits, *, overwrite: bool
) -> MeasuredField:
    """Measure the cells, write them, and say what they rest on.

    Raises:
        ConfigError: a stack. KernelError, ImageError, OutputError: see `measure_field`, `read_image`, `write_placed`.
    """
    ready(output, SUFFIXES, overwrite)
    if is_stack(picture):
        raise ConfigError(f"{picture} is a stack; --grid takes a picture: save one plane of it alone")
    found = measure_field(values_of(picture), grid, **asdict(limits))
    write_placed(output, found.placed, overwrite=overwrite)
    rejected = ", ".join(f"{n} {why}" for why, n in found.rejected.items()) or "none"
    side = found.placed.kernels.shape
    emit(f"{plain(output)}: {grid[0]} x {grid[1]} kernels of {side[1]} x {side[2]} pixels")
    emit(f"points not used: {rejected}")
    emit("width at half maximum in pixels (stars, borrowed from other cells), row by row from the first:")
    for widths, stars, borrowed in zip(found.widths, found.stars, found.borrowed, strict=True):
        emit("  ".join(f"{w:5.2f} ({n}, {b})" for w, n, b in zip(widths, stars, borrowed, strict=True)))
    if found.borrowed.any():
        count = int((found.borrowed > 0).sum())
        say(f"[yellow]{count} of {found.borrowed.size} cells[/] had too few stars and borrowed the nearest ones")
    if found.widths.min() < NYQUIST_WIDTH:
        say(f"[yellow]undersampled:[/] below {NYQUIST_WIDTH:g} pixels it depends on where a point lies in its pixel")
    return found
