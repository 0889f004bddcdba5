"""From sharp photographs to a restoration problem with known truth.

    y = quantise( jpeg( A x + n ) ),        both of which clip to [0, 1]

with the kernel, the noise level and the rest drawn for each image. The sharp picture lives on the domain of the blur,
so that the border of y is as honest as a camera's: the scene beyond the frame is blurred into it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from acutance.operators import Blur, Boundary
from acutance.problem import Problem
from acutance.saturation import heeding
from acutance.synth import kernels, noise
from acutance.synth.camera import extended
from acutance.synth.kernel_error import misestimated

BRIGHTEST, GLARE = 3.0, 8.0
"""Factors; see `Degradation.saturation`."""

KernelSampler = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class Example:
    """A problem and its answer: `sharp` (B, C, H', W') on the domain of `problem.blur`."""

    sharp: Tensor
    problem: Problem


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
        grey: share of pictures made grey, with one noise field for the three channels.
        exposure: darkest factor that a picture is multiplied with, drawn log-uniformly up to 1.
        saturation: share of pictures that are clipped after the blur. Half of them are brightened as a whole, up to
            `BRIGHTEST` times, half only where the photograph was clipped itself, up to `GLARE` times, as by lamps.
        photon: share of pictures with Poisson noise of about the drawn level instead of Gaussian.
        correlated: share with noise as after demosaicing.
        jpeg: share compressed with a quality of 70 to 98.
        kernel_error: share of pictures whose problem has the kernel as an estimator may have found it.
        level_error: standard deviation of the logarithm of the level that the problem tells, as estimates of it
            scatter; of JPEG files it tells 0.3 to 1 of the truth, since compression hides noise from an estimate.
        masked: whether the problem heeds clipped pixels (`acutance.saturation`); then the sharp picture may exceed 1.
        bits: quantisation of the rest; 0 leaves them unclipped and continuous.
        boundary: of the blur.
    """

    sampler: KernelSampler = kernels.mixture
    sigma: tuple[float, float] = (0.002, 0.05)
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
        n, dev = sharp.shape[0], sharp.device

        def uniform() -> Tensor:
            return torch.rand(n, generator=generator, device=dev)

        def pick(share: float) -> Tensor:
            return uniform() < share

        def where(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
            return torch.where(mask[:, None, None, None], new, old)

        grey = pick(1.0 if one_channel else self.grey)
        sharp = where(grey, luma(sharp), sharp)
        gain = torch.exp(math.log(self.exposure) * uniform())
        bright, share = pick(self.saturation), uniform()  # drawn in any case: the rest is the same without
        if self.saturation:
            lamps, share = share < 0.5, 2 * share % 1
            gain = torch.where(bright & ~lamps, torch.exp(math.log(BRIGHTEST) * share), gain)
            sharp = extended(sharp, torch.where(bright & lamps, torch.exp(math.log(GLARE) * share), 1.0))
        sharp = sharp * gain[:, None, None, None]
        blur = Blur(self.sampler(n, span, generator, size=span), self.boundary)
        clean = blur.forward(sharp)
        low, high = (math.log(s) for s in self.sigma)
        sigma = torch.exp(low + (high - low) * uniform())
        y = noise.gaussian(clean, sigma, generator, shared=grey)
        if self.photon:
            peak = clean.mean((1, 2, 3)).clamp_min(0.02) / sigma**2
            y = where(pick(self.photon), noise.poisson(clean, peak, generator, shared=grey), y)
        if self.correlated:
            y = where(pick(self.correlated) & ~grey, noise.demosaiced(clean, sigma, generator), y)
        told = sigma
        if self.level_error:
            rounding = (2**-self.bits) ** 2 / 12 if self.bits else 0.0
            scatter = torch.randn(n, generator=generator, device=dev)
            told = torch.sqrt(sigma**2 + rounding) * torch.exp(self.level_error * scatter)
        if self.jpeg:
            compressed = pick(self.jpeg)
            y = where(compressed, noise.jpeg(y, 70 + 28 * uniform()), y)
            if self.level_error:
                told = torch.where(compressed, told * (0.3 + 0.7 * uniform()), told)
        if self.bits:
            y = noise.quantise(y, self.bits)
        if self.kernel_error:
            wrong = torch.where(
                pick(self.kernel_error)[:, None, None, None], misestimated(blur.kernel, generator), blur.kernel
            )
            blur = Blur(wrong, self.boundary)
        if one_channel:
            sharp, y = sharp[:, :1].contiguous(), y[:, :1].contiguous()
        if self.saturation and not self.masked:
            sharp = sharp.clamp_max(1)
        problem = Problem(y, blur, told)
        return Example(sharp, heeding(problem) if self.masked else problem)


def luma(x: Tensor) -> Tensor:
    """Rec. 601 luma of (B, 3, H, W), in three equal channels."""
    weights = x.new_tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    return (x * weights).sum(1, keepdim=True).expand_as(x)
