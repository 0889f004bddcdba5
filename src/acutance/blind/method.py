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
from acutance.blind.choice import DOUBTFUL, choose, looked_at
from acutance.blind.estimators import ESTIMATORS
from acutance.errors import ConfigError
from acutance.frame import TILE, Precision
from acutance.methods.inner import build_shipped, split
from acutance.methods.spec import MethodSpec, Needs, configure, find
from acutance.operators import Blur
from acutance.problem import Method, Observer, Outcome, Problem, Progress, Result, State
from acutance.saturation import heeding
from acutance.tensors import filled
from acutance.weights import embedded_names

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
        otherwise: name of a method for colour pictures that needs no kernel, asked where no single one explains the
            blur; "nothing": the kernel is used all the same. Without shipped weights it is "nothing".
    """

    estimator: str = "xu-l0"
    method: str = "acute"
    size: int = 0
    otherwise: str = "golf"

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise ConfigError(f"estimator={self.estimator!r}: there are {', '.join(ESTIMATORS)}")
        if self.size and (self.size < 3 or self.size % 2 == 0):
            raise ConfigError(f"size={self.size}: give an odd number of pixels from 3 on, or 0")


@dataclass(frozen=True, eq=False)
class Blind:
    """The pairing. Args: config: which and how. method: built, takes a kernel. otherwise: built, takes none."""

    config: BlindConfig
    method: Method
    otherwise: Method | None

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

    def known(self, problem: Problem) -> tuple[Problem, tuple[bool, ...], tuple[str, ...]]:
        """The problem with the kernels that were found, (B, 1, s, s), and what there is to say of them.

        A kernel is one pixel where no blur can be told.

        Returns:
            Problem; for each picture whether its kernel is too doubtful and `otherwise` is to be asked; remarks.
        """
        kernels, doubted, remarks = list[Tensor](), list[bool](), list[str]()
        for i in range(len(problem.observed)):
            kernel, doubtful = torch.ones(1, 1, 1, 1), False
            try:
                found = self.estimate(problem, i)
            except Unknowable as reason:
                remarks.append(f"{reason}; it is left as it is")
            else:
                doubtful = found.blurred and found.doubt > DOUBTFUL
                if found.blurred:
                    kernel = found.kernel
                if not doubtful:
                    remarks.append(found.remark)
                elif self.otherwise is None:
                    remarks.append(f"{found.remark}; it explains little of the blur: expect little")
                else:
                    remarks.append(
                        "no single kernel explains this blur (things moved on their own?): restored by "
                        f"{self.config.otherwise}, which needs none (--method blind:otherwise=nothing to insist on one)"
                    )
            kernels.append(kernel)
            doubted.append(doubtful and self.otherwise is not None)
        side = max(k.shape[-1] for k in kernels)
        whole = torch.cat([_within(k, side) for k in kernels]).to(problem.observed)
        aware = replace(problem, blur=Blur(whole, "valid"), saturated=None)
        aware = aware if problem.saturated is None else heeding(aware, problem.saturated > 0)
        if problem.sigma is None:
            aware = replace(aware, sigma=aware.level().clamp_min(LEAST_LEVEL))
        return aware, tuple(doubted), tuple(dict.fromkeys(remarks))

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`; where no blur can be told in any picture, they stay as they are."""
        aware, doubted, remarks = self.known(problem)
        assert isinstance(aware.blur, Blur)
        kernel = aware.blur.kernel
        if all(doubted):
            return replace(self._without(problem, on_step), remarks=remarks)
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
        x = aware.crop(result.x)
        if any(doubted):
            chosen = torch.tensor(doubted, device=x.device)[:, None, None, None]
            x = torch.where(chosen, self._without(problem, None).x, x)
        levels = tuple(aware.level().tolist())
        return replace(result, x=x, kernel=kernel, remarks=remarks, ran=self.config.method, levels=levels)

    def _without(self, problem: Problem, on_step: Observer | None) -> Result:
        """What `otherwise` makes of the pictures; it takes colour."""
        assert self.otherwise is not None
        y = problem.start()
        result = self.otherwise.run(Problem(y.expand(-1, 3, -1, -1)), on_step=on_step)
        x = result.x if y.shape[1] == 3 else result.x.mean(1, keepdim=True)
        return replace(result, x=x, ran=self.config.otherwise)


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
    method = build_shipped(spec, inner, device=device, precision=precision, tile=tile)
    return Blind(config, method, _otherwise(config.otherwise, device=device, precision=precision))


def _otherwise(name: str, *, device: torch.device | str, precision: Precision) -> Method | None:
    """The method of that name, None for "nothing".

    Raises:
        ConfigError: it needs a kernel, or is for something else.
    """
    if name == "nothing":
        return None
    spec = find(name)
    if spec.needs.kernel or spec.needs.task != "deblur" or spec.name == SPEC.name:
        raise ConfigError(f"otherwise={name!r} does not deblur without a kernel; nothing, or such as golf")
    if spec.weights is not None and spec.weights not in embedded_names():
        return None
    return build_shipped(spec, {}, device=device, precision=precision, tile=None)


SPEC = MethodSpec(
    name="blind",
    summary="blind: finds the kernel of a shaken camera (xu-l0), then restores with it (acute)",
    reference="xu2013unnatural",
    build=build,
    needs=Needs(kernel=False, mask=True, heeds_sigma=True, tile=960),
    composed=True,
    qualities={
        "fast": {"method_steps": 2},
        "balanced": {},
        "best": {"estimator": "dark-channel", "method_steps": 10, "method_views": 4},
    },
)
