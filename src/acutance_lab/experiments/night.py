r"""How well is a night scene restored whose kernel is known, with and without lamps beyond white?

    y = quantise( T( clip( k * (x + s) + n ) ) ),    x: a photograph's light times `DIM`, s: lamps, T: the sRGB curve

Each scene is blurred, recorded and restored twice, with its lamps and without. Methods solve in linear light with the
true kernel. What is beyond white counts as white: both pictures are clipped before they are compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from acutance.images import linear_to_srgb, srgb_to_linear
from acutance.metrics import psnr
from acutance.operators import Blur
from acutance.quantised import CLIPPED
from acutance.restoration.restorer import Restorer
from acutance_lab.bench.contender import Contender
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments.output import Report, mean_row
from acutance_lab.synth import kernels, noise

DIM = 0.5
"""What the light of a photograph taken by day is multiplied by."""

POWER, RADIUS = (3.0, 30.0), (0.7, 2.5)
"""Of lamps: light in units of white, log-uniform, and radius in pixels, uniform."""

SPANS = (15, 21, 27)
"""Sides of the kernels, pixels, in turn; splines and shakes in turn."""

LEVEL, PHOTONS = 0.007, 0.8
"""Noise level in linear light, and the photons' part of its variance."""


@dataclass(frozen=True)
class Settings:
    """Args: scenes: how many. side: of a picture, pixels. lamps: in each. seed: of all draws. methods: that restore."""

    scenes: int = 12
    side: int = 224
    lamps: int = 10
    seed: int = 0
    methods: tuple[str, ...] = ("fd", "acute")


@dataclass(frozen=True)
class Night:
    """One scene in numbers.

    Args:
        span: side of its kernel, pixels. share: of the pixels that were clipped, with lamps.
        blurred, blurred_lit: PSNR of the blurred picture, dB, without lamps and with them.
        restored, restored_lit: the same of each method's result.
    """

    span: int
    share: float
    blurred: float
    blurred_lit: float
    restored: dict[str, float]
    restored_lit: dict[str, float]


@torch.no_grad()
def run(data: Path, settings: Settings, on_scene: Callable[[Night], None] | None = None) -> list[Night]:
    """Restore scenes made of held-out photographs.

    Raises:
        DataError: no photographs. UnknownMethod: see there.
    """
    contenders = [Contender.parse(name) for name in settings.methods]
    restorers = [Restorer.load(c.name, **c.settings) for c in contenders]
    generator = torch.Generator().manual_seed(settings.seed)
    photographs = Photographs.load(data, device=torch.device("cpu"), validation=True)
    found = []
    for i in range(settings.scenes):
        span = SPANS[i % len(SPANS)]
        sharp = photographs.crops(1, settings.side + span - 1, generator)
        dark = DIM * srgb_to_linear(sharp)
        kernel = (kernels.spline, kernels.shake)[i % 2](1, span, generator, size=span)
        lit = torch.maximum(dark, lamps_of(dark, settings.lamps, generator))
        field = torch.randn(1, 3, settings.side, settings.side, generator=generator)
        night = _night(dark, lit, Blur(kernel), field, dict(zip(settings.methods, restorers, strict=True)))
        found.append(night)
        if on_scene is not None:
            on_scene(night)
    return found


def lamps_of(like: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Discs of light at random places, white to orange: the size of `like`, (1, 3, H, W)."""
    height, width = like.shape[-2:]
    rows, cols = torch.arange(height)[:, None], torch.arange(width)
    lamps = torch.zeros_like(like)
    for _ in range(count):
        y, x, size, power, red = torch.rand(5, generator=generator).tolist()
        radius = RADIUS[0] + (RADIUS[1] - RADIUS[0]) * size
        distance = ((rows - y * height).square() + (cols - x * width).square()).sqrt()
        disc = (radius + 0.5 - distance).clamp(0, 1)
        light = math.exp(math.log(POWER[0]) + math.log(POWER[1] / POWER[0]) * power)
        colour = 1 - red * torch.tensor([0.1, 0.25, 0.5])
        lamps = torch.maximum(lamps, light * disc * colour[None, :, None, None])
    return lamps


def _night(dark: Tensor, lit: Tensor, blur: Blur, field: Tensor, restorers: dict[str, Restorer]) -> Night:
    scores: list[tuple[float, dict[str, float]]] = []
    share = 0.0
    for scene in (dark, lit):
        truth = linear_to_srgb(blur.crop(scene).clamp(0, 1))
        light = blur.forward(scene)
        spread = noise.of_signal(light, torch.tensor([LEVEL]), torch.tensor([PHOTONS]))
        y = noise.quantise(linear_to_srgb((light + spread * field).clamp(0, 1)), 8)
        share = float((y >= CLIPPED).any(1).float().mean())
        after = {}
        for name, restorer in restorers.items():
            x = restorer(y, blur.kernel, linear=True).image.pixels
            after[name] = float(psnr(x.clamp(0, 1), truth))
        scores.append((float(psnr(y, truth)), after))
    (blurred, restored), (blurred_lit, restored_lit) = scores
    return Night(blur.kernel.shape[-1], share, blurred, blurred_lit, restored, restored_lit)


def report(found: Sequence[Night], settings: Settings) -> Report:
    """PSNR of every scene and their means."""
    names = list(found[0].restored)
    rows = [
        [n.blurred, *(n.restored[m] for m in names), n.blurred_lit, *(n.restored_lit[m] for m in names)] for n in found
    ]
    kinds = [(str(n.span), n.share) for n in found] + [("mean", sum(n.share for n in found) / len(found))]
    lines = [
        [span, f"{100 * share:.1f} %", *(f"{v:.2f}" for v in row)]
        for (span, share), row in zip(kinds, [*rows, mean_row(rows)], strict=True)
    ]
    head = ["kernel", "clipped", "blurred", *names, "blurred, lamps", *(f"{n}, lamps" for n in names)]
    note = "PSNR in dB of encoded values clipped at white; the kernel is the true one."
    return Report("night", [(head, lines)], [note], {"settings": settings, "scenes": list(found)})
