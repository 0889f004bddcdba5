"""Scores on held-out crops with fixed seeds, the same for every run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from acutance.data.photographs import Photographs
from acutance.methods.spec import Learned, Needs, Task
from acutance.metrics import psnr
from acutance.operators import Blur, Boundary
from acutance.problem import Problem, State
from acutance.synth import Degradation, DynamicBlur, Noisy, Rain, Synthesis, Untouched
from acutance.train.config import ValidationConfig

STANDARD = Degradation(sigma=(0.003, 0.05))
"""What validation crops of a known blur go through, whatever a run trains on; only the boundary follows the run."""

MOVING = DynamicBlur()
"""The same where the blur is not known."""

OTHERS: MappingProxyType[Task, Synthesis] = MappingProxyType(
    {"deblur": MOVING, "denoise": Noisy(), "derain": Rain(), "sense": Untouched()}
)
"""What they go through where no kernel is told, by the task."""


def examination(needs: Needs, config: ValidationConfig, boundary: Boundary) -> tuple[Synthesis, ...]:
    """What the crops go through in turn; one for each of `ValidationConfig.levels`, where it has any."""
    if not needs.kernel:
        return (OTHERS[needs.task],)
    standard = replace(STANDARD, boundary=boundary)
    return tuple(replace(standard, sigma=(level, level)) for level in config.levels) or (standard,)


@dataclass(frozen=True)
class Score:
    """Mean PSNR (dB) on the validation crops after some numbers of steps, and of the blurred input.

    blurred: or otherwise spoilt; where nothing was done to the pictures but to measure them, of the method's start.
    levels: the mean for each of `ValidationConfig.levels`, at the number of steps that is best on the whole.
    """

    steps: tuple[int, ...]
    psnr: tuple[float, ...]
    blurred: float
    minutes: float = 0.0
    iteration: int = 0
    levels: tuple[float, ...] = ()


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
    kept = {k: v.detach().clone() for k, v in method.state_dict().items()}
    method.load_state_dict(weights)
    method.eval()
    totals, blurred = [0.0] * len(config.steps), 0.0
    by_level: list[list[list[float]]] = [[] for _ in examined]  # level, crop, number of steps
    try:
        steps = method.solver().steps
        for i in range(config.crops):
            name = photographs.names[i % len(photographs.names)]
            seed = int.from_bytes(hashlib.sha256(f"{name}/{i}".encode()).digest()[:6], "big")
            generator = torch.Generator().manual_seed(seed)
            span = config.spans[i % len(config.spans)]
            # one photograph each: a crop from a set that holds only this one
            one = _only(photographs, i % len(photographs.names))
            level = (i // len(config.spans)) % len(examined)
            degrade = examined[level]
            sharp = one.crops(1, config.crop + 2 * degrade.margin(span), generator)
            example = degrade(sharp, generator, span=span, one_channel=one_channel and i % 2 == 1)
            problem = _to(example.problem, device)
            truth = problem.crop(example.sharp.to(device))
            state, values = steps[0].init(problem), []
            before = problem.crop(state.x) if isinstance(degrade, Untouched) else problem.observed
            blurred += float(psnr(before, truth).clamp(0, 60)) / config.crops
            for t in range(1, max(config.steps) + 1):
                state = steps[min(t, len(steps)) - 1](problem, state)
                if t in config.steps:
                    values.append(float(psnr(problem.crop(state.x), truth).clamp(0, 60)))
            totals = [total + value / config.crops for total, value in zip(totals, values, strict=True)]
            by_level[level].append(values)
    finally:
        method.load_state_dict(kept)
        method.train()
    best = totals.index(max(totals))
    means = tuple(round(sum(v[best] for v in crops) / len(crops), 3) for crops in by_level if crops)
    means = means if len(examined) == len(config.levels) else ()
    return Score(config.steps, tuple(round(v, 3) for v in totals), round(blurred, 3), levels=means)


def _only(p: Photographs, i: int) -> Photographs:
    return Photographs(p.flat, p.sizes[i : i + 1], p.offsets[i : i + 1], p.names[i : i + 1], p.digest)


def _to(problem: Problem, device: torch.device) -> Problem:
    blur = problem.blur
    if blur is not None:
        assert isinstance(blur, Blur)
        blur = replace(blur, kernel=blur.kernel.to(device))
    return replace(problem, observed=problem.observed.to(device), blur=blur, sigma=None)
