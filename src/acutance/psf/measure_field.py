"""A point-spread function for each cell of a field, from its stars.

The picture is divided into rows x columns equal cells. Each gets the kernel of the stars in it, see
`acutance.psf.measure`; a cell with too few takes those nearest to its middle, from the cells around.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from acutance.errors import KernelError
from acutance.psf.doctor import widths
from acutance.psf.measure import FEWEST, Points, alike, combined, find_points, too_few
from acutance.psf.placed import PlacedKernels, node_places

Array = NDArray[np.float64]

ENOUGH = 5
"""Stars of a cell, below which it borrows: of fewer, one bad star is a large part of the mean."""

MOST_CELLS = 32
"""Cells along an axis, at most."""

_WIDE = 0.9  # quantile of the widths by which the side of the kernels is chosen


@dataclass(frozen=True, eq=False)
class MeasuredField:
    """Kernels of cells and what they rest on.

    Args:
        placed: a kernel in the middle of each cell, row by row. grid: rows and columns.
        widths: (rows, columns), full width at half maximum, pixels; the geometric mean of both axes.
        stars: (rows, columns), stars that each kernel is made of. borrowed: (rows, columns), those of other cells.
        rejected: how many points were not used, by the reason.
    """

    placed: PlacedKernels
    grid: tuple[int, int]
    widths: Array
    stars: NDArray[np.int_]
    borrowed: NDArray[np.int_]
    rejected: Mapping[str, int] = field(default_factory=dict)


def measure_field(
    values: NDArray[np.generic],
    grid: tuple[int, int],
    *,
    size: int | None = None,
    threshold: float = 30.0,
    saturation: float | None = None,
) -> MeasuredField:
    """Measure how the point-spread function changes over a picture.

    Args:
        values: (H, W), see `acutance.psf.measure.measure_psf`. grid: rows and columns of cells.
        size: see there, one for all cells. threshold: see there. saturation: see there.

    Raises:
        KernelError: no such array or grid, or fewer stars than one kernel needs.
    """
    if np.ndim(values) != 2:
        raise KernelError(f"an array of shape {np.shape(values)}: cells are measured on a picture (H, W)")
    if not all(1 <= n <= MOST_CELLS for n in grid):
        raise KernelError(f"a grid of {grid[0]} x {grid[1]} cells; give 1 to {MOST_CELLS} along each side")
    found = find_points(values, size=size, threshold=threshold, saturation=saturation, quantile=_WIDE)
    if len(found.stamps) < FEWEST:
        raise KernelError(too_few(found.count, len(found.stamps), found.rejected))
    middles = np.stack(
        np.meshgrid(*(node_places(n, side) for n, side in zip(grid, found.shape, strict=True)), indexing="ij"), -1
    ).reshape(-1, 2)
    cells = [_cell(found, middle, grid) for middle in middles]
    placed = PlacedKernels(np.stack([c.kernel for c in cells]), middles, (found.shape[0], found.shape[1]))
    return MeasuredField(
        placed,
        grid,
        np.array([np.sqrt(np.prod(widths(c.kernel))) for c in cells]).reshape(grid),
        np.array([c.stars for c in cells]).reshape(grid),
        np.array([c.borrowed for c in cells]).reshape(grid),
        {why: n for why, n in found.rejected.items() if n},
    )


@dataclass(frozen=True, eq=False)
class _Cell:
    kernel: Array
    stars: int
    borrowed: int


def _cell(found: Points, middle: Array, grid: tuple[int, int]) -> _Cell:
    """The kernel of a cell.

    Raises:
        KernelError: too few alike stars are near.
    """
    away = np.array(found.centres) - middle
    half = np.array(found.shape) / (2 * np.array(grid))
    inside = (abs(away) <= half).all(1)
    order = np.argsort((away**2).sum(1))
    own = [np.flatnonzero(inside)] if inside.sum() >= ENOUGH else []
    for chosen in (*own, *(order[: n * ENOUGH] for n in (1, 2, 4))):
        stamps = [found.stamps[i] for i in chosen]
        used = chosen[alike(stamps, found.width)]
        if len(used) >= FEWEST:
            kernel = combined(np.stack([found.stamps[i] for i in used]), found.width)
            return _Cell(kernel, len(used), int((~inside[used]).sum()))
    raise KernelError(
        f"the stars near x = {middle[1]:.0f}, y = {middle[0]:.0f} differ too much from each other; give fewer cells"
    )
