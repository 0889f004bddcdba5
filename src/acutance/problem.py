"""The words that every method speaks: Problem, State, Step, Outcome, Result, Method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from acutance.errors import ImageError
from acutance.operators import LinearOperator
from acutance.tensors import filled, per_image, spread


@dataclass(frozen=True, eq=False)
class Problem:
    """y = A x + n: what was observed and what is known about it.

    Args:
        observed: y, (B, C, H, W), of volumes (B, C, D, H, W), floating point, nominal range [0, 1].
        operator: A, of a blur or a sensing matrix; None where the method has to find it.
        sigma: standard deviation of n as a fraction of the range, (B,) or a scalar tensor; None: unknown, see
            `acutance.noise.level`.
        mask: (B or 1, C or 1, H, W), 1 where y is to be believed and 0 where it is missing or saturated; None: all of
            it. A residual is 0 where the mask is. Methods without `Needs.mask` look at y itself and do not see it.
        saturated: like a mask, 1 where y is a lower bound, A x >= y, see `acutance.saturation`; None: nowhere. There
            a residual is min(A x - y, 0), whatever the mask says.
        approximate: (B,) or a scalar, 1 where A is only about right (an estimated kernel, encoded values of a blur
            that happened in light), 0 where it is exact; None: exact. See `acutance.methods.acute`.
        unit: what 1 of `observed` is, as a fraction of the picture's range; for messages.
        step: between two values of `observed`, 1 / 255 of eight bits and a unit of 1; None: unknown.
        linear: whether y is linear light, a tone curve having been removed.
        background: (B,), b of noise whose variance is in proportion to y + b, where most of y is dark, see
            `acutance.noise.photons`; None: not known.

    Raises:
        ImageError: `observed` is no non-empty floating-point tensor of four or five dimensions, or a mask does not fit.
    """

    observed: Tensor
    operator: LinearOperator | None = None
    sigma: Tensor | None = None
    mask: Tensor | None = None
    saturated: Tensor | None = None
    approximate: Tensor | None = None
    unit: float = 1.0
    step: float | None = None
    linear: bool = False
    background: Tensor | None = None

    def __post_init__(self) -> None:
        y = self.observed
        if y.ndim not in (4, 5) or 0 in y.shape or not y.is_floating_point():
            raise ImageError(
                f"observed must be a non-empty float tensor (B, C, H, W) or (B, C, D, H, W), not {y.dtype} "
                f"{tuple(y.shape)}"
            )
        for m in (self.mask, self.saturated):
            if m is not None and (
                m.ndim != y.ndim or any(a not in (1, b) for a, b in zip(m.shape, y.shape, strict=True))
                or m.shape[2:] != y.shape[2:]
            ):  # fmt: skip
                raise ImageError(
                    f"a mask of {tuple(m.shape)} for a picture of {tuple(y.shape)}; give (B or 1, C or 1, H, W)"
                )

    def start(self) -> Tensor:
        """x(0): the observed picture, its masked pixels filled, extended to the domain of the blur."""
        y = self.observed if self.mask is None else filled(self.observed, self.mask)
        return y if self.operator is None else self.operator.start(y)

    def residual(self, x: Tensor) -> Tensor:
        """M (A x - y), the size of the observed picture; min(A x - y, 0) where y is saturated."""
        r = (x if self.operator is None else self.operator.forward(x)) - self.observed
        masked = r if self.mask is None else torch.where(self.mask > 0, r, 0.0)
        return masked if self.saturated is None else torch.where(self.saturated > 0, r.clamp_max(0), masked)

    def gradient(self, x: Tensor) -> Tensor:
        """A'M (A x - y), the gradient of 1/2 ||M (A x - y)||^2, the size of x."""
        r = self.residual(x)
        return r if self.operator is None else self.operator.adjoint(r)

    def fitting_error(self, x: Tensor) -> Tensor:
        """1/2 ||M (A x - y)||^2 for each image of the batch: (B,)."""
        return 0.5 * per_image(self.residual(x).square())

    def within(self, box: tuple[int, int, int, int]) -> Problem:
        """A piece of a problem without a blur: X, Y of its upper left corner, width, height; pixels."""
        x, y, w, h = box
        place = (..., slice(y, y + h), slice(x, x + w))
        mask, saturated = (None if m is None else m[place] for m in (self.mask, self.saturated))
        return replace(self, observed=self.observed[place], mask=mask, saturated=saturated)

    def channel(self, index: int) -> Problem:
        """The problem of one channel alone, (B, 1, H, W)."""

        def one(m: Tensor | None) -> Tensor | None:
            return m if m is None or m.shape[1] == 1 else m[:, index : index + 1]

        blur = None if self.operator is None else self.operator.channel(index)
        return replace(self, observed=self.observed[:, index : index + 1], operator=blur, mask=one(self.mask),
                       saturated=one(self.saturated))  # fmt: skip

    def crop(self, x: Tensor) -> Tensor:
        """The part of x inside the frame of the observed picture."""
        return x if self.operator is None else self.operator.crop(x)


