"""Tables of a report's page: by class of picture, of the border, of sharpness without a truth, of every picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from acutance_lab.bench.case import Noise, Suite, describe_noise
from acutance_lab.bench.ranking import Name, of_set, set_size
from acutance_lab.bench.report import border_means
from acutance_lab.bench.rows import Row


@dataclass(frozen=True)
class BorderLine:
    """A method's mean PSNR in dB of the outer 20 pixels, of the rest, and the mark of a part; None where none is."""

    title: str
    cells: tuple[tuple[float, float, str] | None, ...]


@dataclass(frozen=True)
class ClassTable:
    """Mean PSNR in dB by class of picture at one level: the classes, and (title, means) of every method."""

    noise: str
    classes: tuple[str, ...]
    lines: tuple[tuple[str, tuple[float | None, ...]], ...]


@dataclass(frozen=True)
class SharpLine:
    """Mean sparsity of the gradients before and after, for suites without a known truth; lower is sharper."""

    title: str
    noise: str
    before: float
    after: float
    lower: int
    cases: int


@dataclass(frozen=True)
class PictureTable:
    """PSNR of every picture at one noise level: (picture, kernel, blurred, values in the order of the titles)."""

    noise: str
    titles: tuple[str, ...]
    lines: tuple[tuple[str, str, float, tuple[float | None, ...]], ...]


def class_tables(
    suite: Suite, rows: Sequence[Row], noises: Sequence[Noise], order: Sequence[Name], titles: Mapping[Name, str]
) -> Iterator[ClassTable]:
    """Means by class at each level; a title says where a method has a part of the set. Nothing without classes."""
    if suite.classes is None:
        return
    classes = sorted({suite.classes(row.picture) for row in rows})
    for noise in noises:
        values: dict[tuple[Name, str], list[float]] = {}
        for row in rows:
            if row.noise == noise and math.isfinite(row.psnr):
                values.setdefault(((row.method, row.weights), suite.classes(row.picture)), []).append(row.psnr)
        size = set_size(rows, noise)
        marks = {n: of_set(sum(len(values.get((n, c), ())) for c in classes), size) for n in order}
        lines = [
            (titles[n] + marks[n], tuple(fmean(values[n, c]) if (n, c) in values else None for c in classes))
            for n in order
        ]
        yield ClassTable(describe_noise(noise), tuple(classes), tuple(lines))


def border_lines(
    noises: Sequence[Noise], methods: Mapping[Name, Sequence[Row]], titles: Mapping[Name, str], order: Sequence[Name]
) -> tuple[list[Noise], list[BorderLine]]:
    """The levels at which border and interior were scored, and the methods that were."""
    levels = [noise for noise in noises if any(border_means(methods[name], noise) for name in order)]
    lines = []
    for name in order:
        cells = []
        for noise in levels:
            found = border_means(methods[name], noise)
            cells.append(None if found is None else (*found[:2], of_set(found[2], set_size(methods[name], noise))))
        lines.append(BorderLine(titles[name], tuple(cells)))
    return levels, [line for line in lines if any(line.cells)]


def sharp_lines(
    noises: Sequence[Noise], methods: Mapping[Name, Sequence[Row]], titles: Mapping[Name, str], order: Sequence[Name]
) -> list[SharpLine]:
    """Sparsity before and after, of the methods and levels where it was measured."""
    found = []
    for noise in noises:
        for name in order:
            pairs = [
                (before, after)
                for row in methods[name]
                if row.noise == noise
                for before, after in [(row.sparsity_blurred, row.sparsity)]
                if before is not None and after is not None and math.isfinite(before) and math.isfinite(after)
            ]
            if pairs:
                before, after = fmean(p[0] for p in pairs), fmean(p[1] for p in pairs)
                lower = sum(p[1] < p[0] for p in pairs)
                found.append(SharpLine(titles[name], describe_noise(noise), before, after, lower, len(pairs)))
    return found


def picture_table(rows: Sequence[Row], noise: Noise, order: Sequence[Name], titles: Mapping[Name, str]) -> PictureTable:
    """Every picture at a level, with the methods that have any there."""
    here = [row for row in rows if row.noise == noise]
    names = [n for n in order if any((r.method, r.weights) == n for r in here)]
    values = {(r.picture, r.kernel, (r.method, r.weights)): r.psnr for r in here}
    blurred = {(r.picture, r.kernel): r.psnr_blurred for r in here}
    lines = tuple(
        (picture, kernel, before, tuple(values.get((picture, kernel, n)) for n in names))
        for (picture, kernel), before in blurred.items()
    )
    return PictureTable(describe_noise(noise), tuple(titles[n] for n in names), lines)
