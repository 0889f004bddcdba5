"""Blind: a kernel by an estimator, then the picture by any method for a known kernel.

    k = estimator(y),       x = method(y, k)

The kernel is one for the whole picture: the blur of a shaken camera with a steady scene. Where objects move or the
camera turned about its axis, it is the kernel of the most textured part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.base import Estimate, Estimator, Unknowable
from acutance.blind.choice import choose, looked_at
from acutance.blind.estimators import ESTIMATORS
from acutance.errors import ConfigError
from acutance.frame import TILE, Precision
from acutance.methods.inner import build_shipped, split
from acutance.methods.spec import MethodSpec, Needs, configure, find
from acutance.operators import Blur
from acutance.problem import Method, Observer, Outcome, Problem, Progress, Result, State
from acutance.saturation import heeding
from acutance.tensors import filled

LEAST_LEVEL = 0.01
"""The noise level that the method is told where nobody knows it, at least: an estimated kernel is never quite that of
every place. On 15 photographs shaken by a turning camera (8 to 24 pixels, none of a test set) 1 to 1.5 % is 0.13 dB
ahead of the level of the noise alone; where the kernel is the same everywhere it is 0.15 dB behind."""

SHOWN = 128
"""Side that kernels have at least where they are explained, pixels."""


@dataclass(frozen=True)
class BlindConfig:
    """Settings of Blind.

    Args:
        estimator: name of an estimator. method: name of a method that takes a kernel.
        size: side of the kernel in pixels, odd, larger than the blur; 0: found out.
    """

    estimator: str = "xu-l0"
    method: str = "acute"
    size: int = 0

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise ConfigError(f"estimator={self.estimator!r}: there are {', '.join(ESTIMATORS)}")
        if self.size and (self.size < 3 or self.size % 2 == 0):
            raise ConfigError(f"size={self.size}: give an odd number of pixels from 3 on, or 0")


@dataclass(frozen=True, eq=False)
class Blind:
    """The pairing. Args: config: which and how. method: built, takes a kernel."""

    config: BlindConfig
    method: Method

    def estimate(self, problem: Problem, index: int = 0) -> Estimate:
        """The kernel of one picture of the batch.

        Raises:
            acutance.blind.Unknowable: it cannot be told.
        """
        grey, usable = self._seen(problem, index)
        return choose(grey, self._estimator, self.config.size or None, usable=usable)

    @torch.no_grad()
    def explanation(self, problem: Problem) -> Iterator[dict[str, Tensor]]:
        """What every scale of the first picture ended with, coarse to fine, for the size that is chosen.

        Yields:
            The latent picture, (1, 1, h, w), and the kernel, its largest value 1, enlarged to be seen. Nothing where
            no kernel is estimated.
        """
        found = self.estimate(problem)
        if found.size < 3:
            return
        window, mask = looked_at(*self._seen(problem, 0))
        states = list(self._estimator(found.size).solver().iterate(Problem(window, mask=mask)))
        for state, following in zip(states, [*states[1:], None], strict=True):
            if following is None or following.level != state.level:
                factor = -(-SHOWN // state.kernel.shape[-1])
                shown = F.interpolate(state.kernel / state.kernel.max(), scale_factor=float(factor), mode="nearest")
                yield {"latent": state.x, "kernel": shown}

    @staticmethod
    def _seen(problem: Problem, index: int) -> tuple[Tensor, Tensor | None]:
        """One picture of the batch in grey, (1, 1, H, W), and where it is to be believed."""
        y, usable = problem.observed[index : index + 1], None
        full = None if problem.saturated is None else _of(problem.saturated, index) > 0
        if problem.mask is not None:
            usable = _of(problem.mask, index) > 0
            y = filled(y, usable if full is None else usable | full)  # clipped samples are better than none
        if full is not None:
            usable = ~full if usable is None else usable & ~full
        seen = None if usable is None else usable.all(1, keepdim=True)
        return y.mean(1, keepdim=True).float(), seen

    def _estimator(self, size: int) -> Estimator:
        return ESTIMATORS[self.config.estimator](size=size)

    def known(self, problem: Problem) -> tuple[Problem, tuple[str, ...]]:
        """The problem with the kernels that were found, (B, 1, s, s), and what there is to say of them.

        A kernel is one pixel where no blur can be told.
        """
        kernels, remarks = list[Tensor](), list[str]()
        for i in range(len(problem.observed)):
            try:
                found = self.estimate(problem, i)
            except Unknowable as reason:
                remarks.append(f"{reason}; it is left as it is")
                kernels.append(torch.ones(1, 1, 1, 1))
            else:
                remarks.append(found.remark)
                kernels.append(found.kernel if found.blurred else torch.ones(1, 1, 1, 1))
        side = max(k.shape[-1] for k in kernels)
        whole = torch.cat([_within(k, side) for k in kernels]).to(problem.observed)
        aware = replace(problem, blur=Blur(whole, "valid"), saturated=None)
        aware = aware if problem.saturated is None else heeding(aware, problem.saturated > 0)
        if problem.sigma is None:
            aware = replace(aware, sigma=aware.level().clamp_min(LEAST_LEVEL))
        return aware, tuple(dict.fromkeys(remarks))

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`; where no blur can be told in any picture, they stay as they are."""
        aware, remarks = self.known(problem)
        assert isinstance(aware.blur, Blur)
        kernel = aware.blur.kernel
        if kernel.shape[-1] == 1:
            y = problem.start().clone()
            none = torch.zeros(2, len(y), dtype=y.dtype, device=y.device)
            if on_step is not None:
                on_step(Progress(step=1, steps=1, state=State(y), error=none[1]))
            finite = torch.isfinite(y).flatten(1).all(1).tolist()
            outcomes = tuple(Outcome.COMPLETED if good else Outcome.DIVERGED for good in finite)
            steps = tuple(int(good) for good in finite)
            return Result(y, outcomes, steps, none, kernel=kernel, remarks=remarks)
        result = self.method.run(aware, on_step=on_step)
        return replace(result, x=aware.crop(result.x), kernel=kernel, remarks=remarks)


def _of(mask: Tensor, index: int) -> Tensor:
    """The mask of one picture of the batch."""
    return mask[index : index + 1] if len(mask) > 1 else mask


def _within(kernel: Tensor, side: int) -> Tensor:
    room = (side - kernel.shape[-1]) // 2
    return F.pad(kernel, (room,) * 4)


def build(
    *,
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
    tile: int | None = TILE,
    **settings: Any,
) -> Blind:
    """Blind.

    Args:
        device, precision, tile: of a method that is a network.
        settings: fields of `BlindConfig`; those that begin with ``method_`` are handed to the method.

    Raises:
        ConfigError: an unknown setting, or a method that takes no kernel. UnknownMethod: there is no such method.
    """
    own, inner = split(settings, "method_")
    config = configure(BlindConfig, "blind", own)
    spec = find(config.method)
    if not spec.needs.kernel:
        raise ConfigError(f"method={config.method!r} takes no kernel, so none need be found for it")
    return Blind(config, build_shipped(spec, inner, device=device, precision=precision, tile=tile))


SPEC = MethodSpec(
    name="blind",
    summary="blind: finds the kernel of a shaken camera (xu-l0), then restores with it (acute)",
    reference="xu2013unnatural",
    build=build,
    needs=Needs(kernel=False, unit_brightness=True, mask=True, heeds_sigma=True, tile=960),
    composed=True,
    qualities={
        "fast": {"method_steps": 2},
        "balanced": {},
        "best": {"estimator": "dark-channel", "method_steps": 10, "method_views": 4},
    },
)
