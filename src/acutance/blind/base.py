"""The words of blind deconvolution: BlindState, Estimator, Estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from acutance.blind.course import Course
from acutance.blind.shapes import Shape
from acutance.errors import AcutanceError
from acutance.problem import Problem, State
from acutance.psf.poses import CameraPoses
from acutance.solver import Solver

MISFIT = -1.0
"""Expected gain, dB, up to which a kernel that a person gave is said not to fit."""


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
        scores: of every side that was tried, the expected gain in dB.
        blurred: whether the picture is explained better with the kernel than without.
        shape: the disc, Gaussian or line that the kernel is; None: the path of a shaken camera.
        linear: whether the kernel is for linear light. doubt: how much of the picture's softness the kernel leaves, see
            `acutance.blind.scoring.doubt`; only where the size was told.
        confidence: how probable it is that the kernel improves the picture; None where the size was told.
        gain: what it is expected to gain, dB. share: of the result that is to be taken, the rest being the input.
        poses: of a camera that turned; then `kernel` is that of the middle of the picture. None: one kernel for all.
        trail: whether a person pointed at the light trail that drew the kernel.
        others: other kernels that were thought of, the most promising first, none like another.
    """

    kernel: Tensor
    size: int
    scores: dict[int, float]
    blurred: bool = True
    shape: Shape | None = None
    linear: bool = False
    doubt: float = 0.0
    confidence: float | None = None
    gain: float = 0.0
    share: float = 1.0
    poses: CameraPoses | None = None
    trail: bool = False
    others: tuple[Estimate, ...] = ()

    @property
    def remark(self) -> str:
        """What was found, for people."""
        if not self.blurred:
            return "no blur found that can be removed with confidence: the picture is left as it is"
        sure = "" if self.confidence is None else f", confidence {100 * self.confidence:.0f} %"
        if self.share < 1:
            sure += f"; the result is mixed with {100 * (1 - self.share):.0f} % of the input"
        if self.trail:
            side = self.kernel.shape[-1]
            fits = "" if self.gain > MISFIT else "; it does not seem to fit: expect the result to be worse"
            return f"the trail gives a kernel of {side} x {side} pixels, expected gain {self.gain:.1f} dB{fits}"
        if self.poses is not None:
            turn = math.degrees(float(self.poses.angles.max() - self.poses.angles.min()))
            return f"the camera turned by {turn:.1f} degrees while it took the picture{sure}"
        if self.shape is None:
            side = self.kernel.shape[-1]
            return f"shaken: a kernel of {side} x {side} pixels was found{sure}"
        size = f"{self.shape.size:.2g}"
        if self.shape.kind == "disc":
            return f"out of focus: a disc with a radius of {size} pixels was found{sure}"
        if self.shape.kind == "gaussian":
            return f"soft all around: a Gaussian of {size} pixels was found{sure}"
        return f"shaken along a line: {self.shape.size:.3g} pixels at {self.shape.angle:.0f} degrees{sure}"


@torch.no_grad()
def estimate(window: Tensor, estimator: Estimator, mask: Tensor | None = None, course: Course | None = None) -> Tensor:
    """The kernel by one estimator.

    Args:
        window: (1, 1, H, W). mask: 0 where it is not to be believed. course: is told of every step.

    Raises:
        Unknowable: nothing can be told.
    """
    return estimator.finished(_last_state(window, estimator, mask, course))


@torch.no_grad()
def estimate_apart(
    windows: Tensor, estimator: Estimator, mask: Tensor | None = None, course: Course | None = None
) -> list[Tensor]:
    """The kernels of windows (n, 1, H, W), one for each, by an estimator that takes several; see `estimate`.

    Raises:
        Unknowable: nothing can be told.
    """
    state = _last_state(windows, estimator, mask, course)
    return [estimator.finished(replace(state, kernel=k[None])) for k in state.kernel]


def _last_state(windows: Tensor, estimator: Estimator, mask: Tensor | None, course: Course | None) -> BlindState:
    solver = estimator.solver()
    for t, state in enumerate(solver.iterate(Problem(windows, mask=mask)), 1):
        if course is not None:
            course.on_level(state.level, last=t == len(solver.steps))
    return state
