r"""Methods made of any other method: every channel alone, or the picture in several views.

    ChannelsApart    x_c = method(y_c)                            for each channel c: a third of the memory
    InViews          x   = mean over v of T_v' method(T_v y)      T_v flips and turns; V times the time

A blur knows no view and, behind one kernel, no channel, so both solve the same problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from acutance.errors import ConfigError
from acutance.methods.capabilities import watched
from acutance.noise.level import level_of
from acutance.problem import Method, Observer, Problem, Progress, Result, StageObserver, worst
from acutance.views import VIEWS


@dataclass(frozen=True, eq=False)
class ChannelsApart:
    """A method that restores every channel as if it were alone.

    Args:
        method: any that takes pictures of one channel.
    """

    method: Method

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`. The noise level is that of the picture, not of a channel."""
        channels = problem.observed.shape[1]
        if channels == 1:
            return self.method.run(problem, on_step=on_step)
        problem = replace(problem, sigma=level_of(problem))
        results = [self.method.run(problem.channel(c), on_step=shifted(on_step, c, channels)) for c in range(channels)]
        return merged(results)


@dataclass(frozen=True, eq=False)
class InViews:
    """The mean of what a method makes of a picture in several views.

    Args:
        method: any. count: of the views, the first of `acutance.views.VIEWS`.

    Raises:
        ConfigError: no such number of views.
    """

    method: Method
    count: int

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or not 1 <= self.count <= len(VIEWS):
            raise ConfigError(f"views={self.count}: between 1 and {len(VIEWS)}")

    def watched(self, on_stage: StageObserver | None) -> InViews:
        """See `acutance.methods.capabilities.Searches`; each view is a search of its own."""
        return replace(self, method=watched(self.method, on_stage))

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`. The noise level is estimated once, where it is not told."""
        results = [
            self.method.run(view.problem(problem), on_step=shifted(on_step, v, self.count))
            for v, view in enumerate(VIEWS[: self.count])
        ]
        x = torch.stack([view.back(r.x) for view, r in zip(VIEWS, results, strict=False)]).mean(0)
        return replace(
            results[0],
            x=x,
            outcomes=tuple(worst(each) for each in zip(*(r.outcomes for r in results), strict=True)),
            steps=tuple(max(each) for each in zip(*(r.steps for r in results), strict=True)),
            trace=torch.stack([problem.fitting_error(problem.start()), problem.fitting_error(x)]),
            iterates=(),
        )


def merged(results: Sequence[Result]) -> Result:
    """The results of the channels of pictures as those of the pictures."""
    longest = max(len(r.trace) for r in results)
    traces = [torch.cat((r.trace, r.trace[-1:].expand(longest - len(r.trace), -1))) for r in results]
    return Result(
        x=torch.cat([r.x for r in results], 1),
        outcomes=tuple(worst(each) for each in zip(*(r.outcomes for r in results), strict=True)),
        steps=tuple(max(each) for each in zip(*(r.steps for r in results), strict=True)),
        trace=torch.stack(traces).sum(0),
    )


def shifted(on_step: Observer | None, part: int, parts: int) -> Observer | None:
    """An observer for one of several runs that count as one."""
    if on_step is None:
        return None

    def shifted(progress: Progress) -> None:
        before = part * progress.steps
        on_step(replace(progress, step=before + progress.step, steps=parts * progress.steps))

    return shifted
