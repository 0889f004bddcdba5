r"""Rain in front of a photograph: layers of streaks, and mist.

    s_l = sum over drops of  b_l k_l( p - p_drop ),       k_l a streak: a soft line of a length, a width, an angle
    r = 1 - product_l (1 - s_l)     (screen)      or      sum_l s_l     (added light)
    y = camera( clip( (1 - m) x + m A + r ) )             screen: x' + r - x' r with x' what the mist leaves

Every layer is one distance: near streaks are long, wide and few, far ones short, thin and many; layers of a picture
share a wind, from which each differs a little. Benchmarks of deraining are synthetic alike: Yang et al. 2017 add up to
five directions, Zhang et al. 2018 screen one noise that was smeared.

References: `yang2017deep`, `zhang2018density`, `garg2006photorealistic`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.tensors import fast_length
from acutance_lab.synth.camera import Draw, Range, each, filed
from acutance_lab.synth.in_place import InPlace

LEANING = math.pi / 4
"""The largest angle of the wind's streaks to the vertical, radians."""


@dataclass(frozen=True)
class Rain(InPlace):
    """How it rains; everything is drawn from the Generator, each range log-uniformly but `light`.

    Args:
        layers: the most there are; from one on all numbers are equally frequent.
        cover: share of the picture that the streaks of a layer cover.
        length: of streaks, pixels. width: their standard deviation across, pixels.
        brightness: of a streak in its middle; drops differ by a factor of up to 2.
        spread: of the layers' angles, standard deviation in radians; one picture in five has `astray` instead.
        screen: share of pictures in which rain is screened over the picture; to the others it is added.
        mist: share of pictures with mist. veil: m, its opacity. light: A, its brightness.
        dry: share of pictures without any of it: what is dry is to be left alone.
        grey: share of pictures made grey. jpeg: share compressed. quality: 1 to 100. bits: of the file.
    """

    layers: int = 4
    cover: Range = (0.01, 0.35)
    length: Range = (6.0, 60.0)
    width: Range = (0.4, 1.6)
    brightness: Range = (0.1, 0.9)
    spread: float = 0.06
    astray: float = 0.5
    screen: float = 0.4
    mist: float = 0.3
    veil: Range = (0.05, 0.5)
    light: Range = (0.5, 1.0)
    dry: float = 0.05
    grey: float = 0.05
    jpeg: float = 0.3
    quality: Range = (60.0, 98.0)
    bits: int = 8

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ConfigError(f"layers={self.layers}: at least 1")

    def spoil(self, sharp: Tensor, grey: Tensor, draw: Draw) -> Tensor:
        """Rain on them, and mist."""
        streaks = self.streaks(draw, (sharp.shape[-2], sharp.shape[-1]))  # (B, L, H, W)
        veil = torch.where(draw.pick(self.mist), draw.log_uniform(self.veil), 0.0)
        seen = torch.lerp(sharp, each(draw.uniform(self.light)).expand_as(sharp), each(veil))
        screened = 1 - (1 - seen) * (1 - streaks.clamp_max(1)).prod(1, keepdim=True)
        added = seen + streaks.sum(1, keepdim=True)
        rainy = torch.where(each(draw.pick(self.screen)), screened, added)
        y = torch.where(each(draw.pick(self.dry)), sharp, rainy).clamp(0, 1)
        return filed(y, draw, bits=self.bits, jpeg=self.jpeg, quality=self.quality)

    def streaks(self, draw: Draw, size: tuple[int, int]) -> Tensor:
        """s_l of each layer, (B, L, H, W), at least 0; layers that a picture does not have are 0."""
        n, count = draw.n, self.layers
        there = torch.arange(count, device=draw.generator.device) < draw.uniform((1, count + 1), 1).floor()
        length, width = draw.log_uniform(self.length, count), draw.log_uniform(self.width, count)
        spread = torch.where(draw.pick(0.2), self.astray, self.spread)
        angle = draw.uniform((-LEANING, LEANING), 1) + spread[:, None] * draw.normal(count)
        bright = draw.log_uniform(self.brightness, count) * there
        height, wide = (fast_length(side) for side in size)
        covered = length * width * math.sqrt(2 * math.pi)  # pixels of one streak
        share = (draw.log_uniform(self.cover, count) / covered)[..., None, None]
        places = torch.rand(n, count, height, wide, generator=draw.generator, device=share.device)
        weights = (0.5 + 0.5 * torch.rand(places.shape, generator=draw.generator, device=share.device)) * (
            places < share
        )
        streak = _streak(length, width, angle, (height, wide))
        drawn = torch.fft.irfft2(torch.fft.rfft2(weights) * torch.fft.rfft2(streak), s=(height, wide))
        drawn = drawn[..., : size[0], : size[1]].clamp_min(0)  # on a torus: streaks that leave come in again
        streaks: Tensor = drawn * bright[..., None, None]
        return streaks


def _streak(length: Tensor, width: Tensor, angle: Tensor, size: tuple[int, int]) -> Tensor:
    """Soft lines about the origin of a torus, 1 in their middle: (B, L, H, W). angle: to the vertical, radians."""
    rows, cols = (torch.fft.fftfreq(n, 1 / n, device=length.device) for n in size)
    y, x = rows[:, None], cols[None, :]
    sine, cosine = (f(angle)[..., None, None] for f in (torch.sin, torch.cos))
    along, across = y * cosine + x * sine, x * cosine - y * sine
    half, sigma = length[..., None, None] / 2, width[..., None, None]
    ends = torch.sigmoid((half - along.abs()) / (0.1 * half + 0.3))
    return ends * torch.exp(-0.5 * (across / sigma).square())
