"""Learned methods on equal terms: what training and a picture cost each of them, beside what it reaches.

Photographs, kernels, noise and minutes of training are meant to be the same for all of them. The card of the weights
says how long each was trained, and the table prints it. Seconds are of methods that take turns on one grey picture;
arithmetic is counted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from acutance.errors import DataError
from acutance.images.atomic import write_atomically
from acutance.methods.spec import find
from acutance.weights.store import embedded_for, find_weights
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.cuts import Cut
from acutance_lab.bench.ranking import in_cut
from acutance_lab.bench.report_plots import look, times_plot
from acutance_lab.bench.rows import Row
from acutance_lab.bench.run import OnCase, OnPlan, run
from acutance_lab.bench.scenes import random_suite, scene_suite
from acutance_lab.bench.tables import NOTHING, decimals, markdown
from acutance_lab.records import read_records

SIDE = 512
"""Side of the grey picture that seconds and arithmetic are of."""

SUITES = ("levin32", "set12", "kodak24")
LEVELS = (0.01, 0.02, 0.03, 0.04, 0.05)

PRICES = "prices.jsonl"
"""File of what methods cost, beside the rows."""

COMPARED = ("csf", "tnrd", "fdn", "gradnet", "mlp", "ircnn", "rgdn", "acute", "levin", "wiener")
"""Learned methods of the papers' tables, ours, and two without anything learned."""


@dataclass(frozen=True)
class Price:
    """What a method costs.

    Args:
        method, weights: as in a `Row`. minutes: core minutes of training; None: nothing was learned, or no card tells.
        parameters: numbers that were learned. gmac: 1e9 multiply-accumulates, transforms included, and seconds: median,
            both for a grey picture of `SIDE` pixels and a kernel of 25.
    """

    method: str
    weights: str | None
    minutes: float | None
    parameters: int
    gmac: float
    seconds: float


def training_minutes(contender: Contender) -> float | None:
    """Core minutes that the card of the weights tells; None without weights, or where the card is silent."""
    spec = find(contender.name)
    if spec.weights is None:
        return None
    given = contender.settings.get("weights")
    card = (embedded_for(spec.weights, contender.settings) if given is None else find_weights(Path(str(given)))).card
    minutes = card.get("minutes")
    return float(minutes) if isinstance(minutes, int | float) else None


def prices(
    contenders: Sequence[Contender], *, rounds: int = 3, on_plan: OnPlan | None = None, on_case: OnCase | None = None
) -> list[Price]:
    """Seconds and arithmetic of methods, measured in turn on one picture on the processor.

    Raises:
        ConfigError, WeightsError: see `acutance_lab.bench.run.run`.
    """
    told = {"device": "cpu", "on_plan": on_plan, "on_case": on_case}
    scene = scene_suite(SIDE, SIDE, channels=1, kernel=25, noise=0.01)
    timed = run(scene, contenders, rounds=rounds, **told)  # type: ignore[arg-type]
    counted = run(random_suite(SIDE, SIDE, channels=1, kernel=25), contenders, count=True, **told)  # type: ignore[arg-type]
    return [
        Price(
            t.method, t.weights, training_minutes(each), c.parameters or 0,
            (c.gmac_networks or 0.0) + (c.gmac_transforms or 0.0), t.seconds,
        )
        for each, t, c in zip(contenders, timed, counted, strict=True)
    ]  # fmt: skip


def price_table(found: Sequence[Price], rows: Sequence[Row]) -> str:
    """Markdown: a line for each method, the least trained first; PSNR is the mean over all levels of each suite.

    Only cases that every method has count.
    """
    rows = _shared(found, rows)
    suites = list(dict.fromkeys(row.suite for row in rows))
    head = ["method", "core minutes", "weights", "GMAC", "seconds", *(f"{suite}, mean" for suite in suites)]
    lines = []
    for each in sorted(found, key=lambda p: (p.minutes is None, p.minutes or 0.0, p.method)):
        lines.append(
            [
                f"{each.method} ({each.weights})" if each.weights else each.method,
                NOTHING if each.minutes is None else f"{each.minutes:.0f}",
                f"{each.parameters:,}" if each.parameters else NOTHING,
                f"{each.gmac:.1f}",
                f"{each.seconds:.2f}",
                *(decimals(_mean(each, [row for row in rows if row.suite == suite])) for suite in suites),
            ]
        )
    return markdown(head, lines)


def equal_plot(found: Sequence[Price], rows: Sequence[Row]) -> bytes:
    """An SVG: mean PSNR in the published cut, or of whole pictures where a suite has no other, against seconds.

    Raises:
        DataError: there is nothing to plot.
    """
    in_published = in_cut(rows, Cut.PUBLISHED)
    shown, what = (in_published, "published cut") if in_published else (list(rows), "whole pictures")
    shown = _shared(found, shown)
    points = [
        (each.method, look(i), each.seconds, psnr)
        for i, each in enumerate(found)
        if (psnr := _mean(each, shown)) == psnr
    ]
    if not points:
        raise DataError("no method was measured on a suite; there is nothing to plot")
    axis = f"seconds for a grey picture of {SIDE} x {SIDE} pixels"
    return times_plot(points, axis=axis, what=f"mean PSNR, {what}, dB")


def _shared(found: Sequence[Price], rows: Sequence[Row]) -> list[Row]:
    """The rows of cases that every method has; those of a method without any row are not waited for."""
    cases: dict[tuple[str, str | None], set[tuple[str, str, str, float | None]]] = {}
    wanted = {(p.method, p.weights) for p in found}
    for row in rows:
        if (row.method, row.weights) in wanted:
            cases.setdefault((row.method, row.weights), set()).add((row.suite, row.picture, row.kernel, row.noise))
    common = set.intersection(*cases.values()) if cases else set()
    return [row for row in rows if (row.suite, row.picture, row.kernel, row.noise) in common]


def _mean(price: Price, rows: Sequence[Row]) -> float:
    """Over the levels, of the means of a level: every level counts alike. Not a number without rows."""
    levels: dict[float | None, list[float]] = {}
    for row in rows:
        if (row.method, row.weights) == (price.method, price.weights):
            levels.setdefault(row.noise, []).append(row.psnr)
    return mean(map(mean, levels.values())) if levels else float("nan")


def keep_prices(found: Sequence[Price], folder: Path) -> None:
    """Write what methods cost to the folder of the rows, in place of what was there."""
    lines = "".join(f"{json.dumps(asdict(each))}\n" for each in found)
    write_atomically(folder / PRICES, lines.encode(), overwrite=True)


def read_prices(folder: Path) -> list[Price]:
    """What was kept in a folder; nothing if there is no such file.

    Raises:
        DataError: a line is no price.
    """
    return read_records(folder / PRICES, Price, what="price")
