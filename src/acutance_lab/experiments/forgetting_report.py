"""Catastrophic forgetting as a table, a plot after Figure 5 of the paper, and a file of JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from acutance_lab.bench.report_plots import COLOURS, SOFT
from acutance_lab.experiments.forgetting import JUDGED, POOL, RUNS, SIDE, Forgetting
from acutance_lab.experiments.output import write_numbers, write_plot
from acutance_lab.experiments.short_training import BATCH, BLUR, CEILING, RATE

FILE, PLOT = "forgetting.json", "forgetting.png"

CLAIMS = {
    "task 2, then task 1": "(a) the second task significantly lowers what the first one reached",
    "task 2 alone": "(b) restoration is mildly promoted",
    "task 1, then task 2": "(c) the second task significantly lowers what the first one reached",
    "both at once": "(d) twice the work hardly improves deblurring",
}
"""What the paper says of its panels, which have no numbers in the text."""


def forgetting_table(found: Forgetting) -> str:
    """Markdown: both measures at the start and after each phase of each run."""
    lines = [
        "| run | after | task 1: PSNR of F(sharp), dB | task 2: gain of F(blurred), dB | the paper, in words |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for run, phases in RUNS.items():
        for k in range(3):
            at = found.after(run, k)
            after = "start" if k == 0 else f"{at.iteration} iterations, task {' and '.join(map(str, phases[k - 1]))}"
            name, claim = (run, CLAIMS[run]) if k == 0 else ("", "")
            lines.append(f"| {name} | {after} | {at.kept:.2f} | {at.gained:+.2f} | {claim} |")
    return "\n".join([*lines, "", *describe(found)])


def describe(found: Forgetting) -> list[str]:
    """What was lost and gained, in sentences, and what was scaled down."""
    keep_first, deblur_first = "task 1, then task 2", "task 2, then task 1"
    kept = [found.after(keep_first, k).kept for k in (1, 2)]
    gained = [found.after(deblur_first, k).gained for k in (1, 2)]
    alone, both = found.after("task 2 alone", 2), found.after("both at once", 2)
    return [
        f"Forgotten: learning task 2 took task 1 from {kept[0]:.2f} to {kept[1]:.2f} dB; learning task 1 took the gain "
        f"of task 2 from {gained[0]:+.2f} to {gained[1]:+.2f} dB.",
        f"At the end task 2 alone gains {alone.gained:+.2f} dB, both at once {both.gained:+.2f} dB with twice the "
        f"work; they keep sharp pictures at {alone.kept:.2f} and {both.kept:.2f} dB.",
        f"Means of {JUDGED} held-out crops, blurred at {found.blurred:.2f} dB; {CEILING:g} dB count as perfect.",
        f"Scaled down: {found.features} features (the paper's F has 32), crops of {SIDE} pixels (256), "
        f"{found.iterations} iterations a phase (the paper does not say; F alone has 500,000), motion over "
        f"{BLUR.extent[0]:g} to {BLUR.extent[1]:g} pixels (GoPro).",
    ]


def write_json(folder: Path, found: Forgetting) -> Path:
    """Write FOLDER/forgetting.json, which is replaced: every measurement, settings, data.

    Raises:
        OutputError: it cannot be written.
    """
    values = {
        "experiment": "forgetting",
        "reference": "luo2019golf",
        "seed": found.seed,
        "settings": {
            "iterations_of_a_phase": found.iterations, "features": found.features, "batch": BATCH, "rate": RATE,
            "side": SIDE, "training_pictures": POOL, "held_out_pictures": JUDGED, "blur": asdict(BLUR),
        },
        "published": CLAIMS,
        "data": {"photographs": found.photographs, "digests": found.data},
        "blurred_psnr": found.blurred,
        "curves": {name: [asdict(p) for p in points] for name, points in found.curves.items()},
        "seconds": round(found.seconds, 3),
    }  # fmt: skip
    return write_numbers(folder / FILE, values)


def write_plots(folder: Path, found: Forgetting) -> list[Path]:
    """Write forgetting.png into a folder that is there; it is replaced.

    Raises:
        MissingExtra: matplotlib is not installed. OutputError: it cannot be written.
    """
    return [write_plot(folder / PLOT, 15.0, 4.6, lambda figure: _draw(figure, found))]


def _draw(figure: Any, found: Forgetting) -> None:
    """A panel for each run, in the paper's order, with axes of the same range, which the start may lie below."""
    everywhere = [p for points in found.curves.values() for p in points[1:]]
    kept, gained = [p.kept for p in everywhere], [p.gained for p in everywhere]
    panels = figure.subplots(1, 4, sharex=True)
    for k, (axes, (run, phases), letter) in enumerate(zip(panels, RUNS.items(), "abcd", strict=True)):
        points, beside = found.curves[run], axes.twinx()
        done = [p.iteration for p in points]
        axes.plot(done, [p.kept for p in points], color=COLOURS[0], marker="o", markersize=4, linewidth=1.8)
        beside.plot(done, [p.gained for p in points], color=COLOURS[1], marker="s", markersize=4, linewidth=1.8)
        beside.axhline(0, color=COLOURS[1], linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axvline(found.iterations, color=SOFT, linewidth=1, linestyle=(0, (1.2, 1.2)))
        for phase, tasks in enumerate(phases):
            text = f"trains {' and '.join(map(str, tasks))}"
            axes.text(0.25 + 0.5 * phase, 1.01, text, transform=axes.transAxes, ha="center", color=SOFT, fontsize=9)
        axes.set_ylim(min(kept) - 1, max(kept) + 1)
        beside.set_ylim(min(gained) - 0.1, max(gained) + 0.1)
        axes.set_title(f"({letter}) {run}", fontsize=11, pad=18)
        axes.set_xlabel("iterations")
        axes.tick_params(axis="y", labelcolor=COLOURS[0], labelleft=k == 0)
        beside.tick_params(axis="y", labelcolor=COLOURS[1], labelright=k == 3)
        beside.grid(visible=False)
        beside.spines["right"].set_visible(True)
    panels[0].set_ylabel("task 1: PSNR of F(sharp), dB", color=COLOURS[0])
    beside.set_ylabel("task 2: PSNR of F(blurred) - PSNR of blurred, dB", color=COLOURS[1])
    begin = found.after("both at once", 0)
    figure.suptitle(
        f"One network, two tasks, seed {found.seed}: task 1 keeps sharp pictures (circles), task 2 deblurs (squares); "
        f"held-out photographs. Start: {begin.kept:.1f} dB, {begin.gained:+.2f} dB",
        fontsize=12,
    )
