"""What every linear operator of the library can do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


class LinearOperator(ABC):
    """A linear map A between images, with its exact adjoint: `A @ x` is A x, `A.T @ y` is A' y.

    Shapes are (B, C, H, W). The two sides may differ in size: `domain_size` tells the size of x for a given y.
    """

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """y = A x."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """x = A' y, with <A x, y> = <x, A' y> exactly."""

    def __matmul__(self, x: Tensor) -> Tensor:
        """A x."""
        return self.forward(x)

    @property
    def T(self) -> LinearOperator:  # noqa: N802 (as in numpy and torch)
        """A' as an operator."""
        return Transposed(self)

    def A_adjoint(self, y: Tensor) -> Tensor:  # noqa: N802 (the word of deepinv)
        """A' y; another name of `adjoint`."""
        return self.adjoint(y)

    def gram(self, x: Tensor) -> Tensor:
        """A' A x."""
        return self.adjoint(self.forward(x))

    def domain_size(self, height: int, width: int) -> tuple[int, int]:
        """Size (H, W) of x for a y of `height` x `width`; the same unless an operator says otherwise."""
        return height, width

    def start(self, y: Tensor) -> Tensor:
        """A first estimate on the domain of A: y itself, extended where the domain is larger."""
        return y

    def crop(self, x: Tensor) -> Tensor:
        """The part of x that lies inside the frame of y."""
        return x

    def channel(self, index: int) -> LinearOperator:
        """What A does to one channel of a picture; itself unless an operator tells channels apart."""
        return self

    def norm(self, height: int, width: int, like: Tensor | None = None, *, rounds: int = 30) -> float:
        """The largest singular value of A for a y of `height` x `width`, by power iteration: a step 1 / norm^2 is safe.

        Args:
            like: type and device; None: float32 on the processor. rounds: of the iteration; it comes from below, to
                0.1 % after 30 rounds where the kernels do not change sign.
        """
        size = self.domain_size(height, width)
        x = torch.ones(1, 1, *size) if like is None else like.new_ones(1, 1, *size)
        value = 0.0
        for _ in range(rounds):
            x = self.gram(x / x.norm())
            value = float(x.norm())
        return math.sqrt(value)

    def power(self, height: int, width: int, like: Tensor | None = None) -> Tensor:
        """The spectrum of A'A on a torus of that size, as `torch.fft.rfft2` orders it: (B or 1, C or 1, ...), real.

        Exact for a convolution. Of any other operator it is what A'A makes of one point in the middle of the picture,
        which is of the type and on the device of `like`.
        """
        point = torch.zeros(1, 1, height, width) if like is None else like.new_zeros(1, 1, height, width)
        point[..., height // 2, width // 2] = 1
        answer = torch.roll(self.gram(point), (-(height // 2), -(width // 2)), (-2, -1))
        spectrum: Tensor = torch.fft.rfft2(answer).real
        return spectrum.clamp_min(0)


@dataclass(frozen=True, eq=False)
class Transposed(LinearOperator):
    """A' of an operator A. Args: of: A."""

    of: LinearOperator

    def forward(self, x: Tensor) -> Tensor:
        """A' x."""
        return self.of.adjoint(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """A y."""
        return self.of.forward(y)

    @property
    def T(self) -> LinearOperator:  # noqa: N802
        """A itself."""
        return self.of

    def domain_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of A x for an x of `height` x `width`."""
        made = self.of.forward(torch.zeros(1, 1, height, width))
        return made.shape[-2], made.shape[-1]

    def start(self, y: Tensor) -> Tensor:
        """A y."""
        return self.of.forward(y)

    def channel(self, index: int) -> LinearOperator:
        """The transposed of what A does to one channel."""
        return Transposed(self.of.channel(index))
