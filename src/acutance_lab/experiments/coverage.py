"""How many errors lie within the intervals that `Restoration.uncertainty` promises, by kind of picture.

Pictures of each kind are blurred by drawn kernels, get white noise, and are restored with the true kernel and level.
Nothing is fitted here: the intervals are those of the product, whose coefficients are from photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, fmean

import numpy as np
import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.operators import Blur
from acutance.restoration.restorer import Restorer
from acutance_lab.bench.tables import listed
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments.output import Report
from acutance_lab.experiments.trust import NOMINAL
from acutance_lab.plots import COLOURS, SOFT, Panel, Series
from acutance_lab.synth.cells import cells
from acutance_lab.synth.graphics import page
from acutance_lab.synth.kernels import mixture
from acutance_lab.synth.stars import stars

PHOTOGRAPHS = "photographs"
SIZE = 256
"""Side of a rendered picture, of which a crop is taken from the middle, pixels."""


@dataclass(frozen=True)
class Settings:
    """Of the experiment.

    Args:
        kinds: of `DRAWN`, or photographs. method: that restores. count: crops of each kind at each level. side: of a
            crop, pixels. span: of the kernels. levels: of the noise, fractions of the range. seed: of all draws.
    """

    kinds: tuple[str, ...] = ("cells", "stars", "pages")
    method: str = "acute"
    count: int = 12
    side: int = 96
    span: int = 21
    levels: tuple[float, ...] = (0.003, 0.01, 0.03)
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in (PHOTOGRAPHS, *DRAWN)]
        if unknown or not self.kinds:
            raise ConfigError(f"kinds={','.join(self.kinds)}: give some of {', '.join((PHOTOGRAPHS, *DRAWN))}")
        if not 64 <= self.side <= SIZE - self.span or self.count < 1:
            raise ConfigError(
                f"side={self.side}, count={self.count}: give 64 to {SIZE - self.span} pixels, and at least one crop"
            )


@dataclass(frozen=True)
class Covered:
    """One crop. Args: kind, level: see `Settings`. shares: of errors within the intervals of `NOMINAL`."""

    kind: str
    level: float
    shares: tuple[float, ...]


def _page(seed: int, number: int) -> Tensor:
    grey = page(seed, number, size=(SIZE, SIZE), packaged=True).astype(np.float32).mean(2) / 255
    return torch.from_numpy(grey)


DRAWN: dict[str, Callable[[int, int], Tensor]] = {
    "cells": lambda seed, number: cells(seed, number, size=SIZE),
    "stars": lambda seed, number: stars(seed, number, size=SIZE),
    "pages": _page,
}
"""Kinds that are rendered: (seed, number) -> (SIZE, SIZE)."""


def measure(settings: Settings, data: Path | None = None, on_crop: Callable[[], None] = lambda: None) -> list[Covered]:
    """Restore all crops and count the errors.

    Args:
        data: folder of photographs, for their kind. on_crop: called after each.

    Raises:
        ConfigError: photographs without a folder, or a method that takes no kernel. DataError: see `Photographs`.
    """
    restorer = Restorer.load(settings.method)
    if not restorer.needs.kernel:
        raise ConfigError(f"{settings.method} takes no kernel; choose a method that does")
    found = []
    for kind in settings.kinds:
        generator = torch.Generator().manual_seed(settings.seed)
        source = _source(kind, settings, data, generator)
        for level in settings.levels:
            for number in range(settings.count):
                found.append(_crop(restorer, kind, level, source(number), settings.span, generator))
                on_crop()
    return found


def _source(kind: str, settings: Settings, data: Path | None, generator: torch.Generator) -> Callable[[int], Tensor]:
    """The sharp crop of a number, (1, C, n, n); rendered ones have seeds of their own."""
    n = settings.side + settings.span - 1
    if kind == PHOTOGRAPHS:
        if data is None:
            raise ConfigError("photographs: give the folder of some, or other kinds")
        photographs = Photographs.load(data, device=torch.device("cpu"), validation=True, least=n)
        return lambda number: photographs.only(number % len(photographs.names)).crops(1, n, generator)
    corner = (SIZE - n) // 2
    return lambda number: DRAWN[kind](1000 + settings.seed, number)[
        None, None, corner : corner + n, corner : corner + n
    ]


def _crop(restorer: Restorer, kind: str, level: float, sharp: Tensor, span: int, generator: torch.Generator) -> Covered:
    blur = Blur(mixture(1, span, generator))
    clean = blur.forward(sharp)
    observed = clean + level * torch.randn(clean.shape, generator=generator)
    done = restorer(observed, blur.kernel, sigma=level)
    ratio = ((done.image.pixels - blur.crop(sharp)).abs() / done.uncertainty().clamp_min(1e-9)).flatten()
    widths = [NormalDist().inv_cdf((1 + p) / 2) for p in NOMINAL]
    return Covered(kind, level, tuple(float((ratio <= w).float().mean()) for w in widths))


def report(settings: Settings, found: Sequence[Covered]) -> Report:
    """A table of 90 % intervals by kind and level, and the coverage plot."""
    nine = NOMINAL.index(0.9)

    def share(kind: str, level: float | None, place: int = nine) -> float:
        return fmean(c.shares[place] for c in found if c.kind == kind and level in (None, c.level))

    columns: dict[str, Callable[[str], str]] = {"90 % intervals hold, of": lambda kind: kind}
    for level in settings.levels:
        columns[f"{100 * level:g} % noise"] = lambda kind, at=level: f"{100 * share(kind, at):.1f} %"  # type: ignore[misc]
    columns["all"] = lambda kind: f"{100 * share(kind, None):.1f} %"
    columns["worst crop"] = lambda kind: f"{100 * min(c.shares[nine] for c in found if c.kind == kind):.0f} %"
    curves = [
        Series(
            [100 * p for p in NOMINAL],
            [100 * share(kind, None, i) for i in range(len(NOMINAL))],
            kind,
            {"color": COLOURS[n % len(COLOURS)]},
        )
        for n, kind in enumerate(settings.kinds)
    ]
    line = Series([0, 100], [0, 100], "", {"color": SOFT, "linewidth": 0.8})
    panel = Panel([line, *curves], {"xlabel": "interval, %", "ylabel": "errors within it, %"})
    notes = [f"{settings.method}; {settings.count} crops of {settings.side} pixels of each kind at each level."]
    numbers = {"settings": settings, "found": list(found)}
    return Report("coverage", [listed(settings.kinds, columns)], notes, numbers, {"kinds.png": [panel]})
