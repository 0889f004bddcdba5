"""Scores on held-out crops with fixed seeds, the same for every run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.methods.spec import Learned, Needs, Task
from acutance.metrics import psnr
from acutance.operators import Blur, Boundary
from acutance.problem import Problem, State
from acutance_lab.data.photographs import Photographs
from acutance_lab.synth import Degradation, DynamicBlur, Noisy, Rain, Synthesis, Untouched
from acutance_lab.synth.camera import Camera
from acutance_lab.train.config import ValidationConfig
from acutance_lab.train.schedule import taking

FRAME = 12
"""Width of the frame that is scored apart, pixels."""

STANDARD = Degradation(sigma=(0.003, 0.05))
"""What validation crops of a known blur go through, whatever a run trains on; only the boundary follows the run."""

MOVING = DynamicBlur(camera=Camera(encoded=0.5))
"""The same where the blur is not known; half of the pairs average light, half encoded values."""

OTHERS: MappingProxyType[Task, Synthesis] = MappingProxyType(
    {"deblur": MOVING, "denoise": Noisy(), "derain": Rain(), "sense": Untouched()}
)
"""What they go through where no kernel is told, by the task."""


def examination(needs: Needs, config: ValidationConfig, boundary: Boundary) -> tuple[Synthesis, ...]:
    """What the crops go through in turn; one for each of `ValidationConfig.levels`, where it has any."""
    if needs.task == "denoise" and config.levels:
        return tuple(Noisy(sigma=(level, level), camera=0.0, clipped=0.0) for level in config.levels)
    if not needs.kernel:
        return (OTHERS[needs.task],)
    standard = replace(STANDARD, boundary=boundary)
    return tuple(replace(standard, sigma=(level, level)) for level in config.levels) or (standard,)


def largest_crop(config: ValidationConfig, examined: Sequence[Synthesis]) -> int:
    """Side of the largest piece that `validate` cuts from a photograph, pixels."""
    margin = max(degrade.margin(span) for degrade in examined for span in config.spans)
    return (1 + config.halved) * (config.crop + 2 * margin)


@dataclass(frozen=True)
class Score:
    """Mean PSNR (dB) on the validation crops after some numbers of steps, and of the blurred input.

    blurred: or otherwise spoilt; where nothing was done to the pictures but to measure them, of the method's start.
    levels, spans: means by noise level and by kernel size, in the order of `ValidationConfig`; border, interior: mean
        of the outer `FRAME` pixels and of the rest. All at the number of steps that is best on the whole.
    """

    steps: tuple[int, ...]
    psnr: tuple[float, ...]
    blurred: float
    minutes: float = 0.0
    iteration: int = 0
    levels: tuple[float, ...] = ()
    spans: tuple[float, ...] = ()
    border: float | None = None
    interior: float | None = None


@dataclass(frozen=True)
class Crop:
    """What became of one crop: PSNR after each of the numbers of steps, whole, of its frame and of the rest."""

    level: int
    span: int
    whole: tuple[float, ...]
    border: tuple[float, ...]
    interior: tuple[float, ...]


@torch.no_grad()
def validate(
    method: Learned[State],
    weights: dict[str, Tensor],
    config: ValidationConfig,
    photographs: Photographs,
    examined: Sequence[Synthesis],
    device: torch.device,
    *,
    one_channel: bool = False,
) -> Score:
    """Score `weights` (usually the EMA) on crops whose seeds are the photographs' names; `method` is left as it was.

    examined: see `examination`. one_channel: every other crop is grey, on one channel.
    """
    crops, blurred = [], 0.0
    with taking(method, weights):
        steps = method.solver().steps
        for i in range(config.crops):
            name = photographs.names[i % len(photographs.names)]
            seed = int.from_bytes(hashlib.sha256(f"{name}/{i}".encode()).digest()[:6], "big")
            generator = torch.Generator().manual_seed(seed)
            span = config.spans[i % len(config.spans)]
            # one photograph each: a crop from a set that holds only this one
            one = photographs.only(i % len(photographs.names))
            level = (i // len(config.spans)) % len(examined)
            degrade = examined[level]
            side = config.crop + 2 * degrade.margin(span)
            if config.halved and (i % len(config.spans) + level) % 2 == 1:
                sharp = F.avg_pool2d(one.crops(1, 2 * side, generator), 2)
            else:
                sharp = one.crops(1, side, generator)
            example = degrade(sharp, generator, span=span, one_channel=one_channel and i % 2 == 1)
            problem = _to(example.problem, device)
            truth = problem.crop(example.sharp.to(device))
            state, values = steps[0].init(problem), []
            before = problem.crop(state.x) if isinstance(degrade, Untouched) else problem.observed
            blurred += float(psnr(before, truth).clamp(0, 60)) / config.crops
            for t in range(1, max(config.steps) + 1):
                state = steps[min(t, len(steps)) - 1](problem, state)
                if t in config.steps:
                    values.append(_scored(problem.crop(state.x), truth))
            crops.append(Crop(level, i % len(config.spans), *zip(*values, strict=True)))
    return _summary(config, crops, blurred, levels=len(examined))


def _scored(x: Tensor, truth: Tensor) -> tuple[float, float, float]:
    """PSNR, at most 60 dB, of the whole, of the outer `FRAME` pixels, and of the rest."""
    square = (x - truth).square()
    inner = square[..., FRAME:-FRAME, FRAME:-FRAME]
    outer = (square.sum() - inner.sum()) / max(1, square.numel() - inner.numel())
    parts = (-10 * torch.log10(part.clamp_min(1e-12)) for part in (outer, inner.mean() if inner.numel() else outer))
    border, interior = (min(60.0, float(part)) for part in parts)
    return float(psnr(x, truth).clamp(0, 60)), border, interior


def _summary(config: ValidationConfig, crops: Sequence[Crop], blurred: float, *, levels: int) -> Score:
    totals = [sum(values) / len(crops) for values in zip(*(c.whole for c in crops), strict=True)]
    best = totals.index(max(totals))

    def mean(values: Sequence[float]) -> float:
        return round(sum(values) / len(values), 3)

    def by(key: Callable[[Crop], int]) -> tuple[float, ...]:
        places = sorted({key(c) for c in crops})
        return tuple(mean([c.whole[best] for c in crops if key(c) == place]) for place in places)

    return Score(
        config.steps, tuple(round(v, 3) for v in totals), round(blurred, 3),
        levels=by(lambda c: c.level) if levels == len(config.levels) else (), spans=by(lambda c: c.span),
        border=mean([c.border[best] for c in crops]), interior=mean([c.interior[best] for c in crops]),
    )  # fmt: skip


def _to(problem: Problem, device: torch.device) -> Problem:
    blur = problem.operator
    if blur is not None:
        assert isinstance(blur, Blur)
        blur = replace(blur, kernel=blur.kernel.to(device))
    return replace(problem, observed=problem.observed.to(device), operator=blur, sigma=None)
