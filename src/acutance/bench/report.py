"""Rankings and Markdown tables from measured rows, with published figures beside them, marked as such."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from acutance.bench.case import Noise, describe_noise
from acutance.bench.curves_points import FILE as CURVES_FILE
from acutance.bench.published import PUBLISHED, Comparison, comparisons
from acutance.bench.report_kernels import HOW_KERNELS, finds_kernels, short_table_of_kernels, table_of_kernels
from acutance.bench.rows import Row, read_rows
from acutance.bench.suites import SUITES
from acutance.bench.timing import FILE as TIMES_FILE
from acutance.errors import DataError

SHOWN_STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100)
BLURRED = "*blurred input*"
SAME = 100.0
"""PSNR in dB of a picture with itself, as it is written down."""
NO_ROWS = (CURVES_FILE, TIMES_FILE, "log.jsonl")
"""Files of JSON lines that this package writes and that hold no rows; the last is of `acutance.train`."""

OPENING, CLOSING = "<!-- bench -->", "<!-- /bench -->"
Name = tuple[str, str | None]
"""What tells methods apart: label and version of the weights."""

_PLACE = re.compile(r"<!-- bench(?: ([\w-]+))? -->.*?<!-- /bench -->", re.DOTALL)


@dataclass(frozen=True)
class Standing:
    """A method at one noise level.

    Args:
        name: label and weights. rank: from 1; None: not every case was measured, so it has none.
        psnr, ssim: means over its own cases. cases: how many of them. failed: restored to no finite picture.
        gap: mean PSNR less that of the best ranked method on the same cases; None: there is none.
    """

    name: Name
    rank: int | None
    psnr: float
    ssim: float
    cases: int
    failed: int
    gap: float | None


@dataclass(frozen=True)
class Ranking:
    """The methods at one noise level, best first; the unranked behind.

    Args:
        noise: the level. cases: on which the ranked were compared, which is all that anybody has (`whole`), or those
            that everybody has, where nobody has all. blurred: mean PSNR of the blurred pictures on them.
    """

    noise: Noise
    standings: tuple[Standing, ...]
    cases: int
    whole: bool
    blurred: float


def report(folder: Path) -> str:
    """The tables of every SUITE.jsonl in a folder.

    Raises:
        DataError: there is none.
    """
    return table(row for rows in read_suites(folder).values() for row in rows)


def read_suites(folder: Path) -> dict[str, list[Row]]:
    """The rows of every SUITE.jsonl in a folder, by suite; those of the catalogue first, in its order.

    Hidden files, such as the journal of ``acutance restore``, and `NO_ROWS` are passed over.

    Raises:
        DataError: there is none.
    """
    files = [f for f in sorted(folder.glob("*.jsonl")) if f.name not in NO_ROWS and not f.name.startswith(".")]
    suites: dict[str, list[Row]] = {}
    for file in files:
        for row in read_rows(file):
            suites.setdefault(row.suite, []).append(row)
    if not suites:
        raise DataError(f"no SUITE.jsonl in {folder}; run a suite with --out {folder} first")
    order = list(SUITES)
    return dict(sorted(suites.items(), key=lambda s: (order.index(s[0]) if s[0] in order else len(order), s[0])))


def table(rows: Iterable[Row]) -> str:
    """Markdown: for each suite the measured means, the curves over steps if there are any, the published figures."""
    by_suite: dict[str, list[Row]] = {}
    for row in rows:
        by_suite.setdefault(row.suite, []).append(row)
    parts = [_suite(name, found) for name, found in by_suite.items()]
    head, *lines = table_of_kernels([row for found in by_suite.values() for row in found])
    if lines:
        parts += ["## Estimated kernels", markdown(head, lines), HOW_KERNELS]
    return "\n\n".join(parts) + "\n"


WITHOUT = ("unknown", "none")
"""Names of the kernels of cases that have none to be told."""


def put_into(page: str, rows: Sequence[Row]) -> str:
    """A page with short tables of measured means between its lines ``<!-- bench SUITE -->`` and ``<!-- /bench -->``.

    The line ``<!-- bench -->`` stands for the only suite of the rows, or levin32 if there are several;
    ``<!-- bench kernels -->`` for the table of estimated kernels; other tables leave methods that find the kernel
    themselves out, where there are any that are told it.

    Raises:
        DataError: the page has no such lines, or one of a suite that there are no rows of.
    """
    suites: dict[str, list[Row]] = {}
    for row in rows:
        suites.setdefault(row.suite, []).append(row)

    def fill(place: re.Match[str]) -> str:
        suite = place[1] or (next(iter(suites)) if len(suites) == 1 else "levin32")
        opening = place[0].partition("-->")[0] + "-->"
        head, *lines = short_table_of_kernels(rows)
        if suite == "kernels" and lines:
            return f"{opening}\n{markdown(head, lines)}\n{CLOSING}"
        if suite not in suites:
            raise DataError(f"the page wants a table of {suite}, of which there are no rows; run it with --out first")
        told = [row for row in suites[suite] if not finds_kernels(row.method) and row.kernel not in WITHOUT]
        return f"{opening}\n{short_table(told or suites[suite])}\n{CLOSING}"

    filled, count = _PLACE.subn(fill, page)
    if count == 0:
        raise DataError(f"the page has no lines <!-- bench SUITE --> and {CLOSING} for the tables to stand between")
    return filled


def short_table(rows: Sequence[Row]) -> str:
    """Markdown: PSNR in dB / SSIM of one suite by noise level, and seconds; best mean first."""
    noises, methods = grouped(rows)
    names = display_names(methods)
    rankings = [ranking(rows, noise) for noise in noises]
    lines = []
    for name in overall(rankings):
        cells = []
        for place in rankings:
            found = next((s for s in place.standings if s.name == name), None)
            text = "–" if found is None or not found.cases else f"{found.psnr:.2f} / {found.ssim:.3f}"
            if found is not None and found.rank == 1 and len(place.standings) > 1:
                text = f"**{text}**"
            if found is not None and 0 < found.cases < place.cases:
                text += f" ({found.cases} of {place.cases} cases)"
            cells.append(text)
        weights = f" ({name[1]})" if name[1] and name[1] not in names[name] else ""
        lines.append([f"{names[name]}{weights}", *cells, f"{median(r.seconds for r in methods[name]):.2f}"])
    if not all(p.blurred >= SAME for p in rankings):
        lines.append([BLURRED, *(f"{p.blurred:.2f}" if math.isfinite(p.blurred) else "–" for p in rankings), ""])
    return markdown(["method", *map(describe_noise, noises), "seconds (median)"], lines)


def mean_curve(rows: Sequence[Row]) -> tuple[float, ...]:
    """Mean PSNR in dB after step 1, 2, ... over the rows that have a curve; one that ended early keeps its last value.

    Returns:
        Nothing if no row has a curve.
    """
    curves = [row.curve for row in rows if row.curve]
    longest = max(map(len, curves), default=0)
    return tuple(fmean(c[min(t, len(c) - 1)] for c in curves) for t in range(longest))


def grouped(rows: Iterable[Row]) -> tuple[list[Noise], dict[Name, list[Row]]]:
    """The noise levels, "as captured" first, and the rows by method in the order of their coming."""
    methods: dict[Name, list[Row]] = {}
    for row in rows:
        methods.setdefault((row.method, row.weights), []).append(row)
    noises = {row.noise for found in methods.values() for row in found}
    return sorted(noises, key=lambda n: -1.0 if n is None else n), methods


def ranking(rows: Iterable[Row], noise: Noise) -> Ranking:
    """Methods by mean PSNR at one noise level, those that were measured on every case; the others behind, unranked.

    A case that was restored to no finite picture counts as not measured.
    """
    scores: dict[Name, dict[tuple[str, str], Row]] = {}
    failed: dict[Name, int] = {}
    blurred: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.noise == noise:
            name = (row.method, row.weights)
            scores.setdefault(name, {})
            blurred[row.picture, row.kernel] = row.psnr_blurred
            if math.isfinite(row.psnr):
                scores[name][row.picture, row.kernel] = row
            elif math.isfinite(row.psnr_blurred):  # else nobody knows the truth
                failed[name] = failed.get(name, 0) + 1
    wanted = set(blurred)
    whole = any(wanted <= set(found) for found in scores.values())
    if not whole:
        wanted = set.intersection(*(set(found) for found in scores.values())) if scores else set()

    def mean(name: Name, cases: Iterable[tuple[str, str]]) -> float:
        values = [scores[name][case].psnr for case in sorted(cases)]
        return fmean(values) if values else math.nan

    ranked = sorted((name for name in scores if wanted and wanted <= set(scores[name])), key=lambda n: -mean(n, wanted))
    others = sorted((name for name in scores if name not in ranked), key=lambda n: (-len(scores[n]), n[0], n[1] or ""))
    standings = []
    for position, name in enumerate([*ranked, *others], 1):
        found = scores[name]
        shared = set(found) & set(scores[ranked[0]]) & wanted if ranked else set()
        used = wanted if name in ranked else set(found)
        ssims = [found[case].ssim for case in sorted(used) if math.isfinite(found[case].ssim)]
        standings.append(
            Standing(
                name=name,
                rank=position if name in ranked else None,
                psnr=mean(name, used),
                ssim=fmean(ssims) if ssims else math.nan,
                cases=len(used),
                failed=failed.get(name, 0),
                gap=mean(name, shared) - mean(ranked[0], shared) if shared else None,
            )
        )
    shown = wanted or set(blurred)
    finite = [blurred[case] for case in sorted(shown) if math.isfinite(blurred[case])]
    return Ranking(noise, tuple(standings), len(shown), whole, fmean(finite) if finite else math.nan)


def overall(rankings: Sequence[Ranking]) -> list[Name]:
    """All methods, best first: ranked at the most levels, then by the mean of their PSNRs there."""
    found: dict[Name, list[float]] = {}
    for place in rankings:
        for standing in place.standings:
            values = found.setdefault(standing.name, [])
            if standing.rank is not None:
                values.append(standing.psnr)
    return sorted(found, key=lambda n: (-len(found[n]), -fmean(found[n]) if found[n] else 0.0, n[0], n[1] or ""))


def display_names(methods: Iterable[Name]) -> dict[Name, str]:
    """Labels, with the weights where a label alone is not clear."""
    names = list(methods)
    labels = [label for label, _ in names]
    return {
        (label, weights): f"{label} ({weights or 'no weights'})" if labels.count(label) > 1 else label
        for label, weights in names
    }


def compared(suite: str, rows: Sequence[Row]) -> list[Comparison]:
    """Measured means beside the published figures that they compare with."""
    found = []
    for kernels in dict.fromkeys(each.kernels for each in PUBLISHED if each.suite == suite):
        here = [row for row in rows if not kernels or row.kernel.startswith(f"{kernels}/")]
        means = {}
        for noise in grouped(here)[0]:
            for s in ranking(here, noise).standings:
                if s.cases:
                    means[(*s.name, noise)] = (s.psnr, s.cases)
        found += comparisons(suite, means, kernels)
    return found


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

    return "\n".join([line(head), line(["---"] * len(head)), *map(line, lines)])


def distinct(values: Iterable[str]) -> str:
    """Every value once, with commas."""
    return ", ".join(dict.fromkeys(values))


def _suite(name: str, rows: list[Row]) -> str:
    noises, methods = grouped(rows)
    suite = SUITES.get(name)
    if all(math.isnan(row.psnr_blurred) for row in rows):  # nobody knows the truth
        parts = [f"## {name}", "**Measured** (mean sparsity of the gradients; lower is sharper)", _sparsity(methods)]
    else:
        parts = [f"## {name}", "**Measured** (mean PSNR in dB / SSIM)", _measured(methods, noises)]
    classes = _classes(methods, noises, suite.classes) if suite is not None and suite.classes is not None else ""
    if classes:
        parts += ["**Measured** mean PSNR in dB by class", classes]
    border = _border(methods, noises)
    if border:
        parts += ["**Measured** mean PSNR in dB of the outer 20 pixels and of the rest", border]
    if suite is not None:
        parts.append(
            f"{suite.protocol} Methods that need the noise level were told the true one where it is known; with "
            "sigma=estimated nothing, with sigma=LEVEL that level. What methods make that estimate the kernel may lie "
            "anywhere: where others are not aligned, 25 pixels of theirs are cropped, and they are moved by the best "
            "shift up to 20 pixels."
        )
    curves = _curves(methods, noises)
    if curves:
        parts += ["**Measured** mean PSNR in dB after each step", curves]
    parts.append(f"Revision {distinct(r.revision for r in rows)}; {distinct(r.hardware for r in rows)}.")
    published = _published(name, noises)
    if published:
        parts += [
            "**Published, not measured here** (mean PSNR in dB; compares only as far as the protocols agree)",
            published,
        ]
    beside = _compared(compared(name, rows))
    if beside:
        parts += ["**Published against measured** (mean PSNR in dB; measured less published)", beside]
    return "\n\n".join(parts)


def _measured(methods: Mapping[Name, Sequence[Row]], noises: Sequence[Noise]) -> str:
    head = ["method", "weights", *map(describe_noise, noises), "seconds (median)", "peak MB", "cases"]
    cases = {(r.picture, r.kernel, r.noise): r.psnr_blurred for rows in methods.values() for r in rows}
    blurred = [[v for (_, _, n), v in cases.items() if n == noise and math.isfinite(v)] for noise in noises]
    lines = [[BLURRED, "", *(f"{fmean(values):.2f}" if values else "–" for values in blurred), "", "", ""]]
    for (method, weights), rows in methods.items():
        cells, counts = [], []
        for noise in noises:
            here = [r for r in rows if r.noise == noise]
            counts.append(len(here))
            cells.append(_mean(here))
        peaks = [r.peak_mb for r in rows if r.peak_mb is not None]
        lines.append(
            [
                method,
                weights or "–",
                *cells,
                f"{median(r.seconds for r in rows):.2f}",
                f"{max(peaks):.0f}" if peaks else "–",
                str(counts[0]) if len(set(counts)) == 1 else ", ".join(map(str, counts)),
            ]
        )
    return markdown(head, lines)


def _mean(rows: Sequence[Row]) -> str:
    """PSNR / SSIM over the finite ones, and how many are not."""
    good = [row for row in rows if math.isfinite(row.psnr)]
    text = f"{fmean(r.psnr for r in good):.2f} / {fmean(r.ssim for r in good):.3f}" if good else "–"
    failed = sum(math.isfinite(row.psnr_blurred) for row in rows) - len(good)
    return f"{text} ({failed} failed)" if failed > 0 else text


def _sparsity(methods: Mapping[Name, Sequence[Row]]) -> str:
    """For a suite without truth: the score that needs no reference, of the blurred pictures and of the restored."""
    lines = []
    for (method, weights), rows in methods.items():
        pairs = [
            (row.sparsity_blurred, row.sparsity)
            for row in rows
            if row.sparsity is not None and row.sparsity_blurred is not None
        ]
        if pairs:
            before, after = (f"{fmean(values):.3f}" for values in zip(*pairs, strict=True))
            lower = f"{sum(b > a for b, a in pairs)} of {len(pairs)}"
            lines.append([method, weights or "–", before, after, lower, f"{median(r.seconds for r in rows):.2f}"])
    return markdown(["method", "weights", "blurred", "restored", "lower in", "seconds (median)"], lines)


def _classes(methods: Mapping[Name, Sequence[Row]], noises: Sequence[Noise], class_of: Callable[[str], str]) -> str:
    names = sorted({class_of(row.picture) for rows in methods.values() for row in rows})
    lines = []
    for (method, weights), rows in methods.items():
        for noise in noises:
            found = [[r.psnr for r in rows if r.noise == noise and class_of(r.picture) == name] for name in names]
            if any(found):
                cells = [f"{fmean(values):.2f}" if values else "–" for values in found]
                lines.append([method, weights or "–", describe_noise(noise), *cells])
    return markdown(["method", "weights", "noise", *names], lines)


def border_means(rows: Iterable[Row], noise: Noise) -> tuple[float, float] | None:
    """Mean PSNR in dB of the outer 20 pixels and of the rest, over the rows of a level where both are finite."""
    pairs = [(r.psnr_border, r.psnr_interior) for r in rows if r.noise == noise]
    known = [(a, b) for a, b in pairs if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)]
    return (fmean(a for a, _ in known), fmean(b for _, b in known)) if known else None


def _border(methods: Mapping[Name, Sequence[Row]], noises: Sequence[Noise]) -> str:
    lines = []
    for (method, weights), rows in methods.items():
        found = [border_means(rows, noise) for noise in noises]
        cells = ["–" if pair is None else f"{pair[0]:.2f} / {pair[1]:.2f}" for pair in found]
        if any(cell != "–" for cell in cells):
            lines.append([method, weights or "–", *cells])
    return markdown(["method", "weights", *map(describe_noise, noises)], lines) if lines else ""


def _curves(methods: Mapping[Name, Sequence[Row]], noises: Sequence[Noise]) -> str:
    found = []
    for (method, weights), rows in methods.items():
        for noise in noises:
            curve = mean_curve([r for r in rows if r.noise == noise])
            if curve:
                found.append((method, weights or "–", describe_noise(noise), curve))
    longest = max((len(curve) for *_, curve in found), default=0)
    steps = sorted({t for t in SHOWN_STEPS if t <= longest} | ({longest} if longest else set()))
    lines = [[*words, *(f"{c[t - 1]:.2f}" if t <= len(c) else "–" for t in steps)] for *words, c in found]
    return markdown(["method", "weights", "noise", *map(str, steps)], lines) if lines else ""


def _published(suite: str, noises: Sequence[Noise]) -> str:
    lines = []
    for each in PUBLISHED:
        if each.suite == suite and any(noise in each.psnr for noise in noises):
            cells = [each.psnr.get(noise, "–") for noise in noises]
            lines.append([each.method, f"[{each.source}]", *cells, each.note])
    return markdown(["method", "source", *map(describe_noise, noises), "note"], lines) if lines else ""


def _compared(found: Sequence[Comparison]) -> str:
    lines = [
        [
            c.method if c.weights is None else f"{c.method} ({c.weights})",
            describe_noise(c.noise),
            f"{c.measured:.2f}",
            f"{c.published.method} {c.figure} [{c.published.source}]",
            difference(c),
            "; ".join(c.differences) or "none known",
        ]
        for c in found
    ]
    return (
        markdown(["ours", "noise", "measured", "published", "difference", "the protocols differ"], lines)
        if lines
        else ""
    )


def difference(comparison: Comparison) -> str:
    """Measured less published: "+0.21", "≈ −2.4" where a digit is illegible, "–" where too many are."""
    value = comparison.difference
    if value is None:
        return "–"
    text = f"{abs(value):.{1 if comparison.rough else 2}f}"
    return f"{'≈ ' if comparison.rough else ''}{'−' if value < 0 else '+'}{text}"
