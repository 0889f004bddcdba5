"""From sharp photographs to a restoration problem with known truth.

    y = quantise( jpeg( clip( A x ) + n ) )

with the kernel, the noise level and the rest drawn for each image. The sharp picture lives on the domain of the blur,
so that the border of y is as honest as a camera's: the scene beyond the frame is blurred into it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.operators import Blur, Boundary
from acutance.problem import Problem
from acutance.synth import kernels, noise

KernelSampler = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class Example:
    """A problem and its answer: `sharp` (B, 3, H', W') on the domain of `problem.blur`."""

    sharp: Tensor
    problem: Problem


@dataclass(frozen=True)
class Degradation:
    """How pictures are degraded; draws everything from the Generator it is given.

    Args:
        sampler: of kernels: ``(n, span, generator, size=...) -> (n, 1, size, size)``.
        sigma: range of the noise level, fractions of the range, drawn log-uniformly.
        grey: share of pictures made grey, with one noise field for the three channels.
        exposure: darkest factor that a picture is multiplied with, drawn log-uniformly up to 1.
        saturation: share of pictures brightened up to 1.6 times *before* the blur and clipped after it.
        photon: share of pictures with Poisson noise of about the drawn level instead of Gaussian.
        correlated: share with noise as after demosaicing.
        jpeg: share compressed with a quality of 70 to 98.
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
    bits: int = 8
    boundary: Boundary = "valid"

    @torch.no_grad()
    def __call__(self, sharp: Tensor, generator: torch.Generator, *, span: int) -> Example:
        """Degrade (B, 3, H', W') in [0, 1], given on the domain of a blur with kernels of `span` (odd) pixels."""
        n, dev = sharp.shape[0], sharp.device

        def uniform() -> Tensor:
            return torch.rand(n, generator=generator, device=dev)

        def pick(share: float) -> Tensor:
            return uniform() < share

        def where(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
            return torch.where(mask[:, None, None, None], new, old)

        grey = pick(self.grey)
        sharp = where(grey, luma(sharp), sharp)
        gain = torch.exp(math.log(self.exposure) * uniform()) * torch.where(
            pick(self.saturation), 1 + 0.6 * uniform(), 1.0
        )
        sharp = sharp * gain[:, None, None, None]
        blur = Blur(self.sampler(n, span, generator, size=span), self.boundary)
        clean = blur.forward(sharp)
        if self.bits:
            clean = clean.clamp_max(1)
        low, high = (math.log(s) for s in self.sigma)
        sigma = torch.exp(low + (high - low) * uniform())
        y = noise.gaussian(clean, sigma, generator, shared=grey)
        if self.photon:
            peak = clean.mean((1, 2, 3)).clamp_min(0.02) / sigma**2
            y = where(pick(self.photon), noise.poisson(clean, peak, generator, shared=grey), y)
        if self.correlated:
            y = where(pick(self.correlated) & ~grey, noise.demosaiced(clean, sigma, generator), y)
        if self.jpeg:
            y = where(pick(self.jpeg), noise.jpeg(y, 70 + 28 * uniform()), y)
        if self.bits:
            y = noise.quantise(y, self.bits)
        return Example(sharp.clamp_max(1) if self.saturation else sharp, Problem(y, blur, sigma))


def luma(x: Tensor) -> Tensor:
    """Rec. 601 luma of (B, 3, H, W), in three equal channels."""
    weights = x.new_tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    return (x * weights).sum(1, keepdim=True).expand_as(x)
