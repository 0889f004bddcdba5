r"""The blur of a lens over the field, from edges: two deviations for each cell of a grid.

The blur of a place is taken for a Gaussian whose axes point to the middle of the picture and across that. An edge with
the normal n at a place p shows

    variance(n) = R cos^2 + T sin^2,        cos = n . (p - middle) / |p - middle|,

and R and T, the squares of both deviations, are fitted to all edges of a cell by least absolute values. A cell with
fewer than `ENOUGH` edges takes the nearest of other cells as well.

Edges of a printed chart are all sharp. Those of photographs are not: what is out of focus or soft by itself is wider.
So of photographs only the lower envelope counts: from the `LOW` quantile upwards, the fit is made to the edges that lie
below it or at most `ABOVE` standard errors above it, until it stays. A lens that is never in focus in a corner cannot
be told from one that is soft there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.camera.edges import Edges
from acutance.errors import ImageError

ENOUGH = 12
"""Edges of a cell, below which it borrows from the others."""

FEWEST = 24  # edges in all
LOW = 0.1
ABOVE = 2.0
LEAST_ERROR = 0.03  # of a variance, relative: edges of one place differ by as much for other reasons than noise
ROUNDS = 15
TIE = 0.02  # weight, by edge, of R = T where the edges of a cell have one direction only


@dataclass(frozen=True, eq=False)
class LensBlur:
    """Deviations of the blur in the middles of the cells of a grid, pixels.

    Args:
        radial: (rows, columns), along the line to the middle of the picture. tangential: (rows, columns), across it.
        edges: (rows, columns), that each cell has of its own.
    """

    radial: Tensor
    tangential: Tensor
    edges: Tensor


def lens_blur(edges: Edges, size: tuple[int, int], grid: tuple[int, int], *, chart: bool) -> LensBlur:
    """Fit the blur of the cells.

    Args:
        edges: of pictures of one size. size: (H, W). grid: rows and columns of cells.
        chart: all edges are sharp.

    Raises:
        ImageError: fewer than `FEWEST` edges.
    """
    if len(edges) < FEWEST:
        raise ImageError(
            f"{len(edges)} usable edges were found, and {FEWEST} or more are needed; give sharp pictures of straight "
            "edges, such as a printed chart, with no part burnt out"
        )
    sides = torch.tensor(size, dtype=torch.float64)
    counts = torch.tensor(grid, dtype=torch.float64)
    cell = (edges.place + 0.5) * counts / sides
    radial, tangential = torch.zeros(grid, dtype=torch.float64), torch.zeros(grid, dtype=torch.float64)
    own = torch.zeros(grid, dtype=torch.long)
    cos2 = _towards_middle(edges, (sides - 1) / 2)
    for i in range(grid[0]):
        for j in range(grid[1]):
            away = (cell - torch.tensor([i + 0.5, j + 0.5], dtype=torch.float64)).abs()
            inside = (away <= 0.5).all(1)
            own[i, j] = int(inside.sum())
            if own[i, j] < ENOUGH:
                near = away.square().sum(1).topk(min(FEWEST, len(edges)), largest=False).indices
                inside = torch.zeros_like(inside).index_fill(0, near, True)
            variances = _fitted(edges.at(inside), cos2[inside], chart=chart)
            radial[i, j], tangential[i, j] = (math.sqrt(max(v, 0.0)) for v in variances)
    return LensBlur(radial, tangential, own)


def _towards_middle(edges: Edges, middle: Tensor) -> Tensor:
    """cos^2 of the formula, (n,)."""
    arm = edges.place - middle
    along = (edges.normal * arm).sum(1).square()
    return along / arm.square().sum(1).clamp_min(1e-9)


def _fitted(edges: Edges, cos2: Tensor, *, chart: bool) -> tuple[float, float]:
    """R and T of the edges of a cell."""
    v = edges.variance
    start = float(v.quantile(0.5 if chart else LOW))
    r = t = start
    for _ in range(ROUNDS):
        expected = r * cos2 + t * (1 - cos2)
        off = v - expected
        error = (edges.error.square() + (LEAST_ERROR * expected).square()).sqrt().clamp_min(1e-6)
        used = torch.ones_like(off, dtype=torch.bool) if chart else off < ABOVE * error
        weight = torch.where(used, 1 / (error * off.abs().clamp_min(0.3 * error)), 0)
        weight = weight / weight.sum()
        c, s = cos2, 1 - cos2
        cc, ss, cs = (weight * c * c).sum() + TIE, (weight * s * s).sum() + TIE, (weight * c * s).sum() - TIE
        right = torch.stack(((weight * c * v).sum(), (weight * s * v).sum()))
        solved = torch.linalg.solve(torch.stack((torch.stack((cc, cs)), torch.stack((cs, ss)))), right)
        r, t = (float(x) for x in solved)
    return r, t
