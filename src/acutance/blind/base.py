"""The words of blind deconvolution: BlindState, Estimator, Estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from acutance.blind.spectrum import Focus
from acutance.errors import AcutanceError
from acutance.problem import State
from acutance.solver import Solver


class Unknowable(AcutanceError):
    """A picture from which no kernel can be told: nothing in it, or nothing but noise."""


@dataclass(frozen=True, eq=False)
class BlindState(State):
    """The latent picture and the kernel at one scale.

    Args:
        x: (1, 1, h, w), sharper and simpler than the picture: what is left of it are its strong edges.
        kernel: (1, 1, s, s), s odd, not negative, sum 1, true convolution.
        level: index of the scale, 0 the finest.
        threshold: squared gradient below which the latent picture has no say in the kernel.
        strength: weight of the prior of the latent picture.
    """

    kernel: Tensor
    level: int
    threshold: float
    strength: float


class Estimator(Protocol):
    """Finds the kernel of a picture."""

    def solver(self) -> Solver[BlindState]:
        """The steps from the coarsest scale to the finest; of a problem they see `observed` (1, 1, H, W) and `mask`.

        What the mask takes away has been filled in; an estimator may use it all the same.
        """
        ...

    def finished(self, state: BlindState) -> Tensor:
        """The kernel of the last state without its specks, centred."""
        ...


@dataclass(frozen=True, eq=False)
class Estimate:
    """A kernel and how it was chosen.

    Args:
        kernel: (1, 1, s, s). size: side that the estimator was given, pixels.
        scores: of every side that was tried, lower is better.
        blurred: whether there is a blur at all. focus: the lens, if it is to blame and not a movement.
        doubt: how much of the picture's softness the kernel leaves, see `acutance.blind.choice.doubt`.
    """

    kernel: Tensor
    size: int
    scores: dict[int, float]
    blurred: bool = True
    focus: Focus | None = None
    doubt: float = 0.0

    @property
    def remark(self) -> str:
        """What was found, for people."""
        if not self.blurred:
            return "no blur found: the picture is left as it is (--kernel, --motion, --disc if you know better)"
        if self.focus is None:
            side = self.kernel.shape[-1]
            return f"shaken: a kernel of {side} x {side} pixels was found (`acutance kernel` writes it)"
        size = f"{self.focus.size:.2g}"
        if self.focus.kind == "disc":
            return f"out of focus: a disc with a radius of {size} pixels was found (--disc {size})"
        return f"soft all around: a Gaussian of {size} pixels was found (--gaussian {size})"
