"""Methods can do more than `run`: list their steps, show their inside, measure. Whoever wants to know asks here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from acutance.problem import Method, Problem, StageObserver
from acutance.solver import Solver


@runtime_checkable
class Iterative(Protocol):
    """A method that lists its steps."""

    def solver(self) -> Solver[Any]:
        """The steps, ready to run."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A step whose inside can be looked at."""

    def explain(self, problem: Problem, state: Any) -> dict[str, Tensor]:
        """What the step's parts make of the state, as pictures on the domain of the blur."""
        ...


@runtime_checkable
class ExplainsItself(Protocol):
    """A method whose inside can be looked at, but not step by step."""

    def explanation(self, problem: Problem) -> Iterator[dict[str, Tensor]]:
        """Pictures in [0, 1] by name, part after part."""
        ...


@runtime_checkable
class Senses(Protocol):
    """A method with a sampling matrix of its own."""

    def matrix(self) -> Tensor:
        """Phi, (m, 1024)."""
        ...


@runtime_checkable
class Searches(Protocol):
    """A method that looks for what it needs before its first step."""

    def watched(self, on_stage: StageObserver | None) -> Method:
        """The same; `on_stage` hears how far the search is, and may raise to end it."""
        ...


def watched(method: Method, on_stage: StageObserver | None) -> Method:
    """The method, whose search, if it has one, `on_stage` hears of."""
    return method.watched(on_stage) if isinstance(method, Searches) else method


def solver_of(method: Method) -> Solver[Any] | None:
    """The steps of a method; None of one that is direct."""
    return method.solver() if isinstance(method, Iterative) else None


def matrix_of(method: Method) -> Tensor | None:
    """The sampling matrix of a method, (m, 1024); None of one that does not measure."""
    return method.matrix().detach() if isinstance(method, Senses) else None


def explains(method: Method) -> bool:
    """Whether `explanation` has something to show."""
    solver = solver_of(method)
    return isinstance(method, ExplainsItself) or (solver is not None and isinstance(solver.steps[0], Explains))


@torch.no_grad()
def explanation(
    method: Method, problem: Problem, every: int = 1, *, steps: int | None = None
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """For every `every`-th step, the estimate before it and what the step's parts make of it, as pictures.

    Args:
        method: one that `explains`. every: see above. steps: after how many to stop; None: after all.

    Yields:
        (step, name -> (1, C, H, W)), cropped to the frame; of a method that has no steps, part after part.
    """
    if isinstance(method, ExplainsItself):
        yield from enumerate(method.explanation(problem), 1)
        return
    solver = solver_of(method)
    assert solver is not None
    state = solver.steps[0].init(problem)
    for t, step in enumerate(solver.steps[:steps], 1):
        if (t - 1) % every == 0:
            assert isinstance(step, Explains)
            pictures = {"estimate": state.x, **step.explain(problem, state)}
            yield t, {k: problem.crop(v) for k, v in pictures.items()}
        state = step(problem, state)
