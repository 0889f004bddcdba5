r"""The balance of the losses: how much a perceptual term is to weigh (Luo et al. 2019, section 6.1, Fig. 8).

    loss = L_c + weight * L_p,    L_c = mean (F(y) - x)^2,    L_p see `acutance_lab.train.perceptual`

One network for each weight, from the same start, on the same pictures in the same order. The paper shows 1e-10, 2e-4
and 1e-2, and takes 5e-6, which brings both terms into one range, [1e-2, 1e-1]. What balances depends on the range of
the features, so `Balance.balanced` says where the terms of *this* judge are equal, on blurred held-out pictures.

Scaled down: a network of a few features, crops of 64 pixels, minutes, and blur made from photographs
(`acutance_lab.experiments.short_training.BLUR`). Weights of the judge are given as a file, of VGG-11 with batch
normalisation as in the paper or of SqueezeNet 1.1, or come from torchvision; nothing else stands in for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance_lab.bench.score import require_ssim, structural_similarity
from acutance_lab.bench.sheet import GAP, text_line
from acutance_lab.experiments.output import Report
from acutance_lab.experiments.short_training import (
    BATCH,
    BLUR,
    RATE,
    SIDE,
    Material,
    Pairs,
    fit,
    material,
    mean_psnr,
    mean_square,
    start,
)
from acutance_lab.plots import COLOURS, Panel, Series
from acutance_lab.train.judges import Vgg11
from acutance_lab.train.perceptual import Perceptual

WEIGHTS = (1e-10, 5e-6, 2e-4, 1e-2)
"""Of the paper; it takes the second."""

VGG = "VGG-11-bn"
"""The judge of the paper."""

ITERATIONS, FEATURES = 400, 10
"""Of a run, and of the network."""

JUDGED, JUDGED_SIDE, SHOWN = 12, 128, 3
"""Held-out crops to judge by, their side in pixels, and how many of them are shown."""


@dataclass(frozen=True)
class Quality:
    """Means over the held-out crops.

    Args:
        psnr: dB. ssim. colour: how far the mean of a channel of a picture is off, fraction of the range.
    """

    psnr: float
    ssim: float
    colour: float


@dataclass(frozen=True, eq=False)
class Trained:
    """What became of one weight.

    Args:
        weight: of L_p. content, perceptual: L_c and L_p, without the weight, of the batch of every iteration.
        quality: at the end. shown: the held-out crops to look at, restored, (n, 3, H, W).
    """

    weight: float
    content: tuple[float, ...]
    perceptual: tuple[float, ...]
    quality: Quality
    shown: Tensor = field(repr=False)

    def final(self, last: int = 50) -> tuple[float, float]:
        """Means of L_c and L_p over the last iterations."""
        content, perceptual = self.content[-last:], self.perceptual[-last:]
        return sum(content) / len(content), sum(perceptual) / len(perceptual)


@dataclass(frozen=True, eq=False)
class Balance:
    """The experiment's outcome.

    Args:
        judge: name of its network. seed, iterations, features: what was run.
        balanced: the weight at which both terms are equal before anything is trained. blurred: quality of the input.
        runs: one for each weight. shown: what is looked at, before and in truth. data: digests. seconds: of all.
    """

    judge: str
    seed: int
    iterations: int
    features: int
    balanced: float
    blurred: Quality
    runs: tuple[Trained, ...]
    shown: Pairs = field(repr=False)
    data: tuple[str, str]
    seconds: float


def run(
    data: Path,
    judge: str,
    *,
    weights: Sequence[float] = WEIGHTS,
    seed: int = 0,
    iterations: int = ITERATIONS,
    features: int = FEATURES,
    on_iteration: Callable[[], None] | None = None,
) -> Balance:
    """Train with every weight.

    Args:
        data: folder of sharp photographs; one in 25 is held out by its name. judge: see `Perceptual.load`.
        weights: of the perceptual term, different ones. seed: of start and pictures. iterations: of each run.
        features: of the network. on_iteration: called after each.

    Raises:
        ConfigError: no weight, one twice or below 0; no iteration. DataError: no photographs.
        WeightsError, MissingExtra: no judge, or no torchmetrics.
    """
    if not weights or len(set(weights)) < len(weights) or not all(0 <= weight < 1e9 for weight in weights):
        raise ConfigError(f"weights {', '.join(map(str, weights))}: give at least one, different ones, from 0 on")
    require_ssim()
    perceptual = Perceptual.load(judge)
    began, network = time.perf_counter(), start(features, seed)
    given = material(data, iterations=iterations, seed=seed, judged=(JUDGED, JUDGED_SIDE))
    judged = given.judged
    with torch.no_grad():
        apart = float(perceptual(judged.blurred, judged.sharp))
    runs = [
        _trained(deepcopy(network), weight, perceptual, iterations, given, seed + 1, on_iteration) for weight in weights
    ]
    return Balance(
        judge=VGG if isinstance(perceptual.judge, Vgg11) else "SqueezeNet 1.1",
        seed=seed, iterations=iterations, features=features,
        balanced=float(mean_square(judged.blurred, judged.sharp)) / max(apart, 1e-30),
        blurred=_quality(judged.blurred, judged.sharp), runs=tuple(runs),
        shown=Pairs(judged.blurred[:SHOWN], judged.sharp[:SHOWN]), data=given.digests,
        seconds=time.perf_counter() - began,
    )  # fmt: skip


def _trained(
    network: nn.Module,
    weight: float,
    perceptual: Perceptual,
    iterations: int,
    given: Material,
    seed: int,
    on_iteration: Callable[[], None] | None,
) -> Trained:
    """Train and judge one network. Args: seed: of the batches."""
    judged = given.judged
    generator = torch.Generator().manual_seed(seed)
    terms: tuple[list[float], list[float]] = ([], [])

    def loss(_: int) -> Tensor:
        batch = given.trained.some(BATCH, generator)
        x = network(batch.blurred)
        both = mean_square(x, batch.sharp), perceptual(x, batch.sharp)
        for kept, value in zip(terms, both, strict=True):
            kept.append(float(value.detach()))
        total: Tensor = both[0] + weight * both[1]
        return total

    fit(network, loss, iterations, after=None if on_iteration is None else lambda _: on_iteration())
    with torch.no_grad():
        restored = network(judged.blurred).clamp(0, 1)
    quality = _quality(restored, judged.sharp)
    return Trained(weight, tuple(terms[0]), tuple(terms[1]), quality, restored[:SHOWN])


def _quality(estimates: Tensor, sharp: Tensor) -> Quality:
    ssim = [structural_similarity(x[None], z[None]) for x, z in zip(estimates, sharp, strict=True)]
    colour = (estimates.mean((2, 3)) - sharp.mean((2, 3))).abs().mean()
    return Quality(mean_psnr(estimates, sharp), sum(ssim) / len(ssim), float(colour))


CLAIMS = {
    1e-10: "(a) blurred output",
    5e-6: "chosen; both terms in [1e-2, 1e-1]",
    2e-4: "(b) ghosts",
    1e-2: "(c) wrong colours",
}
"""What the paper says of its weights, with features of VGG-11-bn; it gives no numbers."""

SMOOTH = 20
"""Iterations that a point of a curve is the mean of."""


def report(found: Balance) -> Report:
    """Both terms at the end and the quality, by weight; their course; held-out crops."""
    q, lines = found.blurred, []
    lines.append(["blurred", "", "", "", f"{q.psnr:.2f}", f"{q.ssim:.4f}", f"{100 * q.colour:.2f}", ""])
    for each in found.runs:
        (content, perceptual), q = each.final(), each.quality
        terms = [f"{content:.2e}", f"{each.weight * perceptual:.2e}", f"{each.weight * perceptual / content:.2g}"]
        scores = [f"{q.psnr:.2f}", f"{q.ssim:.4f}", f"{100 * q.colour:.2f}"]
        lines.append([f"{each.weight:g}", *terms, *scores, CLAIMS.get(each.weight, "")])
    head = ["weight", "L_c", "weight × L_p", "their ratio", "PSNR, dB", "SSIM", "colour off, %", "the paper, in words"]
    other = "" if found.judge == VGG else f", not the {VGG} of the paper, and its features have another range"
    notes = [
        f"Judge: {found.judge}{other}. On the blurred held-out pictures both terms are equal at a weight of "
        f"{found.balanced:.2g}; the paper takes 5e-6 with VGG-11-bn.",
        f"L_c, L_p: means of the last iterations. PSNR, SSIM, colour (how far the mean of a channel is off): means of "
        f"{JUDGED} held-out crops of {JUDGED_SIDE} pixels.",
        f"Scaled down: {found.features} features (the paper's F has 32), crops of {SIDE} pixels (256), "
        f"{found.iterations} iterations (to convergence), motion over {BLUR.extent[0]:g} to {BLUR.extent[1]:g} pixels "
        f"(GoPro). Rate {RATE:g} and batches of {BATCH} as in the paper.",
    ]
    panels = [
        Panel(
            [
                _smooth(each.content, "L_c, mean square error", COLOURS[0]),
                _smooth([each.weight * v for v in each.perceptual], "weight × L_p", COLOURS[1]),
            ],
            {"yscale": "log", "title": f"weight {each.weight:g}", "xlabel": "iterations"},
        )
        for each in found.runs
    ]
    shown = [("blurred", found.shown.blurred), *((f"weight {each.weight:g}", each.shown) for each in found.runs)]
    columns = [_column(name, pictures) for name, pictures in [*shown, ("sharp", found.shown.sharp)]]
    numbers = {"published": CLAIMS, "blur": BLUR, "outcome": found}
    plots = {"balance.png": panels}
    return Report("balance", [(head, lines)], notes, numbers, plots, {"balance-crops.png": torch.cat(columns, -1)})


def _column(name: str, pictures: Tensor) -> Tensor:
    """Pictures (n, 3, H, W) below each other, under their name: (1, 3, H', W + GAP)."""
    gap = torch.ones(1, 3, GAP, pictures.shape[-1])
    below = [part for picture in pictures for part in (picture[None].clamp(0, 1), gap)]
    column = torch.cat([text_line(name, pictures.shape[-1]), *below], -2)
    return torch.cat([column, torch.ones(1, 3, column.shape[-2], GAP)], -1)


def _smooth(values: Sequence[float], label: str, colour: str) -> Series:
    """Means over windows of `SMOOTH` iterations, where they end."""
    ends = range(min(SMOOTH, len(values)), len(values) + 1)
    return Series(ends, [sum(values[end - ends[0] : end]) / ends[0] for end in ends], label, {"color": colour})
