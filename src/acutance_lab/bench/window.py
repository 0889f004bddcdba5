r"""What not knowing the scene beyond the frame costs: the same pixels restored with and without what lies around them.

A case's picture is cut to a window, `MARGIN` pixels smaller on every side. A method restores the window alone, and the
whole picture, of which the window is scored. In the outer 20 pixels of the window (`Row.psnr_border`) the first met an
unknown border and the second did not; the difference of their PSNR there is the price of the border, whatever the
picture shows (some pictures have their detail at the edge: a border that is worse than the middle tells little).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from acutance.errors import ConfigError
from acutance.tensors import crop
from acutance_lab.bench.case import Case, Content, Noise, Suite
from acutance_lab.bench.score import OUTER, WHOLE, Scoring

MARGIN = 64
"""Pixels around the window: more than a kernel reaches, so that the whole picture's border is far away."""

AROUND = "around"
"""What is varied: pixels known around the window, 0 or `MARGIN`."""


def window_suite(suite: Suite) -> Suite:
    """Windows of a suite's pictures, alone and within them; the suite has whole pictures, scored without alignment."""

    def make(folder: Path, noise: Noise) -> list[Case]:
        return [
            replace(case, load=partial(window, case, around), varied=AROUND, value=float(around), shown=False)
            for case in suite.cases(folder, noise)
            for around in (0, MARGIN)
        ]

    return replace(suite, make=make, size=None, ssim=False, shown=0)


def window(case: Case, around: int) -> Content:
    """A case's window with so many known pixels around it, which are not scored.

    Raises:
        ConfigError: a picture too small for a window, or scored otherwise.
    """
    content = case.load()
    if content.truth is None or content.scoring != WHOLE:
        raise ConfigError(f"{case.suite}: a window needs a truth that is scored without alignment")
    if min(content.truth.shape[-2:]) < 2 * (MARGIN + OUTER) + 1:
        raise ConfigError(f"{case.picture}: {tuple(content.truth.shape[-2:])} pixels are too few for a window")
    off = MARGIN - around
    truth, observed = crop(content.truth, off, off), crop(content.observed, off, off)
    return replace(content, observed=observed, truth=truth, scoring=Scoring(border=around), radius=None)
