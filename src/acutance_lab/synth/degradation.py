"""From sharp photographs to a restoration problem with known truth.

    y = quantise( jpeg( A x + n ) ),        both of which clip to [0, 1]

with the kernel, the noise level and the rest drawn for each image. The sharp picture lives on the domain of the blur,
so that the border of y is as honest as a camera's: the scene beyond the frame is blurred into it.

Blur happens in linear light. So a share of the pictures is decoded first, blurred as light and encoded again,

    y = quantise( jpeg( T( clip( A T^-1(x) + sqrt(a A T^-1(x) + b) n ) ) ) ),        T: the sRGB curve

and the problem is posed in linear light, T^-1(y) and T^-1(x), or in encoded values, y and x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.images.colour import linear_to_srgb, srgb_to_linear
from acutance.noise.blocks import FLOOR
from acutance.operators import Blur, Boundary
from acutance.problem import Problem
from acutance.quantised import CLIPPED
from acutance.saturation import heeding
from acutance_lab.synth import kernels, noise
from acutance_lab.synth.camera import Draw, Range, each, extended, lit
from acutance_lab.synth.kernel_error import misestimated

BRIGHTEST, GLARE = 3.0, 8.0
"""Factors; see `Degradation.saturation`."""

LAMPS: Range = (3.0, 30.0)
"""How many times brighter than white lamps are in linear light."""

EVEN: Range = (0.005, 0.055)
"""Noise levels of `Degradation.uniform`."""

BETTER = 0.15
"""Share of exact kernels that a problem calls approximate: some estimates are right."""

PHOTONS: Range = (0.5, 1.0)
"""Part of the noise variance in linear light that photons have; reading has the rest."""

KernelSampler = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class Example:
    """A problem and its answer.

    Args:
        sharp: (B, C, H', W') on the domain of `problem.operator`.
        linear: (B,) bool, the pictures in linear light; None: none of them.
    """

    sharp: Tensor
    problem: Problem
    linear: Tensor | None = None

    def shown(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) as a screen shows them: those in linear light are encoded."""
        return x if self.linear is None else _at(linear_to_srgb, x, self.linear)


@dataclass(frozen=True, eq=False)
class Kinds:
    """Which pictures of a batch are blurred in linear light, and what the problem shows of them.

    Args:
        linear: (B,) bool, those posed in linear light. encoded: (B,) bool, those posed in encoded values.
    """

    linear: Tensor
    encoded: Tensor

    @property
    def light(self) -> Tensor:
        """Those that are blurred in linear light, (B,) bool."""
        return self.linear | self.encoded

    def posed(self, light: Tensor) -> Tensor:
        """Pictures (B, C, H, W) as the problem shows them, given the linear light of those that have been decoded."""
        return _at(linear_to_srgb, light, self.encoded)

    def of_file(self, y: Tensor) -> Tensor:
        """Files (B, C, H, W), encoded, as the problem shows them."""
        return _at(srgb_to_linear, y, self.linear)


class Synthesis(Protocol):
    """Makes problems with a known answer from sharp photographs."""

    def margin(self, span: int) -> int:
        """Pixels that the sharp photograph has to have beyond the picture, on each side, for blur of that span."""
        ...

    def __call__(self, sharp: Tensor, generator: torch.Generator, *, span: int, one_channel: bool = False) -> Example:
        """Degrade (B, 3, H', W') in [0, 1], on one channel if asked for; `span` limits the blur, pixels."""
        ...


