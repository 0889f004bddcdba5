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
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.networks.vgg import Vgg11
from acutance_lab.bench.score import require_ssim, structural_similarity
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments.short_training import (
    BATCH,
    BLUR,
    Pairs,
    fit,
    held_out_pairs,
    mean_psnr,
    mean_square,
    start,
)
from acutance_lab.train.perceptual import Perceptual

WEIGHTS = (1e-10, 5e-6, 2e-4, 1e-2)
"""Of the paper; it takes the second."""

VGG = "VGG-11-bn"
"""The judge of the paper."""

ITERATIONS, FEATURES, SIDE, POOL = 400, 10, 64, 768
"""Of a run; of the network; of crops to train on, pixels; how many of them."""

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
    if iterations < 1 or features < 1 or seed < 0:
        raise ConfigError(f"seed={seed}, iterations={iterations}, features={features}: a seed from 0 on, else from 1")
    require_ssim()
    perceptual = Perceptual.load(judge)
    began, cpu = time.perf_counter(), torch.device("cpu")
    training = Photographs.load(data, device=cpu, least=SIDE + 2 * BLUR.margin())
    judging = Photographs.load(data, device=cpu, validation=True, least=JUDGED_SIDE + 2 * BLUR.margin())
    pairs = Pairs.draw(training, min(POOL, BATCH * iterations), SIDE, torch.Generator().manual_seed(seed))
    judged = held_out_pairs(judging, JUDGED, JUDGED_SIDE)
    with torch.no_grad():
        apart = float(perceptual(judged.blurred, judged.sharp))
    runs = [
        _trained(start(features, seed), weight, perceptual, iterations, (pairs, judged), seed + 1, on_iteration)
        for weight in weights
    ]
    return Balance(
        judge=VGG if isinstance(perceptual.judge, Vgg11) else "SqueezeNet 1.1",
        seed=seed, iterations=iterations, features=features,
        balanced=float(mean_square(judged.blurred, judged.sharp)) / max(apart, 1e-30),
        blurred=_quality(judged.blurred, judged.sharp), runs=tuple(runs),
        shown=Pairs(judged.blurred[:SHOWN], judged.sharp[:SHOWN]), data=(training.digest, judging.digest),
        seconds=time.perf_counter() - began,
    )  # fmt: skip


def _trained(
    network: nn.Module,
    weight: float,
    perceptual: Perceptual,
    iterations: int,
    pairs: tuple[Pairs, Pairs],
    seed: int,
    on_iteration: Callable[[], None] | None,
) -> Trained:
    """Train and judge one network. Args: pairs: to train on, to judge by. seed: of the batches."""
    trained, judged = pairs
    generator = torch.Generator().manual_seed(seed)
    terms: tuple[list[float], list[float]] = ([], [])

    def loss(_: int) -> Tensor:
        batch = trained.some(BATCH, generator)
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
