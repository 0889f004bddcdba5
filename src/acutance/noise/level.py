r"""The noise level that a method is told, and why: the one place where that is decided.

`decide` does it once for a run, from what the picture shows (e, an estimate), its file, and what the method wants:

    given                    the level that somebody gave
    stated                   the level that comes with the picture, if the method wants or uses one: the median of the
                             uncertainty of FITS or NDData. It was made from all that is known of the instrument, of
                             which the picture shows a part, so it comes before e. One number for all pixels: that of
                             the median pixel, mostly background; an uncertainty of bright pixels would smooth all else
    kernel known             e behind the blur; of a lossy file that of smooth blocks, raised:
                             min(HIDDEN e, max(e, MOST_LOSSY)), at least LEAST_LOSSY
    kernel to be found       of a lossy file the same; else nothing yet: `behind_estimated` once there is a kernel
    denoiser, wants a level  e of smooth blocks
    denoiser, may use one    nothing yet: `for_denoiser`, with the kind of noise, by the rule below
    counts of photons        of a method for them the level at the typical light, and b; see `acutance.noise.photons`
    others                   nothing; a denoiser among them has nothing to do where e is below `INVISIBLE`

A method that is run on a `Problem` without a level takes `level_of`, the estimate as it is.

For a denoiser two measures say how far e, the noise in the smoothest blocks, is right:

    c    the coarseness of the noise, `acutance.noise.blocks.noise_coarseness`,
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

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from acutance.noise.behind_blur import level_behind, piece
from acutance.noise.blocks import noise_coarseness, noise_level
from acutance.noise.photons import PhotonNoise, of_the_light, photon_noise
from acutance.operators import LinearOperator
from acutance.tensors import brightness, cosine_matrix, filled

FEW_HOLES = 0.005
"""Share of missing pixels up to which the noise is estimated from their filled picture."""

HIDDEN, LEAST_LOSSY, MOST_LOSSY = 2.8, 0.01, 0.04
"""What the estimate of a lossy file is multiplied by, and the least that is taken. Estimates are 0.36 of the true level
of camera JPEGs (`acutance-lab bench noise`); such files mostly come with kernels that are estimated as well. Above
MOST_LOSSY an estimate is not raised, for it is often wrong: a mesh in JPEG was taken for 13 % of noise."""

PLANES = 15
"""Planes of a volume, evenly spread, whose noise is estimated."""

LEAST_ESTIMATED = 0.01
"""The least level behind an estimated kernel, which is never quite that of every place. On 15 photographs shaken by a
turning camera (8 to 24 pixels, none of a test set) 1 to 1.5 % is 0.13 dB ahead of the level of the noise alone; where
the kernel is the same everywhere it is 0.15 dB behind."""

INVISIBLE = 0.003
"""Noise level, a fraction of the range, below which a network that is told none leaves a picture: it takes the text and
the patterns of clean graphics for noise (6 to 38 dB)."""

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


class Seen(Protocol):
    """What is known of a picture; see `acutance.problem.Problem`, which is one."""

    @property
    def observed(self) -> Tensor: ...  # noqa: D102
    @property
    def operator(self) -> LinearOperator | None: ...  # noqa: D102
    @property
    def sigma(self) -> Tensor | None: ...  # noqa: D102
    @property
    def mask(self) -> Tensor | None: ...  # noqa: D102
    @property
    def saturated(self) -> Tensor | None: ...  # noqa: D102
    @property
    def unit(self) -> float: ...  # noqa: D102
    @property
    def step(self) -> float | None: ...  # noqa: D102


class Wants(Protocol):
    """What a method asks for; see `acutance.methods.spec.Needs`, which is one."""

    @property
    def task(self) -> str: ...  # noqa: D102
    @property
    def kernel(self) -> bool: ...  # noqa: D102
    @property
    def sigma(self) -> bool: ...  # noqa: D102
    @property
    def uses_sigma(self) -> bool: ...  # noqa: D102
    @property
    def photons(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Level:
    """A noise level and where it comes from.

    Args:
        sigma: in the units of the picture, (B,); None: the method is told nothing.
        reason: for people, a phrase.
        invisible: there is no noise to remove.
        background: b of `acutance.noise.photons`, (B,), in the same units; None: not to be used.
    """

    sigma: Tensor | None
    reason: str
    invisible: bool = False
    background: Tensor | None = None


@dataclass(frozen=True)
class DenoiserLevel:
    """A noise level and the kind of the noise.

    Args:
        sigma: in the units of the picture. coarse: the noise is that of a camera or of JPEG, not white.
        reason: for people, a phrase.
    """

    sigma: float
    coarse: bool
    reason: str


def decide(
    seen: Seen,
    wants: Wants,
    given: float | None = None,
    *,
    lossy: bool = False,
    stated: float | None = None,
    source: str = "stated",
    counts: bool = False,
) -> Level:
    """The level that a method is told of a picture, by the table of the module.

    Args:
        seen: the picture; its own `sigma` is not looked at. wants: of the method.
        given: the level if it is known, in the units of `seen.observed`.
        lossy: the picture comes from a lossy file.
        stated: the level that comes with the picture, in the same units. source: what it comes from.
        counts: the values may be counts of photons, for a method that asks for them.
    """
    photons = photons_of(seen) if counts and wants.photons else None
    if photons is None:
        return _decided(seen, wants, given, lossy=lossy, stated=stated, source=source)
    background = seen.observed.new_tensor([photons.background]) if photons.dark else None
    if given is not None or stated is not None:
        told = _decided(seen, wants, given, lossy=lossy, stated=stated, source=source)
        return replace(told, background=background)
    level = of_the_light(_known(seen), photons)
    reason = f"estimated by the photons' noise as {100 * seen.unit * level:.2g} %"
    return Level(seen.observed.new_tensor([level]), reason, background=background)


def photons_of(seen: Seen) -> PhotonNoise | None:
    """The noise of photons in one picture or volume, B = 1; None where the noise does not follow the light."""
    known = _known(seen)[0]
    there = torch.isfinite(known)
    return photon_noise(known.nan_to_num(0), None if bool(there.all()) else there)


def _decided(seen: Seen, wants: Wants, given: float | None, *, lossy: bool, stated: float | None, source: str) -> Level:
    """`decide` where the noise does not follow the light."""
    percent = 100 * seen.unit
    if given is not None:
        return Level(seen.observed.new_tensor([given]), f"given as {percent * given:.2g} %")
    if stated is not None and (wants.sigma or wants.uses_sigma):
        return Level(seen.observed.new_tensor([stated]), f"{source}: {percent * stated:.2g} %")
    lossy = lossy and wants.task == "deblur" and (wants.kernel or wants.uses_sigma)
    if wants.sigma or (wants.uses_sigma and (lossy or (wants.kernel and seen.operator is not None))):
        if not lossy:
            level, behind = _estimated(seen, seen.operator)
            where = "behind the blur" if behind else "in smooth places"
            return Level(level, f"estimated {where} as {percent * float(level.max()):.2g} %")
        estimate, _ = _estimated(seen, None)
        level = behind_compression(estimate, seen.unit)
        seen_percent = f"{percent * float(estimate.max()):.2g} %"
        if torch.equal(level, estimate):
            return Level(level, f"estimated in smooth places as {seen_percent}")
        told = f"{seen_percent} in smooth places, where compression hides noise"
        return Level(level, f"{told}, taken as {percent * float(level.max()):.2g} %")
    if wants.task == "denoise" and not wants.uses_sigma:
        level, _ = _estimated(seen, None)
        clean = seen.unit * float(level.max()) < INVISIBLE
        return Level(None, f"the method is told none; {percent * float(level.max()):.2g} % is seen", invisible=clean)
    return Level(None, "the method finds it" if wants.uses_sigma else "the method is told none")


def behind_compression(estimate: Tensor, unit: float = 1.0) -> Tensor:
    """Raise the level of smooth places of a lossy file to that which a kernel meets, by the table of the module.

    Args:
        estimate: levels, any shape. unit: of which they are fractions.

    >>> [round(float(v), 3) for v in behind_compression(torch.tensor([0.001, 0.01, 0.05]))]
    [0.01, 0.028, 0.05]
    """
    most = estimate.clamp_min(MOST_LOSSY / unit)
    return (HIDDEN * estimate).clamp_min(LEAST_LOSSY / unit).minimum(most)


def level_of(seen: Seen) -> Tensor:
    """The noise level of each picture, (B,), in its units: `sigma`, or an estimate where it is unknown.

    Behind a known blur `acutance.noise.behind_blur` estimates it. `acutance.noise.blocks` does where there is none, and
    where more than `FEW_HOLES` of the pixels are missing inside the smallest rectangle that holds all others.
    """
    if seen.sigma is None:
        return _estimated(seen, seen.operator)[0]
    return torch.as_tensor(seen.sigma).to(seen.observed).expand(seen.observed.shape[0])


def behind_estimated(seen: Seen) -> Tensor:
    """The level to tell where `seen.operator` has been estimated, (B,): at least `LEAST_ESTIMATED`."""
    return level_of(seen).clamp_min(LEAST_ESTIMATED)


@torch.no_grad()
def for_denoiser(
    picture: Tensor, sigma: float | None = None, *, unit: float = 1.0, step: float | None = None
) -> DenoiserLevel:
    """The level and the kind of the noise for a denoiser, by the second formula of the module.

    Args:
        picture: (1, C, H, W), encoded as the file is. sigma: the level if it is known; it is told as it is.
        unit, step: see `acutance.problem.Problem`. `LEAST_CERTAIN` and `MOST_COARSE` are fractions of the brightness.

    >>> noisy = 0.5 + 0.02 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> for_denoiser(noisy).coarse
    False
    """
    estimate = float(noise_level(picture, step=step)) if sigma is None else sigma
    bright, percent = float(brightness(picture)), 100 * unit
    coarse = float(noise_coarseness(picture)) > COARSEST_WHITE and estimate <= MOST_COARSE * bright
    kind = "coarse noise, as cameras and JPEG leave it" if coarse else "white noise"

    if sigma is not None:
        return DenoiserLevel(sigma, coarse, f"{kind}, given as {percent * sigma:.2g} %")
    if not coarse or rounded_away(picture, step) <= LEAST_ROUNDED:
        return DenoiserLevel(estimate, coarse, f"{kind}, estimated as {percent * estimate:.2g} %")
    raised = max(RAISED * estimate, min(RAISED_WEAK * estimate, LEAST_CERTAIN * bright))
    where = "in smooth places, where compression hides noise"
    told = f"{percent * estimate:.2g} % {where}, taken as {percent * raised:.2g} %"
    return DenoiserLevel(raised, coarse, f"{kind}, {told}")


def _estimated(seen: Seen, blur: LinearOperator | None) -> tuple[Tensor, bool]:
    """The estimate that suits a picture, (B,), and whether it is that behind the blur; see `level_of`.

    Of a volume it is that of its planes, as if there were no blur.
    """
    if seen.observed.ndim == 5:
        return _of_planes(seen), False
    part, weight = (None, None) if blur is None else _piece(seen)
    if part is not None and blur is not None:
        power = blur.power(part.shape[-2], part.shape[-1], like=part)
        return level_behind(part, power, weight=weight, step=seen.step).to(seen.observed), True
    return noise_level(_known(seen), step=seen.step), False


def _known(seen: Seen) -> Tensor:
    """The pixels, NaN where they are missing or saturated."""
    known = seen.observed if seen.mask is None else torch.where(seen.mask > 0, seen.observed, torch.nan)
    return known if seen.saturated is None else torch.where(seen.saturated > 0, torch.nan, known)


def _of_planes(seen: Seen) -> Tensor:
    """The median level of up to `PLANES` planes of volumes, (B,)."""
    y = seen.observed
    for believed in (seen.mask, None if seen.saturated is None else 1 - seen.saturated):
        y = y if believed is None else torch.where(believed > 0, y, torch.nan)
    depth = y.shape[2]
    some = torch.linspace(0, depth - 1, min(depth, PLANES)).round().long().tolist()
    levels = [noise_level(y[:, :, d], step=seen.step) for d in some]
    return torch.stack(levels).nanmedian(0).values


def _piece(seen: Seen) -> tuple[Tensor | None, Tensor | None]:
    """What `level_behind` measures, and its weight; (None, None) where too many pixels are missing."""
    y, full = seen.observed, seen.saturated
    if seen.mask is None:
        return piece(y), None if full is None else piece(1 - full)
    there = seen.mask > 0 if full is None else (seen.mask > 0) | (full > 0)
    if bool(there.all()):
        return piece(y), None if full is None else piece(1 - full)
    rows, cols = (there.any(d).any(0).any(0).nonzero().flatten().tolist() for d in (-1, -2))
    if not rows:
        return None, None
    box = (..., slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1))
    if float((~there[box]).float().mean()) > FEW_HOLES:
        return None, None
    weight = there.to(y) if full is None else there * (1 - full)
    return piece(filled(y, there.to(y))[box]), piece(weight[box])


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
