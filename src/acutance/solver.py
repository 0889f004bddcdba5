"""The only loop of the library, and the rules that end it.

Every iterative method is a list of steps: ``[step] * n`` is a recurrent optimiser, ``[first, *[middle] * 5, last]`` an
unrolled network, ``[Hqs(rho=r) for r in schedule]`` a continuation. A rule looks at the trace of fitting errors and
says for *each image* of the batch whether it is done; that image keeps the estimate it had then.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from acutance.problem import Measured, Observer, Outcome, Problem, Progress, Result, State, Step
from acutance.tensors import per_image, spread

S = TypeVar("S", bound=State)

BLOWN_UP = 100.0
"""An image has diverged when its fitting error exceeds this multiple of its first error, or of the error that a
residual of `NEGLIGIBLE`, or of the noise where it is known, makes in every pixel, whichever is largest."""

NEGLIGIBLE = 0.01
"""Root mean square residual, as a fraction of the range, that no picture is called diverged for: where nothing was
blurred the start fits perfectly, and whoever removes noise raises the error from zero to that of the noise."""


UNKNOWN = 0.05
"""The same where the blur is not known: then the residual is what was changed, and a sharp picture is far from a
blurred one (0.07 are usual)."""


class StopRule(Protocol):
    """Decides after every step which images are done."""

    def done(self, errors: Sequence[Tensor], moves: Sequence[Tensor]) -> Tensor:
        """Which images are done, (B,) bool.

        Args:
            errors: fitting errors (B,) before the first and after every step so far.
            moves: root mean square change of the estimate inside the frame, (B,), for every step so far.
        """
        ...


@runtime_checkable
class Settled(Protocol):
    """A state that knows which images its steps no longer help, (B,) bool."""

    settled: Tensor


@dataclass(frozen=True)
class RelativeChange:
    """Done when |e(t) - e(t-1)| <= threshold * max e, e = ||A x - y||.

    The rule of Gong et al. (2020) for RGDN, who divide by e(0), which is the largest unless the start was nearly
    perfect already (a delta kernel, a flat picture). `patience` consecutive small changes are needed, so that one step
    on which the error happens to stand still does not end the run.
    """

    threshold: float = 1e-3
    patience: int = 1

    def done(self, errors: Sequence[Tensor], moves: Sequence[Tensor] = ()) -> Tensor:
        """See `StopRule.done`."""
        if len(errors) <= self.patience:
            return torch.zeros_like(errors[-1], dtype=torch.bool)
        norms = torch.stack(list(errors[-self.patience - 1 :])).sqrt()
        change = norms.diff(dim=0).abs().amax(0)
        largest = torch.stack(list(errors)).amax(0).sqrt()
        return (change <= self.threshold * largest) & (self.threshold > 0)


@dataclass(frozen=True)
class Standstill:
    """Done when a step changes the picture by at most `threshold`, root mean square, fraction of the range."""

    threshold: float

    def done(self, errors: Sequence[Tensor], moves: Sequence[Tensor]) -> Tensor:
        """See `StopRule.done`."""
        return moves[-1] <= self.threshold


@dataclass(frozen=True, eq=False)
class Solver(Generic[S]):
    """Runs a list of steps.

    Args:
        steps: at least one; its length is the budget of steps.
        stop: rule that ends an image's run early; None: use all steps.
        seconds: budget of wall-clock time; no new step is begun after it. None: no limit.

    Raises:
        ValueError: no steps.

    Example:
        >>> problem = Problem(torch.rand(1, 3, 32, 32))
        >>> # Solver([step] * 40, stop=RelativeChange(1e-3)).run(problem).x
    """

    steps: Sequence[Step[S]]
    stop: StopRule | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("a solver needs at least one step")

    def iterate(self, problem: Problem) -> Iterator[S]:
        """Yield the state after every step, differentiably and without stopping: for training and notebooks."""
        state = self.steps[0].init(problem)
        for step in self.steps:
            state = step(problem, state)
            yield state

    @torch.no_grad()
    def run(self, problem: Problem, *, keep: bool = False, on_step: Observer | None = None) -> Result:
        """Iterate until every image is done.

        Args:
            problem: what to solve.
            keep: keep every estimate in `Result.iterates`.
            on_step: called after every step, in the caller's thread.

        Returns:
            For each image the estimate at which its rule ended it, the last finite one if it diverged.
        """
        x: Tensor | None = None  # the start is made again where it is wanted: a picture of many pixels is large
        errors = [problem.fitting_error(problem.start())]
        negligible = torch.full_like(errors[0], UNKNOWN if problem.operator is None else NEGLIGIBLE)
        if problem.sigma is not None:
            negligible = negligible.maximum(torch.as_tensor(problem.sigma).to(negligible).nan_to_num(0))
        limit = BLOWN_UP * errors[0].maximum(0.5 * negligible**2 * problem.observed[0].numel())
        batch = problem.observed.shape[0]
        ended = torch.zeros(batch, dtype=torch.bool, device=problem.observed.device)
        outcomes, steps = [Outcome.EXHAUSTED] * batch, [0] * batch
        iterates: list[Tensor] = []
        moves: list[Tensor] = []
        begun = time.monotonic()
        t = 0
        for t, state in zip(itertools.count(1), self.iterate(problem)):
            error = (
                0.5 * per_image(state.residual.square())
                if isinstance(state, Measured)
                else problem.fitting_error(state.x)
            )
            bad = ~(error <= limit)  # catches NaN as well
            good = ~ended & ~bad
            new = state.x
            if self.stop is not None or not bool(good.all()):
                x = problem.start() if x is None else x
                if not bool(good.all()):
                    new = torch.where(spread(good, x), new, x)
                moves.append(problem.crop(new - x).square().mean(tuple(range(1, x.ndim))).sqrt())
            x = new
            errors.append(torch.where(good, error, errors[-1]))
            now = torch.zeros_like(ended) if self.stop is None else self.stop.done(errors, moves)
            now = now | state.settled if isinstance(state, Settled) else now
            for i in torch.nonzero(~ended).flatten().tolist():
                if bad[i]:
                    outcomes[i] = Outcome.DIVERGED
                else:
                    steps[i] = t
                    if now[i]:
                        outcomes[i] = Outcome.CONVERGED
            ended = ended | bad | now
            if keep:
                iterates.append(x)
            if on_step is not None:
                on_step(Progress(step=t, steps=len(self.steps), state=state, error=errors[-1]))
            if bool(ended.all()) or (self.seconds is not None and time.monotonic() - begun >= self.seconds):
                break
        if self.stop is None and t == len(self.steps):  # a schedule that was gone through, no search cut short
            outcomes = [Outcome.COMPLETED if o is Outcome.EXHAUSTED else o for o in outcomes]
        assert x is not None
        return Result(
            x=x, outcomes=tuple(outcomes), steps=tuple(steps), trace=torch.stack(errors), iterates=tuple(iterates)
        )
