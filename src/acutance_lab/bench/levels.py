"""Compares estimated noise levels with true ones: photographs with known noise, suites, real noisy pairs.

The contenders are estimators: `noise-level` of the picture alone (`acutance.noise.blocks`), `noise-level-behind` of a
method that knows the kernel (`acutance.noise.behind_blur`), `noise-level-wavelets` of scikit-image. True is the root
mean square of (noisy - clean) over the pixels inside the range: the noise that clipping, JPEG and rounding take away or
add is counted. Of a suite of blurred pictures it is the level that was added.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from acutance.errors import ConfigError, MissingExtra
from acutance.images import Image
from acutance.methods.spec import Needs
from acutance.noise.blocks import noise_level
from acutance.noise.level import level_of
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.saturation import heeding
from acutance_lab.bench.case import Case, Content, Noise, Suite
from acutance_lab.bench.runner import Attempt, OnPixels, Runner
from acutance_lab.data.photographs import Photographs
from acutance_lab.synth import kernels, noise
from acutance_lab.synth.files import seeded

LEVELS = (0.005, 0.01, 0.02, 0.05)
SUITE_LEVELS = (0.01, 0.03, 0.05)
SIZE, SPAN = 384, 31
"""Sides of the blurred crops and of the kernels, pixels."""

BLURRED, SHARP = "blurred", "sharp"


@dataclass(frozen=True)
class Estimator(Runner):
    """A runner that leaves the picture as it is and says how noisy it is."""

    find: Callable[[Tensor, Tensor | None], float]
    needs: Needs = Needs(kernel=False)  # noqa: RUF009

    def __call__(
        self, observed: Image | Tensor, kernel: Tensor | None, sigma: float | None, *, on_pixels: OnPixels | None = None
    ) -> Attempt:
        """See `acutance_lab.bench.runner.Runner`."""
        pixels = observed.pixels if isinstance(observed, Image) else observed
        begun = time.perf_counter()
        level = self.find(pixels, kernel)
        return Attempt(pixels, time.perf_counter() - begun, 1, "COMPLETED", level=level)


def _alone(noisy: Tensor, _: Tensor | None) -> float:
    return float(noise_level(noisy))


def _behind(noisy: Tensor, kernel: Tensor | None) -> float:
    if kernel is None:
        raise ConfigError("noise-level-behind needs the kernel of each picture; give suites such as set12 and levin32")
    return float(level_of(heeding(Problem(noisy, Blur(kernel)))))


def wavelet_level(noisy: Tensor, _: Tensor | None = None) -> float:
    """The level of (1, C, H, W) by the median of its finest wavelet coefficients, as scikit-image does it.

    Raises:
        MissingExtra: scikit-image is not installed, or PyWavelets, which it needs for this.
    """
    try:
        from skimage.restoration import estimate_sigma

        levels = estimate_sigma(noisy[0].numpy(), channel_axis=0)
    except ImportError as error:
        raise MissingExtra("comparing with scikit-image's estimate_sigma (it wants PyWavelets too)", "lab") from error
    return float(torch.as_tensor(levels).square().mean().sqrt())


ALONE, BEHIND, WAVELETS = "noise-level", "noise-level-behind", "noise-level-wavelets"
ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {
        ALONE: Estimator(_alone),
        BEHIND: Estimator(_behind, Needs(kernel=True)),
        WAVELETS: Estimator(wavelet_level),
    }
)
"""By name, as contenders."""


def true_level(content: Content) -> float:
    """The level of a picture: as its suite says, or of what the noise inside the range is; not a number if unknown."""
    told = next((level for level in (content.level, content.sigma) if level is not None), None)
    if told is not None:
        return told
    if content.truth is None:
        return float("nan")
    inside = (content.observed > 0) & (content.observed < 1)
    return float((content.observed - content.truth)[inside].square().mean().sqrt())


Add = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def _photons(clean: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
    return noise.poisson(clean, clean.mean((1, 2, 3)).clamp_min(0.02) / level**2, generator)


def _compressed(clean: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
    return noise.jpeg(noise.gaussian(clean, level, generator), 80 + 15 * torch.rand(1, generator=generator))


KINDS: Mapping[str, Add] = MappingProxyType(
    {"white": noise.gaussian, "photons": _photons, "demosaiced": noise.demosaiced, "white, then JPEG": _compressed}
)
"""Functions that add noise to (1, 3, H, W), by name."""


def photographs_suite(folder: Path, state: str, *, count: int = 12, levels: Sequence[float] = LEVELS) -> Suite:
    """`count` crops of held-out photographs, blurred by camera shake or sharp, x kinds of noise x levels, in 8 bits.

    Args:
        state: `BLURRED` or `SHARP`; both have the same crops.

    Raises:
        ConfigError: a level not between 0 and 0.5, or no crop.
    """
    if count < 1 or not levels or not all(0 < level < 0.5 for level in levels):
        raise ConfigError(f"{count} crops with levels {tuple(levels)}: give a crop or more, and levels like 0.01")

    def make(_: Path, level: Noise) -> list[Case]:
        return [
            Case("noise", str(n), state, level, partial(_content, folder, n, state, kind, level or 0.0), varied=kind)
            for n in range(count)
            for kind in KINDS
        ]

    protocol = "Crops of photographs with noise of known kinds, 8 bits; estimated over true noise level."
    return Suite(
        "noise", "the noise level of photographs", protocol, tuple(levels), make, files=False, ssim=False, shown=0
    )


def _content(folder: Path, n: int, state: str, kind: str, level: float) -> Content:
    """Crop n with one kind of noise; crop and noise depend on these names alone."""
    sharp, kernel = _crop(folder, n)
    clean = sharp if state == SHARP else Blur(kernel).forward(sharp).clamp(0, 1)
    noisy = noise.quantise(KINDS[kind](clean, torch.tensor([level]), seeded(repr((n, state, kind, level)))), 8)
    return Content(noisy, None if state == SHARP else kernel, clean)


@lru_cache(maxsize=1)
def _crop(folder: Path, n: int) -> tuple[Tensor, Tensor]:
    generator = seeded(repr((n,)))
    sharp = _photographs(folder).crops(1, SIZE + SPAN - 1, generator, candidates=1)
    draw = kernels.shake if n % 2 else kernels.spline
    return sharp, draw(1, SPAN, generator, size=SPAN)


@lru_cache(maxsize=1)
def _photographs(folder: Path) -> Photographs:
    return Photographs.load(folder, device=torch.device("cpu"), validation=True, least=SIZE + SPAN - 1)
