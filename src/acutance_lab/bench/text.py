"""Text and graphics: pages and screens that are rendered here, behind camera shake of 9 to 41 pixels."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from acutance.errors import MissingExtra
from acutance_lab.bench.case import Case, Content, Noise, Suite
from acutance_lab.bench.synthetic import synthetic_content
from acutance_lab.synth import kernels
from acutance_lab.synth.fonts import font_files
from acutance_lab.synth.graphics import page

SEED = 20_261_129
"""Seed of pages and kernels; training has small seeds, so it never sees these."""

SIZE = (320, 480)
"""Height and width of what is observed, pixels."""

KINDS = ("editor", "article", "screen", "table", "plots", "article", "editor", "screen", "signs", "codes")
"""The ten pages; every other one is dark."""

SPANS = (41, 9, 17, 25, 33)
"""Sides of the kernels, in turn."""


def cases(_: Path, noise: Noise) -> list[Case]:
    """Ten cases.

    Raises:
        MissingExtra: matplotlib is not installed, whose fonts are used.
    """
    if not font_files(packaged=True):
        raise MissingExtra("the suite text", "lab")
    names = [f"{kind}-{'light' if i % 2 else 'dark'}-{i + 1}" for i, kind in enumerate(KINDS)]
    return [
        Case("text", name, str(SPANS[i % len(SPANS)]), noise, partial(content, i, noise or 0.0))
        for i, name in enumerate(names)
    ]


def content(i: int, noise: float) -> Content:
    """Page i blurred with its kernel."""
    span = SPANS[i % len(SPANS)]
    size = SIZE[0] + span - 1, SIZE[1] + span - 1
    drawn = page(SEED, i, size=size, kind=KINDS[i], packaged=True, dark=i % 2 == 0)
    sharp = torch.from_numpy(drawn.copy()).permute(2, 0, 1)[None].double() / 255
    return synthetic_content("text", f"{KINDS[i]}-{i + 1}", str(span), noise, sharp, kernel(span))


def kernel(span: int) -> Tensor:
    """Camera shake that fills a square of that side: (1, 1, span, span), the same for every page.

    Of 64 drawn it is the one with the largest extent, rows and columns together.
    """
    drawn = kernels.spline(64, span, torch.Generator().manual_seed(SEED + span), size=span)
    seen = drawn[:, 0] > 1e-4
    extent = seen.any(1).sum(1) + seen.any(2).sum(1)
    return drawn[extent.argmax()][None]


TEXT = Suite(
    name="text",
    summary="10 rendered pages and screens, camera shake of 9 to 41 pixels",
    protocol=(
        "Pages, screens, tables, plots and signs in colour, half of them dark, rendered with the fonts of matplotlib "
        "and not used in training; camera shake of 9, 17, 25, 33 and 41 pixels in turn, valid convolution of the "
        "encoded values, Gaussian noise, 8 bits; whole picture, not aligned. Other versions of Pillow may draw letters "
        "a little differently."
    ),
    noises=(0.01, 0.03, 0.05),
    make=cases,
    size=10,
)
