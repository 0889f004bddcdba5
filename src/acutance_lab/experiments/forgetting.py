r"""Catastrophic forgetting: one network, two tasks, one after the other (Luo et al. 2019, section 3.3, Fig. 5).

    task 1: keep    min E || F(x) - x ||^2        a sharp picture stays as it is
    task 2: deblur  min E || F(y) - x ||^2        a blurred one becomes sharp

A network that is iterated on its own estimates meets both: its first input is blurred, its later ones are nearly sharp.
Four runs from the same start on the same pictures: task 1 then 2; 2 alone; 2 then 1; both at once, with a batch of each
in every iteration, twice the work. Judged on held-out photographs as in the paper, by the PSNR of F(x), and by the PSNR
of F(y) less that of y.

Scaled down: a network of a few features instead of 32, crops of 64 pixels instead of 256, minutes instead of days, and
blur made from photographs (`acutance_lab.experiments.short_training.BLUR`) instead of GoPro. F starts not far from the
identity, some 30 dB on task 1, and both tasks first learn to come closer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from acutance_lab.experiments.output import Report
from acutance_lab.experiments.short_training import (
    BATCH,
    BLUR,
    CEILING,
    SIDE,
    Material,
    Pairs,
    fit,
    material,
    mean_psnr,
    mean_square,
    start,
)
from acutance_lab.plots import COLOURS, Panel, Series

KEEP, DEBLUR = 1, 2
"""The tasks, by the paper's numbers."""

Phase = tuple[int, ...]
"""The tasks that are trained at once."""

RUNS: dict[str, tuple[Phase, Phase]] = {
    "task 2, then task 1": ((DEBLUR,), (KEEP,)),
    "task 2 alone": ((DEBLUR,), (DEBLUR,)),
    "task 1, then task 2": ((KEEP,), (DEBLUR,)),
    "both at once": ((KEEP, DEBLUR), (KEEP, DEBLUR)),
}
"""Two phases each, in the order of the paper's panels (a) to (d)."""

ITERATIONS, FEATURES, JUDGED, POINTS = 300, 10, 16, 12
"""Of a phase; of the network; pictures to judge by; measurements in a phase."""


@dataclass(frozen=True)
class Point:
    """Where a run stands: iterations done, PSNR of F(x) in dB, PSNR of F(y) less that of y in dB."""

    iteration: int
    kept: float
    gained: float


@dataclass(frozen=True)
class Forgetting:
    """The experiment's outcome.

    Args:
        seed, iterations, features: what was run; iterations of one phase.
        blurred: mean PSNR of the held-out blurred pictures, dB. curves: by run, from the start on.
        photographs: how many were trained on and held out. data: digests of both. seconds: of all.
    """

    seed: int
    iterations: int
    features: int
    blurred: float
    curves: dict[str, tuple[Point, ...]]
    photographs: tuple[int, int]
    data: tuple[str, str]
    seconds: float

    def after(self, run: str, phase: int) -> Point:
        """Where a run stood after a phase: 0 is the start, 1 the first, 2 the second."""
        return next(p for p in self.curves[run] if p.iteration == phase * self.iterations)


def run(
    data: Path,
    *,
    seed: int = 0,
    iterations: int = ITERATIONS,
    features: int = FEATURES,
    on_iteration: Callable[[], None] | None = None,
) -> Forgetting:
    """All four runs.

    Args:
        data: folder of sharp photographs; one in 25 is held out by its name. seed: of start and pictures.
        iterations: of each of the two phases. features: of the network. on_iteration: called after each.

    Raises:
        ConfigError: no iteration, a seed below 0. DataError: no photographs.
    """
    began, network = time.perf_counter(), start(features, seed)
    given = material(data, iterations=2 * iterations, seed=seed, judged=(JUDGED, SIDE))
    curves = {
        name: _curve(deepcopy(network), phases, iterations, given, seed + 1, on_iteration)
        for name, phases in RUNS.items()
    }
    blurred, seconds = mean_psnr(given.judged.blurred, given.judged.sharp), time.perf_counter() - began
    return Forgetting(seed, iterations, features, blurred, curves, given.photographs, given.digests, seconds)


