"""Markdown tables from measured rows, with published figures beside them, marked as such."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median

from acutance.errors import DataError
from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.cuts import HOW_CUTS, Cut
from acutance_lab.bench.ranking import (
    Name,
    display_names,
    grouped,
    of_set,
    overall,
    ranking,
    set_size,
)
from acutance_lab.bench.report_kernels import HOW_KERNELS, finds_kernels, short_table_of_kernels, table_of_kernels
from acutance_lab.bench.report_published import (
    compared,
    compared_table,
    cuts_table,
    published_cut_table,
    published_table,
)
from acutance_lab.bench.rows import Row, read_rows
from acutance_lab.bench.suites import SUITES
from acutance_lab.bench.tables import markdown

SHOWN_STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100)
BLURRED = "*blurred input*"
SAME = 100.0
"""PSNR in dB of a picture with itself, as it is written down."""
TIMES = "times.jsonl"
"""Rows of methods that took turns."""

APART = ("curves.jsonl", TIMES, "size.jsonl", "noise.jsonl", "log.jsonl")
"""Files of JSON lines that are no part of a report of suites; the last is of `acutance_lab.train`."""

OPENING, CLOSING = "<!-- bench -->", "<!-- /bench -->"
_PLACE = re.compile(r"<!-- bench(?: ([\w-]+))?( cut)? -->.*?<!-- /bench -->", re.DOTALL)


def report(folder: Path) -> str:
    """The tables of every SUITE.jsonl in a folder.

    Raises:
        DataError: there is none.
    """
    return table(row for rows in read_suites(folder).values() for row in rows)


def read_suites(folder: Path) -> dict[str, list[Row]]:
    """The rows of every SUITE.jsonl in a folder, by suite; those of the catalogue first, in its order.

    Hidden files, such as the journal of ``acutance restore``, and `APART` are passed over.

    Raises:
        DataError: there is none.
    """
    files = [f for f in sorted(folder.glob("*.jsonl")) if f.name not in APART and not f.name.startswith(".")]
    suites: dict[str, list[Row]] = {}
    for file in files:
        for row in read_rows(file):
            if not row.varied:
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


def put_into(page: str, rows: Sequence[Row], *, cuts_only: bool = False) -> str:
    """A page with short tables of measured means between its lines ``<!-- bench SUITE -->`` and ``<!-- /bench -->``.

    The line ``<!-- bench -->`` stands for the only suite of the rows, or levin32 if there are several;
    ``<!-- bench kernels -->`` for the table of estimated kernels; other tables leave methods that find the kernel
    themselves out, where there are any that are told it. ``<!-- bench SUITE cut -->`` is for the table in the published
    cut; with `cuts_only` all other places stay as they are.

    Raises:
        DataError: the page has no such lines, or one of a suite that there are no rows of.
    """
    suites: dict[str, list[Row]] = {}
    for row in rows:
        suites.setdefault(row.suite, []).append(row)

    def fill(place: re.Match[str]) -> str:
        if cuts_only and not place[2]:
            return place[0]
        suite = place[1] or (next(iter(suites)) if len(suites) == 1 else "levin32")
        opening = place[0].partition("-->")[0] + "-->"
        head, *lines = short_table_of_kernels(rows)
        if suite == "kernels" and lines:
            return f"{opening}\n{markdown(head, lines)}\n{CLOSING}"
        if suite not in suites:
            raise DataError(f"the page wants a table of {suite}, of which there are no rows; run it with --out first")
        told = [row for row in suites[suite] if not finds_kernels(row.method) and row.kernel not in WITHOUT]
        made = published_cut_table(suite, told).markdown() if place[2] else short_table(told or suites[suite])
        if not made:
            raise DataError(f"no row of {suite} has a published cut; measure it anew with another --out")
        return f"{opening}\n{made}\n{CLOSING}"

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
            if found is not None and found.best and len(place.standings) > 1:
                text = f"**{text}**"
            cells.append(text if found is None else f"{text}{of_set(found.cases, found.size)}")
        weights = f" ({name[1]})" if name[1] and name[1] not in names[name] else ""
        lines.append([f"{names[name]}{weights}", *cells, f"{median(r.seconds for r in methods[name]):.2f}"])
    if not all(p.blurred >= SAME for p in rankings):
        marked = [f"{p.blurred:.2f}{of_set(p.cases, p.size)}" if math.isfinite(p.blurred) else "–" for p in rankings]
        lines.append([BLURRED, *marked, ""])
    return markdown(["method", *map(describe_noise, noises), "seconds (median)"], lines)


def mean_curve(rows: Sequence[Row]) -> tuple[float, ...]:
    """Mean PSNR in dB after step 1, 2, ... over the rows that have a curve; one that ended early keeps its last value.

    Returns:
        Nothing if no row has a curve.
    """
    curves = [row.curve for row in rows if row.curve]
    longest = max(map(len, curves), default=0)
    return tuple(fmean(c[min(t, len(c) - 1)] for c in curves) for t in range(longest))


def distinct(values: Iterable[str]) -> str:
    """Every value once, with commas."""
    return ", ".join(dict.fromkeys(values))


def _suite(name: str, rows: list[Row]) -> str:
    noises, methods = grouped(rows)
    suite = SUITES.get(name)
    if all(math.isnan(row.psnr_blurred) for row in rows):  # nobody knows the truth
        parts = [f"## {name}", "**Measured** (mean sparsity of the gradients; lower is sharper)", _sparsity(methods)]
    else:
        parts = [f"## {name}", f"**Measured** (mean PSNR in dB / SSIM; {_usual_cuts(name, noises)})"]
        parts.append(_measured(methods, noises))
    classes = _classes(methods, noises, suite.classes) if suite is not None and suite.classes is not None else ""
    if classes:
        parts += ["**Measured** mean PSNR in dB by class", classes]
    cuts = cuts_table(rows).markdown()
    if cuts:
        parts += ["**Measured** mean PSNR in dB in every cut", cuts, HOW_CUTS]
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
    return "\n\n".join([*parts, *_published(name, rows, noises)])


def _published(name: str, rows: Sequence[Row], noises: Sequence[Noise]) -> list[str]:
    """The published figures, and what was measured beside them."""
    parts = []
    together = published_cut_table(name, rows).markdown()
    if together:
        parts += [f"**Measured and published in the {Cut.PUBLISHED}** (mean PSNR in dB)", together]
    published = published_table(name, noises)
    if published:
        parts += [
            "**Published, not measured here** (mean PSNR in dB; compares in the same cut only, and as far as the "
            "protocols agree)",
            published,
        ]
    beside = compared_table(compared(name, rows))
    if beside:
        parts += [
            "**Published against measured** (mean PSNR in dB; measured less published, where the cut is the same and "
            "the whole set was measured)",
            beside,
        ]
    return parts


def _usual_cuts(name: str, noises: Sequence[Noise]) -> str:
    """The cut of the means of a suite, or the cuts where they differ by level."""
    cuts = {noise: SUITES[name].cut(noise) if name in SUITES else Cut.WHOLE for noise in noises}
    if len(set(cuts.values())) == 1:
        return next(iter(cuts.values()))
    return "; ".join(f"{describe_noise(noise)}: {cut}" for noise, cut in cuts.items())


def _measured(methods: Mapping[Name, Sequence[Row]], noises: Sequence[Noise]) -> str:
    head = ["method", "weights", *map(describe_noise, noises), "seconds (median)", "peak MB", "cases"]
    everything = [row for rows in methods.values() for row in rows]
    sizes = {noise: set_size(everything, noise) for noise in noises}
    cases = {(r.picture, r.kernel, r.noise): r.psnr_blurred for r in everything}
    blurred = {n: [v for (_, _, m), v in cases.items() if m == n and math.isfinite(v)] for n in noises}
    before = [f"{fmean(v):.2f}{of_set(len(v), sizes[n])}" if v else "–" for n, v in blurred.items()]
    lines = [[BLURRED, "", *before, "", "", ""]]
    for (method, weights), rows in methods.items():
        cells, counts = [], []
        for noise in noises:
            here = [r for r in rows if r.noise == noise]
            counts.append(len(here))
            cells.append(_mean(here, sizes[noise]))
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


def _mean(rows: Sequence[Row], size: int) -> str:
    """PSNR / SSIM over the finite ones, marked where they are a part of the set, and how many are not finite."""
    good = [row for row in rows if math.isfinite(row.psnr)]
    text = f"{fmean(r.psnr for r in good):.2f} / {fmean(r.ssim for r in good):.3f}" if good else "–"
    text += of_set(len(good), size)
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
                marked = describe_noise(noise) + of_set(sum(map(len, found)), set_size(rows, noise))
                lines.append([method, weights or "–", marked, *cells])
    return markdown(["method", "weights", "noise", *names], lines)


def border_means(rows: Iterable[Row], noise: Noise) -> tuple[float, float, int] | None:
    """Mean PSNR in dB of the outer 20 pixels and of the rest, over the rows where both are finite; how many."""
    pairs = [(r.psnr_border, r.psnr_interior) for r in rows if r.noise == noise]
    known = [(a, b) for a, b in pairs if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)]
    return (fmean(a for a, _ in known), fmean(b for _, b in known), len(known)) if known else None


def _border(methods: Mapping[Name, Sequence[Row]], noises: Sequence[Noise]) -> str:
    lines = []
    for (method, weights), rows in methods.items():
        found = [border_means(rows, noise) for noise in noises]
        cells = [
            "–" if each is None else f"{each[0]:.2f} / {each[1]:.2f}{of_set(each[2], set_size(rows, noise))}"
            for each, noise in zip(found, noises, strict=True)
        ]
        if any(cell != "–" for cell in cells):
            lines.append([method, weights or "–", *cells])
    return markdown(["method", "weights", *map(describe_noise, noises)], lines) if lines else ""


def _curves(methods: Mapping[Name, Sequence[Row]], noises: Sequence[Noise]) -> str:
    found = []
    for (method, weights), rows in methods.items():
        for noise in noises:
            with_curve = [r for r in rows if r.noise == noise and r.curve]
            if with_curve:
                marked = describe_noise(noise) + of_set(len(with_curve), set_size(rows, noise))
                found.append((method, weights or "–", marked, mean_curve(with_curve)))
    longest = max((len(curve) for *_, curve in found), default=0)
    steps = sorted({t for t in SHOWN_STEPS if t <= longest} | ({longest} if longest else set()))
    lines = [[*words, *(f"{c[t - 1]:.2f}" if t <= len(c) else "–" for t in steps)] for *words, c in found]
    return markdown(["method", "weights", "noise", *map(str, steps)], lines) if lines else ""
