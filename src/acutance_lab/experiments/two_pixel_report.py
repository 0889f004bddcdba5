"""The two-pixel experiment beside the paper's figures (4, 10 to 14): a table, priors and steps along u1 = u2, seeds.

Of each kind of network the one with the lowest training loss is drawn. What (b) learned is integrated, and
0 at the centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median, stdev
from typing import Any

import torch

from acutance_lab.experiments.output import Panel, Report, Series
from acutance_lab.experiments.two_pixel import BATCH, FRESH, LEARNED_ACCURACY, LEARNED_ERROR, RATE, SAMPLES, TwoPixel
from acutance_lab.experiments.two_pixel_priors import (
    MIRROR,
    STAYS,
    TARGETS,
    descent,
    integrate,
    log_odds_of_blur,
    optimal_prior,
    probability_of_blur,
)
from acutance_lab.plots import COLOURS, INK, SOFT

GRID = 81
"""Points along a side of the square, odd, so that the centre is one."""

FLOOR = 1e-9
"""Errors are drawn from here on, as 0 has no place on a logarithmic axis."""

ACCURACY, DISCRIMINATIVE, GRADIENT = 0.99, 0.4849, 2e-3
"""Of the paper (appendix, luo2019golf): the classifier's accuracy, its MSE as a prior, and that of the gradient."""

PUBLISHED: dict[str, str] = {
    "(a) probability of blur": f"{DISCRIMINATIVE:g}",
    "(a) log-odds of blur": f"{DISCRIMINATIVE:g}, or this",
    "(b) gradient, mirror image everywhere": f"{GRADIENT:g}",
    "(c) optimum (u1+u2)²/2": "0 (derived)",
}
"""By the name of the prior; the paper gives one number for (a) without saying which output it means."""


def report(found: TwoPixel) -> Report:
    """The MSE of every prior by target, over all seeds and over those where training succeeded."""
    count, lines = len(found.seeds), []
    for score in found.scores:
        good = sum(score.learned)
        rows = [("all" if count > 1 else f"{found.seeds[0]}", [True] * count)]
        if 0 < good < count:
            rows.append((f"{good} that learned", list(score.learned)))
        for n, (which, taken) in enumerate(rows):
            cells = [spread(_only(score.errors[target], taken)) for target in TARGETS]
            first, last = (score.name, PUBLISHED.get(score.name, "")) if n == 0 else ("", "")
            lines.append([first, which, *cells, last])
    head = [
        "prior",
        "seeds",
        "mirror image everywhere",
        "sharp pictures stay",
        "blurred pictures alone",
        "as published",
    ]
    numbers: dict[str, Any] = {
        "settings": {
            "samples": SAMPLES, "batch": BATCH, "rate": RATE, "fresh": FRESH, "weights": found.classifier.size,
            "learned_accuracy": LEARNED_ACCURACY, "learned_error": LEARNED_ERROR,
        },
        "published": {"accuracy": ACCURACY, "discriminative_mse": DISCRIMINATIVE, "gradient_mse": GRADIENT},
        "training_loss": dict(zip(("classifier", "mirror", "stays"), found.losses.tolist(), strict=True)),
        "outcome": found,
    }  # fmt: skip
    plots = {"slice.png": _slices(found), "seeds.png": [_seeds(found)]}
    return Report("two-pixel", [(head, lines)], _describe(found), numbers, plots)


def _describe(found: TwoPixel) -> list[str]:
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


def _slices(found: TwoPixel) -> list[Panel]:
    """The priors and the steps of a pixel along u1 = u2; the log-odds, which have no scale, end where (c) does."""
    a, b = found.best(0), found.best(1)
    classifier, gradient = found.classifier[slice(a, a + 1)], found.mirror[slice(b, b + 1)]
    axis = torch.linspace(-1, 1, GRID)
    diagonal = torch.stack((axis, axis), -1)[None]
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(1, -1, 2)
    probability, log_odds = probability_of_blur(classifier), log_odds_of_blur(classifier)
    with torch.no_grad():
        odds, best = log_odds(diagonal)[0], optimal_prior(diagonal)[0]
        learned = integrate(-gradient(grid).view(GRID, GRID, 2)).diagonal()
        heights = (probability(diagonal)[0], (odds - odds[GRID // 2]) * best[0] / (odds[0] - odds[GRID // 2]), learned)
        step_of_b = gradient(diagonal)
    steps = (descent(probability, diagonal), descent(log_odds, diagonal), step_of_b, descent(optimal_prior, diagonal))
    titles = (
        f"(a) probability of blur, seed {found.seeds[a]}", "(a) log-odds of blur, scaled",
        f"(b) learned gradient, integrated, seed {found.seeds[b]}", "(c) optimum (u1 + u2)² / 2",
    )  # fmt: skip
    looks = [{"color": colour} for colour in (COLOURS[1], COLOURS[3], COLOURS[0], COLOURS[4])]
    t = axis.tolist()
    place = {"xlabel": "t, of u = (t, t); blurred below 0", "xlim": (-1, 1)}
    values = [*heights, best]
    up = [Series(t, v.tolist(), title, look) for v, title, look in zip(values, titles, looks, strict=True)]
    down = [Series(t, v[0].mean(-1).tolist(), "", look) for v, look in zip(steps, looks, strict=True)]
    return [
        Panel(up, {**place, "ylabel": "p(u)", "ylim": (-2.3, 2.4)}, place=0.0),
        Panel(down, {**place, "ylabel": "-∂p/∂u1; needed: -2t", "ylim": (-2.3, 4.4)}, place=0.0),
    ]


def _seeds(found: TwoPixel) -> Panel:
    """The MSE of every seed on a logarithmic axis, with the paper's; against what stays in the last row."""
    published = (DISCRIMINATIVE, DISCRIMINATIVE, None, GRADIENT, None)
    points: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
    for row, score in enumerate(found.scores[:5]):
        errors = score.errors[STAYS if row == 4 else MIRROR]
        for value, good in zip(errors, score.learned, strict=True):
            points[good].append((max(value, FLOOR), row))
    theirs = [(value, row) for row, value in enumerate(published) if value is not None]
    kinds = (("a seed", points[True], "o", COLOURS[0]), ("a seed that did not learn", points[False], "x", SOFT),
             ("as published", theirs, "D", INK))  # fmt: skip
    series = [
        Series([x for x, _ in each], [y for _, y in each], label, {"color": c, "marker": m, "linestyle": "none"})
        for label, each, m, c in kinds
    ]
    nothing = found.scores[-1].errors[MIRROR]
    names = [score.name for score in found.scores[:5]]
    options = {"xscale": "log", "xlabel": "MSE; dashed: nothing done", "yticks": range(5), "yticklabels": names}
    return Panel(series, options, place=sum(nothing) / len(nothing))


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation to the digits that mean something; of one value, itself; of none, a dash.

    Example:
        >>> spread([0.5, 0.7]), spread([2e-5]), spread([])
        ('0.6 ± 0.14', '2e-05', '-')
    """
    if not values:
        return "-"
    return f"{_number(fmean(values), 3)} ± {_number(stdev(values), 2)}" if len(values) > 1 else _number(values[0], 3)


def _only(values: Sequence[float], taken: Sequence[bool]) -> list[float]:
    return [v for v, yes in zip(values, taken, strict=True) if yes]


def _number(value: float, digits: int) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"
