r"""Which noise level a denoiser is told where nobody knows it, and why.

The estimate e of `acutance.noise` is the noise in the smoothest blocks of a picture. How far it is right, two measures
say:

    c    the coarseness of the noise, `acutance.noise.noise_coarseness`,
    z    the share of fine coefficients (u + v >= 9 of 64) of the 8 x 8 blocks of luma, cut as JPEG cuts them, that are
         smaller than half a grey level.

White noise is the same everywhere, and e is right. The noise of cameras is coarse, but without JPEG e is still right.
JPEG rounds noise away, most of all in smooth blocks, and e is too low:

    sigma = max(a e, min(b e, LEAST_CERTAIN))      c > COARSEST_WHITE and z > LEAST_ROUNDED,      a = 1.4, b = 2.8,
    sigma = e                                      otherwise.

Where e exceeds MOST_COARSE the noise counts as white, whatever c is.

Weak noise is raised by up to b, as JPEG can have hidden most of it. Noise that was smoothed until nothing fine was left
has a large z without JPEG; it is raised as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.noise import noise_coarseness, noise_level
from acutance.tensors import brightness, cosine_matrix

COARSEST_WHITE = 1.6
"""Crops of photographs with white noise have c = 0.8 to 1.5, with a camera's noise 2.2 to 6."""

LEAST_ROUNDED = 0.5
"""Files of cameras without JPEG have z = 0.05 to 0.6, with JPEG 0.3 to 0.9; 0.35 to 0.6 are equally good."""

MOST_COARSE = 0.1
"""Estimates above this are no camera's noise but mistakes, as of text on a screen. BM3D loses less by them."""

RAISED, RAISED_WEAK, LEAST_CERTAIN = 1.4, 2.8, 0.015
"""a, b, and the level above which coarse noise is certain. Measured with non-local means on crops of training
photographs with the noise of `acutance_lab.synth.noisy`: as good as any among a = 1 to 2, b = 1.4 to 4 and 1 to 4 %."""

SIDE, LOWEST_FINE, EIGHT_BITS = 8, 9, 1 / 255
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Told:
    """A noise level and where it comes from.

    Args:
        sigma: in the units of the picture. coarse: whether the noise is that of a camera or of JPEG, not white.
        reason: for people, a phrase.
    """

    sigma: float
    coarse: bool
    reason: str


@torch.no_grad()
def level_to_tell(picture: Tensor, sigma: float | None = None, *, unit: float = 1.0, step: float | None = None) -> Told:
    """The level that a denoiser is told, by the formula of the module.

    Args:
        picture: (1, C, H, W), encoded as the file is. sigma: the level if it is known; it is told as it is.
        unit, step: see `acutance.problem.Problem`. `LEAST_CERTAIN` and `MOST_COARSE` are fractions of the brightness.

    >>> noisy = 0.5 + 0.02 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> level_to_tell(noisy).coarse
    False
    """
    estimate = float(noise_level(picture, step=step)) if sigma is None else sigma
    bright, percent = float(brightness(picture)), 100 * unit
    coarse = float(noise_coarseness(picture)) > COARSEST_WHITE and estimate <= MOST_COARSE * bright
    kind = "coarse noise, as cameras and JPEG leave it" if coarse else "white noise"
    if sigma is not None:
        return Told(sigma, coarse, f"{kind}, given as {percent * sigma:.2g} %")
    if not coarse or rounded_away(picture, step) <= LEAST_ROUNDED:
        return Told(estimate, coarse, f"{kind}, estimated as {percent * estimate:.2g} %")
    raised = max(RAISED * estimate, min(RAISED_WEAK * estimate, LEAST_CERTAIN * bright))
    where = "in smooth places, where compression hides noise"
    told = f"{percent * estimate:.2g} % {where}, taken as {percent * raised:.2g} %"
    return Told(raised, coarse, f"{kind}, {told}")


def rounded_away(picture: Tensor, step: float | None = None) -> float:
    """z of a picture (1, C, H, W) by the definition of the module, 0 to 1; 0 of one without a block.

    Args:
        step: a grey level; None: 1 / 255 of the brightness.
    """
    half = 0.5 * (EIGHT_BITS * float(brightness(picture)) if step is None else step)
    x = picture[0].float()
    luma = torch.tensordot(x.new_tensor(LUMA), x, 1) if len(x) == 3 else x.mean(0)
    if min(luma.shape) < SIDE:
        return 0.0
    blocks = luma.unfold(0, SIDE, SIDE).unfold(1, SIDE, SIDE)
    cosines = cosine_matrix(SIDE).to(luma)
    order = torch.arange(SIDE, device=luma.device)
    fine = order[:, None] + order >= LOWEST_FINE
    coefficients = (cosines @ blocks @ cosines.T)[..., fine]
    return float((coefficients.abs() < half).float().mean())
