"""The eight ways to look at a picture: as it is, flipped in rows or columns, transposed, and together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from torch import Tensor

from acutance.errors import ConfigError
from acutance.operators import Blur, BlurField, LinearOperator
from acutance.problem import Problem


@dataclass(frozen=True)
class View:
    """A picture is transposed first, if at all, then its rows are flipped, then its columns.

    Example:
        >>> view = View(transposed=True, rows=True)
        >>> x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        >>> bool((view.back(view(x)) == x).all())
        True
    """

    transposed: bool = False
    rows: bool = False
    cols: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """x (..., H, W) seen so: (..., W, H) if transposed."""
        return self._flipped(x.mT if self.transposed else x)

    def back(self, x: Tensor) -> Tensor:
        """The inverse: `back(view(x))` is x."""
        x = self._flipped(x)
        return x.mT if self.transposed else x

    def problem(self, problem: Problem) -> Problem:
        """The same problem with picture, kernel and masks seen so; its solution is that of `problem`, seen so.

        Raises:
            ConfigError: its operator is another one than a blur.
        """
        blur = self._blur(problem.operator)
        mask, saturated = (None if m is None else self(m) for m in (problem.mask, problem.saturated))
        return replace(problem, observed=self(problem.observed), operator=blur, mask=mask, saturated=saturated)

    def _blur(self, blur: LinearOperator | None) -> LinearOperator | None:
        if blur is None:
            return None
        if isinstance(blur, Blur):
            return replace(blur, kernel=self(blur.kernel))
        if isinstance(blur, BlurField):  # the grid is turned like the kernels
            seen = self(self(blur.kernels).permute(2, 3, 4, 0, 1))
            return replace(blur, kernels=seen.permute(3, 4, 0, 1, 2))
        raise ConfigError("views of a blur that is no convolution are not known; give views=1")

    def _flipped(self, x: Tensor) -> Tensor:
        dims = [d for d, flip in ((-2, self.rows), (-1, self.cols)) if flip]
        return x.flip(dims) if dims else x


VIEWS = tuple(View(*how) for how in product((False, True), repeat=3))
"""All eight; the first is the picture as it is."""
