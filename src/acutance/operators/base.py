"""What every linear operator of the library can do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.tensors import box, spatial


class LinearOperator(ABC):
    """A linear map A between images, with its exact adjoint: `A @ x` is A x, `A.T @ y` is A' y.

    Shapes are (B, C, H, W), of volumes (B, C, D, H, W). The two sides may differ in size: `domain_size` tells the size
    of x for a given y.
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

    def domain_size(self, *size: int) -> tuple[int, ...]:
        """Size (H, W) or (D, H, W) of x for a y of that size; the same unless an operator says otherwise."""
        return size

    def start(self, y: Tensor) -> Tensor:
        """A first estimate on the domain of A: y itself, extended where the domain is larger."""
        return y

    def crop(self, x: Tensor) -> Tensor:
        """The part of x that lies inside the frame of y."""
        return x

    def channel(self, index: int) -> LinearOperator:
        """What A does to one channel of a picture; itself unless an operator tells channels apart."""
        return self

    def norm(self, *size: int, like: Tensor | None = None, rounds: int = 30) -> float:
        """The largest singular value of A for a y of that size, by power iteration: a step 1 / norm^2 is safe.

        Args:
            like: type and device; None: float32 on the processor. rounds: of the iteration; it comes from below, to
                0.1 % after 30 rounds where the kernels do not change sign.
        """
        domain = self.domain_size(*size)
        x = torch.ones(1, 1, *domain) if like is None else like.new_ones(1, 1, *domain)
        value = 0.0
        for _ in range(rounds):
            x = self.gram(x / x.norm())
            value = float(x.norm())
        return math.sqrt(value)

    def power(self, *size: int, like: Tensor | None = None) -> Tensor:
        """The spectrum of A'A on a torus of that size, as `torch.fft.rfftn` orders it: (B or 1, C or 1, ...), real.

        Exact for a convolution. Of any other operator it is what A'A makes of one point in the middle of the picture,
        which is of the type and on the device of `like`.
        """
        point = torch.zeros(1, 1, *size) if like is None else like.new_zeros(1, 1, *size)
        middle, axes = [n // 2 for n in size], spatial(point)
        point[box(middle, (1,) * len(middle))] = 1
        answer = torch.roll(self.gram(point), [-m for m in middle], axes)
        spectrum: Tensor = torch.fft.rfftn(answer, dim=axes).real
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

    def domain_size(self, *size: int) -> tuple[int, ...]:
        """Size of A x for an x of that size."""
        return tuple(self.of.forward(torch.zeros(1, 1, *size)).shape[2:])

    def start(self, y: Tensor) -> Tensor:
        """A y."""
        return self.of.forward(y)

    def channel(self, index: int) -> LinearOperator:
        """The transposed of what A does to one channel."""
        return Transposed(self.of.channel(index))
