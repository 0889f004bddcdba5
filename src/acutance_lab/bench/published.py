"""Figures that others have published (published.toml), and what was measured here beside them.

They compare only in the same cut (`acutance_lab.bench.cuts`), and over the whole set: elsewhere the two figures are
named, and no difference. What else differs, as noise, alignment and what the method was told, `Published.note` and
`Comparison.differences` say as far as it is known.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from acutance.errors import ConfigError
from acutance.methods.spec import catalogue
from acutance.settings import from_table
from acutance_lab.bench.case import Noise
from acutance_lab.bench.cuts import Cut
from acutance_lab.bench.ranking import rankings_in
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import SUITES

TOLD = {True: "noise level told", False: "noise level not told", None: "protocol not stated"}


@dataclass(frozen=True)
class Published:
    """PSNR in dB that a work reports for a method on a suite, by noise level; see published.toml."""

    suite: str
    method: str
    source: str
    at: dict[str, str]
    told: bool | None = None
    cut: str | None = None
    kernels: str = ""
    remark: str = ""

    @property
    def psnr(self) -> Mapping[Noise, str]:
        """Figures as printed, by noise level as a fraction of the range; None: as captured."""
        return {_level(text): figure for text, figure in self.at.items()}

    @property
    def note(self) -> str:
        """What is known of the protocol, in words."""
        return f"{TOLD[self.told]}; {self.remark}" if self.remark else TOLD[self.told]


@dataclass(frozen=True)
class Comparison:
    """A measured mean beside a published figure.

    Args:
        published: the row; noise: the level. method, weights: ours.
        cut: of the measured mean; that of the row, where its source says it.
        measured: our mean in dB, over so many cases. size: of the whole set; None: unknown.
        figure: as printed. difference: ours less theirs in dB; None: the cut there is not known, ours is a mean over a
            part of the set, or there is no digit to compare.
        same: our method is that method, not only one of its family.
        differences: of the protocols, in words; empty: none that we know of.
    """

    published: Published
    noise: Noise
    method: str
    weights: str | None
    cut: Cut
    measured: float
    cases: int
    size: int | None
    figure: str
    difference: float | None
    same: bool
    differences: tuple[str, ...]


def _read() -> dict[str, Any]:
    text = (resources.files("acutance_lab.bench") / "published.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _level(text: str) -> Noise:
    part, _, whole = text.partition("/")
    return None if text == "captured" else float(part) / float(whole or 100)


_FILE = _read()
PUBLISHED = tuple(from_table(Published, row, where="published.toml") for row in _FILE["figures"])
"""Within a suite by source; a later source repeats others' methods under its own protocol."""

COUNTERPARTS: Mapping[str, Sequence[str]] = _FILE["counterparts"]
"""Our method, without settings, for each published one; a "~" says that it is only of the same family."""

PROTOCOLS: Mapping[str, str] = _FILE["protocols"]
"""Differences from our protocol besides the cut, as far as they are known, by source."""

Means = Mapping[tuple[str, str | None, Noise, Cut], tuple[float, int]]
"""(label, weights, level, cut) -> (mean PSNR in dB, cases behind it)."""


def compared(suite: str, rows: Sequence[Row]) -> list[Comparison]:
    """Measured means beside the published figures that they compare with: in the cut of each figure."""
    found = []
    for kernels in dict.fromkeys(each.kernels for each in PUBLISHED if each.suite == suite):
        here = [row for row in rows if not kernels or row.kernel.startswith(f"{kernels}/")]
        means = {
            (*s.name, place.noise, cut): (s.psnr, s.cases)
            for cut in Cut
            for place in rankings_in(cut, here)
            for s in place.standings
            if s.cases
        }
        found += comparisons(suite, means, kernels)
    return found