def _curve(
    network: nn.Module,
    phases: tuple[Phase, Phase],
    iterations: int,
    given: Material,
    seed: int,
    on_iteration: Callable[[], None] | None,
) -> tuple[Point, ...]:
    """Train one network through both phases. Args: seed: of the batches."""
    generator = torch.Generator().manual_seed(seed)
    apart = max(1, iterations // POINTS)
    points = [_measure(network, given.judged, 0)]

    def loss(i: int) -> Tensor:
        batch = given.trained.some(BATCH, generator)
        inputs = {KEEP: batch.sharp, DEBLUR: batch.blurred}
        return torch.stack([mean_square(network(inputs[task]), batch.sharp) for task in phases[i // iterations]]).mean()

    def after(done: int) -> None:
        in_phase = (done - 1) % iterations + 1
        if in_phase % apart == 0 or in_phase == iterations:
            points.append(_measure(network, given.judged, done))
        if on_iteration is not None:
            on_iteration()

    fit(network, loss, 2 * iterations, after=after)
    return tuple(points)


@torch.no_grad()
def _measure(network: nn.Module, judged: Pairs, iteration: int) -> Point:
    kept, restored = mean_psnr(network(judged.sharp), judged.sharp), mean_psnr(network(judged.blurred), judged.sharp)
    return Point(iteration, kept, restored - mean_psnr(judged.blurred, judged.sharp))


CLAIMS = {
    "task 2, then task 1": "(a) the second task significantly lowers what the first one reached",
    "task 2 alone": "(b) restoration is mildly promoted",
    "task 1, then task 2": "(c) the second task significantly lowers what the first one reached",
    "both at once": "(d) twice the work hardly improves deblurring",
}
"""What the paper says of its panels, which have no numbers in the text."""


def report(found: Forgetting) -> Report:
    """Both measures at the start and after each phase of each run, what was lost and gained, and the curves."""
    lines = []
    for name, phases in RUNS.items():
        for k in range(3):
            at = found.after(name, k)
            after = "start" if k == 0 else f"{at.iteration} iterations, task {' and '.join(map(str, phases[k - 1]))}"
            words = (name, CLAIMS[name]) if k == 0 else ("", "")
            lines.append([words[0], after, f"{at.kept:.2f}", f"{at.gained:+.2f}", words[1]])
    kept = [found.after("task 1, then task 2", k).kept for k in (1, 2)]
    gained = [found.after("task 2, then task 1", k).gained for k in (1, 2)]
    alone, both = found.after("task 2 alone", 2), found.after("both at once", 2)
    notes = [
        f"Forgotten: learning task 2 took task 1 from {kept[0]:.2f} to {kept[1]:.2f} dB; learning task 1 took the gain "
        f"of task 2 from {gained[0]:+.2f} to {gained[1]:+.2f} dB.",
        f"At the end task 2 alone gains {alone.gained:+.2f} dB, both at once {both.gained:+.2f} dB with twice the "
        f"work; they keep sharp pictures at {alone.kept:.2f} and {both.kept:.2f} dB.",
        f"Means of {JUDGED} held-out crops, blurred at {found.blurred:.2f} dB; {CEILING:g} dB count as perfect.",
        f"Scaled down: {found.features} features (the paper's F has 32), crops of {SIDE} pixels (256), "
        f"{found.iterations} iterations a phase (the paper does not say; F alone has 500,000), motion over "
        f"{BLUR.extent[0]:g} to {BLUR.extent[1]:g} pixels (GoPro).",
    ]
    head = ["run", "after", "task 1: PSNR of F(sharp), dB", "task 2: gain of F(blurred), dB", "the paper, in words"]
    measures: tuple[tuple[str, Callable[[Point], float], float | None], ...] = (
        ("task 1: PSNR of F(sharp), dB", lambda p: p.kept, None),
        ("task 2: PSNR of F(blurred) - PSNR of blurred, dB", lambda p: p.gained, 0.0),
    )
    panels = [
        Panel(
            [
                Series([p.iteration for p in points[1:]], [pick(p) for p in points[1:]], name, {"color": colour})
                for (name, points), colour in zip(found.curves.items(), COLOURS, strict=False)
            ],
            {"xlabel": "iterations", "ylabel": label},
            level=level,
            place=found.iterations,
        )
        for label, pick, level in measures
    ]
    numbers = {"published": CLAIMS, "blur": BLUR, "outcome": found}
    return Report("forgetting", [(head, lines)], notes, numbers, {"forgetting.png": panels})
