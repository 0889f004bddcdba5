"""The balance of the losses as a table beside what the paper says, as plots after Figure 8, and as a file of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from acutance_lab.bench.report_plots import COLOURS, INK
from acutance_lab.experiments.balance import JUDGED, JUDGED_SIDE, POOL, SIDE, VGG, Balance
from acutance_lab.experiments.output import write_numbers, write_plot
from acutance_lab.experiments.short_training import BATCH, BLUR, RATE

FILE, PLOT, STRIP = "balance.json", "balance.png", "balance-crops.png"

CLAIMS = {
    1e-10: "(a) blurred output",
    5e-6: "chosen; both terms in [1e-2, 1e-1]",
    2e-4: "(b) ghosts",
    1e-2: "(c) wrong colours",
}
"""What the paper says of its weights, with features of VGG-11-bn; it gives no numbers."""

SMOOTH = 20
"""Iterations that a point of a curve is the mean of."""

GAP, HEAD, DOTS = 6, 22, 120
"""Of the strip, pixels: between crops, above them; and its dots per inch, those of every plot."""


def balance_table(found: Balance) -> str:
    """Markdown: both terms at the end and the quality, by weight."""
    before = found.blurred
    lines = [
        "| weight | L_c | weight × L_p | their ratio | PSNR, dB | SSIM | colour off, % | the paper, in words |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        f"| blurred | | | | {before.psnr:.2f} | {before.ssim:.4f} | {100 * before.colour:.2f} | |",
    ]
    for each in found.runs:
        (content, perceptual), q = each.final(), each.quality
        weighted = each.weight * perceptual
        lines.append(
            f"| {each.weight:g} | {content:.2e} | {weighted:.2e} | {weighted / content:.2g} | {q.psnr:.2f} | "
            f"{q.ssim:.4f} | {100 * q.colour:.2f} | {CLAIMS.get(each.weight, '')} |"
        )
    return "\n".join([*lines, "", *describe(found)])


def describe(found: Balance) -> list[str]:
    """What judged, where it balances, and what was scaled down, in sentences."""
    other = "" if found.judge == VGG else f", not the {VGG} of the paper, and its features have another range"
    return [
        f"Judge: {found.judge}{other}. On the blurred held-out pictures both terms are equal at a weight of "
        f"{found.balanced:.2g}; the paper takes 5e-6 with VGG-11-bn.",
        f"L_c, L_p: means of the last iterations. PSNR, SSIM, colour (how far the mean of a channel is off): means of "
        f"{JUDGED} held-out crops of {JUDGED_SIDE} pixels.",
        f"Scaled down: {found.features} features (the paper's F has 32), crops of {SIDE} pixels (256), "
        f"{found.iterations} iterations (to convergence), motion over {BLUR.extent[0]:g} to {BLUR.extent[1]:g} pixels "
        f"(GoPro). Rate {RATE:g} and batches of {BATCH} as in the paper.",
    ]


def write_json(folder: Path, found: Balance) -> Path:
    """Write FOLDER/balance.json, which is replaced: both terms of every iteration, settings, data.

    Raises:
        OutputError: it cannot be written.
    """
    values = {
        "experiment": "balance",
        "reference": "luo2019golf",
        "judge": found.judge,
        "seed": found.seed,
        "settings": {
            "iterations": found.iterations, "features": found.features, "batch": BATCH, "rate": RATE, "side": SIDE,
            "training_pictures": POOL, "held_out_pictures": JUDGED, "held_out_side": JUDGED_SIDE, "blur": asdict(BLUR),
        },
        "published": {f"{weight:g}": claim for weight, claim in CLAIMS.items()},
        "balanced_weight": found.balanced,
        "blurred": asdict(found.blurred),
        "runs": [
            {
                "weight": each.weight, "quality": asdict(each.quality), "content": each.content,
                "perceptual": each.perceptual,
            }
            for each in found.runs
        ],
        "data": found.data,
        "seconds": round(found.seconds, 3),
    }  # fmt: skip
    return write_numbers(folder / FILE, values)


def write_plots(folder: Path, found: Balance) -> list[Path]:
    """Write balance.png and balance-crops.png into a folder that is there; they are replaced.

    Raises:
        MissingExtra: matplotlib is not installed. OutputError: a file cannot be written.
    """
    count, _, height, width = found.shown.sharp.shape
    columns = len(found.runs) + 2
    size = ((GAP + columns * (width + GAP)) / DOTS, (HEAD + count * (height + GAP)) / DOTS)
    return [
        write_plot(folder / PLOT, 4.0 * len(found.runs), 4.2, lambda figure: _draw_terms(figure, found)),
        write_plot(folder / STRIP, *size, lambda figure: _draw_strip(figure, found)),
    ]


def _draw_terms(figure: Any, found: Balance) -> None:
    """A panel for each weight: both terms as they count in the loss, over the iterations."""
    panels = figure.subplots(1, len(found.runs), sharey=True, squeeze=False)[0]
    for axes, each in zip(panels, found.runs, strict=True):
        weighted = [each.weight * v for v in each.perceptual]
        for values, colour, style, label in (
            (each.content, COLOURS[0], "-", "L_c, mean square error"),
            (weighted, COLOURS[1], (0, (5, 1.6)), f"weight × L_p, {found.judge}"),
        ):
            axes.plot(*_smooth(values), color=colour, linestyle=style, linewidth=1.9, label=label)
        claim = f"\nthe paper: {CLAIMS[each.weight]}" if each.weight in CLAIMS else "\n"
        axes.set_title(f"weight {each.weight:g}{claim}", fontsize=10)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0e}")
        axes.set_xlabel(f"iterations\n{each.quality.psnr:.2f} dB, SSIM {each.quality.ssim:.3f}")
    panels[0].set_ylabel("terms of the loss")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=9)


def _draw_strip(figure: Any, found: Balance) -> None:
    """Held-out crops, pixel by pixel: blurred, restored with each weight, sharp."""
    columns = [("blurred", found.shown.blurred)]
    columns += [(f"weight {each.weight:g}", each.shown) for each in found.runs]
    columns.append(("sharp", found.shown.sharp))
    height, width = found.shown.sharp.shape[-2:]
    whole = (HEAD + len(found.shown.sharp) * (height + GAP)), (GAP + len(columns) * (width + GAP))
    for k, (name, pictures) in enumerate(columns):
        left = GAP + k * (width + GAP)
        figure.text((left + width / 2) / whole[1], 1 - HEAD / 2 / whole[0], name, ha="center", va="center",
                    color=INK, fontsize=8)  # fmt: skip
        for row, picture in enumerate(pictures):
            bottom = whole[0] - HEAD - (row + 1) * height - row * GAP
            pixels = (255 * picture.clamp(0, 1)).round().to(torch.uint8).movedim(0, -1).numpy()
            figure.figimage(pixels, xo=left, yo=bottom, origin="upper")


def _smooth(values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Means over windows of `SMOOTH` iterations, and where they end."""
    ends = range(min(SMOOTH, len(values)), len(values) + 1)
    return list(ends), [sum(values[end - ends[0] : end]) / ends[0] for end in ends]
