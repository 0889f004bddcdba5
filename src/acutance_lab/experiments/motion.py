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

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError
from acutance.metrics import psnr
from acutance_lab.bench.sheet import GAP, text_line
from acutance_lab.experiments.motion_classifier import (
    BATCH,
    RATE,
    Patches,
    Verdict,
    auc,
    halves,
    matched,
    network,
    tell_apart,
)
from acutance_lab.experiments.motion_windows import (
    BIN,
    HIGHEST,
    RADII,
    REACH,
    STATISTICS,
    Distance,
    Frame,
    Portrait,
    Windows,
    distance,
    frames,
    from_frames,
    from_photographs,
    high_passed,
    portrait,
    statistics,
)
from acutance_lab.experiments.output import Report, Table
from acutance_lab.plots import COLOURS, SOFT, Panel, Series
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


FEW = 6
"""Groups below which a mean over them says little of others."""

ROWS = 13
"""Of a contact sheet, at most."""

LOOKS: dict[str, dict[str, Any]] = {
    REAL: {"color": "black", "linewidth": 2.2},
    SHIPPED: {"color": COLOURS[1]},
    CLEAN: {"color": COLOURS[0]},
    CAMERA_ONLY: {"color": COLOURS[2], "linestyle": (0, (4, 2))},
    PHOTOGRAPHS: {"color": COLOURS[3], "linestyle": (0, (1.2, 1.2))},
}


def report(found: Motion) -> Report:
    """Distances, what networks tell apart, and what single statistics do; then what that means."""
    numbers = {
        "settings": {
            **vars(found.settings), "patch": PATCH, "batch": BATCH, "rate": RATE, "bin": BIN, "radii": RADII,
            "weights": sum(p.numel() for p in network(4).parameters()),
        },
        "frames": [{"picture": frame.name, "held_out_with": frame.group} for frame in found.frames],
        "photographs": found.windows[PHOTOGRAPHS].pictures,
        "portraits": {kind: _portrait(p) for kind, p in found.portraits.items()},
        "real_by_group": {group: _portrait(p) for group, p in found.by_group.items()},
        "distances": found.distances,
        "real_scenes_apart": found.apart,
        "classifier": found.verdicts,
        "statistics": found.singles,
        "seconds": round(found.seconds, 3),
    }  # fmt: skip
    pictures = {}
    for name, kind in (("sheet.png", SHIPPED), ("sheet-photographs.png", PHOTOGRAPHS)):
        loss = found.portraits[kind].psnr, found.portraits[REAL].psnr
        title = f"100 %. Left: sharp, synthetic blurred ({kind}). Right: sharp, real blurred."
        pictures[name] = sheet(found.windows[kind], found.windows[REAL], loss, title)
    plots = {
        "gradients.png": _gradients(found), "spectra.png": [_spectra(found)], "psnr.png": [_psnr(found)],
        "classifier.png": [_aucs(found)],
    }  # fmt: skip
    tables = [_distances(found), _verdict_table(found), _single_table(found)]
    return Report("motion", tables, _describe(found), numbers, plots, pictures)


def _describe(found: Motion) -> list[str]:
    """What the tables leave out, in sentences, one a line."""
    settings, groups = found.settings, found.groups
    scenes = f"{len(groups)} scenes: {', '.join(groups)}"
    said = [
        f"{len(found.frames)} real pairs, {scenes}. {settings.windows} windows of {settings.side} pixels of each, at "
        f"the same places in the sharp frame for synthetic ones; {len(found.windows[PHOTOGRAPHS])} photographs, one "
        f"window of each. {found.seconds:.0f} s.",
        "W1: Wasserstein-1 distance of the differences of neighbours in the blurred luma from the real ones, levels of "
        "1/255; kurtosis of the differences, a Gaussian has 3; spectrum: of the ratio blurred to sharp by radius. The "
        "last row is the mean over two real scenes at a time: what lies below it is within how real scenes differ.",
        f"AUC: 0.5 is guessing. Patches of {PATCH} pixels; each group is held out in turn; mean of {settings.seeds} "
        "training(s), in brackets 90 % when the pictures are drawn anew. Of single statistics the mean within a scene, "
        "below 0.5 where synthetic values are lower, in brackets that of patches matched in PSNR. A network is only "
        "as good as its training: an AUC says that kinds *can* be told apart so well, never that they cannot.",
    ]
    if any(frame.group == frame.name for frame in found.frames):
        said.append(
            "There is one scene, so single frames are held out, and networks have seen others of the same scene: AUC "
            "is too high for scenes that are new. Give pairs of more scenes."
        )
    elif len(groups) < FEW:
        said.append(
            f"{len(groups)} scenes are few: how AUC spreads over other scenes and cameras cannot be told from them, "
            "the interval does not hold it, and a network that learns one scene's blur fails at the next, so a low AUC "
            "is weak evidence. A high one, on every scene, is strong."
        )
    return said


