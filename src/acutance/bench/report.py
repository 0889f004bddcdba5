"""Markdown tables from measured rows, with published figures beside them, marked as such."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, median

from acutance.bench.case import Noise, describe_noise
from acutance.bench.published import PUBLISHED
from acutance.bench.rows import Row, read_rows
from acutance.bench.suites import SUITES
from acutance.errors import DataError

SHOWN_STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100)
BLURRED = "*blurred input*"
OPENING, CLOSING = "<!-- bench -->", "<!-- /bench -->"


def report(folder: Path) -> str:
    """The tables of every SUITE.jsonl in a folder.

    Raises:
        DataError: there is none.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise DataError(f"no SUITE.jsonl in {folder}; run a suite with --out {folder} first")
    return table([row for file in files for row in read_rows(file)])


def table(rows: Iterable[Row]) -> str:
    """Markdown: for each suite the measured means, the curves over steps if there are any, the published figures."""
    by_suite: dict[str, list[Row]] = {}
    for row in rows:
        by_suite.setdefault(row.suite, []).append(row)
    return "\n\n".join(_suite(name, found) for name, found in by_suite.items()) + "\n"


def put_into(page: str, rows: Sequence[Row]) -> str:
    """A page with the measured means of one suite between its lines ``<!-- bench -->`` and ``<!-- /bench -->``.

    Raises:
        DataError: the page has no such lines, or the rows are of several suites.
    """
    before, opening, rest = page.partition(OPENING)
    _, closing, after = rest.partition(CLOSING)
    if not opening or not closing or len({row.suite for row in rows}) != 1:
        raise DataError(f"a page with the lines {OPENING} and {CLOSING}, and the rows of one suite, are needed")
    noises, methods = _grouped(list(rows))
    return f"{before}{OPENING}\n{_measured(methods, noises)}\n{CLOSING}{after}"


def mean_curve(rows: Sequence[Row]) -> tuple[float, ...]:
    """Mean PSNR in dB after step 1, 2, ... over the rows that have a curve; one that ended early keeps its last value.

    Returns:
        Nothing if no row has a curve.
    """
    curves = [row.curve for row in rows if row.curve]
    longest = max(map(len, curves), default=0)
    return tuple(fmean(c[min(t, len(c) - 1)] for c in curves) for t in range(longest))


def _suite(name: str, rows: list[Row]) -> str:
    noises, methods = _grouped(rows)
    parts = [f"## {name}", "**Measured** (mean PSNR in dB / SSIM)", _measured(methods, noises)]
    suite = SUITES.get(name)
    if suite is not None:
        parts.append(f"{suite.protocol} Methods that need the noise level were told the true one.")
    curves = _curves(methods, noises)
    if curves:
        parts += ["**Measured** mean PSNR in dB after each step", curves]
    parts.append(f"Revision {_all(r.revision for r in rows)}; {_all(r.hardware for r in rows)}.")
    published = _published(name, noises)
    if published:
        parts += [
            "**Published, not measured here** (mean PSNR in dB; compares only as far as the protocols agree)",
            published,
        ]
    return "\n\n".join(parts)


def _grouped(rows: list[Row]) -> tuple[list[Noise], dict[tuple[str, str | None], list[Row]]]:
    noises = sorted({row.noise for row in rows}, key=lambda n: -1.0 if n is None else n)
    methods: dict[tuple[str, str | None], list[Row]] = {}
    for row in rows:
        methods.setdefault((row.method, row.weights), []).append(row)
    return noises, methods


def _measured(methods: dict[tuple[str, str | None], list[Row]], noises: list[Noise]) -> str:
    head = ["method", "weights", *map(describe_noise, noises), "seconds (median)", "peak MB", "cases"]
    cases = {(r.picture, r.kernel, r.noise): r.psnr_blurred for rows in methods.values() for r in rows}
    blurred = [fmean(v for (_, _, n), v in cases.items() if n == noise) for noise in noises]
    lines = [[BLURRED, "", *(f"{value:.2f}" for value in blurred), "", "", ""]]
    for (method, weights), rows in methods.items():
        cells, counts = [], []
        for noise in noises:
            here = [r for r in rows if r.noise == noise]
            counts.append(len(here))
            cells.append(f"{fmean(r.psnr for r in here):.2f} / {fmean(r.ssim for r in here):.3f}" if here else "–")
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
    return _markdown(head, lines)


def _curves(methods: dict[tuple[str, str | None], list[Row]], noises: list[Noise]) -> str:
    found = []
    for (method, weights), rows in methods.items():
        for noise in noises:
            curve = mean_curve([r for r in rows if r.noise == noise])
            if curve:
                found.append((method, weights or "–", describe_noise(noise), curve))
    longest = max((len(curve) for *_, curve in found), default=0)
    steps = sorted({t for t in SHOWN_STEPS if t <= longest} | ({longest} if longest else set()))
    lines = [[*words, *(f"{c[t - 1]:.2f}" if t <= len(c) else "–" for t in steps)] for *words, c in found]
    return _markdown(["method", "weights", "noise", *map(str, steps)], lines) if lines else ""


def _published(suite: str, noises: list[Noise]) -> str:
    lines = []
    for each in PUBLISHED:
        if each.suite == suite and any(noise in each.psnr for noise in noises):
            cells = [each.psnr.get(noise, "–") for noise in noises]
            lines.append([each.method, f"[{each.source}]", *cells, each.note])
    return _markdown(["method", "source", *map(describe_noise, noises), "note"], lines) if lines else ""


def _markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

    return "\n".join([line(head), line(["---"] * len(head)), *map(line, lines)])


def _all(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
