"""Several pictures restored together: which problems can be one, their batch, and its result picture by picture.

Every picture keeps its own scale, kernel and noise level; a batch only shares the work. Problems go together that have
the same size, channels and kind of blur, kernels of the same size, and no masks. Others run one by one: what a mask
hides decides how many rounds a solver takes, and so do lamps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.images import Image
from acutance.methods.spec import Needs
from acutance.operators import Blur, BlurField
from acutance.problem import Problem, Result

Kernels = Tensor | BlurField | Sequence[Tensor | BlurField | None] | None
"""One for all pictures, (1, 1 or C, h, w); one for each, (B, 1 or C, h, w) or a list; None: none."""


def pictures_of(pictures: Tensor | Sequence[Image | Tensor]) -> list[Image | Tensor]:
    """Pictures one by one: a tensor (B, C, H, W) is cut, a list is taken as it is.

    Raises:
        ConfigError: none.
    """
    found: list[Image | Tensor] = one_by_one(pictures) if isinstance(pictures, Tensor) else list(pictures)
    if not found:
        raise ConfigError("no picture; give at least one")
    return found


def one_by_one(batch: Tensor) -> list[Any]:
    """(B, ...) as B tensors (1, ...)."""
    return [batch[i : i + 1] for i in range(len(batch))]


def for_each(given: Kernels, count: int, name: str) -> list[Tensor | BlurField | None]:
    """A kernel, or a mask, for each of `count` pictures.

    Args:
        given: see `Kernels`. name: for messages.

    Raises:
        ConfigError: another number of them.
    """
    if given is None or isinstance(given, BlurField) or (isinstance(given, Tensor) and len(given) == 1):
        return [given] * count
    found: list[Tensor | BlurField | None] = one_by_one(given) if isinstance(given, Tensor) else list(given)
    if len(found) != count:
        raise ConfigError(f"{len(found)} {name}s for {count} pictures; give one for each, or one for all")
    return found


def levels_of(sigma: float | Sequence[float | None] | None, count: int) -> list[float | None]:
    """A noise level for each of `count` pictures.

    Raises:
        ConfigError: another number of them.
    """
    if sigma is None or isinstance(sigma, int | float):
        return [sigma] * count
    if len(sigma) != count:
        raise ConfigError(f"{len(sigma)} noise levels for {count} pictures; give one for each, or one for all")
    return list(sigma)


def groups(problems: Sequence[Problem | None], needs: Needs) -> list[list[int]]:
    """Which problems run together, by their numbers; None is no problem to solve.

    Args:
        needs: of the method.
    """
    together: dict[object, list[int]] = {}
    for i, problem in enumerate(problems):
        if problem is not None:
            kind = _kind(problem, needs)
            together.setdefault(i if kind is None else kind, []).append(i)
    return list(together.values())


def _kind(problem: Problem, needs: Needs) -> object:
    """What problems of one batch share; None of one that runs alone."""
    finds_level = needs.uses_sigma and problem.sigma is None
    if problem.mask is not None or problem.saturated is not None or finds_level or needs.task == "sense":
        return None
    blur = problem.operator
    if blur is None:
        shape: object = None
    elif isinstance(blur, Blur):
        shape = (tuple(blur.kernel.shape), blur.boundary, blur.evaluation)
    else:
        return None
    there = problem.sigma is None, problem.approximate is None, problem.linear, problem.background is None
    return tuple(problem.observed.shape), problem.observed.dtype, shape, there


def stacked(problems: Sequence[Problem]) -> Problem:
    """One problem of several that `groups` puts together. Unit and step are each picture's own, so it has none."""
    first = problems[0]
    if len(problems) == 1:
        return first
    blur = first.operator
    if isinstance(blur, Blur):
        kernels = torch.cat([p.operator.kernel for p in problems if isinstance(p.operator, Blur)])
        blur = Blur(kernels, blur.boundary, blur.evaluation)
    sigmas = [p.sigma.reshape(1) for p in problems if p.sigma is not None]
    grounds = [p.background.reshape(1) for p in problems if p.background is not None]
    flags = [p.approximate.reshape(1) for p in problems if p.approximate is not None]
    return replace(
        first,
        observed=torch.cat([p.observed for p in problems]),
        operator=blur,
        sigma=torch.cat(sigmas) if sigmas else None,
        approximate=torch.cat(flags) if flags else None,
        background=torch.cat(grounds) if grounds else None,
        unit=1.0,
        step=None,
    )


def alone(result: Result, i: int) -> Result:
    """The result of one picture of a batch."""
    one = slice(i, i + 1)
    return replace(
        result,
        x=result.x[one],
        outcomes=result.outcomes[one],
        steps=result.steps[one],
        trace=result.trace[:, one],
        iterates=tuple(x[one] for x in result.iterates),
        kernel=None if result.kernel is None else result.kernel[one],
        confidences=result.confidences[one],
        levels=result.levels[one],
    )
