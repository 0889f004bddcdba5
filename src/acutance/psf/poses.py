r"""Blur of a camera that turns about its axis and shifts: one set of poses, a kernel for every place.

    y(p) = sum_n w_n x( R(a_n) p + s_n ),        w_n >= 0,  sum_n w_n = 1,        p: pixels from the centre (x, y)

so the kernel of the place p has the mass w_n at p - R(a_n) p - s_n (Hirsch et al. 2011, with turns in the plane of the
picture only). A path of the camera is such a set, with a moment n in each; so is what a fit finds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.errors import KernelError
from acutance.operators import BlurField


@dataclass(frozen=True, eq=False)
class CameraPoses:
    """Where a camera was during the exposure.

    Args:
        angles: a, (N,), radians; positive turns x towards y, clockwise on a screen.
        shifts: s, (N, 2), pixels (x, y).
        weights: w, (N,), not negative, not all zero; divided by their sum.

    Raises:
        KernelError: shapes that do not fit, or weights that are negative or all zero.

    Example:
        >>> poses = CameraPoses(torch.linspace(-0.02, 0.02, 41), torch.zeros(41, 2), torch.ones(41))
        >>> poses.field((3, 4), (480, 640), 31).kernels.shape
        torch.Size([3, 4, 1, 31, 31])
    """

    angles: Tensor
    shifts: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        n = self.angles.shape[0] if self.angles.ndim == 1 else 0
        if not n or self.shifts.shape != (n, 2) or self.weights.shape != (n,):
            raise KernelError("poses are angles (N,), shifts (N, 2) and weights (N,), N at least 1")
        if bool((self.weights < 0).any()) or not bool(self.weights.sum() > 0):
            raise KernelError("weights of poses must not be negative, nor all zero")
        object.__setattr__(self, "weights", self.weights / self.weights.sum())

    def kernels(self, places: Tensor, side: int) -> Tensor:
        """Kernels at places (P, 2), pixels (x, y) from the centre of the picture: (P, 1, side, side), sum 1.

        Masses are drawn bilinearly. What would lie outside of the kernel is put onto its border.
        """
        moved = self._moved(places)  # (P, N, 2)
        at = (side // 2 - moved).clamp(0, side - 1)
        low = at.floor().clamp(max=max(side - 2, 0))
        share, base = at - low, low.long()
        kernels = places.new_zeros(len(places), side * side)
        for dy in (0, 1):
            for dx in (0, 1):
                col, row = (base[..., 0] + dx).clamp(max=side - 1), (base[..., 1] + dy).clamp(max=side - 1)
                part = (share[..., 0] if dx else 1 - share[..., 0]) * (share[..., 1] if dy else 1 - share[..., 1])
                kernels.scatter_add_(1, row * side + col, part * self.weights)
        return kernels.reshape(-1, 1, side, side)

    def extent(self, places: Tensor) -> float:
        """Pixels from a place to the farthest pose of it, along one axis, at the worst of the places (P, 2)."""
        return float(self._moved(places).abs().max())

    def field(self, grid: tuple[int, int], size: tuple[int, int], side: int | None = None) -> BlurField:
        """The blur of a picture of `size` (height, width) with grid (rows, columns) of nodes.

        Args:
            side: of the kernels, odd; None: large enough.
        """
        places = node_places(grid, size).to(self.shifts)
        if side is None:
            side = 2 * int(self.extent(places) + 1) + 1
        return BlurField(self.kernels(places, side).reshape(*grid, 1, side, side))

    def centred(self) -> CameraPoses:
        """The same blur about its mean: the mean turn and the mean shift are zero, so nothing moves on the average."""
        angles = self.angles - (self.weights * self.angles).sum()
        return CameraPoses(angles, self.shifts - self.weights @ self.shifts, self.weights)

    def _moved(self, places: Tensor) -> Tensor:
        """R p + s - p of every place and pose: (P, N, 2)."""
        c, s = self.angles.cos() - 1, self.angles.sin()
        x, y = places[:, :1], places[:, 1:]
        return torch.stack((c * x - s * y, s * x + c * y), -1) + self.shifts


def node_places(grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """The nodes of a `BlurField` of (rows, columns) on a picture of (height, width): (rows columns, 2), row by row.

    Pixels (x, y) from the centre of the picture.
    """
    (rows, cols), (height, width) = grid, size
    y = (torch.arange(rows) + 0.5) * height / rows - height / 2
    x = (torch.arange(cols) + 0.5) * width / cols - width / 2
    return torch.stack((x.repeat(rows), y.repeat_interleave(cols)), -1)
