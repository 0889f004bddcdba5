r"""How robust is blind estimation? Each condition on the same few photographs, and what is found and made of them.

A kernel is judged by what the same finish makes of the picture with it and with the true one,

    error ratio = || x(k_found) - x ||^2 / || x(k_true) - x ||^2

(Levin et al. 2009), both moved by the best whole-pixel shift, a border of the true kernel's radius left out, clipped to
[0, 1]. Where no blur is found or none can be told, the picture stays as it is, k is one pixel. Where there is no blur,
the result is compared with what was put in. Every picture goes the way of a user's through `blind`, which for the true
kernel is told what it finds; nobody tells the noise level.

Conditions vary one thing at a time,

    y = jpeg( quantise( clip( valid(f * g x) + sigma n ) ) ),      truth = clip( g x )

with the gain g of the brightness. What a condition does not name is as in `BASE`. Generators are seeded with the seed
and the picture, not with the condition, so that all conditions meet the same scene, path and noise; a path grows with
the frame of its kernel.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from statistics import fmean, median
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acutance.blind import Estimate, Unknowable
from acutance.blind.method import Blind
from acutance.blind.shapes import widths
from acutance.errors import ConfigError
from acutance.images import Image, ImageInfo
from acutance.methods.spec import find
from acutance.metrics import kernel_similarity, psnr
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.restoration.restored import Restoration
from acutance.restoration.restorer import BLIND, Restorer
from acutance.tensors import crop
from acutance.weights import embedded
from acutance_lab.bench.score import PERFECT, Scoring, aligned
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments.output import Report
from acutance_lab.plots import COLOURS, SOFT, Panel, Series
from acutance_lab.synth import kernels, noise
from acutance_lab.synth.files import seeded, through_jpeg

SPAN, LARGEST = 19, 45
"""Sides of the usual and of the largest kernel, pixels."""

MARGIN = LARGEST // 2
"""Pixels that a scene has beyond the frame on every side."""

DRAWN = 4
"""Paths of which the widest is taken: one alone may fill a small part of its frame only."""

STATIC = 0.1
"""Standard deviation of pure noise around medium grey."""

INK, PAPER = 0.08, 0.92
"""The two values of a page; neither is so bright that it counts as clipped."""

Scene = Callable[[Tensor, torch.Generator], Tensor]
"""Makes what is seen of a photograph (1, 3, H, W) in [0, 1], the same size."""

DrawKernel = Callable[[torch.Generator], Tensor]
"""Draws a kernel (1, 1, s, s), s odd."""


def static(photograph: Tensor, generator: torch.Generator) -> Tensor:
    """Nothing but noise, another one in each channel."""
    return 0.5 + STATIC * torch.randn(photograph.shape, generator=generator)


def flat(photograph: Tensor, generator: torch.Generator) -> Tensor:
    """One colour, neither black nor white."""
    return (0.2 + 0.6 * torch.rand(1, 3, 1, 1, generator=generator)).expand_as(photograph)


def page(photograph: Tensor, generator: torch.Generator) -> Tensor:
    """A page of something like writing: lines of words of an alphabet of its own, in two values."""
    height, width = photograph.shape[-2:]
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    alphabet = [_sign(rng) for _ in range(24)]
    tall, wide = alphabet[0].shape
    ink = np.zeros((height + tall, width + wide), dtype=bool)
    for top in range(int(rng.integers(2, 8)), height, tall + 9):
        left = int(rng.integers(2, 12))
        while left < width:
            for letter in rng.integers(len(alphabet), size=int(rng.integers(2, 9))):
                if left < width:
                    ink[top : top + tall, left : left + wide] |= alphabet[letter]
                left += wide + 3
            left += wide
    values = np.where(ink[:height, :width], np.float32(INK), np.float32(PAPER))
    return torch.from_numpy(values).expand_as(photograph)


def _sign(rng: np.random.Generator, tall: int = 20, wide: int = 13) -> NDArray[np.bool_]:
    """Strokes of three pixels between the nodes of a grid, upright more often than slanted."""
    rows, cols = np.mgrid[:tall, :wide].astype(float)
    nodes = np.array([(i, j) for i in np.linspace(1, tall - 2, 3) for j in np.linspace(1, wide - 2, 3)])
    near = [(a, b) for a in range(9) for b in range(a + 1, 9) if max(abs(a // 3 - b // 3), abs(a % 3 - b % 3)) == 1]
    straight = np.array([1.0 if a // 3 == b // 3 or a % 3 == b % 3 else 0.4 for a, b in near])
    seen = np.zeros((tall, wide), dtype=bool)
    for stroke in rng.choice(len(near), size=int(rng.integers(4, 7)), replace=False, p=straight / straight.sum()):
        (i, j), (k, m) = nodes[list(near[stroke])]
        along = ((rows - i) * (k - i) + (cols - j) * (m - j)) / ((k - i) ** 2 + (m - j) ** 2)
        t = along.clip(0, 1)
        seen |= np.hypot(rows - i - t * (k - i), cols - j - t * (m - j)) <= 1.5
    return seen


def path(generator: torch.Generator, span: int = SPAN) -> Tensor:
    """Camera shake in a frame of `span` pixels; the same path for every span."""
    drawn = kernels.spline(DRAWN, span, generator)
    return max((drawn[i : i + 1] for i in range(DRAWN)), key=lambda kernel: math.hypot(*widths(kernel)))


@dataclass(frozen=True)
class Condition:
    """A condition: it says how pictures are made.

    Args:
        scene: what is seen. kernel: None: there is no blur to find, and the picture is to be left as it is.
        noise: fraction of the range. gain: of the brightness. quality: of JPEG, 1 to 100; None: no JPEG.
    """

    scene: Scene = lambda photograph, _: photograph
    kernel: DrawKernel | None = path
    noise: float = 0.005
    gain: float = 1.0
    quality: int | None = None


BASE = Condition()

CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {f"noise {level:g} %": Condition(noise=level / 100) for level in (0.5, 1, 2, 3, 5)}
    | {f"JPEG {quality}": Condition(quality=quality) for quality in (95, 90, 75, 60)}
    | {f"brightness × {gain:g}": Condition(gain=gain) for gain in (1.25, 1.5, 2)}
    | {f"kernel of {span}": Condition(kernel=partial(path, span=span)) for span in (5, 9, 13, 31, LARGEST)}
    | {
        "disc of radius 3": Condition(kernel=lambda _: kernels.disc(3.0)),
        "Gaussian of 1.5": Condition(kernel=lambda _: kernels.gaussian(1.5)),
        "page of text": Condition(scene=page),
        "sharp": Condition(kernel=None),
        "sharp, JPEG 75": Condition(kernel=None, quality=75),
        "pure noise": Condition(scene=static, kernel=None, noise=0.0),
        "flat": Condition(scene=flat, kernel=None, noise=0.0),
        "flat, noise 0.5 %": Condition(scene=flat, kernel=None),
    }
)
"""Every condition by name; those of which nothing is said are as `BASE`."""


@dataclass(frozen=True, eq=False)
class Case:
    """A picture and what is known of it.

    Args:
        picture: (1, 3, side, side), a JPEG's as such. sharp: its truth, in [0, 1].
        kernel: (1, 1, s, s); None: there is no blur.
    """

    picture: Image
    sharp: Tensor
    kernel: Tensor | None


def make(condition: Condition, photograph: Tensor, name: str) -> Case:
    """A photograph (1, 3, H, W) under a condition: (1, 3, H - 2 `MARGIN`, W - 2 `MARGIN`).

    Args:
        name: of the draws; the same name, the same scene, path and noise.
    """
    scene = condition.gain * condition.scene(photograph, seeded(f"{name}/scene"))
    sharp = crop(scene, MARGIN, MARGIN)
    kernel, blurred = None, sharp
    if condition.kernel is not None:
        kernel = condition.kernel(seeded(f"{name}/kernel"))
        room = MARGIN - kernel.shape[-1] // 2
        blurred = Blur(kernel).forward(crop(scene, room, room))
    noisy = noise.gaussian(blurred, torch.tensor([condition.noise]), seeded(f"{name}/noise"))
    pixels = noise.quantise(noisy, 8)
    picture = Image(pixels)
    if condition.quality is not None:
        picture = Image(through_jpeg(pixels, condition.quality), info=ImageInfo(format="JPEG"))
    return Case(picture, sharp.clamp(0, 1), kernel)


REACH = 4
"""Largest shift of a result against the truth that is tried, pixels."""

SUCCESS = 3.0
"""Error ratio below which a kernel counts as found."""

LEAST_SIDE = 64
"""Of a picture, pixels: below, no spectrum tells whether it is sharp, and nothing is left within the border."""


class Verdict(StrEnum):
    """What blind estimation says of a picture."""

    KERNEL = "kernel found"
    LENS = "lens found"
    SHARP = "no blur found"
    UNTOLD = "cannot be told"


@dataclass(frozen=True)
class Settings:
    """Of the experiment.

    Args:
        pictures: for each condition. side: of them, pixels. seed: of all draws.
        method: that restores with the kernels. estimator: that finds them.
    """

    pictures: int = 4
    side: int = 256
    seed: int = 0
    method: str = "fd"
    estimator: str = "learned"

    def __post_init__(self) -> None:
        if self.pictures < 1 or self.side < LEAST_SIDE:
            raise ConfigError(
                f"pictures={self.pictures}, side={self.side}: give at least 1 picture of at least {LEAST_SIDE} pixels"
            )


@dataclass(frozen=True)
class Trial:
    """One picture under one condition.

    Args:
        condition, picture: their names. verdict: what was found. remark: the same for the user.
        seconds: of the estimate and of one restoration.
        similarity: of the found kernel to the true one. blurred, found, true: PSNR of the picture, and restored with
            the found and with the true kernel, dB. kept: PSNR of the result to the picture, dB, where there is no blur;
            there the others are None.
    """

    condition: str
    picture: str
    verdict: Verdict
    remark: str
    seconds: float
    similarity: float | None = None
    blurred: float | None = None
    found: float | None = None
    true: float | None = None
    kept: float | None = None

    @property
    def ratio(self) -> float | None:
        """The error ratio; None where there is no blur."""
        return None if self.found is None or self.true is None else 10 ** ((self.true - self.found) / 10)

    @property
    def harmed(self) -> bool:
        """Whether the picture was better before, by more than rounding does."""
        return self.found is not None and self.blurred is not None and self.found < self.blurred - 0.01


@dataclass(frozen=True)
class Robustness:
    """The experiment's outcome.

    Args:
        source: folder of the photographs. weights: of the method, None for one without. seconds: of all.
    """

    settings: Settings
    source: str
    weights: str | None
    trials: tuple[Trial, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class Told(Blind):
    """Blind estimation of which the outcome is known. Args: outcome: what it comes to."""

    outcome: Estimate | Unknowable

    def estimate(self, problem: Problem, index: int = 0) -> Estimate:
        """See `Blind.estimate`."""
        if isinstance(self.outcome, Unknowable):
            raise self.outcome
        return self.outcome


@dataclass(frozen=True, eq=False)
class Bench:
    """What every picture goes through: the way of a user's picture, whatever the kernel; it is used, however doubtful.

    Args:
        restorer: of the method `blind`.
    """

    restorer: Restorer

    @staticmethod
    def load(estimator: str, method: str) -> Bench:
        """Ready to run.

        Raises:
            ConfigError: no such estimator, or a method that takes no kernel. UnknownMethod: there is no such method.
        """
        return Bench(Restorer.load(BLIND, estimator=estimator, method=method, otherwise="nothing"))

    @property
    def blind(self) -> Blind:
        """The method."""
        assert isinstance(self.restorer.method, Blind)
        return self.restorer.method

    def estimate(self, picture: Image) -> Estimate | Unknowable:
        """What is found."""
        try:
            return self.blind.estimate(self.restorer.prepare(picture, linear=False).problem)
        except Unknowable as reason:
            return reason

    def restore(self, picture: Image, found: Estimate | Unknowable) -> Restoration:
        """What is made of the picture if that is found."""
        told = Told(self.blind.config, self.blind.method, self.blind.otherwise, outcome=found)
        return replace(self.restorer, method=told)(picture, linear=False)


def verdict(found: Estimate | Unknowable) -> Verdict:
    """An estimate in words."""
    if isinstance(found, Unknowable):
        return Verdict.UNTOLD
    if not found.blurred:
        return Verdict.SHARP
    return Verdict.KERNEL if found.shape is None else Verdict.LENS


def run(
    data: Path,
    settings: Settings | None = None,
    *,
    conditions: Mapping[str, Condition] = CONDITIONS,
    on_trial: Callable[[Trial], None] | None = None,
) -> Robustness:
    """Go through all conditions, each on the same photographs.

    Args:
        data: folder of sharp photographs, of which held-out ones are taken. on_trial: told every one as it comes.

    Raises:
        DataError: no photograph that is large enough. ConfigError, UnknownMethod: see `Settings` and `Bench`.
    """
    settings = settings or Settings()
    began, trials = time.perf_counter(), list[Trial]()
    bench = Bench.load(settings.estimator, settings.method)
    scenes = list(photographs(data, settings))
    for title, condition in conditions.items():
        for number, (name, photograph) in enumerate(scenes):
            case = make(condition, photograph, f"{settings.seed}/{number}")
            trials.append(attempt(bench, case, title, name))
            if on_trial is not None:
                on_trial(trials[-1])
    shipped = find(settings.method).weights
    weights = None if shipped is None else embedded(shipped).version
    return Robustness(settings, data.name, weights, tuple(trials), time.perf_counter() - began)


def photographs(data: Path, settings: Settings) -> Iterator[tuple[str, Tensor]]:
    """Name and crop, (1, 3, H, W), of held-out photographs, each another one as long as there are.

    Raises:
        DataError: there is none that is large enough.
    """
    size = settings.side + 2 * MARGIN
    whole = Photographs.load(data, device=torch.device("cpu"), validation=True, least=size)
    generator = torch.Generator().manual_seed(settings.seed)
    order = torch.randperm(len(whole.names), generator=generator).tolist()
    for number in range(settings.pictures):
        one = whole.only(order[number % len(order)])
        yield one.names[0], one.crops(1, size, generator)


@torch.no_grad()
def attempt(bench: Bench, case: Case, condition: str, name: str) -> Trial:
    """Estimate, restore, and compare."""
    began = time.perf_counter()
    found = bench.estimate(case.picture)
    restored = bench.restore(case.picture, found)
    seconds = time.perf_counter() - began
    remark = str(found) if isinstance(found, Unknowable) else found.remark
    trial = Trial(condition, name, verdict(found), remark, seconds)
    if case.kernel is None:
        kept = min(PERFECT, float(psnr(restored.image.pixels.clamp(0, 1), case.picture.pixels)))
        return replace(trial, kept=kept)
    scoring = Scoring(border=max(case.kernel.shape[-1] // 2, REACH), shift=REACH)
    true = bench.restore(case.picture, Estimate(case.kernel, case.kernel.shape[-1], {}))
    assert restored.result.kernel is not None
    return replace(
        trial,
        similarity=float(kernel_similarity(restored.result.kernel.cpu(), case.kernel)),
        blurred=_score(case.picture.pixels, case.sharp, scoring),
        found=_score(restored.image.pixels, case.sharp, scoring),
        true=_score(true.image.pixels, case.sharp, scoring),
    )


def _score(estimate: Tensor, truth: Tensor, scoring: Scoring) -> float:
    """PSNR in dB, aligned; without the SSIM of `acutance_lab.bench.score.score`, which takes longer than all else."""
    moved, inner, _ = aligned(estimate, truth, scoring)
    return min(PERFECT, float(psnr(moved, inner)))


HIGHEST = 45.0
"""dB from which the plot makes no difference."""


def report(found: Robustness) -> Report:
    """What was found, and what was made of it, by condition: of blurred pictures, and of the others."""
    groups: dict[str, list[Trial]] = {}
    for trial in found.trials:
        groups.setdefault(trial.condition, []).append(trial)
    blurred, others = [], []
    for name, trials in groups.items():
        counts = [name, *(str(sum(t.verdict is v for t in trials)) for v in Verdict)]
        seconds = f"{median(t.seconds for t in trials):.1f}"
        ratios = [t.ratio for t in trials if t.ratio is not None]
        kept = [t.kept for t in trials if t.kept is not None]
        if ratios:
            means = [_mean([getattr(t, name) for t in trials]) for name in ("similarity", "blurred", "found", "true")]
            share = f"{100 * fmean(ratio < SUCCESS for ratio in ratios):.0f} %"
            blurred.append([*counts, *means, share, str(sum(t.harmed for t in trials)), seconds])
        if kept:
            others.append([*counts, f"{fmean(kept):.2f}", f"{min(kept):.2f}", seconds])
    head = ["blurred", *Verdict, "similarity", "blurred, dB", "found kernel, dB", "true kernel, dB",
            f"ratio < {SUCCESS:g}", "worse than blurred", "seconds"]  # fmt: skip
    tables = [(head, blurred), (["not blurred", *Verdict, "result to picture, dB", "lowest, dB", "seconds"], others)]
    trials_plain = [{**vars(t), "ratio": t.ratio} for t in found.trials]
    numbers = {"settings": found.settings, "source": found.source, "weights": found.weights, "success": SUCCESS,
               "trials": trials_plain, "seconds": found.seconds}  # fmt: skip
    return Report("blind", tables, _describe(found), numbers, {"blind.png": [_panel(groups)]})


def _mean(values: list[float | None]) -> str:
    return f"{fmean(v for v in values if v is not None):.2f}"


def _panel(groups: Mapping[str, list[Trial]]) -> Panel:
    """PSNR of every picture, a line for each condition."""
    looks = (
        ("blurred", "blurred", SOFT, "s"),
        ("true kernel", "true", COLOURS[2], "D"),
        ("found kernel", "found", COLOURS[1], "o"),
        (f"no blur: result to picture, at most {HIGHEST:g}", "kept", COLOURS[0], "^"),
    )
    series = []
    for label, name, colour, marker in looks:
        points = [(getattr(t, name), row) for row, trials in enumerate(groups.values()) for t in trials]
        known = [(min(value, HIGHEST), row) for value, row in points if value is not None]
        style = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 5}
        series.append(Series([x for x, _ in known], [y for _, y in known], label, style))
    return Panel(series, {"xlabel": "PSNR, dB", "yticks": range(len(groups)), "yticklabels": list(groups)})


def _describe(found: Robustness) -> list[str]:
    """On what, by what, and how it was scored."""
    s = found.settings
    finish = s.method if found.weights is None else f"{s.method} ({found.weights})"
    said = [
        f"{s.pictures} x {s.side} x {s.side} pixels of held-out photographs of {found.source}, seed {s.seed}; kernels "
        f"by {s.estimator}, restored with {finish}, which is told no noise level; {found.seconds:.0f} s.",
        f"What is not named: a path in a frame of {SPAN} pixels, {100 * BASE.noise:g} % noise. PSNR: mean, moved by "
        f"the best whole-pixel shift up to {REACH}, a border of the true kernel's radius left out. Ratio: square error "
        "with the found kernel over that with the true one; it means little where the true one gains little. "
        "Similarity: largest normalised cross-correlation with the true kernel. 100 dB: the picture was left as it is.",
    ]
    blurred = [t.ratio < SUCCESS for t in found.trials if t.ratio is not None]
    sharp = [t.verdict in (Verdict.SHARP, Verdict.UNTOLD) for t in found.trials if t.ratio is None]
    if blurred:
        harmed = sum(t.harmed for t in found.trials)
        said.append(
            f"Of {len(blurred)} blurred pictures {sum(blurred)} have an error ratio below {SUCCESS:g}, {harmed} were "
            "better before."
        )
    if sharp:
        said.append(f"Of {len(sharp)} without blur {sum(sharp)} were left as they are.")
    return said
