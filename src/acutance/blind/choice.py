"""The kernel of a picture: hypotheses are made, cheap ones first, and a judge chooses.

1. An estimator with many sizes, the best of them in two windows (`acutance.blind.search`).
2. The disc, the Gaussian and the line that are most like the best of these (`acutance.blind.shapes`), and the lens that
   explains the spectrum best (`acutance.blind.spectrum`).
3. Other estimators, where all of these are expected to gain little.
4. Of linear light: the best of all applied to encoded values, and its size estimated there once more.

The judge expects a gain in dB of each (`acutance.blind.critic`). Where the best gains too little, no blur is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from acutance.blind.base import Estimate, Unknowable, estimate
from acutance.blind.critic import Panel
from acutance.blind.hypothesis import Hypothesis, Look, MakeEstimator, checked
from acutance.blind.judge import LOW, Verdict, judge
from acutance.blind.pan_text import PanText
from acutance.blind.scoring import doubt
from acutance.blind.search import WINDOW, SizeSearch, from_window, quick
from acutance.blind.shapes import Shape, nearest
from acutance.blind.spectrum import focus, slope
from acutance.blind.xu_l0 import XuL0
from acutance.errors import ConfigError

RISING = 4.0
"""Factor between the power of low and of high frequencies below which a picture is nothing but noise."""

TELLING = 64
"""Side of pictures that are large enough for their spectrum to tell whether they are noise, pixels."""

LIKE = 2
"""Number of the best kernels that are compared with shapes."""

SURE = 1.5
"""Expected gain, dB, below which other estimators are tried."""

VARIED: tuple[MakeEstimator, ...] = (
    lambda size: XuL0(size=size, strength=2e-2, inner=True, faint=0.05, growth=3.0, last=1e4, fine_iterations=4),
    lambda size: XuL0(
        size=size, inner=True, iterations=10, fine_iterations=6, relaxed=1.05, faint=0.05, growth=3.0, last=1e4
    ),
    lambda size: PanText(size=size, faint=0.05),
)
"""Other estimators: stronger at first, more patient, and with a prior on intensity. Two held-out photographs behind
shakes of 9 pixels gained 0.2 and 1.3 dB more with the best of such estimators than with the quick one."""

HARD_SIZES = (21, 45)
"""Sizes that the last estimator is given where all gain little, pixels."""

TRY_ENCODED = 0.25
"""Expected gain, dB, from which a kernel that was found in linear light is judged in encoded values as well."""

ENCODED_LEAD = 0.2
"""Expected gain by which encoded values must be ahead of linear light, dB."""


@torch.no_grad()
def choose(
    look: Look, estimator: MakeEstimator | None = None, size: int | None = None,
    *, on_size: Callable[[int], None] | None = None,
) -> Estimate:  # fmt: skip
    """The kernel of a grey picture.

    Args:
        look: the picture. estimator: of a kernel of that many pixels; None: that of the search.
        size: side of the kernel, so that nothing is left to choose; None: hypotheses and the judge.
        on_size: told each size before it is tried.

    Raises:
        Unknowable: no kernel can be told from this picture.
    """
    checked(look)
    make = estimator or quick
    if size is not None:
        if on_size is not None:
            on_size(size)
        window, mask = look.window(max(WINDOW, 4 * size))
        kernel = estimate(window, make(size), mask)
        return Estimate(kernel, size, {}, linear=look.linear, doubt=doubt(window, kernel))
    window, _ = look.window(WINDOW)
    if min(window.shape[-2:]) >= TELLING and slope(window) < RISING:
        raise Unknowable("nothing but noise is in the picture")
    panel = Panel.of(look)
    verdicts = list[Verdict]()

    def expected(hypothesis: Hypothesis) -> float:
        return next(v.gain for v in verdicts if v.hypothesis is hypothesis)

    for hypothesis in SizeSearch(make, expected, on_size)(look):
        verdicts.append(judge(panel, hypothesis))
    verdicts += [judge(panel, h) for h in shapes(look, verdicts)]
    best = max(verdicts, key=lambda v: v.gain)
    if estimator is None and best.gain < SURE:
        verdicts += [judge(panel, h) for h in varied(look, best)]
        best = max(verdicts, key=lambda v: v.gain)
    if look.linear and best.gain > TRY_ENCODED:
        best = max([best, *in_encoded(look, best.hypothesis, make)], key=lambda v: v.gain)
    return _concluded(best, verdicts)


def varied(look: Look, best: Verdict) -> Iterator[Hypothesis]:
    """The size of the best by other estimators; where the best gains nothing, also other sizes."""
    size = best.hypothesis.size
    wanted = [(make, size) for make in VARIED]
    if best.gain < LOW:
        wanted += [(VARIED[-1], s) for s in HARD_SIZES if s != size]
    for make, side in wanted:
        try:
            yield from_window(look, make(side), side)
        except (Unknowable, ConfigError):
            continue


def in_encoded(look: Look, best: Hypothesis, make: MakeEstimator) -> Iterator[Verdict]:
    """Verdicts on the best kernel of linear light, and on one that is estimated anew, in encoded values."""
    encoded = look.encoded()
    panel = Panel.of(encoded)
    yield _behind(judge(panel, replace(best, linear=False)))
    try:
        yield _behind(judge(panel, from_window(encoded, make(best.size), best.size)))
    except (Unknowable, ConfigError):
        return


def _behind(verdict: Verdict) -> Verdict:
    """The same, less what encoded values have to be ahead."""
    return replace(verdict, gain=verdict.gain - ENCODED_LEAD)


def shapes(look: Look, verdicts: Sequence[Verdict]) -> Iterator[Hypothesis]:
    """Discs, Gaussians and lines that the best kernels or the spectrum suggest."""
    ranked = sorted(verdicts, key=lambda v: -v.gain)[:LIKE]
    for verdict in ranked:
        for shape in nearest(verdict.hypothesis.kernel):
            yield Hypothesis(shape.kernel, look.linear, shape.kernel.shape[-1], shape)
    window, _ = look.window(WINDOW)
    if min(window.shape[-2:]) >= TELLING:
        lens = focus(look.encoded().window(WINDOW)[0])
        kernel = lens.kernel.to(window)
        if 2 * kernel.shape[-1] < min(window.shape[-2:]):
            yield Hypothesis(kernel, look.linear, kernel.shape[-1], Shape(kernel, lens.kind, lens.size, 0.0, 1.0))


def _concluded(best: Verdict, verdicts: Sequence[Verdict]) -> Estimate:
    """The estimate that the best verdict stands for; without a blur where the judge expects too little."""
    scores = {v.hypothesis.size: v.gain for v in verdicts if v.hypothesis.shape is None}
    h = best.hypothesis
    return Estimate(
        h.kernel, h.size, scores, blurred=best.share > 0, shape=h.shape, linear=h.linear,
        confidence=best.confidence, gain=best.gain, share=best.share,
    )  # fmt: skip
