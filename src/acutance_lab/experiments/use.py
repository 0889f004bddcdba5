r"""What does the default command make of a user's pictures? Better, worse, or left as they were.

    gain = PSNR(restored, truth) - PSNR(input, truth),      each moved by its own best shift

A blurred picture became *better* from a gain of `BETTER` dB on, *worse* from `WORSE` dB down. A sharp one was *left
alone* where the result is at least `KEPT` dB from the input. The pictures are those of
`acutance_lab.experiments.use_cases`; each goes through a file, as a user's does.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from acutance.images import Image, read_image, write_atomically, write_image
from acutance.metrics import psnr
from acutance.restoration.restorer import BLIND, Restorer
from acutance.tensors import crop
from acutance_lab.bench.score import PERFECT, Scoring, aligned
from acutance_lab.experiments.alignment import REACH, best_shift
from acutance_lab.experiments.output import Report
from acutance_lab.experiments.use_cases import Case, cases, load
from acutance_lab.plots import Panel, Series

BETTER, WORSE, KEPT = 1.0, -0.3, 40.0

BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.01)
"""Classes of confidence."""

BORDER = 28
"""Pixels left out on every side."""


@dataclass(frozen=True)
class Settings:
    """Args: side: of a picture, pixels. seed: of all draws. portion: of 30 cases. kinds: names; none: all of them."""

    side: int = 512
    seed: int = 0
    portion: float = 1.0
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One picture.

    Args:
        kind, name: of the case. blurred: whether there was a blur to remove.
        before, after: aligned PSNR of the input and of the result against the truth, dB.
        kept: PSNR of the result against the input, dB. seconds: of the run.
        confidence: in [0, 1], None where the method tells none. remarks: what the user was told.
    """

    kind: str
    name: str
    blurred: bool
    before: float
    after: float
    kept: float
    seconds: float
    confidence: float | None
    remarks: tuple[str, ...]

    @property
    def gain(self) -> float:
        """In dB."""
        return self.after - self.before

    @property
    def verdict(self) -> str:
        """better, worse or same; of a sharp picture left or changed."""
        if not self.blurred:
            return "left" if self.kept >= KEPT else "changed"
        return "better" if self.gain >= BETTER else "worse" if self.gain <= WORSE else "same"


def run(
    data: Path,
    settings: Settings,
    restorer: Restorer,
    *,
    on_trial: Callable[[Trial, Case, Image, Tensor], None] | None = None,
) -> list[Trial]:
    """Restore every case by a restorer that needs no kernel.

    Args:
        on_trial: told every one as it comes, with the case, what was read from its file, and the result.

    Raises:
        DataError: no photograph that is large enough.
    """
    photographs = load(data, settings.side)
    trials = []
    for case in cases(
        photographs, side=settings.side, seed=settings.seed, portion=settings.portion, kinds=settings.kinds
    ):
        image = read(case)
        began = time.perf_counter()
        restored = restorer(image)
        seconds = time.perf_counter() - began
        result = restored.image.pixels.clamp(0, 1)
        trial = Trial(
            kind=case.kind,
            name=case.name,
            blurred=case.blurred,
            before=score(image.pixels, case.truth),
            after=score(result, case.truth),
            kept=min(PERFECT, float(psnr(result, image.pixels))),
            seconds=seconds,
            confidence=restored.result.confidences[0] if restored.result.confidences else None,
            remarks=restored.notes,
        )
        trials.append(trial)
        if on_trial is not None:
            on_trial(trial, case, image, result)
    return trials


def default() -> Restorer:
    """What restores a picture without a kernel where nobody asks for anything else."""
    return Restorer.load(BLIND)


def read(case: Case) -> Image:
    """What is read from the file of a case."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(case.file)
        return read_image(path)


def score(estimate: Tensor, truth: Tensor) -> float:
    """PSNR in dB of (1, 3, H, W), aligned to a quarter of a pixel, at most `PERFECT`."""
    row, col = best_shift(estimate, truth)
    moved = torch.roll(estimate, (-int(row), -int(col)), (-2, -1))
    edge = BORDER + REACH
    inner, target = (crop(x, edge - 4, edge - 4) for x in (moved, truth))
    found, true, _ = aligned(inner, target, Scoring(border=4, shift=1, fraction=4))
    return min(PERFECT, float(psnr(found, true)))


def report(trials: Sequence[Trial], settings: Settings) -> Report:
    """By kind, over all blurred ones, and by confidence."""
    groups = {kind: [t for t in trials if t.kind == kind] for kind in dict.fromkeys(t.kind for t in trials)}
    groups["all blurred"] = [t for t in trials if t.blurred]
    known = [(t, t.confidence) for t in trials if t.confidence is not None]
    classes = {
        f"{low:.1f} to {min(high, 1):.1f}": [t for t, confidence in known if low <= confidence < high]
        for low, high in pairwise(BINS)
    }
    head = ["kind", "better, or left alone", "worse, or changed", "same", "gain, dB", "seconds"]
    lines = [
        [
            kind, _count(own, "better", "left"), _count(own, "worse", "changed"), _count(own, "same"),
            f"{fmean(t.gain for t in own):.2f}", f"{fmean(t.seconds for t in own):.1f}",
        ]
        for kind, own in groups.items() if own
    ]  # fmt: skip
    sure = [
        [name, str(len(own)), _count(own, "better", "left"), f"{fmean(t.gain for t in own):.2f}"]
        for name, own in classes.items()
        if own
    ]
    tables = [(head, lines), (["confidence", "pictures", "better, or left alone", "gain, dB"], sure)]
    plots = {"calibration.png": _calibration([(t, c) for t, c in known if t.blurred])}
    note = "A sharp picture is left alone or changed; the others become better, become worse, or stay the same."
    return Report("use", tables, [note], {"settings": settings, "trials": list(trials)}, plots)


def _calibration(known: Sequence[tuple[Trial, float]]) -> list[Panel]:
    """Confidence against success of blurred pictures: the share that became better by class, and every gain."""
    classes = [[(t, c) for t, c in known if low <= c < high] for low, high in pairwise(BINS)]
    middles = [fmean(c for _, c in own) for own in classes if own]
    shares = [fmean(t.verdict == "better" for t, _ in own) for own in classes if own]
    words = {"xlabel": "confidence", "xlim": (0, 1)}
    ideal = Series((0, 1), (0, 1), "as it should be", {"linestyle": ":"})
    gains = Series([c for _, c in known], [t.gain for t, _ in known], style={"marker": "o", "linestyle": ""})
    return [
        Panel(
            [Series(middles, shares, "pictures of a class", {"marker": "o"}), ideal],
            {**words, "ylabel": f"share better by {BETTER:g} dB", "ylim": (0, 1)},
        ),
        Panel([gains], {**words, "ylabel": "gain, dB"}, level=0),
    ]


def _count(trials: Sequence[Trial], *verdicts: str) -> str:
    return str(sum(t.verdict in verdicts for t in trials))


def write_pictures(folder: Path, case: Case, image: Image, result: Tensor) -> None:
    """The file of a case, and input, result and truth beside each other."""
    stem = case.name.replace(" ", "-")
    write_atomically(folder / f"{stem}.jpg", case.file, overwrite=True)
    write_image(folder / f"{stem}.png", Image(torch.cat((image.pixels, result, case.truth), -1)), overwrite=True)
