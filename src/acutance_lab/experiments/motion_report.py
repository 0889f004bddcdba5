"""The experiment of `acutance_lab.experiments.motion` as tables, plots, contact sheets and numbers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from acutance_lab.bench.sheet import GAP, text_line
from acutance_lab.experiments.motion import CAMERA_ONLY, CLEAN, PATCH, PHOTOGRAPHS, REAL, SHIPPED, Motion
from acutance_lab.experiments.motion_classifier import BATCH, RATE, network
from acutance_lab.experiments.motion_statistics import BIN, RADII, REACH, Distance, Portrait
from acutance_lab.experiments.motion_windows import Windows
from acutance_lab.experiments.output import Panel, Report, Series, Table
from acutance_lab.plots import COLOURS, SOFT

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
    tables = [_distances(found), _verdicts(found), _singles(found)]
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


def _verdicts(found: Motion) -> Table:
    shown = found.groups if len(found.groups) < 2 * FEW else []
    lines = []
    for v in found.verdicts:
        mean = "-" if math.isnan(v.auc) else f"{v.auc:.2f} ({v.interval[0]:.2f} to {v.interval[1]:.2f})"
        cells = [f"{v.by_group[group]:.2f}" if group in v.by_group else "-" for group in shown]
        lines.append([v.name, mean, *cells, f"{v.patches}"])
    return ["told apart", "AUC", *shown, "patches"], lines


def _singles(found: Motion) -> Table:
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
