"""Contact sheets and plots of `acutance_lab.experiments.motion`, as PNG."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acutance.images import Image, write_image
from acutance_lab.bench.report_plots import COLOURS, SOFT
from acutance_lab.bench.sheet import GAP, text_line
from acutance_lab.experiments.motion import CAMERA_ONLY, CLEAN, PHOTOGRAPHS, REAL, SHIPPED, Motion
from acutance_lab.experiments.motion_statistics import BIN, RADII, REACH
from acutance_lab.experiments.motion_windows import Windows
from acutance_lab.experiments.output import write_plot

ROWS = 13
"""Of a contact sheet, at most."""

LOOKS: dict[str, dict[str, Any]] = {
    REAL: {"color": "black", "linewidth": 2.2},
    SHIPPED: {"color": COLOURS[1]},
    CLEAN: {"color": COLOURS[0]},
    CAMERA_ONLY: {"color": COLOURS[2], "linestyle": (0, (4, 2))},
    PHOTOGRAPHS: {"color": COLOURS[3], "linestyle": (0, (1.2, 1.2))},
}


def write_sheets(folder: Path, found: Motion) -> list[Path]:
    """Write sheet.png, of the frames, and sheet-photographs.png into a folder that is there; they are replaced.

    Raises:
        OutputError: a file cannot be written.
    """
    written = []
    for name, kind in (("sheet.png", SHIPPED), ("sheet-photographs.png", PHOTOGRAPHS)):
        drawn = sheet(
            found.windows[kind],
            found.windows[REAL],
            (found.portraits[kind].psnr, found.portraits[REAL].psnr),
            f"100 %. Left: sharp, synthetic blurred ({kind}). Right: sharp, real blurred.",
        )
        written.append(folder / name)
        write_image(written[-1], Image(drawn), overwrite=True)
    return written


def write_plots(folder: Path, found: Motion) -> list[Path]:
    """Write gradients.png, spectra.png, psnr.png and classifier.png into a folder that is there; they are replaced.

    Raises:
        MissingExtra: matplotlib is not installed. OutputError: a file cannot be written.
    """
    plots: tuple[tuple[str, tuple[float, float], Callable[..., None]], ...] = (
        ("gradients.png", (11.0, 4.6), _draw_gradients),
        ("spectra.png", (7.5, 5.0), _draw_spectra),
        ("psnr.png", (7.5, 4.4), _draw_psnr),
        ("classifier.png", (9.0, 5.4), _draw_verdicts),
    )
    return [write_plot(folder / name, *size, partial(draw, found=found)) for name, size, draw in plots]


def sheet(synthetic: Windows, real: Windows, loss: tuple[tuple[float, ...], tuple[float, ...]], title: str) -> Tensor:
    """Rows of (sharp, synthetic), (sharp, real): (1, 3, H, W), one of each real picture, at its liveliest window.

    Args:
        synthetic: as many as real ones or fewer; the window of the same number is shown beside a real one.
        loss: PSNR of each synthetic and real window, dB.
    """
    lively = real.sharp.diff(dim=-1).abs().mean((1, 2, 3))
    best: dict[str, int] = {}
    for i, picture in enumerate(real.pictures[: len(synthetic)]):
        if picture not in best or lively[i] > lively[best[picture]]:
            best[picture] = i
    chosen = list(best.values())
    chosen = [chosen[n * len(chosen) // min(ROWS, len(chosen))] for n in range(min(ROWS, len(chosen)))]
    rows = [
        torch.cat([_half(kind, i, psnr[i]) for kind, psnr in zip((synthetic, real), loss, strict=True)], -1)
        for i in chosen
    ]
    return torch.cat([text_line(title, rows[0].shape[-1]), *rows], 2)


def _half(windows: Windows, i: int, psnr: float) -> Tensor:
    """Two cells under a line of text."""
    left, top = windows.places[i]
    cells = []
    for pixels in (windows.sharp, windows.blurred):
        cells += [pixels[i : i + 1], torch.ones(1, 3, pixels.shape[-2], GAP)]
    below = torch.cat(cells, -1)
    text = text_line(f"{windows.pictures[i]} at ({left}, {top}), {psnr:.1f} dB", below.shape[-1])
    return torch.cat((text, below, torch.ones(1, 3, GAP, below.shape[-1])), 2)


def _draw_gradients(figure: Any, found: Motion) -> None:
    """Distributions of differences on a logarithmic axis."""
    levels = (torch.arange(round(2 * REACH / BIN) + 1) * BIN - REACH).numpy()
    axes = figure.subplots(1, 2, sharey=True)
    for n, (each, direction) in enumerate(zip(axes, ("horizontal", "vertical"), strict=True)):
        for kind, portrait in found.portraits.items():
            density = portrait.histograms[n] / BIN
            density[density == 0] = float("nan")
            each.plot(levels, density.numpy(), label=kind if n == 0 else None, **LOOKS[kind])
        each.set(yscale="log", xlim=(-100, 100), title=direction, xlabel="difference of neighbours, levels of 1/255")
    axes[0].set_ylabel("density")
    axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    figure.legend(loc="outside upper center", ncols=3, fontsize=9)


def _draw_spectra(figure: Any, found: Motion) -> None:
    """Ratios of spectra; of real windows 10 to 90 %, and each group."""
    axes = figure.subplots()
    f = ((torch.arange(RADII) + 0.5) / (2 * RADII)).numpy()
    low, high = found.portraits[REAL].ratio[1:].numpy()
    axes.fill_between(f, low, high, color=SOFT, alpha=0.15, linewidth=0, label="real, 10 to 90 % of the windows")
    for n, portrait in enumerate(found.by_group.values()):
        label = "real, one scene" if n == 0 else None
        axes.plot(f, portrait.ratio[0].numpy(), color=SOFT, linewidth=0.8, label=label)
    for kind, portrait in found.portraits.items():
        axes.plot(f, portrait.ratio[0].numpy(), label=kind, **LOOKS[kind])
    axes.set(xlabel="cycles per pixel", ylabel="power of blurred over sharp, dB", xlim=(0, 0.5))
    figure.legend(loc="outside upper center", ncols=2, fontsize=9)


def _draw_psnr(figure: Any, found: Motion) -> None:
    """Cumulative distributions of the PSNR of windows."""
    axes = figure.subplots()
    for kind, portrait in found.portraits.items():
        values = torch.tensor(portrait.psnr).sort().values
        share = (torch.arange(len(values)) + 1) / len(values)
        axes.plot(values.numpy(), share.numpy(), label=kind, **LOOKS[kind])
    axes.set(xlabel="PSNR of a blurred window against the sharp one, dB", ylabel="share below", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=3, fontsize=9)


def _draw_verdicts(figure: Any, found: Motion) -> None:
    """AUC of each comparison: the mean with its interval, and each held-out group."""
    axes = figure.subplots()
    for row, verdict in enumerate(found.verdicts):
        axes.plot(verdict.interval, [row, row], color=COLOURS[0], linewidth=3, alpha=0.5)
        axes.plot(list(verdict.by_group.values()), [row] * len(verdict.by_group), "|", color=SOFT, markersize=9)
        axes.plot([verdict.auc], [row], "o", color=COLOURS[0])
    axes.axvline(0.5, color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2, zorder=1)
    axes.set_yticks(range(len(found.verdicts)), [verdict.name for verdict in found.verdicts])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.01), xlabel="AUC, held out: mean, 90 % over pictures, scenes (|)")