def _distances(found: Motion) -> Table:
    lines = [_row(kind, found.distances.get(kind), portrait) for kind, portrait in found.portraits.items()]
    lines += [_row(f"real, {group}", None, portrait) for group, portrait in found.by_group.items()]
    lines.append(_row("real, one scene from another", found.apart, None))
    head = ["blurred windows", "W1 horizontal", "W1 vertical", "kurtosis h, v", "spectrum", "PSNR mean", "10 %", "50 %",
            "90 %"]  # fmt: skip
    return head, lines


def _row(name: str, d: Distance | None, p: Portrait | None) -> list[str]:
    cells = [f"{d.horizontal:.2f}", f"{d.vertical:.2f}"] if d else ["", ""]
    cells.append(f"{p.kurtosis[0]:.0f}, {p.kurtosis[1]:.0f}" if p else "")
    cells.append(f"{d.spectrum:.1f} dB" if d else "")
    return [name, *cells, *([f"{value:.1f}" for value in p.psnr_summary.values()] if p else [""] * 4)]


def _verdict_table(found: Motion) -> Table:
    shown = found.groups if len(found.groups) < 2 * FEW else []
    lines = []
    for v in found.verdicts:
        mean = "-" if math.isnan(v.auc) else f"{v.auc:.2f} ({v.interval[0]:.2f} to {v.interval[1]:.2f})"
        cells = [f"{v.by_group[group]:.2f}" if group in v.by_group else "-" for group in shown]
        lines.append([v.name, mean, *cells, f"{v.patches}"])
    return ["told apart", "AUC", *shown, "patches"], lines


def _single_table(found: Motion) -> Table:
    kinds = [kind for kind in found.portraits if kind != REAL]
    lines = []
    for s in found.singles:
        cells = [f"{s.auc[k]:.2f} ({s.matched[k]:.2f})" if k in s.matched else f"{s.auc[k]:.2f}" for k in kinds]
        lines.append([f"{s.name}: {s.meaning}", *cells, *(f"{s.medians[kind]:.3g}" for kind in (REAL, *kinds))])
    names = [*(f"AUC {kind} (matched)" for kind in kinds), *(f"median {kind}" for kind in (REAL, *kinds))]
    return ["one statistic of a patch", *names], lines


def _portrait(p: Portrait) -> dict[str, Any]:
    return {
        "psnr": p.psnr_summary,
        "kurtosis": p.kurtosis,
        "spectrum_ratio_db": dict(zip(("mean", "p10", "p90"), p.ratio.tolist(), strict=True)),
        "histograms": dict(zip(("horizontal", "vertical"), p.histograms.tolist(), strict=True)),
        "psnr_of_windows": p.psnr,
    }


def _gradients(found: Motion) -> list[Panel]:
    """Distributions of differences on a logarithmic axis."""
    levels = (torch.arange(round(2 * REACH / BIN) + 1) * BIN - REACH).tolist()
    panels = []
    for n, direction in enumerate(("horizontal", "vertical")):
        densities = {kind: p.histograms[n] / BIN for kind, p in found.portraits.items()}
        series = [
            Series(levels, torch.where(d > 0, d, torch.nan).tolist(), kind, LOOKS[kind])
            for kind, d in densities.items()
        ]
        words = {"title": direction, "xlabel": "difference of neighbours, levels of 1/255", "ylabel": "density"}
        panels.append(Panel(series, {**words, "yscale": "log", "xlim": (-100, 100)}))
    return panels


