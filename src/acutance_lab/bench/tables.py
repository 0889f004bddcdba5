"""Tables in Markdown of suites that vary one thing, and of time, memory and arithmetic; all of them from rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch

from acutance.errors import ConfigError
from acutance_lab.bench.case import describe_noise
from acutance_lab.bench.curves import STEPS
from acutance_lab.bench.machine import instructions
from acutance_lab.bench.rows import Row, mean
from acutance_lab.bench.score import OUTER
from acutance_lab.bench.window import MARGIN

BLURRED = "(blurred picture)"
"""What stands in the place of a method where nothing was restored."""


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

    return "\n".join([line(head), line(["---"] * len(head)), *map(line, lines)])


def border_table(rows: Sequence[Row]) -> str:
    """Rows of `acutance_lab.bench.window`: for each method and level what the unknown border costs."""
    lines = []
    for method, noise in dict.fromkeys((r.title, r.noise) for r in rows):
        alone, within = (
            [r for r in rows if (r.title, r.noise, r.value) == (method, noise, around)] for around in (0.0, MARGIN)
        )
        border, inside = mean(r.psnr_border for r in alone), mean(r.psnr_interior for r in alone)
        around = mean(r.psnr_border for r in within)
        values = (border, around, around - border, inside)
        lines.append([method, describe_noise(noise), *(f"{v:.2f}" for v in values), str(len(alone))])
    head = ["method", "noise", "border, alone", "border, within", "cost", "inside, alone", "cases"]
    return (
        f"{markdown(head, lines)}\n\nPSNR in dB of the outer {OUTER} pixels of a window, {MARGIN} pixels from the edge "
        "of the picture: restored alone, and as a part of the whole picture. Their difference is what the unknown "
        "border costs."
    )


def curve_means(rows: Sequence[Row]) -> Mapping[str, Mapping[float, float]]:
    """Mean PSNR in dB over the pictures, by name and value, of the rows of one curve; the last are `BLURRED`.

    A row without a value has one for each step; where a run ended early it keeps its last.
    """
    found: dict[str, dict[float, list[float]]] = {}
    blurred: dict[float, dict[str, float]] = {}
    for row in rows:
        steps = row.curve or ()
        scores = (*steps, *[row.psnr] * (STEPS - len(steps)))
        points = enumerate(scores, 1) if row.value is None else [(row.value, row.psnr)]
        for value, psnr in points:
            found.setdefault(row.title, {}).setdefault(float(value), []).append(psnr)
            blurred.setdefault(float(value), {})[row.picture] = row.psnr_blurred
    found[BLURRED] = {value: list(each.values()) for value, each in blurred.items()}
    return {name: {v: mean(each) for v, each in by_value.items()} for name, by_value in found.items()}


def curve_table(rows: Sequence[Row]) -> str:
    """A row for each method and a column for each value, for the rows of one curve; what was measured below."""
    means = curve_means(rows)
    values = sorted(means[BLURRED])
    lines = [[name, *(f"{psnr[v]:.2f}" if v in psnr else "" for v in values)] for name, psnr in means.items()]
    widths = sorted({r.width for r in rows if r.width is not None})
    suites = ", ".join(dict.fromkeys(r.suite for r in rows))
    sides = " to ".join(map(str, dict.fromkeys((widths[0], widths[-1]))))
    return (
        f"{markdown(['method', *(f'{v:g}' for v in values)], lines)}\n\nMean PSNR in dB, pictures: "
        f"{len({(r.suite, r.picture) for r in rows})} of {suites}, {sides} pixels square."
    )


def level_table(rows: Sequence[Row]) -> str:
    """A row for each suite, kind of noise, level and estimator; ratios are estimated / true noise level."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for r in rows:
        what = f"{r.kernel}: {r.varied}" if r.varied else r.suite
        groups.setdefault((what, describe_noise(r.noise), r.method), []).append(r)
    lines = []
    for words, here in groups.items():
        pairs = [(r.level, r.level_true) for r in here if r.level is not None and r.level_true]
        true = sorted(100 * t for _, t in pairs)
        ratios = torch.tensor([found / t for found, t in pairs])
        low, middle, high = ratios.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
        cells = [f"{true[0]:.2f}-{true[-1]:.2f} %", f"{middle:.2f}", f"{low:.2f}-{high:.2f}", str(len(pairs))]
        lines.append([*words, *cells])
    return markdown(["picture and noise", "level", "estimator", "true", "ratio", "5-95 %", "cases"], lines)


