"""Plots of the two-pixel experiment, after Figures 4 and 10 to 14 of the paper; each prior beside the optimum.

Of each kind of network the one with the lowest training loss is drawn. The surface of (b) is integrated from its field
by `acutance_lab.experiments.two_pixel_priors.integrate`, and is 0 at the centre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acutance_lab.bench.report_plots import COLOURS, INK, SOFT
from acutance_lab.experiments.output import write_plot
from acutance_lab.experiments.two_pixel import Score, TwoPixel
from acutance_lab.experiments.two_pixel_priors import (
    MIRROR,
    STAYS,
    descent,
    integrate,
    is_blurred,
    log_odds_of_blur,
    optimal_prior,
    probability_of_blur,
    wanted_steps,
)
from acutance_lab.experiments.two_pixel_report import DISCRIMINATIVE, GRADIENT

GRID = 81
"""Points of a surface along a side, odd, so that the centre is one."""

FLOOR = 1e-9
"""Errors are drawn from here on, as 0 has no place on a logarithmic axis."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A prior on the grid.

    Args:
        title: of its plots. height: (n, n). step: what it takes, (..., 2) from (..., 2). colour: of its line.
    """

    title: str
    height: Tensor = field(repr=False)
    step: Callable[[Tensor], Tensor]
    colour: str


def write_plots(folder: Path, found: TwoPixel) -> list[Path]:
    """Write surfaces.png, slice.png and seeds.png into a folder that is there; they are replaced.

    Raises:
        MissingExtra: matplotlib is not installed. OutputError: a file cannot be written.
    """
    surfaces = find_surfaces(found)
    plots: tuple[tuple[str, tuple[float, float], Callable[[Any], None]], ...] = (
        ("surfaces.png", (15.0, 8.2), lambda figure: _draw_surfaces(figure, surfaces)),
        ("slice.png", (10.0, 5.0), lambda figure: _draw_slice(figure, surfaces)),
        ("seeds.png", (9.0, 4.2), lambda figure: _draw_seeds(figure, found)),
    )
    return [write_plot(folder / name, *size, draw) for name, size, draw in plots]


def find_surfaces(found: TwoPixel) -> tuple[Surface, Surface, Surface, Surface]:
    """The probability and the log-odds of (a), the integral of (b), and (c)."""
    a, b = found.best(0), found.best(1)
    classifier, gradient = found.classifier[slice(a, a + 1)], found.mirror[slice(b, b + 1)]
    probability, log_odds = probability_of_blur(classifier), log_odds_of_blur(classifier)
    axis = torch.linspace(-1, 1, GRID)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)  # (n, n, 2)
    flat = grid.view(1, -1, 2)
    with torch.no_grad():
        heights = [p(flat).view(GRID, GRID) for p in (probability, log_odds)]
        field_of_b = -gradient(flat).view(GRID, GRID, 2)
    of_a, of_b = f"seed {found.seeds[a]}", f"seed {found.seeds[b]}"

    def take(u: Tensor) -> Tensor:
        with torch.no_grad():
            return gradient(u.reshape(1, -1, 2)).view_as(u)

    return (
        Surface(f"(a) probability of blur, {of_a}", heights[0], lambda u: _one(probability, u), COLOURS[1]),
        Surface(f"(a) log-odds of blur, {of_a}", heights[1], lambda u: _one(log_odds, u), COLOURS[3]),
        Surface(f"(b) learned gradient, integrated, {of_b}", integrate(field_of_b), take, COLOURS[0]),
        Surface("(c) optimum (u1 + u2)² / 2", optimal_prior(grid), lambda u: descent(optimal_prior, u), COLOURS[4]),
    )


def _one(prior: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The step of a prior of one network; (..., 2)."""
    return descent(prior, images.reshape(1, -1, 2)).view_as(images)


