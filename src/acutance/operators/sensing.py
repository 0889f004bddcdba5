r"""Block compressive sensing: each block of 32 x 32 pixels is known by a few numbers (Gan 2007).

    b = Phi x,    Phi (m, 1024), each block and each channel alone;    A' b = Phi' b, block by block

Pixels of a block run row by row. m / 1024 is the ratio: 103 numbers are 10 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from acutance.errors import ImageError
from acutance.operators.base import LinearOperator
from acutance.tensors import SENSED, block_products, block_sums, to_multiple


def rows_of(ratio: float) -> int:
    """m, how many numbers a block is known by at a ratio in (0, 1]; the authors round up: 103 at 10 %."""
    return math.ceil(round(SENSED**2 * ratio, 6))


@dataclass(frozen=True, eq=False)
class Sensing(LinearOperator):
    """x (B, C, H, W) -> b (B, C m, ceil(H / 32), ceil(W / 32)), each channel's numbers together.

    Args:
        matrix: Phi, (m, 1024).
        size: (H, W) of the picture; the blocks reach beyond it where it is no multiple of 32, see `measure`.

    Raises:
        ImageError: no such matrix.
    """

    matrix: Tensor
    size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or self.matrix.shape[1] != SENSED**2 or not 1 <= self.matrix.shape[0] <= SENSED**2:
            raise ImageError(f"a sampling matrix of {tuple(self.matrix.shape)}; give (m, 1024), m from 1 to 1024")

    @property
    def blocks(self) -> tuple[int, int]:
        """How many blocks there are, down and across."""
        return -(-self.size[0] // SENSED), -(-self.size[1] // SENSED)

    def measure(self, picture: Tensor) -> Tensor:
        """b of a picture of `size`, which is extended to whole blocks."""
        if tuple(picture.shape[-2:]) != self.size:
            raise ImageError(f"a picture of {tuple(picture.shape)} where {self.size} pixels are measured")
        return self.forward(to_multiple(picture, SENSED))

    def forward(self, x: Tensor) -> Tensor:
        """Phi x of whole blocks, sides multiples of 32."""
        return block_products(x, self.matrix.to(x), SENSED)

    def adjoint(self, y: Tensor) -> Tensor:
        """Phi' b."""
        return block_sums(y, self.matrix.to(y), SENSED)

    def domain_size(self, *size: int) -> tuple[int, ...]:
        """Pixels of that many blocks."""
        return tuple(n * SENSED for n in size)

    def start(self, y: Tensor) -> Tensor:
        """Phi' b."""
        return self.adjoint(y)

    def crop(self, x: Tensor) -> Tensor:
        """The picture, without what the blocks have beyond it."""
        return x[..., : self.size[0], : self.size[1]]

    def channel(self, index: int) -> LinearOperator:
        """Refused: the numbers of a channel are not one channel of b.

        Raises:
            ImageError: always.
        """
        raise ImageError("measurements are not taken apart by channels")