@dataclass(frozen=True)
class Degradation:
    """How pictures are degraded; draws everything from the Generator it is given.

    Args:
        sampler: of kernels: ``(n, span, generator, size=...) -> (n, 1, size, size)``.
        sigma: range of the noise level, fractions of the range, drawn log-uniformly.
        uniform: share of pictures whose level is drawn uniformly from `EVEN` instead.
        clean: share of pictures without noise, compression and rounding.
        linear: share of pictures blurred in linear light and given in linear light, as ``restore(linear=True)`` solves
            them. Their noise depends on the signal; `sigma` is its root mean square, measured after decoding.
        encoded: share of pictures blurred in linear light and given in encoded values, as `restore` solves them
            otherwise; `sigma` is measured there.
        grey: share of pictures made grey, with one noise field for the three channels.
        exposure: darkest factor that a picture is multiplied with, drawn log-uniformly up to 1.
        saturation: share of pictures that are clipped after the blur. Half of them are brightened as a whole, up to
            `BRIGHTEST` times, half only where the photograph was clipped itself, up to `GLARE` times, as by lamps. In
            linear light the brightest places become lamps, `LAMPS` times as bright as white.
        photon: share of pictures with Poisson noise of about the drawn level instead of Gaussian.
        correlated: share with noise as after demosaicing.
        jpeg: share compressed with a quality of 70 to 98.
        kernel_error: share of pictures whose problem has the kernel as an estimator may have found it. If it is not 0,
            problems say which kernels are only about right (`Problem.approximate`).
        level_error: standard deviation of the logarithm of the level that the problem tells, as estimates of it
            scatter; of JPEG files it tells 0.3 to 1 of the truth, since compression hides noise from an estimate.
        masked: whether the problem heeds clipped pixels (`acutance.saturation`); then the sharp picture may exceed 1.
        bits: quantisation of the rest; 0 leaves them unclipped and continuous.
        boundary: of the blur.
    """

    sampler: KernelSampler = kernels.mixture
    sigma: tuple[float, float] = (0.002, 0.05)
    uniform: float = 0.0
    clean: float = 0.0
    linear: float = 0.0
    encoded: float = 0.0
    grey: float = 0.25
    exposure: float = 1.0
    saturation: float = 0.0
    photon: float = 0.0
    correlated: float = 0.0
    jpeg: float = 0.0
    kernel_error: float = 0.0
    level_error: float = 0.0
    masked: bool = False
    bits: int = 8
    boundary: Boundary = "valid"

    def __post_init__(self) -> None:
        if not 0 <= self.linear <= self.linear + self.encoded <= 1 or self.encoded < 0:
            raise ConfigError(
                f"linear={self.linear}, encoded={self.encoded}: give shares of the pictures, at most 1 together"
            )

    def margin(self, span: int) -> int:
        """The radius of a kernel of `span` (odd) pixels, where the blur reaches beyond the frame."""
        return span // 2 if self.boundary == "valid" else 0

    @torch.no_grad()
    def __call__(self, sharp: Tensor, generator: torch.Generator, *, span: int, one_channel: bool = False) -> Example:
        """Degrade pictures.

        Args:
            sharp: (B, 3, H', W') in [0, 1], on the domain of a blur with kernels of `span` (odd) pixels.
            one_channel: all of them grey, on one channel.
        """
        n = sharp.shape[0]
        draw = Draw(n, generator)
        grey = draw.pick(1.0 if one_channel else self.grey)
        kinds = self._kinds(draw)
        scene = self._scene(torch.where(each(grey), luma(sharp), sharp), kinds, draw)
        blur = Blur(self.sampler(n, span, generator, size=span), self.boundary)
        blurred = blur.forward(scene)
        y, told = self._recorded(blurred, grey, kinds, draw)
        approximate = None
        if self.kernel_error:
            wrong = draw.pick(self.kernel_error)
            blur = Blur(torch.where(each(wrong), misestimated(blur.kernel, generator), blur.kernel), self.boundary)
            approximate = wrong | draw.pick(BETTER)
            approximate = (approximate if kinds is None else approximate | kinds.encoded).to(y)
        if self.saturation and not self.masked:
            scene = scene.clamp_max(1)
        sharp = scene if kinds is None else kinds.posed(scene)
        if one_channel:
            sharp, y = sharp[:, :1].contiguous(), y[:, :1].contiguous()
        problem = Problem(y, blur, told, approximate=approximate)
        problem = heeding(problem) if self.masked else problem
        return Example(sharp, problem, None if kinds is None else kinds.linear)

    def _kinds(self, draw: Draw) -> Kinds | None:
        """Which pictures are blurred in linear light; None: none, and nothing is drawn."""
        if not self.linear and not self.encoded:
            return None
        u = draw.uniform()
        linear = u < self.linear
        return Kinds(linear, ~linear & (u < self.linear + self.encoded))

    def _scene(self, sharp: Tensor, kinds: Kinds | None, draw: Draw) -> Tensor:
        """What is blurred: photographs (B, 3, H, W) or their light, as bright as drawn."""
        gain = torch.exp(math.log(self.exposure) * draw.uniform())
        bright, share = draw.pick(self.saturation), draw.uniform()  # drawn in any case: the rest is the same without
        if kinds is not None:
            sharp = _at(srgb_to_linear, sharp, kinds.light)
        if self.saturation:
            lamps, share = share < 0.5, 2 * share % 1
            gain = torch.where(bright & ~lamps, torch.exp(math.log(BRIGHTEST) * share), gain)
            glare = bright & lamps
            if kinds is not None:
                low, high = (math.log(v) for v in LAMPS)
                lamp = torch.where(glare & kinds.light, torch.exp(low + (high - low) * share), 1.0)
                sharp, glare = lit(sharp, lamp), glare & ~kinds.light
            sharp = extended(sharp, torch.where(glare, torch.exp(math.log(GLARE) * share), 1.0))
        return sharp * each(gain)

    def _level(self, draw: Draw) -> Tensor:
        """Noise levels, (B,)."""
        sigma = draw.log_uniform(self.sigma)
        return torch.where(draw.pick(self.uniform), draw.uniform(EVEN), sigma) if self.uniform else sigma

    def _recorded(self, blurred: Tensor, grey: Tensor, kinds: Kinds | None, draw: Draw) -> tuple[Tensor, Tensor]:
        """The file that is made of blurred pictures, as the problem shows it, and the level that the problem tells."""
        sigma = self._level(draw)
        y = noise.gaussian(blurred, sigma, draw.generator, shared=grey)
        if self.photon:
            peak = blurred.mean((1, 2, 3)).clamp_min(0.02) / sigma**2
            photons = draw.pick(self.photon)
            y = torch.where(each(photons), noise.poisson(blurred, peak, draw.generator, shared=grey), y)
        correlated = None
        if self.correlated:
            correlated = draw.pick(self.correlated) & ~grey
            y = torch.where(each(correlated), noise.demosaiced(blurred, sigma, draw.generator), y)
        told = sigma
        if self.level_error:
            rounding = (2**-self.bits) ** 2 / 12 if self.bits else 0.0
            told = torch.sqrt(sigma**2 + rounding)
        scatter = draw.normal() if self.level_error else None
        if kinds is not None:
            rows = kinds.light.nonzero()[:, 0]
            shared, bayer = grey[rows], None if correlated is None else correlated[rows]
            y[rows], measured = self._photographed(
                blurred[rows], sigma[rows], kinds.encoded[rows], shared, bayer, draw.generator
            )
            told = told.index_copy(0, rows, measured)
        if scatter is not None:
            told = told * torch.exp(self.level_error * scatter)
        if self.jpeg:
            compressed = draw.pick(self.jpeg)
            y = torch.where(each(compressed), noise.jpeg(y, 70 + 28 * draw.uniform()), y)
            if self.level_error:
                told = torch.where(compressed, told * (0.3 + 0.7 * draw.uniform()), told)
        if self.bits:
            y = noise.quantise(y, self.bits)
        if kinds is not None:
            y = kinds.of_file(y)
        if self.clean:
            clean = draw.pick(self.clean)
            exact = (blurred if kinds is None else kinds.posed(blurred)).clamp_max(1)
            y, told = torch.where(each(clean), exact, y), torch.where(clean, FLOOR, told)
        return y, told

    def _photographed(
        self,
        light: Tensor,
        sigma: Tensor,
        encoded: Tensor,
        grey: Tensor,
        correlated: Tensor | None,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """A camera's picture of light (m, 3, H, W), encoded in [0, 1], and its measured noise level, (m,).

        Args:
            sigma: level that is wanted, (m,). encoded: (m,) bool, whether it is that of encoded values.
            grey: (m,) bool, one noise field for three channels. correlated: (m,) bool, noise as after demosaicing.
        """
        part = Draw(light.shape[0], generator).uniform(PHOTONS)
        spread = noise.of_signal(light, sigma, part)
        rows = encoded.nonzero()[:, 0]
        spread = spread.index_copy(0, rows, noise.before_encoding(light[rows], spread[rows], sigma[rows]))
        none, one = torch.zeros_like(light), torch.ones_like(sigma)
        field = noise.gaussian(none, one, generator, shared=grey)
        if correlated is not None:
            field = torch.where(each(correlated), noise.demosaiced(none, one, generator), field)
        y = linear_to_srgb((light + spread * field).clamp(0, 1))
        file = noise.quantise(y, self.bits) if self.bits else y
        kinds = Kinds(~encoded, encoded)
        error = kinds.of_file(file) - kinds.posed(light)
        seen = (file < CLIPPED).to(error)
        count = seen.sum((1, 2, 3))
        level = ((error.square() * seen).sum((1, 2, 3)) / count.clamp_min(1)).sqrt()
        return y, torch.where(count > 0, level, sigma).clamp_min(FLOOR)


def _at(curve: Callable[[Tensor], Tensor], x: Tensor, which: Tensor) -> Tensor:
    """x (B, C, H, W) with the pictures `which`, (B,) bool, taken through a tone curve."""
    rows = which.nonzero()[:, 0]
    return x.index_copy(0, rows, curve(x[rows]))


def luma(x: Tensor) -> Tensor:
    """Rec. 601 luma of (B, 3, H, W), in three equal channels."""
    weights = x.new_tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    return (x * weights).sum(1, keepdim=True).expand_as(x)