def _draw_surfaces(figure: Any, surfaces: tuple[Surface, ...]) -> None:
    """Above the surfaces, below maps with the steps of blurred pictures, in true length."""
    axis = torch.linspace(-1, 1, GRID)
    u1, u2 = (each.numpy() for each in torch.meshgrid(axis, axis, indexing="ij"))
    some = torch.linspace(-0.93, 0.87, 10)  # off the centre, so that some lie close to the line
    starts = torch.stack(torch.meshgrid(some, some, indexing="ij"), -1).view(-1, 2)
    starts = starts[is_blurred(starts)]
    needed = wanted_steps(starts, MIRROR).norm(dim=-1)
    for column, surface in enumerate(surfaces):
        height = surface.height.numpy()
        above = figure.add_subplot(2, 4, column + 1, projection="3d")
        above.plot_surface(u1, u2, height, cmap="viridis", rcount=GRID, ccount=GRID, linewidth=0, antialiased=False)
        above.view_init(elev=28, azim=-105)
        above.set_box_aspect(None, zoom=0.95)
        above.set_title(surface.title, fontsize=11)
        above.set(xlabel="u1", ylabel="u2", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        below = figure.add_subplot(2, 4, column + 5)
        pale = height.max() + 0.9 * (height.max() - height.min()) + 1e-9  # so that arrows stand out
        below.pcolormesh(u1, u2, height, cmap="Blues", vmin=height.min(), vmax=pale, shading="gouraud")
        below.plot([-1, 1], [1, -1], color=COLOURS[1], linewidth=1.4, linestyle=(0, (5, 3)))
        steps = surface.step(starts)
        (x, y), (dx, dy) = starts.T.numpy(), steps.T.numpy()
        below.plot(x, y, ".", color=INK, markersize=4)
        below.quiver(
            x, y, dx, dy, angles="xy", scale_units="xy", scale=1, color=INK, width=0.005, headwidth=4, headlength=4.5,
            headaxislength=4, minlength=0,
        )  # fmt: skip
        below.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        below.set_xlabel(f"u1\n\n{_in_words(steps.norm(dim=-1) / needed)}")
        below.set_ylabel("u2")
        below.grid(visible=False)
    figure.suptitle(
        "One step down each prior, u' = u - grad p(u), from blurred pictures (dots). An arrow, in true length, should "
        "end at the mirror image in the dashed line;\nmost of (a) have no length or leave the frame.",
        color=INK, fontsize=12,
    )  # fmt: skip


def _in_words(ratio: Tensor) -> str:
    """Of the lengths of steps to those that are needed."""
    idle, low, high = 100 * float((ratio < 0.01).double().mean()), float(ratio.min()), float(ratio.max())
    if high < 0.01:
        return "no step anywhere"
    if idle >= 1:
        return f"less than 1 % of the step needed at {idle:.0f} % of the dots,\nup to {high:.3g} times at the line"
    return f"{low:.3g} to {high:.3g} times the step needed" if high - low > 1e-4 else "the step needed, everywhere"


def _draw_slice(figure: Any, surfaces: tuple[Surface, ...]) -> None:
    """The priors and their steps along u1 = u2; log-odds shifted and scaled to the optimum at both ends of blur."""
    left, right = figure.subplots(1, 2)
    t = torch.linspace(-1, 1, 2001)
    diagonal = torch.stack((t, t), -1)
    probability, log_odds, _, optimum = surfaces
    corner, centre = log_odds.height[0, 0], log_odds.height[GRID // 2, GRID // 2]
    scale = float(optimum.height[0, 0] / (corner - centre)) if float((corner - centre).abs()) > 1e-6 else 1.0
    peaks = []
    for surface in surfaces:
        factor, offset = (scale, centre) if surface is log_odds else (1.0, 0.0)
        label = f"{surface.title}, × {scale:.2g}" if surface is log_odds else surface.title
        style: dict[str, Any] = {"color": surface.colour, "linewidth": 1.9}
        if surface is optimum:
            style |= {"linewidth": 1.5, "linestyle": (0, (2, 2)), "zorder": 5}
        height, step = factor * (surface.height.diagonal() - offset), factor * surface.step(diagonal).mean(-1)
        left.plot(torch.linspace(-1, 1, GRID), height.numpy(), label=label, **style)
        right.plot(t, step.numpy(), **style)
        if surface in (probability, log_odds):
            peaks.append(f"{float(step.max()):.3g}")
    for axes in (left, right):
        axes.axvspan(-1, 0, color=SOFT, alpha=0.08, linewidth=0)
        axes.set_xlabel("t, of u = (t, t); blurred where shaded")
        axes.set_xlim(-1, 1)
    left.set(ylabel="p(u)", title="priors", ylim=(-2.3, 2.4))
    right.set(ylabel="-∂p/∂u1", title="steps of a pixel; needed: -2t", ylim=(-2.3, 4.4))
    right.text(0.02, 0.96, f"(a) is cut off,\nup to {' and '.join(peaks)}", transform=right.transAxes, va="top")
    figure.legend(loc="outside upper center", ncols=2, fontsize=9.5)


def _draw_seeds(figure: Any, found: TwoPixel) -> None:
    """The MSE of every seed on a logarithmic axis, with the paper's."""
    axes = figure.subplots()
    rows: list[tuple[Score, str, float | None]] = [
        (found.scores[0], MIRROR, DISCRIMINATIVE),
        (found.scores[1], MIRROR, DISCRIMINATIVE),
        (found.scores[2], MIRROR, None),
        (found.scores[3], MIRROR, GRADIENT),
        (found.scores[4], STAYS, None),
    ]
    for row, (score, target, published) in enumerate(rows):
        colour = COLOURS[1] if row < 3 else COLOURS[0]
        for n, (value, good) in enumerate(zip(score.errors[target], score.learned, strict=True)):
            aside = 0.3 * ((n + 0.5) / len(score.learned) - 0.5)
            axes.plot(
                [max(value, FLOOR)], [row + aside], "o", color=colour, markersize=6,
                markerfacecolor=colour if good else "white",
            )  # fmt: skip
        if published is not None:
            axes.plot([published], [row], "D", color=INK, markersize=8, zorder=4)
    nothing = found.scores[-1].errors[MIRROR]
    axes.axvline(sum(nothing) / len(nothing), color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2, zorder=1)
    for style, label in (
        ({"marker": "o", "color": SOFT}, "a seed"),
        ({"marker": "o", "color": SOFT, "markerfacecolor": "white"}, "a seed that did not learn"),
        ({"marker": "D", "color": INK}, "as published"),
    ):
        axes.plot([], [], linestyle="none", label=label, **style)
    axes.plot([], [], color=SOFT, linestyle=(0, (4, 3)), label="nothing done")
    axes.set_xscale("log")
    axes.set_xticks([10.0**n for n in range(-9, 5, 2)])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.set_yticks(range(len(rows)), [score.name for score, *_ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("MSE on fresh pictures; against the mirror image, in the last row against what stays")
    figure.legend(loc="outside upper center", ncols=4, fontsize=9)
