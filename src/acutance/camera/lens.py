r"""The blur of a lens over the field, from edges: two deviations for each node of a grid.

The blur of a place is taken for a Gaussian whose axes point to the middle of the picture and across that. An edge with
the normal n at a place p shows

    variance(p, n) = sum_i w_i(p) (R_i cos^2 + T_i sin^2),        cos = n . (p - middle) / |p - middle|,

with the nodes and the weights w of `acutance.operators.BlurField`, which go on linearly beyond the outer nodes. R and
T, the squares of both deviations, are fitted to all edges at once by least absolute values, relative to what is
expected, with a weak tie that keeps the grid smooth: a node without edges has what its neighbours make likely.

Edges of a printed chart are all sharp. Those of photographs are not: what is out of focus or soft by itself is wider.
So of photographs only the lower envelope counts: the fit is the quantile `LOW` instead of the median, by the weights of
Koenker and Bassett (1978), of variance + `BELOW` times its standard error, which is right where all edges are sharp,
and too wide by a few per cent where a fifth of them is. A lens that is never in focus in a corner cannot be told from
one that is soft there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.camera.edges import Edges
from acutance.errors import ImageError

ENOUGH = 12  # edges of a cell that have a quantile of their own
FEWEST = 24  # edges in all
EACH_SHARP, EACH = 3, 15  # edges by node, at least: of a chart, and of photographs, most of whose edges are soft
LOW, BELOW = 0.15, 1.04  # a quantile, and how far it lies below the mean of the normal distribution, in deviations
LEAST_ERROR = 0.03  # of a variance, relative: edges of one place differ by as much for other reasons than noise
ROUNDS = 25
TIE = 3e-3  # weight of the smoothness of the grid, and of R = T, by that of all edges of a node
FLOOR = 0.01  # px^2, what is expected at least
PIXEL = 1 / 12  # px^2, of the square of a pixel, on which the error of a variance depends too


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
        ImageError: too few edges for the grid.
    """
    fewest = max(FEWEST, (EACH_SHARP if chart else EACH) * grid[0] * grid[1])
    if len(edges) < fewest:
        raise ImageError(
            f"{len(edges)} usable edges were found, and {fewest} are needed for {grid[0]} x {grid[1]} cells; give more "
            "pictures of sharp straight edges, such as a printed chart, with no part burnt out, or fewer cells"
        )
    sides, counts = (torch.tensor(pair, dtype=torch.float64) for pair in (size, grid))
    place = (edges.place + 0.5) * counts / sides - 0.5  # in units of nodes
    weights = torch.einsum("ni,nj->nij", *(_hats(place[:, a], grid[a]) for a in (0, 1))).flatten(1)  # (n, nodes)
    cos2 = _towards_middle(edges, (sides - 1) / 2)[:, None]
    rows = torch.cat((weights * cos2, weights * (1 - cos2)), 1)
    cell = (place.round().clamp_min(0).minimum(counts - 1) @ torch.stack((counts[1], counts.new_ones(())))).long()
    own = torch.bincount(cell, minlength=grid[0] * grid[1])
    start = edges.variance if chart else _envelope(edges.variance, cell, own)
    solved = _fitted(rows, edges, start, _ties(grid), chart=chart)
    low, high = edges.variance.quantile(0.01).clamp_min(0), edges.variance.max()  # a node without edges stays with them
    radial, tangential = solved.clamp(low, high).sqrt().reshape(2, *grid)
    return LensBlur(radial, tangential, own.reshape(grid))


def _hats(place: Tensor, count: int) -> Tensor:
    """w along an axis of `count` nodes at places in units of nodes, (n, count); linear beyond the outer nodes."""
    if count == 1:
        return torch.ones(len(place), 1, dtype=place.dtype)
    low = place.floor().long().clamp(0, count - 2)
    share = (place - low)[:, None]
    hats = torch.zeros(len(place), count, dtype=place.dtype)
    return hats.scatter_add(1, low[:, None], 1 - share).scatter_add(1, low[:, None] + 1, share)


def _towards_middle(edges: Edges, middle: Tensor) -> Tensor:
    """cos^2 of the formula, (n,)."""
    arm = edges.place - middle
    along = (edges.normal * arm).sum(1).square()
    return along / arm.square().sum(1).clamp_min(1e-9)


def _envelope(variance: Tensor, cell: Tensor, own: Tensor) -> Tensor:
    """The low quantile of the cell of each edge, (n,); of cells with few edges that of all."""
    low = variance.quantile(LOW).repeat(len(own))
    for number in torch.nonzero(own >= ENOUGH).flatten().tolist():
        low[number] = variance[cell == number].quantile(LOW)
    return low[cell]


def _ties(grid: tuple[int, int]) -> Tensor:
    """Rows of numbers of (R, T) that are small where the grid is smooth and round, (m, 2 nodes)."""
    unit = torch.eye(grid[0] * grid[1], dtype=torch.float64).reshape(-1, *grid)
    curves = [unit.diff(n=2, dim=a).flatten(1).T for a in (1, 2) if grid[a - 1] > 2]
    steps = [unit.diff(dim=a).flatten(1).T * 0.1 for a in (1, 2) if grid[a - 1] > 1]
    smooth = torch.cat([*curves, *steps, torch.zeros(0, len(unit), dtype=torch.float64)])
    round_ = 0.3 * torch.eye(len(unit), dtype=torch.float64)
    none = torch.zeros_like(smooth)
    bends = torch.cat((torch.cat((smooth, none), 1), torch.cat((none, smooth), 1)))
    return torch.cat((bends, torch.cat((round_, -round_), 1)))


def _fitted(rows: Tensor, edges: Edges, start: Tensor, ties: Tensor, *, chart: bool) -> Tensor:
    """R and T of the nodes, (2 nodes,), from rows of the formula (n, 2 nodes)."""
    v, low = edges.variance, 0.5 if chart else LOW
    relative = (edges.error / (v + PIXEL).clamp_min(FLOOR)).square()
    expected, solved = start.clamp_min(FLOOR), rows.new_zeros(rows.shape[1])
    for number in range(ROUNDS):
        error = (relative * (expected + PIXEL).square() + (LEAST_ERROR * expected).square()).sqrt()
        target = v if chart else v + BELOW * error
        off = (target - expected) if number or not chart else torch.zeros_like(v)
        weight = torch.where(off > 0, low, 1 - low) / (error * off.abs().maximum(0.3 * error))
        normal = rows.T @ (rows * weight[:, None])
        tie = TIE * normal.trace() / len(normal)
        whole = normal + tie * (ties.T @ ties) + 1e-9 * tie * torch.eye(len(normal), dtype=v.dtype)
        solved = torch.linalg.solve(whole, rows.T @ (weight * target))
        expected = (rows @ solved).clamp_min(FLOOR)
    return solved
