"""The convergence of G as a table beside what the paper says, as a plot, and as a file of JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from acutance_lab.bench.report_plots import COLOURS, INK, SOFT
from acutance_lab.experiments.convergence import TOLERANCE, Convergence
from acutance_lab.experiments.output import write_numbers, write_plot

FILE, PLOT = "convergence.json", "convergence.png"

PUBLISHED = "usually converges after 2 to 4 iterations of G; 3 are taken in the tests"
"""Of the paper, section 6.1; it gives no numbers."""


def convergence_table(found: Convergence) -> str:
    """Markdown: PSNR over all pictures by N, and how far the last putt moved them."""
    paths = found.trajectories
    lines = [
        "| N | PSNR, dB | ± over pictures | gain over blurred, dB | lowest, highest gain | moved by G, % of range |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for n in range(len(paths[0].psnr)):
        values, gains = [p.psnr[n] for p in paths], [p.psnr[n] - p.blurred for p in paths]
        moved = "" if n == 0 else f"{100 * fmean(p.moves[n - 1] for p in paths):.3f}"
        lines.append(
            f"| {n}{' (F alone)' if n == 0 else ''} | {fmean(values):.3f} | {pstdev(values):.2f} | "
            f"{fmean(gains):+.3f} | {min(gains):+.2f}, {max(gains):+.2f} | {moved} |"
        )
    return "\n".join([*lines, "", *describe(found)])


def describe(found: Convergence) -> list[str]:
    """Where the mean is highest, where pictures settle, and what the paper says."""
    paths = found.trajectories
    means = [fmean(p.psnr[n] for p in paths) for n in range(len(paths[0].psnr))]
    said = [
        f"{len(paths)} pictures of {found.source}, blurred at {fmean(p.blurred for p in paths):.3f} dB in the mean; "
        f"weights: {found.weights}.",
        f"The mean is highest at N = {means.index(max(means))}. Settled, within {TOLERANCE:g} dB of all that follow: "
        f"{in_words(settled(found))}.",
        f"The paper: {PUBLISHED}.",
    ]
    if found.trained_putts == 0:
        said.append("These weights were trained without putts: G is at its random start.")
    elif found.trained_putts is not None:
        said.append(f"These weights were trained with {found.trained_putts} putts (the paper: 5).")
    return said


def settled(found: Convergence) -> dict[str, int]:
    """How many pictures settle at which N; "later" for those that have not by the last but one."""
    count: dict[str, int] = {}
    for n in range(len(found.trajectories[0].psnr) - 1):
        count[str(n)] = sum(p.settled == n for p in found.trajectories)
    return {**count, "later": sum(p.settled is None for p in found.trajectories)}


def in_words(count: dict[str, int]) -> str:
    """Example: in_words({"0": 0, "1": 3, "later": 2}) is "3 at N = 1, 2 later"."""
    return ", ".join(f"{c} {n if n == 'later' else f'at N = {n}'}" for n, c in count.items() if c)


def write_json(folder: Path, found: Convergence) -> Path:
    """Write FOLDER/convergence.json, which is replaced: every picture.

    Raises:
        OutputError: it cannot be written.
    """
    values = {
        "experiment": "convergence",
        "reference": "luo2019golf",
        "published": PUBLISHED,
        "tolerance": TOLERANCE,
        "settled": settled(found),
        **{k: v for k, v in asdict(found).items() if k != "seconds"},
        "seconds": round(found.seconds, 3),
    }
    return write_numbers(folder / FILE, values)


def write_plots(folder: Path, found: Convergence) -> list[Path]:
    """Write convergence.png into a folder that is there; it is replaced.

    Raises:
        MissingExtra: matplotlib is not installed. OutputError: it cannot be written.
    """
    return [write_plot(folder / PLOT, 12.0, 4.4, lambda figure: _draw(figure, found))]


def _draw(figure: Any, found: Convergence) -> None:
    """Gain over the blurred picture, change from F alone, and how far a putt moves; a line for each picture."""
    paths, last = found.trajectories, len(found.trajectories[0].psnr)
    rows = (
        ("gain over the blurred picture, dB", [[v - p.blurred for v in p.psnr] for p in paths], 0),
        ("gain of the putts over F alone, dB", [[v - p.psnr[0] for v in p.psnr] for p in paths], 0),
        ("rms of x(N) - x(N-1), % of the range", [[100 * v for v in p.moves] for p in paths], 1),
    )
    for axes, (label, curves, first) in zip(figure.subplots(1, 3), rows, strict=True):
        places = range(first, last)
        for curve in curves:
            axes.plot(places, curve, color=SOFT, linewidth=0.8, alpha=0.5)
        mean = [fmean(values) for values in zip(*curves, strict=True)]
        axes.plot(places, mean, color=COLOURS[0], marker="o", linewidth=2.2)
        if first == 0:
            axes.axhline(0, color=INK, linewidth=0.8)
        axes.axvspan(2, 4, color=COLOURS[5], alpha=0.12, linewidth=0)
        axes.set(xlabel="N, applications of G", ylabel=label, xticks=range(last))
    handles: Any = (
        {"color": SOFT, "linewidth": 0.8, "label": "a picture"},
        {"color": COLOURS[0], "marker": "o", "linewidth": 2.2, "label": "mean"},
        {"color": COLOURS[5], "alpha": 0.3, "linewidth": 8, "label": "where the paper sees convergence"},
    )
    for style in handles:
        axes.plot([], [], **style)
    untrained = "; G is untrained" if found.trained_putts == 0 else ""
    figure.suptitle(f"{len(paths)} pictures of {found.source}; weights: {found.weights}{untrained}", fontsize=11)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