def times_table(rows: Sequence[Row], against: str | None = None) -> str:
    """Rows of methods that took turns: their seconds beside those of the first, or of the one called `against`.

    Raises:
        ConfigError: nobody is called that.
    """
    reference = rows[0] if against is None else next((r for r in rows if r.method == against), None)
    if reference is None:
        raise ConfigError(f"--against {against}: give one of {', '.join(r.method for r in rows)}")
    return f"{markdown(*times_cells(rows, reference))}\n\n{times_words(rows[0])}"


def times_cells(rows: Sequence[Row], reference: Row) -> tuple[list[str], list[list[str]]]:
    """Head and lines of methods that took turns."""
    head = ["method", "seconds (median)", "fastest to slowest", f"time / that of {reference.method}", "PSNR, dB",
            "gain, dB", "steps"]  # fmt: skip
    lines = []
    for r in rows:
        rounds = r.rounds or (r.seconds,)
        costs = [f"{r.seconds:.3g}", f"{min(rounds):.3g} to {max(rounds):.3g}", f"{r.ratio(reference):.3g}"]
        lines.append([r.title, *costs, f"{r.psnr:.2f}", f"{r.psnr - r.psnr_blurred:+.2f}", str(r.steps)])
    return head, lines


def times_words(row: Row) -> str:
    """What a run of methods in turn measured, in a sentence or two."""
    return (
        f"{row.picture}, {row.width}x{row.height}, {'grey' if row.channels == 1 else 'colour'}, kernel "
        f"{row.kernel}x{row.kernel}, noise {describe_noise(row.noise)}, blurred input {row.psnr_blurred:.2f} dB. In "
        f"turn in one process, {len(row.rounds or ())} rounds after one to warm up; the ratio is the median of those "
        f"of the rounds. Hardware: {row.hardware}. Revision {row.revision}; begun {row.begun}."
    )


def size_table(rows: Sequence[Row]) -> str:
    """Rows that were measured apart: the forecast beside the seconds, and the memory of the whole process."""
    head = ["method", "picture", "kernel", "steps", "forecast", "actual", "forecast off by", "processor got",
            "peak memory"]  # fmt: skip
    lines = []
    for r in rows:
        forecast = math.nan if r.forecast is None else r.forecast
        lines.append(
            [
                r.title, f"{r.width}x{r.height}, {r.picture}", f"{r.kernel}x{r.kernel}", str(r.steps),
                f"{forecast:.1f} s", f"{r.seconds:.1f} s", f"{100 * (forecast / r.seconds - 1):+.0f} %",
                f"{100 * (r.processor_share or 0):.0f} %", "?" if r.peak_mb is None else f"{r.peak_mb / 1e3:.2f} GB",
            ]
        )  # fmt: skip
    return f"{markdown(head, lines)}\n\nMemory is the whole process's. {rows[0].hardware}, {instructions()}."


def arithmetic_table(rows: Sequence[Row]) -> str:
    """A row for each count; the last column says how many times less than the most expensive one of that size."""
    totals = {id(r): (r.gmac_networks or 0) + (r.gmac_transforms or 0) for r in rows}
    lines = []
    for r in rows:
        size = (r.width, r.height, r.channels)
        largest = max(totals[id(o)] for o in rows if (o.width, o.height, o.channels) == size)
        total = totals[id(r)]
        share = "1" if total == largest else f"1/{largest / max(total, 1e-9):.0f}"
        lines.append(
            [
                r.title, f"{r.width}x{r.height}", str(r.channels), f"{r.parameters:,}", str(r.steps),
                f"{r.gmac_networks:.2f}", f"{r.gmac_transforms:.3f}", share,
            ]
        )  # fmt: skip
    head = ["method", "picture", "channels", "weights", "steps", "networks, GMAC", "transforms, GMAC",
            "share of the largest"]  # fmt: skip
    return markdown(head, lines)
