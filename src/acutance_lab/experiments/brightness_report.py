"""The brightness experiment as tables and as a file of JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from acutance_lab.experiments.brightness import SHARP, TONES, Measured, safe_gain
from acutance_lab.experiments.output import write_numbers

FILE = "brightness.json"


NOTE = (
    "Gap: sharp less blurred, shift: restored less blurred, in grey levels of 1/255. Largest: of all pictures and "
    "colours; with the mean kept: of all pictures, in a file of 8 bits, mean of the colours."
)


def brightness_tables(found: Sequence[Measured]) -> str:
    """Markdown: brightness by source, by tone, PSNR by form of the output, the safe gain."""
    groups, gain = by_source(found), safe_gain(found)
    said = "none" if gain is None else f"{gain:g}"
    last = f"Gain with which the worse kind of synthetic pairs gains most: {said}."
    return "\n".join([*_means(groups), "", *_tones(groups), "", *_scores(groups), "", last, NOTE])


def _means(groups: dict[str, list[Measured]]) -> list[str]:
    head = ["source", "pictures", "gap R G B", "shift R G B", "largest", "largest, mean kept", "correlation"]
    head += ["clipping", "bfloat16"]
    lines = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    for source, group in groups.items():
        means = _rgb(group, lambda m: m.gap), _rgb(group, lambda m: m.shift)
        gap, shift = (" ".join(f"{v:+.2f}" for v in colours) for colours in means)
        largest = max(abs(v) for m in group for v in m.shift)
        kept = max(abs(sum(m.kept) / 3) for m in group)
        clipping, rounding = _mean(group, lambda m: m.clipping), _mean(group, lambda m: m.rounding)
        cells = [source, str(len(group)), gap, shift, f"{largest:.3f}", f"{kept:.3f}", _correlation(group)]
        lines.append(f"| {' | '.join([*cells, f'{clipping:+.3f}', f'{rounding:+.3f}'])} |")
    return lines


def _tones(groups: dict[str, list[Measured]]) -> list[str]:
    parts = [f"luma {i / TONES:.2f} to {(i + 1) / TONES:.2f}" for i in range(TONES)]
    lines = [f"| gap / shift | {' | '.join(parts)} |", f"| --- |{' ---: |' * TONES}"]
    return lines + [_tone_row(source, group) for source, group in groups.items()]


def _scores(groups: dict[str, list[Measured]]) -> list[str]:
    names = list(next(iter(groups.values()))[0].after)
    lines = [f"| PSNR gained, dB (harmed) | before | {' | '.join(names)} |", f"| --- |{' ---: |' * (1 + len(names))}"]
    for source, group in groups.items():
        cells = [f"{_mean(group, lambda m: m.before):.2f}", *(_gained(group, name) for name in names)]
        lines.append(f"| {source} | {' | '.join(cells)} |")
    return lines


def by_source(found: Sequence[Measured]) -> dict[str, list[Measured]]:
    """The pictures of each source, in the order in which they came."""
    groups: dict[str, list[Measured]] = {}
    for m in found:
        groups.setdefault(m.source, []).append(m)
    return groups


def write_json(folder: Path, found: Sequence[Measured], weights: str | None) -> Path:
    """Write FOLDER/brightness.json, which is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    values = {
        "experiment": "brightness",
        "weights": weights,
        "safe_gain": safe_gain(found),
        "pictures": [asdict(m) for m in found],
    }
    return write_numbers(folder / FILE, values)


def _mean(group: Sequence[Measured], value: Callable[[Measured], float]) -> float:
    return sum(value(m) for m in group) / len(group)


def _rgb(group: Sequence[Measured], which: Callable[[Measured], tuple[float, float, float]]) -> list[float]:
    return [sum(values) / len(group) for values in zip(*map(which, group), strict=True)]


def _correlation(group: Sequence[Measured]) -> str:
    """Of gap and shift over the pictures."""
    pairs = torch.tensor([[sum(m.gap) / 3, sum(m.shift) / 3] for m in group], dtype=torch.float64)
    if len(group) < 3 or bool((pairs.std(0) < 1e-6).any()):
        return "-"
    return f"{float(torch.corrcoef(pairs.T)[0, 1]):.2f}"


def _tone_row(source: str, group: Sequence[Measured]) -> str:
    cells = []
    for i in range(TONES):
        share = sum(m.tones[i][0] for m in group)
        gap, shift = (sum(m.tones[i][0] * m.tones[i][k] for m in group) / max(share, 1e-9) for k in (1, 2))
        cells.append(f"{gap:+.2f} / {shift:+.2f}" if share else "-")
    return f"| {source} | {' | '.join(cells)} |"


def _gained(group: Sequence[Measured], name: str) -> str:
    """Of sharp pictures what is left, since all that is done to them is harm."""
    if group[0].source == SHARP:
        return f"{_mean(group, lambda m: m.after[name]):.2f} left"
    harmed = sum(m.after[name] < m.before for m in group)
    return f"{_mean(group, lambda m: m.after[name] - m.before):+.2f} ({harmed})"
