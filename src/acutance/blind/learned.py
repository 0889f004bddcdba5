r"""Learned: an unrolled estimator. The physics of blur is kept in every step; a network chooses the edges.

See `acutance.blind.salience` for a turn. There are `turns` of them at every scale, the coarsest first. The kernel of a
picture is told from several windows at once. The size that it is given matters little: with four times the side of the
blur, kernels are as good as with the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from acutance.blind import cleaning, pyramid
from acutance.blind.base import BlindState, Unknowable
from acutance.blind.salience import Salience, normalised, turn
from acutance.errors import ConfigError
from acutance.frame import resolve_precision
from acutance.problem import Problem
from acutance.solver import Solver
from acutance.weights import embedded

FLAT = 1e-6
"""Standard deviation of a picture in [0, 1] up to which nothing is in it."""

BELIEVED = 0.9
"""Share of a pixel of a coarser scale that has to be believed."""


@dataclass(frozen=True)
class Learned:
    """The estimator.

    Its problems may hold several windows, (n, 1, H, W), of one kernel.

    Args:
        size: side of the kernel, pixels, odd, not smaller than the blur. turns: at every scale.
        apart: whether each window has a kernel of its own. net: None: the shipped one.
    """

    size: int = 31
    turns: int = 2
    apart: bool = False
    net: Salience | None = None

    def __post_init__(self) -> None:
        pyramid.sides(self.size)
        if self.turns < 1:
            raise ConfigError(f"turns={self.turns}: at least 1")

    def solver(self) -> Solver[BlindState]:
        """`turns` at every scale, the coarsest first."""
        levels = range(len(pyramid.sides(self.size)))
        return Solver([Turn(self, level) for level in reversed(levels) for _ in range(self.turns)])

    def finished(self, state: BlindState) -> Tensor:
        """See `acutance.blind.base.Estimator`."""
        return cleaning.finished(state.kernel)


@dataclass(frozen=True)
class Turn:
    """One turn at a level."""

    config: Learned
    level: int

    def init(self, problem: Problem) -> BlindState:
        """A kernel of one pixel.

        Raises:
            Unknowable: a picture that is smaller than twice the kernel, or has nothing in it.
        """
        y, size = problem.observed, self.config.size
        if min(y.shape[-2:]) < 2 * size:
            raise Unknowable(
                f"a picture of {y.shape[-1]} x {y.shape[-2]} pixels is too small for a kernel of {size}; "
                f"it needs {2 * size} at least"
            )
        if not float(y.std((-2, -1)).max()) > FLAT:
            raise Unknowable("not enough in the picture to tell a kernel from: give one with more detail")
        side = pyramid.sides(size)[self.level]
        kernel = cleaning.summed(y.new_zeros(len(y) if self.config.apart else 1, 1, side, side))
        return BlindState(pyramid.reduced(y, self.level), kernel, self.level, 0.0, 0.0)

    @torch.no_grad()
    def __call__(self, problem: Problem, state: BlindState) -> BlindState:
        """x and k, once each."""
        y, mask = problem.observed.float(), problem.mask
        y, believed = at_level(y, None if mask is None else mask.float(), self.level)
        kernel = state.kernel.float()
        if state.level != self.level:
            kernel = raised(kernel, pyramid.sides(self.config.size)[self.level])
        net = self.config.net or shipped()
        fast = resolve_precision("auto", y.device) == torch.bfloat16
        x, kernel = turn(net, y, kernel, believed, bfloat16=fast)
        return BlindState(x, kernel, self.level, 0.0, 0.0)


def at_level(y: Tensor, mask: Tensor | None, level: int) -> tuple[Tensor, Tensor]:
    """Windows and what of them is believed, at a level; (n, 1, h, w) each, the first normalised."""
    small = normalised(pyramid.reduced(y, level))
    if mask is None:
        return small, torch.ones_like(small)
    return small, (pyramid.reduced(mask, level) > BELIEVED).to(small)


def raised(kernel: Tensor, side: int) -> Tensor:
    """Kernels (n, 1, s, s) one level finer, of `side` pixels."""
    return torch.cat([pyramid.raised(cleaning.centred(k[None]), side) for k in kernel])


@cache
def shipped() -> Salience:
    """The network with its shipped weights."""
    net = Salience()
    net.load_state_dict(embedded("salience").tensors)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net.eval()
