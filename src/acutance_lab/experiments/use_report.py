"""The table, the JSON file and the pictures of `acutance-lab experiment use`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from acutance.images import Image, write_atomically, write_image
from acutance_lab.experiments.output import write_numbers
from acutance_lab.experiments.use import Settings, Trial, counts
from acutance_lab.experiments.use_cases import Case

BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.01)
"""Classes of confidence."""


def table(trials: Sequence[Trial]) -> str:
    """By kind, over all blurred ones, and by confidence."""
    lines = [f"{'kind':14} {'better':>7} {'worse':>6} {'same':>5} {'gain dB':>8} {'s':>6}"]
    for kind, tally, gain, seconds in counts(trials):
        numbers = [tally.get("better", 0) + tally.get("left", 0), tally.get("worse", 0) + tally.get("changed", 0)]
        lines.append(
            f"{kind:14} {numbers[0]:7} {numbers[1]:6} {tally.get('same', 0):5} {gain:8.2f} {seconds:6.1f}"
            + ("   (left alone / changed)" if kind == "sharp" else "")
        )
    blurred = [t for t in trials if t.blurred]
    if blurred:
        verdicts = [t.verdict for t in blurred]
        total = [verdicts.count(v) for v in ("better", "worse", "same")]
        gain, seconds = (sum(v) / len(blurred) for v in zip(*((t.gain, t.seconds) for t in blurred), strict=True))
        lines.append(f"{'all blurred':14} {total[0]:7} {total[1]:6} {total[2]:5} {gain:8.2f} {seconds:6.1f}")
    told = [t for t in trials if t.confidence is not None]
    if told:
        lines += ["", f"{'confidence':14} {'pictures':>8} {'better or left':>15} {'gain dB':>8}"]
        for low, high in pairwise(BINS):
            own = [t for t in told if low <= (t.confidence or 0.0) < high]
            if own:
                good = sum(t.verdict in ("better", "left") for t in own)
                mean = sum(t.gain for t in own) / len(own)
                lines.append(f"{low:.1f} to {min(high, 1):.1f}     {len(own):8} {good:15} {mean:8.2f}")
    return "\n".join(lines)


def write_json(folder: Path, trials: Sequence[Trial], settings: Settings) -> Path:
    """All trials, in use.json."""
    return write_numbers(folder / "use.json", {"settings": asdict(settings), "trials": [asdict(t) for t in trials]})


def write_pictures(folder: Path, case: Case, image: Image, result: Tensor) -> None:
    """The file of a case, and input, result and truth beside each other."""
    stem = case.name.replace(" ", "-")
    write_atomically(folder / f"{stem}.jpg", case.file, overwrite=True)
    write_image(folder / f"{stem}.png", Image(torch.cat((image.pixels, result, case.truth), -1)), overwrite=True)
