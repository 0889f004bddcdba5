"""Measuring PSNR along curves: runs, and points in a file; see `acutance_lab.bench.curves_kinds` for the curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.metrics import psnr
from acutance_lab.bench.case import Content
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.curves_kinds import STEPS, Curve, Picture, content
from acutance_lab.bench.curves_points import FILE, Point, PointKey, append_points, read_points
from acutance_lab.bench.machine import hardware, revision
from acutance_lab.bench.runner import Runner

SIDE, LEAST = 192, 32
"""Of the blurred pictures, pixels: unless said otherwise, and at least."""


@dataclass(frozen=True, eq=False)
class _Entrant:
    """A contender, loaded; `stepper` takes exactly `STEPS` steps, None: it shows none, or is not asked to."""

    contender: Contender
    runner: Runner
    stepper: Runner | None


@dataclass(frozen=True, eq=False)
class _Job:
    """One run: it gives the points of all of its values."""

    curve: Curve
    values: tuple[float, ...]
    picture: Picture
    side: int
    entrant: _Entrant

    @property
    def keys(self) -> list[PointKey]:
        p, e = self.picture, self.entrant
        return [(self.curve.name, v, p.suite, p.name, self.side, e.contender.label, e.runner.weights)
                for v in self.values]  # fmt: skip


def measure(
    curves: Sequence[Curve],
    methods: Sequence[str],
    found: Sequence[Picture],
    *,
    side: int = SIDE,
    out: Path | None = None,
    device: torch.device | str = "auto",
    on_plan: Callable[[int], None] | None = None,
    on_run: Callable[[str], None] | None = None,
) -> list[Point]:
    """Measure every method at every value of every curve on every picture.

    Methods that want the noise level are told the true one unless they say otherwise. Along `steps` those with steps
    take exactly 20, whatever their settings say, and the others are a horizontal line.

    Args:
        methods: see `Contender.parse`. found: the pictures.
        side: of the blurred pictures, cut from the middle; less where a picture has no room for the largest kernel of
            a curve, so that all values of that curve are scored on the same pixels.
        out: folder; points are added to its curves.jsonl as they come, and what is there is not measured again.
        on_plan: told how many runs there are to do. on_run: told each before it begins.

    Returns:
        The points of all that was asked for, old and new.

    Raises:
        ConfigError, UnknownMethod, WeightsError, MissingExtra, DataError, OutputError: with the remedy.
    """
    contenders = [Contender.parse(text) for text in methods]
    stepwise = any(curve.stepwise for curve in curves)
    entrants = [_load(contender, device, stepwise=stepwise) for contender in contenders]
    names = [(e.contender.label, e.runner.weights) for e in entrants]
    if not names or not found or len(set(names)) < len(names):
        raise ConfigError(f"methods {', '.join(methods)} on {len(found)} pictures: give one or more, every method once")
    known = {} if out is None else read_points(out / FILE)
    jobs = [job for curve in curves for job in _jobs(curve, found, side, entrants)]
    fresh = [job for job in jobs if any(key not in known for key in job.keys)]
    if on_plan is not None:
        on_plan(len(fresh))
    for job in fresh:
        if on_run is not None:
            on_run(f"{job.curve.name} {job.entrant.contender.label} {job.picture.name}")
        points = _measure(job)
        known |= {point.key: point for point in points}
        if out is not None:
            append_points(out / FILE, points)
    return [known[key] for job in jobs for key in job.keys]


def _load(contender: Contender, device: torch.device | str, *, stepwise: bool) -> _Entrant:
    runner = contender.load(device)
    if not stepwise or not runner.has_steps:
        return _Entrant(contender, runner, None)
    settings = {**contender.settings, "steps": STEPS}
    try:
        stepper = replace(contender, settings={**settings, "threshold": 0}).load(device)
    except ConfigError:  # it has no threshold
        stepper = replace(contender, settings=settings).load(device)
    return _Entrant(contender, runner, stepper)


def _jobs(curve: Curve, found: Sequence[Picture], side: int, entrants: Sequence[_Entrant]) -> Iterator[_Job]:
    runs = [curve.values] if curve.stepwise else [(value,) for value in curve.values]
    for values in runs:
        for picture in found:
            fitting = min(side, *(n - curve.reach + 1 for n in picture.pixels.shape[-2:]))
            if fitting < max(LEAST, curve.reach):
                raise ConfigError(
                    f"{curve.name}: kernels of up to {curve.reach} pixels leave {fitting} of {picture.suite}/"
                    f"{picture.name}, {max(LEAST, curve.reach)} are needed; give larger pictures, a larger --side, or "
                    "leave that curve out"
                )
            yield from (_Job(curve, values, picture, fitting, entrant) for entrant in entrants)


def _measure(job: _Job) -> list[Point]:
    curve, contender, runner = job.curve, job.entrant.contender, job.entrant.runner
    made = content(job.picture, curve.condition(job.values[0]), job.side)
    shown: list[float] = []
    stepper = job.entrant.stepper if curve.stepwise else None
    attempt = (stepper or runner)(
        made.observed,
        made.kernel if runner.needs.kernel else None,
        contender.tell(made.sigma, runner.needs),
        on_pixels=None if stepper is None else lambda pixels: shown.append(_psnr(pixels, made)),
    )
    if len(shown) > len(job.values):
        raise ConfigError(f"{contender.label} took {len(shown)} steps instead of {STEPS}: leave out what repeats them")
    final = _psnr(attempt.pixels, made)
    scores = [*shown, *[final] * (len(job.values) - len(shown))]
    return [
        Point(
            curve=curve.name,
            value=value,
            suite=job.picture.suite,
            picture=job.picture.name,
            side=job.side,
            method=contender.label,
            weights=runner.weights,
            psnr=score,
            psnr_blurred=_psnr(made.observed, made),
            seconds=round(attempt.seconds, 4),
            revision=revision(),
            hardware=hardware(runner.device),
        )
        for value, score in zip(job.values, scores, strict=True)
    ]


def _psnr(pixels: Tensor, made: Content) -> float:
    assert made.truth is not None
    return round(float(psnr(pixels.double().clamp(0, 1), made.truth.double())), 4)
