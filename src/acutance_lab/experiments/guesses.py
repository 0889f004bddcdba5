r"""What does a guess of the blur that is off by a third do to a picture, taken as it is and refined?

    gain = PSNR(restored, truth) - PSNR(input, truth),      each moved by its own best shift

Pictures are made as those of `acutance_lab.experiments.use_cases`, behind a known disc, Gaussian or line. Each guess is
too small and too large by `OFF`, that of a line also turned by `TURNED`. `acutance.blind.guess` refines it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import fmean

from acutance.blind.guess import Guess, fitted
from acutance.images import Image
from acutance.restoration.restorer import DEFAULT, Restorer
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments.output import Report
from acutance_lab.experiments.use import read, score
from acutance_lab.experiments.use_cases import Case, Kind, load, make
from acutance_lab.synth.camera import Draw
from acutance_lab.synth.files import seeded

TRUE = (Guess("disc", 2.5), Guess("disc", 5.0), Guess("gaussian", 1.5), Guess("gaussian", 2.2),
        Guess("line", 11.0, 30.0), Guess("line", 21.0, 110.0))  # fmt: skip
"""The blurs."""

OFF, TURNED = 1.3, 15.0
"""Factor of the size, and degrees."""


@dataclass(frozen=True)
class Settings:
    """Args: side: of a picture, pixels. seed: of all draws. method: that restores with the kernel."""

    side: int = 512
    seed: int = 0
    method: str = DEFAULT


@dataclass(frozen=True)
class Trial:
    """One guess of one picture.

    Args:
        true, guess, refined: in words. blurred: PSNR of the picture, dB.
        as_given, after, with_true: gains with the guess, the refined guess and the true kernel, dB.
        remark: what the user is told; empty: nothing.
    """

    true: str
    guess: str
    refined: str
    blurred: float
    as_given: float
    after: float
    with_true: float
    remark: str


def run(data: Path, settings: Settings, on_trial: Callable[[Trial], None] | None = None) -> list[Trial]:
    """Restore every picture with every guess.

    Raises:
        DataError: no photograph that is large enough. UnknownMethod: see there.
    """
    restorer = Restorer.load(settings.method)
    photographs = load(data, settings.side)
    trials = []
    for number, true in enumerate(TRUE):
        case = behind(true, photographs.only(number % len(photographs.names)), settings)
        image = read(case)
        before = score(image.pixels, case.truth)

        def gain(guess: Guess, image: Image = image, case: Case = case, before: float = before) -> float:
            return score(restorer(image, guess.kernel).image.pixels.clamp(0, 1), case.truth) - before

        best = gain(true)
        for factor, turn in ((1 / OFF, -TURNED), (OFF, TURNED)):
            turn = turn if true.kind == "line" else 0.0
            guess = replace(true, size=true.size * factor, angle=true.angle + turn)
            found, remark = fitted(image, guess)
            given = gain(guess)
            after = given if found == guess else gain(found)
            trial = Trial(_words(true), _words(guess), _words(found), before, given, after, best, remark or "")
            trials.append(trial)
            if on_trial is not None:
                on_trial(trial)
    return trials


def behind(true: Guess, photograph: Photographs, settings: Settings) -> Case:
    """A picture behind the kernel, which was not resized afterwards."""
    kind = Kind(lambda _: true.kernel)
    for number in count():
        draw = Draw(1, seeded(f"{settings.seed}/{_words(true)}/{number}"))
        case = make(true.kind, kind, photograph, number, settings.side, draw, settings.seed)
        if case.kernel is not None and case.kernel.shape == true.kernel.shape:
            return case
    raise AssertionError("unreachable: one picture in five is resized")


def _words(guess: Guess) -> str:
    return f"{guess.kind} {guess}"


def report(trials: Sequence[Trial], settings: Settings) -> Report:
    """Every guess, and the means."""
    head = ["true", "guess", "refined", "blurred, dB", "gain as given", "gain refined", "gain with the true kernel"]
    lines = [
        [t.true, t.guess, t.refined, f"{t.blurred:.2f}", f"{t.as_given:+.2f}", f"{t.after:+.2f}", f"{t.with_true:+.2f}"]
        for t in trials
    ]
    means = [fmean(values) for values in zip(*((t.as_given, t.after, t.with_true) for t in trials), strict=True)]
    lines.append(["mean", "", "", "", *(f"{value:+.2f}" for value in means)])
    note = f"Gains in dB. The guess is taken as given with --exact; method {settings.method}."
    return Report("guesses", [(head, lines)], [note], {"settings": settings, "trials": list(trials)})