def comparisons(
    suite: str, means: Means, kernels: str = "", published: Sequence[Published] = PUBLISHED
) -> list[Comparison]:
    """Every published figure of a suite for which one of ours was measured at that level, in the same cut.

    A figure whose cut is not known stands beside our mean in the usual cut of the suite, without a difference.

    Args:
        suite: name. means: ours. kernels: of the cases behind the means, see `Published`.
        published: rows to compare with.

    Returns:
        By published row, level, and our label; first the figures for the very method, then those of its family.
    """
    found = []
    for number, each in enumerate(published):
        for name in COUNTERPARTS.get(each.method, ()) if (each.suite, each.kernels) == (suite, kernels) else ():
            for (label, weights, noise, cut), (measured, cases) in means.items():
                usual = SUITES[suite].cut(noise) if suite in SUITES else Cut.WHOLE
                if label.partition(":")[0] != name.lstrip("~") or noise not in each.psnr or cut != (each.cut or usual):
                    continue
                size = SUITES[suite].size if suite in SUITES and not kernels else None
                part = size is not None and cases < size
                figure = None if part or each.cut is None else number_of(each.psnr[noise])
                found.append(
                    (
                        (name.startswith("~"), number, -1.0 if noise is None else noise, label),
                        Comparison(
                            each, noise, label, weights, cut, measured, cases, size, each.psnr[noise],
                            None if figure is None else measured - figure, not name.startswith("~"),
                            tuple(_differences(each, name, label, cut, f"{cases} of {size}" if part else "")),
                        ),
                    )
                )  # fmt: skip
    return [comparison for _, comparison in sorted(found, key=lambda pair: pair[0])]


def _differences(each: Published, name: str, label: str, cut: Cut, part: str) -> list[str]:
    found = [f"cut there not stated, so no difference; ours: {cut}"] if each.cut is None else []
    here = told_here(label)
    if each.told is None:
        found.append("whether the noise level was told there is not stated")
    elif here is not None and each.told != here:
        found.append("noise level told there, not here" if each.told else "noise level told here, not there")
    if part:
        found.append(f"{part} cases here, so no difference")
    if name.startswith("~"):
        found.append(f"another method of its family ({each.method})")
    if label != name.lstrip("~"):
        found.append("settings of ours")
    return [*found, *([PROTOCOLS[each.source]] if each.source in PROTOCOLS else [])]


def told_here(label: str) -> bool | None:
    """Whether our benchmark told a method the true noise level; None: not a method of the catalogue."""
    name, _, settings = label.partition(":")
    spec = catalogue().get(name)
    if spec is None or not spec.needs.sigma:
        return None if spec is None else False
    return not any(part.startswith("sigma=") for part in settings.split(","))  # sigma=estimated, or always one level


def number_of(figure: str) -> float | None:
    """A figure as a number; the middle of what it may be where its last digit is missing."""
    digits = figure.rstrip("?")
    if "?" in digits:
        return None
    missing = figure.endswith("?") and len(digits.partition(".")[2]) == 1
    return float(digits) + (0.05 if missing else 0.0)


def difference(comparison: Comparison) -> str:
    """Measured less published: "+0.21", "≈ −2.4" where a digit is illegible, "–" where there is nothing to compare."""
    value, rough = comparison.difference, "?" in comparison.figure
    if value is None:
        return "–"
    return f"{'≈ ' if rough else ''}{'−' if value < 0 else '+'}{abs(value):.{1 if rough else 2}f}"


def in_the_published_cut(suite: str) -> list[Published]:
    """Published rows of a suite that are known to be in `Cut.PUBLISHED`."""
    return [each for each in PUBLISHED if (each.suite, each.cut) == (suite, Cut.PUBLISHED)]


def published_suites() -> tuple[str, ...]:
    """Suites with figures in the published cut."""
    return tuple(name for name in SUITES if in_the_published_cut(name))


def published_levels(suite: str) -> tuple[Noise, ...]:
    """Levels of the figures that are published in that cut; before them "as captured", where the suite has it.

    Raises:
        ConfigError: there are none of the suite.
    """
    levels = {noise for each in in_the_published_cut(suite) for noise in each.psnr if noise is not None}
    if not levels:
        known = ", ".join(published_suites())
        raise ConfigError(f"no figures are published in a known cut for {suite!r}; give {known}")
    return (*((None,) if None in SUITES[suite].noises else ()), *sorted(levels))
