r"""How soft a picture is, told from its power spectrum, and whether a lens or a movement made it so.

Spectra of sharp photographs fall as a power of frequency, much the same for all (Field 1987; Burton & Moorhead
1987), so that what falls faster was blurred. With P the power of the picture, N that of its noise, K the kernel,

    P(f) = a |f|^-p |K(f)|^2 + N,         E = w mean( log(P / model)^2 ) + 1/2 ((p - P0) / SPREAD)^2  ->  min

over a, p, N and the family of K, P averaged (geometrically: edges are few) over rings of |f|.

- *By direction* (`softness`): rings are cut into sectors, K is a Gaussian. A movement leaves some directions sharp and
  blurs others, so the largest s tells whether there is any blur: it is at most 0.6 pixels, mostly below 0.5, in 40
  sharp photographs, and from 0.63, mostly above 0.8, in 24 shaken ones (300 pixels, kernels of 5 to 31). In small
  pictures of simple scenes it may be lower: 0.56 to 1 in those of Levin et al. 2009.
- *All around* (`focus`): K is a disc or a Gaussian, whose widths are found within 5 % (radius 2 to 7, s 1.2 to 2.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.noise.blocks import noise_level
from acutance.psf import shapes

P0, SPREAD = 2.4, 0.35
"""The exponent p of sharp photographs: mean and standard deviation."""

WEIGHT = 60.0
"""w: of how many independent values the deviations from the model are taken to be the mean."""

SLOPES = tuple(1.4 + 0.1 * i for i in range(23))
"""p that are tried."""

NOISES = (0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.1)
"""Parts of the noise level that are tried. The level is the lower of what smooth blocks say, which take texture for
noise, not the other way round, and of the ring with the least power."""

WIDTHS = (0.0, *(0.4 * 1.06**i for i in range(50)))
"""Standard deviations of Gaussians that are tried, pixels; 0 is no blur."""

RADII = tuple(0.7 * 1.06**i for i in range(56))
"""Radii of discs that are tried, pixels."""

LOWEST, RINGS, SECTORS, SECTOR_RINGS = 0.03, 48, 6, 24
"""Least frequency that is looked at, cycles per pixel; rings of the whole; sectors, and their rings."""

GEOMETRIC = math.exp(0.5772156649)
"""The mean of a variable with exponential distribution over its geometric mean."""

SHARP, SOFT = 0.5, 0.7
"""A picture that is at most so soft in every direction is sharp; one that is softer in any is blurred; pixels."""

ROUNDS = 6
"""Of the iteration for a."""


@dataclass(frozen=True)
class Focus:
    """What all directions have in common.

    Args:
        kind: of the lens's kernel. size: radius of the disc or standard deviation of the Gaussian, pixels.
        misfit: E; up to about 3 the model is that of the picture.
    """

    kind: Literal["disc", "gaussian"]
    size: float
    misfit: float

    @property
    def spread(self) -> float:
        """Standard deviation along a line, pixels."""
        return self.size / 2 if self.kind == "disc" else self.size

    @property
    def kernel(self) -> Tensor:
        """(1, 1, s, s)."""
        return shapes.disc(self.size) if self.kind == "disc" else shapes.gaussian(self.size)


def softness(picture: Tensor) -> Tensor:
    """Standard deviation in pixels of the Gaussian that the picture is as soft as, by direction of frequency.

    Args:
        picture: (1, 1, H, W) in [0, 1], 64 pixels a side at least for the figures to mean anything.

    Returns:
        (SECTORS,), the first across, the others in steps of 180 / SECTORS degrees.
    """
    radius, count, power = _polar(picture, SECTORS, SECTOR_RINGS)
    through = _gaussians(radius)
    misfits = [_misfit(radius, n, p, through, picture) for n, p in zip(count, power, strict=True)]
    return torch.tensor([WIDTHS[int(m.argmin())] for m in misfits])


def slope(picture: Tensor) -> float:
    """Power of the lowest rings over that of the highest quarter of them.

    About 1 where there is nothing but noise, infinite where there is nothing at all.
    """
    _, _, power = _polar(picture, 1, RINGS)
    low, high = float(power[0, : RINGS // 16].mean()), float(power[0, -RINGS // 4 :].mean())
    return math.inf if high < 1e-12 else low / high


def focus(picture: Tensor) -> Focus:
    """The disc or Gaussian that explains the spectrum of (1, 1, H, W) best."""
    radius, count, power = _polar(picture, 1, RINGS)
    found: list[tuple[float, str, float]] = []
    for kind, sizes, through in (
        ("disc", RADII, _discs(radius)),
        ("gaussian", WIDTHS[1:], _gaussians(radius)[1:]),
    ):
        misfit = _misfit(radius, count[0], power[0], through, picture)
        best = int(misfit.argmin())
        found.append((float(misfit[best]), kind, sizes[best]))
    least, name, width = min(found)
    return Focus("disc" if name == "disc" else "gaussian", width, least)


def _polar(picture: Tensor, sectors: int, rings: int) -> tuple[Tensor, Tensor, Tensor]:
    """Frequencies of the rings (R,), how many values each sector of them has, and its mean power, both (S, R)."""
    h, w = picture.shape[-2:]
    dev = picture.device
    taper = torch.hann_window(h, False, device=dev)[:, None] * torch.hann_window(w, False, device=dev)
    spectrum = torch.fft.rfft2((picture - picture.mean()) * taper)[0, 0]
    power = ((spectrum.real.square() + spectrum.imag.square()) / taper.square().sum()).flatten().double()
    down, along = torch.fft.fftfreq(h, device=dev)[:, None], torch.fft.rfftfreq(w, device=dev)
    radius = (down.square() + along.square()).sqrt().flatten()
    turn = torch.atan2(down.expand(h, len(along)), along.expand(h, -1)).flatten() / math.pi  # from -1/2 to 1/2
    sector = ((turn + 0.5 / sectors) % 1 * sectors).long().clamp_max(sectors - 1)
    edges = torch.linspace(LOWEST, 0.5, rings + 1, device=dev)
    ring = torch.bucketize(radius, edges) - 1
    used = (ring >= 0) & (ring < rings)
    place = (sector * rings + ring)[used]
    count = torch.bincount(place, minlength=sectors * rings).double()
    logs = torch.bincount(place, power[used].clamp_min(1e-20).log(), minlength=sectors * rings)
    mean = (logs / count.clamp_min(1)).exp() * GEOMETRIC
    return (edges[1:] + edges[:-1]).double() / 2, count.reshape(sectors, rings), mean.reshape(sectors, rings)


def _misfit(radius: Tensor, count: Tensor, power: Tensor, through: Tensor, picture: Tensor) -> Tensor:
    """E for every |K|^2 of a table (V, R), least over p and N: (V,)."""
    level = min(float(noise_level(picture)), math.sqrt(float(power.min())))
    noise = (level * torch.tensor(NOISES, dtype=radius.dtype, device=radius.device)).square()[:, None]  # (N, 1)
    slope = torch.tensor(SLOPES, dtype=radius.dtype, device=radius.device)[:, None]  # (P, 1)
    scene = through[:, None, None] * (radius**-slope)[:, None]  # (V, P, 1, R)
    weight = count / count.sum()
    a = (weight * (power - noise).clamp_min(1e-12)).sum(-1) / (weight * scene).sum(-1)  # (V, P, N)
    for _ in range(ROUNDS):  # least squares, relative to the model
        model = a[..., None] * scene + noise
        relative = weight / model.square() * scene
        a = ((relative * (power - noise)).sum(-1) / (relative * scene).sum(-1)).clamp_min(1e-12)
    deviation = (power.clamp_min(1e-20) / (a[..., None] * scene + noise)).log().square()
    prior = 0.5 * ((slope - P0) / SPREAD).square()
    return (WEIGHT * (weight * deviation).sum(-1) + prior).flatten(1).amin(1)


def _gaussians(radius: Tensor) -> Tensor:
    """|K|^2 of `WIDTHS` at the frequencies (R,): (V, R)."""
    width = torch.tensor(WIDTHS, dtype=radius.dtype, device=radius.device)[:, None]
    return torch.exp(-((2 * math.pi * width * radius).square()))


def _discs(radius: Tensor) -> Tensor:
    """|K|^2 of `RADII`, a little smeared as rings have a width and pixels an area: (V, R)."""
    size = torch.tensor(RADII, dtype=radius.dtype, device=radius.device)[:, None]
    z = 2 * math.pi * size * radius
    ideal = (2 * torch.special.bessel_j1(z) / z).square() * torch.exp(-((2 * math.pi * 0.3 * radius).square()))
    return F.avg_pool1d(F.pad(ideal[:, None], (1, 1), mode="replicate"), 3, 1)[:, 0]
