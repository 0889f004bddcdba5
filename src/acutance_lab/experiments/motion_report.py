"""The experiment of `acutance_lab.experiments.motion` as tables and as a file of JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acutance_lab.experiments.motion import PATCH, PHOTOGRAPHS, REAL, Motion
from acutance_lab.experiments.motion_classifier import BATCH, RATE, network
from acutance_lab.experiments.motion_statistics import BIN, RADII, Distance, Portrait
from acutance_lab.experiments.output import write_numbers

FILE = "motion.json"

FEW = 6
"""Groups below which a mean over them says little of others."""


def motion_table(found: Motion) -> str:
    """Markdown: distances, what networks tell apart, and what single statistics do; then what that means."""
    return "\n".join(
        [*_distances(found), "", *_verdicts(found), "", *_singles(found), "", *describe(found)],
    )


def describe(found: Motion) -> list[str]:
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


def _distances(found: Motion) -> list[str]:
    lines = [
        "| blurred windows | W1 horizontal | W1 vertical | kurtosis h, v | spectrum | PSNR mean | 10 % | 50 % | 90 % |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, portrait in found.portraits.items():
        lines.append(_row(kind, found.distances.get(kind), portrait))
    for group, portrait in found.by_group.items():
        lines.append(_row(f"real, {group}", None, portrait))
    return [*lines, _row("real, one scene from another", found.apart, None)]


def _row(name: str, d: Distance | None, p: Portrait | None) -> str:
    cells = [f"{d.horizontal:.2f}", f"{d.vertical:.2f}"] if d else ["", ""]
    cells.append(f"{p.kurtosis[0]:.0f}, {p.kurtosis[1]:.0f}" if p else "")
    cells.append(f"{d.spectrum:.1f} dB" if d else "")
    cells += [f"{value:.1f}" for value in p.psnr_summary.values()] if p else [""] * 4
    return f"| {name} | {' | '.join(cells)} |"


def _verdicts(found: Motion) -> list[str]:
    groups = found.groups
    shown = groups if len(groups) < 2 * FEW else []
    lines = [
        f"| told apart | AUC | {''.join(f'{group} | ' for group in shown)}patches |",
        f"| --- | --- | {'--- | ' * len(shown)}--- |",
    ]
    for v in found.verdicts:
        mean = "-" if math.isnan(v.auc) else f"{v.auc:.2f} ({v.interval[0]:.2f} to {v.interval[1]:.2f})"
        cells = [f"{v.by_group[group]:.2f}" if group in v.by_group else "-" for group in shown]
        lines.append(f"| {' | '.join([v.name, mean, *cells, f'{v.patches}'])} |")
    return lines


def _singles(found: Motion) -> list[str]:
    kinds = [kind for kind in found.portraits if kind != REAL]
    lines = [
        f"| one statistic of a patch | {' | '.join(f'AUC {kind} (matched)' for kind in kinds)} | "
        f"{' | '.join(f'median {kind}' for kind in (REAL, *kinds))} |",
        f"| --- | {'--- | ' * (2 * len(kinds) + 1)}".rstrip(),
    ]
    for s in found.singles:
        cells = [f"{s.auc[k]:.2f} ({s.matched[k]:.2f})" if k in s.matched else f"{s.auc[k]:.2f}" for k in kinds]
        cells += [f"{s.medians[kind]:.3g}" for kind in (REAL, *kinds)]
        lines.append(f"| {s.name}: {s.meaning} | {' | '.join(cells)} |")
    return lines


def write_json(folder: Path, found: Motion) -> Path:
    """Write FOLDER/motion.json, which is replaced: every number, settings, versions.

    Raises:
        OutputError: it cannot be written.
    """
    settings = found.settings
    values: dict[str, Any] = {
        "experiment": "motion",
        "settings": {
            **asdict(settings), "patch": PATCH, "batch": BATCH, "rate": RATE, "bin": BIN, "radii": RADII,
            "weights": sum(p.numel() for p in network(4).parameters()),
        },
        "frames": [{"picture": frame.name, "held_out_with": frame.group} for frame in found.frames],
        "photographs": found.windows[PHOTOGRAPHS].pictures,
        "portraits": {kind: _portrait(p) for kind, p in found.portraits.items()},
        "real_by_group": {group: _portrait(p) for group, p in found.by_group.items()},
        "distances": {kind: asdict(d) for kind, d in found.distances.items()},
        "real_scenes_apart": asdict(found.apart),
        "classifier": [_finite(asdict(verdict)) for verdict in found.verdicts],
        "statistics": [asdict(single) for single in found.singles],
        "seconds": round(found.seconds, 3),
    }  # fmt: skip
    return write_numbers(folder / FILE, values)


def _portrait(p: Portrait) -> dict[str, Any]:
    ratio = {
        name: [round(v, 3) for v in row.tolist()] for name, row in zip(("mean", "p10", "p90"), p.ratio, strict=True)
    }
    histograms = {
        name: [float(f"{v:.4g}") for v in row.tolist()]
        for name, row in zip(("horizontal", "vertical"), p.histograms, strict=True)
    }
    return {
        "psnr": p.psnr_summary,
        "kurtosis": p.kurtosis,
        "spectrum_ratio_db": ratio,
        "histograms": histograms,
        "psnr_of_windows": [round(v, 3) for v in p.psnr],
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Without NaN, which JSON has no word for: null."""
    if math.isnan(values["auc"]):
        return {**values, "auc": None, "interval": None}
    return values
