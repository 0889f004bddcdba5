"""Kernels at places of a picture, as they are measured or published, made into a `BlurField` for a picture's size.

    K(v) = sum_i a_i(v) k_i,        sum_i a_i(v) = 1,        v: a node of the field

Where the places form a grid, a_i is bilinear, and beyond the outer places the nearest ones hold; otherwise it is the
inverse square of the distance (Shepard 1968). Where the places are the nodes of the field, K(v) = k_i exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from acutance.errors import KernelError
from acutance.operators import BlurField

Array = NDArray[np.float64]

MOST_NODES = 16
"""Nodes of a field along an axis, at most, where they are not the places themselves."""

MOST_NEGATIVE = 0.1
"""Negative part of a kernel, of its light, from which on it is none; polynomials and noise make a little."""

_ON_NODE = 0.75  # px by which a place may miss a node and still be it


@dataclass(frozen=True, eq=False)
class PlacedKernels:
    """Kernels and where they hold.

    Args:
        kernels: (n, h, w), n at least 1, odd sides, not negative, each of sum 1; see `usable`.
        places: (n, 2), y and x of each, pixels, 0 is the middle of the first pixel.
        size: (H, W) of the picture that the places count in; None: not known.
    """

    kernels: Array
    places: Array
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.kernels.ndim != 3 or self.places.shape != (len(self.kernels), 2) or not len(self.kernels):
            raise KernelError(
                f"kernels {self.kernels.shape} at places {self.places.shape}: give (n, h, w) and (n, 2), y and x"
            )
        if not np.isfinite(self.places).all():
            raise KernelError("a place of a kernel is NaN or infinite; give y and x in pixels")

    def field(self, size: tuple[int, int] | None = None) -> BlurField:
        """The blur field of a picture.

        Args:
            size: (H, W) of it; None: that which the places count in.

        Raises:
            KernelError: the size is not known, differs from that of the places, or a place lies outside of it.
        """
        if size is not None and self.size not in (None, size):
            assert self.size is not None
            raise KernelError(
                f"its kernels belong to places of a picture of {_said(self.size)}, and this one has {_said(size)}; "
                "give kernels that were measured on a picture of this size"
            )
        frame = size or self.size
        if frame is None:
            raise KernelError("it does not say the size of the picture that its places count in; give one picture")
        low, high = self.places.min(0), self.places.max(0)
        if min(low) < -1 or (high > np.array(frame)).any():
            raise KernelError(
                f"its places reach from {low[1]:.0f}, {low[0]:.0f} to {high[1]:.0f}, {high[0]:.0f} (x, y), outside of "
                f"a picture of {_said(frame)}; give kernels for places in pixels of this picture"
            )
        lines = _lines(self.places)
        counts = self._grid(frame, lines)
        nodes = [node_places(n, side) for n, side in zip(counts, frame, strict=True)]
        weights = _bilinear(self.places, lines, nodes) if lines is not None else _shepard(self.places, nodes)
        mixed = np.tensordot(weights, self.kernels, (1, 0)).reshape(*counts, 1, *self.kernels.shape[1:])
        return BlurField(torch.from_numpy((mixed / mixed.sum((-2, -1), keepdims=True)).astype(np.float32)))

    def _grid(self, frame: tuple[int, int], lines: tuple[Array, Array] | None) -> tuple[int, int]:
        """Number of nodes: as many as there are places where these are the nodes, else twice as many along an axis."""
        if lines is None:
            side = min(math.ceil(2 * math.sqrt(len(self.places))), MOST_NODES)
            return side, side
        counts = []
        for line, side in zip(lines, frame, strict=True):
            n = len(line)
            even = bool((abs(line - node_places(n, side)) <= _ON_NODE).all())
            counts.append(n if even else max(min(2 * n, MOST_NODES), n))
        return counts[0], counts[1]


def node_places(count: int, length: int) -> Array:
    """The nodes of a `BlurField` along an axis: the middles of equal parts, pixels."""
    return np.asarray((np.arange(count) + 0.5) * length / count - 0.5)


def usable(values: NDArray[np.generic], notes: list[str]) -> Array:
    """Kernels (n, h, w) as `PlacedKernels` wants them: an even side gets a row or column of zeros behind.

    Raises:
        KernelError: another shape, NaN, clearly negative, or without light.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 3 or 0 in array.shape:
        raise KernelError(f"an array of shape {array.shape} is no list of kernels; give (n, h, w)")
    if not np.isfinite(array).all():
        raise KernelError("a kernel has NaN or infinite values; give kernels of real numbers")
    above, below = np.maximum(array, 0).sum((1, 2)), -np.minimum(array, 0).sum((1, 2))
    if not (above > 0).all() or (below > MOST_NEGATIVE * above).any():
        number = int(np.argmax(np.where(above > 0, below / np.maximum(above, 1e-300), np.inf)))
        raise KernelError(f"kernel {number + 1} is all zero or clearly negative; leave it out, or measure it again")
    if below.any():
        notes.append(f"Small negative values, up to {100 * float((below / above).max()):.2g} % of the light, became 0.")
    array = np.maximum(array, 0)
    odd = [(0, 1 - side % 2) for side in array.shape[1:]]
    return np.asarray(np.pad(array, [(0, 0), *odd]) / above[:, None, None])


def _said(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"


def _lines(places: Array) -> tuple[Array, Array] | None:
    """The rows and columns of places that form a whole grid; None: they form none."""
    ys, xs = np.unique(np.round(places[:, 0], 3)), np.unique(np.round(places[:, 1], 3))
    whole = len(ys) * len(xs) == len(places) == len(np.unique(np.round(places, 3), axis=0))
    return (ys, xs) if whole else None


def _bilinear(places: Array, lines: tuple[Array, Array], nodes: list[Array]) -> Array:
    """(nodes, n), a_i of each node for places on a grid."""
    weights = []
    for axis, (line, there) in enumerate(zip(lines, nodes, strict=True)):
        number = np.searchsorted(line, np.round(places[:, axis], 3))
        hats = np.stack([np.interp(there, line, unit) for unit in np.eye(len(line))])
        weights.append(hats[number])  # (n, nodes of the axis)
    return np.asarray(np.einsum("ni,nj->ijn", *weights).reshape(-1, len(places)))


def _shepard(places: Array, nodes: list[Array]) -> Array:
    """(nodes, n), a_i of each node for places anywhere."""
    grid = np.stack(np.meshgrid(*nodes, indexing="ij"), -1).reshape(-1, 1, 2)
    near = 1 / np.maximum(((grid - places) ** 2).sum(-1), 1e-6)
    return np.asarray(near / near.sum(1, keepdims=True))
