"""Every x(t) of a restoration as a picture: what comes out where the method stops after step t.

The method runs once and its estimates are kept. Each is then taken for the method's answer, and everything that is done
with an answer is done with it: lamps, trust, brightness, strength.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from acutance.blind.method import Blind
from acutance.problem import Method, Observer, Problem, Progress, Result
from acutance.restoration.restorer import Restorer
from acutance.serve.found import Found

MOST = 12
"""Steps that are kept; of more, so many at equal distances, the first and the last among them."""

MOST_PIXELS = 2_000_000
"""Pixels of a picture whose steps are kept: `MOST` of them then take 290 MB in colour."""


class Recorder:
    """A method that keeps its estimates.

    Args:
        method: that runs. only: the step that is kept; None: up to `MOST` of them.
    """

    def __init__(self, method: Method, only: int | None) -> None:
        self.method, self.only = method, only
        self.runs: list[tuple[Result, dict[int, Tensor]]] = []

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`."""
        kept: dict[int, Tensor] = {}

        def seen(progress: Progress) -> None:
            if progress.step in self._wanted(progress.steps) and bool(torch.isfinite(progress.state.x).all()):
                kept[progress.step] = progress.state.x.clone()
            if on_step is not None:
                on_step(progress)

        result = self.method.run(problem, on_step=seen)
        kept[max(result.steps)] = result.x
        self.runs.append((result, {t: x for t, x in kept.items() if t <= max(result.steps)}))
        return result

    def _wanted(self, steps: int) -> Sequence[int]:
        if self.only is not None:
            return (self.only,)
        return sorted({round(t) for t in torch.linspace(1, steps, min(MOST, steps)).tolist()})


class Replay:
    """A method that answers as the runs of a `Recorder` did, one after the other, after step t."""

    def __init__(self, runs: Sequence[tuple[Result, dict[int, Tensor]]], t: int) -> None:
        self._left, self.t = list(runs), t

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`."""
        result, kept = self._left.pop(0)
        return replace(result, x=kept[self.t], steps=(self.t,) * len(result.steps))


class Steps:
    """A restorer, and the same as if it had stopped after a step.

    Args:
        restorer: of any method. only: the one step that is wanted; None: all of them.
    """

    def __init__(self, restorer: Restorer, only: int | None = None) -> None:
        method = restorer.method
        self.recorder = Recorder(method.method if isinstance(method, Blind) else method, only)
        noted: Method = self.recorder
        if isinstance(method, Blind):
            noted = replace(Found.of(method), method=self.recorder)
        self.recording = replace(restorer, method=noted)

    @property
    def kept(self) -> list[int]:
        """The steps t that there are, in order; [] where nothing was iterated."""
        runs = [set(kept) for _, kept in self.recorder.runs]
        return sorted(set.intersection(*runs)) if runs else []

    def at(self, t: int) -> Restorer:
        """The restorer that answers with x(t), for the picture that `recording` restored."""
        method: Method = Replay(self.recorder.runs, t)
        if isinstance(self.recording.method, Found):
            method = replace(self.recording.method, method=method)
        return replace(self.recording, method=method)
