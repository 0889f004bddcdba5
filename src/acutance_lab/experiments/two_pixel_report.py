"""The two-pixel experiment as a table beside the paper's figures, and as a file of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from acutance_lab.experiments.output import write_numbers
from acutance_lab.experiments.two_pixel import BATCH, FRESH, LEARNED_ACCURACY, LEARNED_ERROR, RATE, SAMPLES, TwoPixel
from acutance_lab.experiments.two_pixel_priors import TARGETS

FILE = "two-pixel.json"

ACCURACY, DISCRIMINATIVE, GRADIENT = 0.99, 0.4849, 2e-3
"""Of the paper (appendix, luo2019golf): the classifier's accuracy, its MSE as a prior, and that of the gradient."""

PUBLISHED: dict[str, str] = {
    "(a) probability of blur": f"{DISCRIMINATIVE:g}",
    "(a) log-odds of blur": f"{DISCRIMINATIVE:g}, or this",
    "(b) gradient, mirror image everywhere": f"{GRADIENT:g}",
    "(c) optimum (u1+u2)²/2": "0 (derived)",
}
"""By the name of the prior; the paper gives one number for (a) without saying which output it means."""


def two_pixel_table(found: TwoPixel) -> str:
    """Markdown: the MSE of every prior by target, over all seeds and over those where training succeeded."""
    count = len(found.seeds)
    lines = [
        "| prior | seeds | mirror image everywhere | sharp pictures stay | blurred pictures alone | as published |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for score in found.scores:
        good = sum(score.learned)
        rows = [("all" if count > 1 else f"{found.seeds[0]}", [True] * count)]
        if 0 < good < count:
            rows.append((f"{good} that learned", list(score.learned)))
        for n, (which, taken) in enumerate(rows):
            cells = [spread(_only(score.errors[target], taken)) for target in TARGETS]
            published = PUBLISHED.get(score.name, "") if n == 0 else ""
            lines.append(f"| {score.name if n == 0 else ''} | {which} | {' | '.join(cells)} | {published} |")
    return "\n".join([*lines, "", *describe(found)])


def describe(found: TwoPixel) -> list[str]:
    """What the table leaves out, in sentences, one a line."""
    probability, log_odds, best = found.scores[:3]
    mirror = found.scores[3]
    good = probability.learned
    seeds = f"seeds {found.seeds[0]} to {found.seeds[-1]}" if len(found.seeds) > 1 else f"seed {found.seeds[0]}"
    plus_minus = ", mean ± standard deviation over seeds" if len(found.seeds) > 1 else ""
    accurate = f", with {spread([100 * v for v in _only(found.accuracy, good)])} %" if any(good) else ""
    idle = spread([100 * v for v in _only(probability.idle, good)])
    said = [
        f"MSE ||t - (u - grad p)||², a sum over the two pixels, on {FRESH:,} fresh pictures{plus_minus}. Of {seeds}, "
        f"{found.iterations:,} iterations, {found.classifier.size} weights, {found.seconds:.1f} s.",
        f"Accuracy of the classifier: {spread([100 * v for v in found.accuracy])} %, "
        f"median {100 * median(found.accuracy):.1f} % ({100 * ACCURACY:.0f} % as published); "
        f"{sum(good)} of {len(good)} learned{accurate}.",
        f"The median of (b) is {median(mirror.errors['mirror']):.2g} ({GRADIENT:g} as published); "
        f"{sum(mirror.learned)} of {len(mirror.learned)} learned.",
    ]
    if any(good):
        halves = [v / 2 for v in _only(best.errors["blurred"], log_odds.learned)]
        said += [
            f"Where (a) learned, its probability gives {idle} % of the blurred pictures less than 1 % of their step.",
            f"{DISCRIMINATIVE:g} for (a) is not met by a step of size 1, which overshoots at the line. Blurred pictures"
            f" alone, mean over the pixels, best step size for the test set: the log-odds reach {spread(halves)}.",
        ]
    return said


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation to the digits that mean something; of one value, itself; of none, a dash.

    Example:
        >>> spread([0.5, 0.7]), spread([2e-5]), spread([])
        ('0.6 ± 0.14', '2e-05', '-')
    """
    if not values:
        return "-"
    return f"{_number(fmean(values), 3)} ± {_number(stdev(values), 2)}" if len(values) > 1 else _number(values[0], 3)


def write_json(folder: Path, found: TwoPixel) -> Path:
    """Write FOLDER/two-pixel.json, which is replaced: every number of every seed, settings, versions.

    Raises:
        OutputError: it cannot be written.
    """
    values: dict[str, Any] = {
        "experiment": "two-pixel",
        "reference": "luo2019golf",
        "seeds": found.seeds,
        "settings": {
            "samples": SAMPLES, "batch": BATCH, "iterations": found.iterations, "rate": RATE, "fresh": FRESH,
            "weights": found.classifier.size, "learned_accuracy": LEARNED_ACCURACY, "learned_error": LEARNED_ERROR,
        },
        "published": {"accuracy": ACCURACY, "discriminative_mse": DISCRIMINATIVE, "gradient_mse": GRADIENT},
        "accuracy": found.accuracy,
        "training_loss": dict(zip(("classifier", "mirror", "stays"), found.losses.tolist(), strict=True)),
        "scores": [asdict(score) for score in found.scores],
        "seconds": round(found.seconds, 3),
    }  # fmt: skip
    return write_numbers(folder / FILE, values)


def _only(values: Sequence[float], taken: Sequence[bool]) -> list[float]:
    return [v for v, yes in zip(values, taken, strict=True) if yes]


def _number(value: float, digits: int) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"
