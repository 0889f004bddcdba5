"""How real does the synthetic blur of `acutance_lab.synth.DynamicBlur` look? Beside pairs of real videos, in numbers.

Pairs have a sharp frame and a real blurred picture of it. `DynamicBlur` blurs the *same sharp frames, at the same
places*, so that what differs is the blur and the camera and not the subject; that is the comparison that counts. The
second one is of photographs, as training makes them: there the subjects differ too, and by how much is measured.

What is compared: distributions of differences of neighbours, ratios of spectra of blurred to sharp, PSNR of blurred
against sharp, statistics of patches one by one, and a small network that is to tell patches apart, always judged by a
scene that it was not trained on. Three questions say *what* gives synthetic patches away:

- *Which part of the synthesis?* The same movements with a clean camera (no noise, JPEG, lens, lights), and the blur of
  camera movement alone, without objects.
- *How much blur, or what kind?* Patches matched in PSNR: of each whole dB and scene as many of both kinds.
- *What the network sees:* everything; fine detail (noise, blocks, edges); or means of 4 x 4 pixels.

Two controls: the halves of the real pictures, which nobody should tell apart (0.5, give or take what a few pictures
leave open), and the sharp pictures, which only objects and the lens change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError
from acutance.metrics import psnr
from acutance_lab.experiments.motion_classifier import Patches, Verdict, auc, tell_apart
from acutance_lab.experiments.motion_statistics import (
    HIGHEST,
    STATISTICS,
    Distance,
    Portrait,
    distance,
    high_passed,
    portrait,
    statistics,
)
from acutance_lab.experiments.motion_windows import Frame, Windows, frames, from_frames, from_photographs
from acutance_lab.synth import DynamicBlur

REAL, SHIPPED, CLEAN, CAMERA_ONLY, PHOTOGRAPHS = (
    "real", "as shipped", "clean camera", "clean camera, no objects", "photographs, as shipped",
)  # fmt: skip
"""Kinds of windows; all but the last of the same places of the same frames."""

PATCH = 64
"""Side of what the network sees, pixels."""

WHOLE, FINE, COARSE, NUMBERS = "everything", "fine detail of the luma", "means of 4 x 4 pixels", "statistics, linear"

VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    WHOLE: lambda x: torch.cat((x, high_passed(x)), 1),
    FINE: high_passed,
    COARSE: lambda x: F.avg_pool2d(x, 4),
    NUMBERS: statistics,
}
"""What of patches (N, 3, PATCH, PATCH) is seen."""


@dataclass(frozen=True)
class Settings:
    """What is drawn and trained.

    Args:
        windows: of each frame. side: of a window, pixels, a multiple of `PATCH`.
        seed: of all draws. seeds: trainings of each network. iterations: of each.
        blur: what is judged.
    """

    windows: int = 16
    side: int = 256
    seed: int = 0
    seeds: int = 1
    iterations: int = 600
    blur: DynamicBlur = field(default_factory=DynamicBlur)

    def __post_init__(self) -> None:
        if self.side < PATCH or self.side % PATCH:
            raise ConfigError(f"windows of {self.side} pixels: give a multiple of {PATCH}, the side of a patch")
        if min(self.windows, self.seeds, self.iterations) < 1:
            raise ConfigError(
                f"windows={self.windows}, seeds={self.seeds}, iterations={self.iterations}: give at least 1 of each"
            )

    @property
    def blurs(self) -> dict[str, DynamicBlur]:
        """What is judged, and the same without some of its parts."""
        clean = replace(self.blur, camera=replace(self.blur.camera, noisy=0.0, jpeg=0.0, defocus=0.0, lights=0.0))
        return {SHIPPED: self.blur, CLEAN: clean, CAMERA_ONLY: replace(clean, objects=(1.0,))}


@dataclass(frozen=True)
class Single:
    """One statistic of patches.

    Args:
        name, meaning: see `STATISTICS`. medians: by kind of windows.
        auc: by kind of synthetic windows, against the real ones of the same scene, mean over scenes; below 0.5 where
            synthetic values are the lower ones. matched: the same of patches matched in PSNR, where there are any.
    """

    name: str
    meaning: str
    medians: dict[str, float]
    auc: dict[str, float]
    matched: dict[str, float]


@dataclass(frozen=True, eq=False)
class Motion:
    """The experiment's outcome.

    Args:
        settings, frames, seconds: what was run, on what, and how long all of it took.
        windows: by kind. portraits: of these. by_group: of the real ones of each group.
        distances: of each synthetic kind from the real windows. apart: mean over pairs of groups of the real ones.
        verdicts: of the networks, in the order of the table. singles: the most telling of the shipped blur first.
    """

    settings: Settings
    frames: tuple[Frame, ...]
    seconds: float
    windows: dict[str, Windows] = field(repr=False)
    portraits: dict[str, Portrait] = field(repr=False)
    by_group: dict[str, Portrait] = field(repr=False)
    distances: dict[str, Distance]
    apart: Distance
    verdicts: tuple[Verdict, ...]
    singles: tuple[Single, ...]

    @property
    def groups(self) -> list[str]:
        """What is held out in turn: scenes, or frames where there is one scene."""
        return sorted(self.by_group)


def run(
    photographs: Path, folders: Sequence[Path], settings: Settings, *, on_step: Callable[[str], None] | None = None
) -> Motion:
    """Draw, measure, train.

    Args:
        photographs: a folder of sharp ones. folders: of pairs, see `acutance_lab.bench.pairs.pairs`.
        on_step: told what has been done.

    Raises:
        DataError: missing folders or partners, too few or too small pictures. ImageError: a file that cannot be used.
    """
    began, heard = time.perf_counter(), on_step or (lambda _: None)
    given = frames(folders)
    groups = sorted({frame.group for frame in given})
    draws = {"side": settings.side, "seed": settings.seed}
    real, synthetic = from_frames(given, settings.blurs, count=settings.windows, heard=heard, **draws)
    synthetic[PHOTOGRAPHS] = from_photographs(photographs, settings.blur, groups, count=len(real), heard=heard, **draws)
    windows = {REAL: real, **synthetic}
    portraits = {kind: portrait(each) for kind, each in windows.items()}
    by_group = {group: portrait(real.of(group)) for group in groups}
    heard("distances")
    return Motion(
        settings=settings,
        frames=tuple(given),
        windows=windows,
        portraits=portraits,
        by_group=by_group,
        distances={kind: distance(portraits[kind], portraits[REAL]) for kind in synthetic},
        apart=_apart(list(by_group.values())),
        verdicts=tuple(_verdicts(windows, settings, heard)),
        singles=_singles(windows, settings.seed),
        seconds=time.perf_counter() - began,
    )


def patches(windows: Windows, view: Callable[[Tensor], Tensor], *, sharp: bool = False) -> Patches:
    """All patches of windows, row by row, as a view of them shows them; of eight bits, as real ones are."""
    pixels = windows.sharp if sharp else windows.blurred
    n, channels, side, _ = pixels.shape
    k = side // PATCH
    x = pixels.reshape(n, channels, k, PATCH, k, PATCH).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
    x = (255 * x).round() / 255  # (n k k, 3, PATCH, PATCH)
    times = k * k
    return Patches(
        torch.cat([view(x[i : i + 256]) for i in range(0, len(x), 256)]),
        tuple(windows.groups[i // times] for i in range(n * times)),
        tuple(windows.pictures[i // times] for i in range(n * times)),
    )


def patch_psnr(windows: Windows) -> Tensor:
    """PSNR of each patch against its sharp one, at most `HIGHEST` dB: (patches,), in the order of `patches`."""
    blurred, sharp = (patches(windows, lambda x: x, sharp=which).x for which in (False, True))
    return psnr(blurred, sharp).clamp_max(HIGHEST)


def matched(a: Patches, b: Patches, levels: tuple[Tensor, Tensor], seed: int) -> tuple[Patches, Patches]:
    """Of each group and whole dB as many of both, drawn at random.

    Args:
        levels: PSNR of a and of b, dB.
    """
    generator = torch.Generator().manual_seed(seed)
    cells: list[dict[tuple[str, int], list[int]]] = [{}, {}]
    for cell, kind, level in zip(cells, (a, b), levels, strict=True):
        for i in torch.randperm(len(kind), generator=generator).tolist():
            cell.setdefault((kind.groups[i], int(level[i])), []).append(i)
    rows: list[list[int]] = [[], []]
    for key in sorted(set(cells[0]) & set(cells[1])):
        count = min(len(cell[key]) for cell in cells)
        for kind_rows, cell in zip(rows, cells, strict=True):
            kind_rows += cell[key][:count]
    return a[rows[0]], b[rows[1]]


def halves(kind: Patches) -> tuple[Patches, Patches]:
    """The pictures of each group in turn to one half and the other."""
    numbers: dict[str, dict[str, int]] = {}
    for group, picture in zip(kind.groups, kind.pictures, strict=True):
        of_group = numbers.setdefault(group, {})
        of_group.setdefault(picture, len(of_group))
    odd = [numbers[g][p] % 2 for g, p in zip(kind.groups, kind.pictures, strict=True)]
    first, second = ([i for i, half in enumerate(odd) if half == which] for which in (0, 1))
    return kind[first], kind[second]


def _verdicts(windows: dict[str, Windows], settings: Settings, heard: Callable[[str], None]) -> list[Verdict]:
    """Of all networks. Views are made one at a time: all of them at once would take gigabytes."""
    seeds, found = range(settings.seed, settings.seed + settings.seeds), []
    iterations = settings.iterations

    def ask(name: str, synthetic: Patches, real: Patches) -> None:
        found.append(tell_apart(name, synthetic, real, seeds=seeds, iterations=iterations, heard=heard))

    whole = VIEWS[WHOLE]
    real = patches(windows[REAL], whole)
    level = patch_psnr(windows[REAL])
    for kind in (SHIPPED, CLEAN, CAMERA_ONLY):
        made = patches(windows[kind], whole)
        ask(f"{kind}: {WHOLE}", made, real)
        ask(
            f"{kind}: {WHOLE}, matched in PSNR", *matched(made, real, (patch_psnr(windows[kind]), level), settings.seed)
        )
        if kind != CAMERA_ONLY:
            for view in (FINE, COARSE, NUMBERS):
                ask(f"{kind}: {view}", patches(windows[kind], VIEWS[view]), patches(windows[REAL], VIEWS[view]))
    ask(f"{PHOTOGRAPHS}: {WHOLE}", patches(windows[PHOTOGRAPHS], whole), real)
    sharp = patches(windows[REAL], whole, sharp=True)
    ask("control: sharp photographs, sharp frames", patches(windows[PHOTOGRAPHS], whole, sharp=True), sharp)
    ask("control: sharp answers as shipped, sharp frames", patches(windows[SHIPPED], whole, sharp=True), sharp)
    ask("control: two halves of the real pictures", *halves(real))
    return found


def _singles(windows: dict[str, Windows], seed: int) -> tuple[Single, ...]:
    """Every statistic alone."""
    numbers = {kind: patches(each, statistics) for kind, each in windows.items()}
    levels = {kind: patch_psnr(each) for kind, each in windows.items() if kind != PHOTOGRAPHS}
    plain = {kind: _each_auc(made, numbers[REAL]) for kind, made in numbers.items() if kind != REAL}
    equal = {
        kind: _each_auc(*matched(numbers[kind], numbers[REAL], (level, levels[REAL]), seed))
        for kind, level in levels.items()
        if kind != REAL
    }
    found = []
    for column, text in enumerate(STATISTICS):
        name, _, meaning = text.partition(": ")
        medians = {kind: float(n.x[:, column].median()) for kind, n in numbers.items()}
        scores, same = ({kind: v[column] for kind, v in each.items() if v} for each in (plain, equal))
        found.append(Single(name, meaning, medians, scores, same))
    return tuple(sorted(found, key=lambda single: -abs(single.auc[SHIPPED] - 0.5)))


def _each_auc(made: Patches, real: Patches) -> list[float]:
    """AUC of each column of numbers (N, C), mean over the groups that both have; nothing if there are none."""
    scores = []
    for group in sorted(set(real.groups) & set(made.groups)):
        a, b = (kind.x[[name == group for name in kind.groups]] for kind in (made, real))
        scores.append([auc(p, q) for p, q in zip(a.T, b.T, strict=True)])
    return [sum(column) / len(column) for column in zip(*scores, strict=True)]


def _apart(portraits: Sequence[Portrait]) -> Distance:
    """Mean distance of two of them."""
    each = [distance(a, b) for a, b in combinations(portraits, 2)]
    n = len(each)
    return Distance(
        sum(d.horizontal for d in each) / n, sum(d.vertical for d in each) / n, sum(d.spectrum for d in each) / n
    )