@dataclass(frozen=True, eq=False)
class State:
    """What a step hands to the next one; subclasses carry more than the estimate x (B, C, H', W')."""

    x: Tensor


@runtime_checkable
class Measured(Protocol):
    """A state that knows A x - y of its x, which then is not computed again to watch the run."""

    residual: Tensor


S = TypeVar("S", bound=State)


class Step(Protocol[S]):
    """One update of a method: what the author of a method writes."""

    def init(self, problem: Problem) -> S:
        """The state before the first step."""
        ...

    def __call__(self, problem: Problem, state: S) -> S:
        """The state after this step."""
        ...


class Outcome(Enum):
    """How a run ended for one image; the value is the sentence for the user."""

    CONVERGED = "converged: the fitting error no longer changes"
    COMPLETED = "went through all its steps"
    EXHAUSTED = "used all the steps or seconds it was given"
    DIVERGED = "diverged: the last good estimate is returned; check the kernel and its orientation"


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """The one that a person has to know of."""
    order = (Outcome.CONVERGED, Outcome.COMPLETED, Outcome.EXHAUSTED, Outcome.DIVERGED)
    return max(outcomes, key=order.index)


@dataclass(frozen=True, eq=False)
class Progress:
    """What an observer sees after every step."""

    step: int  # 1, 2, ...
    steps: int  # at most
    state: State
    error: Tensor  # 1/2 ||A x - y||^2 of each image, (B,)


Observer = Callable[[Progress], None]


@dataclass(frozen=True)
class Stage:
    """A moment of a search for a kernel, told to an observer several times in each part of the search.

    Args:
        name: of the part: estimating, judging, sparse, polishing, lights, shapes, encoded, turning, trying.
        share: of the work that is done, in [0, 1]; of the work that may yet come, since some parts are left out.
        size: side of the kernel that is being estimated, pixels; None: none is. number, count: it is one of so many.
        window: side of the window that it is estimated in, pixels; None: it is not known.
    """

    name: str
    share: float
    size: int | None = None
    number: int = 0
    count: int = 0
    window: int | None = None


StageObserver = Callable[[Stage], None]
"""Hears of a search; what it raises ends the search."""


@dataclass(frozen=True, eq=False)
class Result:
    """What a run returns.

    Args:
        x: estimates on the domain of the blur, (B, C, H', W'); `Problem.crop` cuts them to the picture.
        outcomes: one for each image.
        steps: number of steps behind x, for each image.
        trace: fitting error before the first and after every step, (steps + 1, B).
        iterates: every x(t) if asked for, else empty.
        kernel: the kernel that a blind method found, else None.
        remarks: what the method has to say of what it found, for people.
        confidences: of a blind method, for each image: how probable it is that x is better than the input, in [0, 1].
        ran: name of the method that made x, where this one chose it. levels: noise level that it was told, for each
            image, as a fraction of the range, where this one chose it.
        encoded: of a problem in linear light, whether this method solved it in encoded values instead.
    """

    x: Tensor
    outcomes: tuple[Outcome, ...]
    steps: tuple[int, ...]
    trace: Tensor
    iterates: tuple[Tensor, ...] = ()
    kernel: Tensor | None = None
    remarks: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()
    ran: str | None = None
    levels: tuple[float, ...] = ()
    encoded: bool = False

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of the batch."""
        return worst(self.outcomes)


class Method(Protocol):
    """Anything that solves a problem."""

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """Restore; numerical trouble is an outcome, never an exception."""
        ...


def direct_result(problem: Problem, x: Tensor) -> Result:
    """The result of a method that needs no iteration; a non-finite x is reported and replaced by the start."""
    start = problem.start()
    finite = torch.isfinite(x).flatten(1).all(1)
    x = torch.where(spread(finite, x), x, start)
    trace = torch.stack([problem.fitting_error(start), problem.fitting_error(x)])
    outcomes = tuple(Outcome.COMPLETED if ok else Outcome.DIVERGED for ok in finite.tolist())
    return Result(x=x, outcomes=outcomes, steps=(1,) * len(outcomes), trace=trace)