def _spectra(found: Motion) -> Panel:
    """Ratios of spectra; of real windows 10 and 90 %, and each group."""
    f = ((torch.arange(RADII) + 0.5) / (2 * RADII)).tolist()
    thin = {"color": SOFT, "linewidth": 0.8}
    ends = {**thin, "linestyle": (0, (1.2, 1.2))}
    series = [
        Series(f, row, "real, 10 and 90 % of the windows", ends) for row in found.portraits[REAL].ratio[1:].tolist()
    ]
    series += [Series(f, p.ratio[0].tolist(), "real, one scene", thin) for p in found.by_group.values()]
    series += [Series(f, p.ratio[0].tolist(), kind, LOOKS[kind]) for kind, p in found.portraits.items()]
    return Panel(series, {"xlabel": "cycles per pixel", "ylabel": "power of blurred over sharp, dB", "xlim": (0, 0.5)})


def _psnr(found: Motion) -> Panel:
    """Cumulative distributions of the PSNR of windows."""
    series = [
        Series(sorted(p.psnr), [(i + 1) / len(p.psnr) for i in range(len(p.psnr))], kind, LOOKS[kind])
        for kind, p in found.portraits.items()
    ]
    words = {"xlabel": "PSNR of a blurred window against the sharp one, dB", "ylabel": "share below", "ylim": (0, 1)}
    return Panel(series, words)


def _aucs(found: Motion) -> Panel:
    """AUC of each comparison: the mean with its interval, and each held-out group."""
    series = []
    for row, v in enumerate(found.verdicts):
        groups = list(v.by_group.values())
        series.append(Series(v.interval, [row, row], "90 % over pictures", {"color": COLOURS[0], "alpha": 0.5}))
        series.append(
            Series(groups, [row] * len(groups), "a scene", {"color": SOFT, "marker": "|", "linestyle": "none"})
        )
        series.append(Series([v.auc], [row], "mean", {"color": COLOURS[0], "marker": "o", "linestyle": "none"}))
    names = [v.name for v in found.verdicts]
    options = {"xlim": (0, 1.01), "xlabel": "AUC, held out", "yticks": range(len(names)), "yticklabels": names}
    return Panel(series, options, place=0.5)


def sheet(synthetic: Windows, real: Windows, loss: tuple[tuple[float, ...], tuple[float, ...]], title: str) -> Tensor:
    """Rows of (sharp, synthetic), (sharp, real): (1, 3, H, W), one of each real picture, at its liveliest window.

    Args:
        synthetic: as many as real ones or fewer; the window of the same number is shown beside a real one.
        loss: PSNR of each synthetic and real window, dB.
    """
    lively = real.sharp.diff(dim=-1).abs().mean((1, 2, 3))
    best: dict[str, int] = {}
    for i, picture in enumerate(real.pictures[: len(synthetic)]):
        if picture not in best or lively[i] > lively[best[picture]]:
            best[picture] = i
    chosen = list(best.values())
    chosen = [chosen[n * len(chosen) // min(ROWS, len(chosen))] for n in range(min(ROWS, len(chosen)))]
    rows = [
        torch.cat([_half(kind, i, psnr[i]) for kind, psnr in zip((synthetic, real), loss, strict=True)], -1)
        for i in chosen
    ]
    return torch.cat([text_line(title, rows[0].shape[-1]), *rows], 2)


def _half(windows: Windows, i: int, psnr: float) -> Tensor:
    """Two cells under a line of text."""
    left, top = windows.places[i]
    cells = []
    for pixels in (windows.sharp, windows.blurred):
        cells += [pixels[i : i + 1], torch.ones(1, 3, pixels.shape[-2], GAP)]
    below = torch.cat(cells, -1)
    text = text_line(f"{windows.pictures[i]} at ({left}, {top}), {psnr:.1f} dB", below.shape[-1])
    return torch.cat((text, below, torch.ones(1, 3, GAP, below.shape[-1])), 2)
