"""The support of a restoration by its data, in the units of its picture; over `acutance.trust`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from acutance.blind.critic import trust
from acutance.blind.method import decoded, encoded
from acutance.errors import ConfigError
from acutance.images import linear_to_srgb
from acutance.images.source import is_measured
from acutance.noise.level import level_of
from acutance.operators import Blur, LinearOperator
from acutance.prepare import Prepared
from acutance.problem import Problem
from acutance.restoration.restored import Origin, Restoration
from acutance.tensors import crop
from acutance.trust.residual import Whiteness, whiteness
from acutance.trust.unsupported import local_rms, smooth, unsupported


@dataclass(frozen=True, eq=False)
class Known:
    """A restoration as a problem with a known blur.

    Args:
        problem: with the kernel that was given or found. x: the result inside the frame, (1, C, H, W), in its units.
        sigma: noise level in these units. blurred: the blur is known, or there is none; False: it is not known.
        domain: the result on the domain of the blur; its border is made up where `bordered` is False.
        swapped: all of this is in encoded values, though the problem was posed in linear light.
    """

    problem: Problem
    x: Tensor
    sigma: float
    blurred: bool
    domain: Tensor
    bordered: bool
    swapped: bool = False

    @staticmethod
    def of(done: Restoration) -> Known:
        """From a restoration.

        Raises:
            ConfigError: it does not hold the problem.
        """
        origin = origin_of(done)
        problem, result = origin.prepared.problem, done.result
        task = origin.restorer.needs.task
        domain, bordered = result.x.detach(), True
        if result.encoded:
            problem = replace(problem, observed=encoded(problem.observed), linear=False)
            domain = encoded(domain)
        if problem.operator is None and result.kernel is not None:
            blur = Blur(result.kernel.to(domain))
            problem, domain, bordered = replace(problem, operator=blur), blur.start(domain), False
        told = problem.sigma
        if told is None and result.levels:
            told = torch.tensor([max(result.levels)]).to(domain)
        sigma = float(level_of(replace(problem, sigma=told)).max())
        known = problem.operator is not None or task == "denoise"
        return Known(problem, problem.crop(domain), sigma, known, domain, bordered, result.encoded)

    @property
    def operator(self) -> LinearOperator | None:
        """The blur."""
        return self.problem.operator

    @property
    def measured(self) -> Tensor | None:
        """(1, 1 or C, H, W), 0 where a pixel is missing or clipped; None: all are measured."""
        p = self.problem
        if p.mask is None and p.saturated is None:
            return None
        there = torch.ones_like(p.observed[:, :1]) if p.mask is None else p.mask
        return there if p.saturated is None else there * (1 - p.saturated)

    def residual(self) -> Tensor:
        """A x - y, the size of the picture, 0 where it is not known; without the border that is made up."""
        r = self.problem.residual(self.domain)
        r = r if self.measured is None else r * (self.measured > 0)
        if self.bordered or not isinstance(self.operator, Blur):
            return r
        inner = crop(r, *self.operator.radius)
        return inner if inner.numel() else r


def origin_of(done: Restoration) -> Origin:
    """The input and the problem of a restoration.

    Raises:
        ConfigError: it does not hold them.
    """
    if done.origin is None:
        raise ConfigError("this restoration does not hold its problem; restore the picture again with a Restorer")
    return done.origin


def in_units(prepared: Prepared, known: Known, deviation: Tensor) -> Tensor:
    """A standard deviation around `known.x`, (1, C, H, W) in its units, in the units of the picture.

    Behind a curve T it is what T makes of it: (T(x + s) - T(x - s)) / 2. Light below 0 counts as 0.
    """
    x, s = known.x, deviation
    if known.swapped:
        x, s = decoded(x), (decoded(x + s) - decoded(x - s)) / 2
    if x.shape[1] != prepared.channels:
        x, s = (v.mean(1, keepdim=True).expand(-1, prepared.channels, -1, -1) for v in (x, s))
    x, s = x * prepared.scale, s * prepared.scale
    if prepared.linear:
        high, low = (linear_to_srgb(v.clamp_min(0)) for v in (x + s, x - s))
        s = (high - low) / 2
    s = s * prepared.range
    return s if prepared.where is None else torch.where(prepared.where, 0.0, s)


def unsupported_of(done: Restoration) -> Tensor | None:
    """The part that the data do not support, `acutance.trust.unsupported`, (1, C, H, W) in the units of the picture.

    None where it cannot be told: the method knows no kernel. Zero where the picture was left unchanged.

    Raises:
        ConfigError: see `origin_of`.
    """
    prepared = origin_of(done).prepared
    if done.unchanged:
        return torch.zeros_like(done.image.pixels)
    known = Known.of(done)
    if not known.blurred:
        return None
    u = unsupported(known.x, known.operator, known.sigma, measured=known.measured)
    return done.strength * in_units(prepared, known, u).cpu()


def unsupported_share(u: Tensor, pixels: Tensor) -> float:
    """The part of the energy of the fine detail of a picture that is not supported, in [0, 1].

    Args:
        u: see `unsupported_of`. pixels: of the result, alike.
    """
    detail = local_rms(pixels - smooth(pixels)).square().sum()
    return min(1.0, float(u.square().sum() / detail.clamp_min(1e-20)))


def judged_of(done: Restoration) -> Tensor | None:
    """Map of where the judge of found kernels, `acutance.blind.critic`, sees the result nearer to the truth.

    Returns:
        (1, 1, H, W), from 0, farther, to 1, nearer; None where nothing was deblurred, or of a picture that the judge
        was not made for: of measurements, or with missing pixels.
    """
    origin = origin_of(done)
    before, after = (image.pixels.detach().float().cpu() for image in (origin.image, done.image))
    if done.unchanged or origin.restorer.needs.task != "deblur" or is_measured(origin.image):
        return None
    if not bool(torch.isfinite(before).all()):
        return None
    with torch.no_grad():
        return trust(*((v / origin.prepared.range).mean(1, keepdim=True).clamp(0, 1) for v in (before, after)))


@dataclass(frozen=True, eq=False)
class Fit:
    """Measure how well a result explains the data.

    Args:
        error: root mean square of the residual, a fraction of the range. noise: noise level, likewise.
        white: the autocorrelation of the residual; None: there is no residual to speak of.
    """

    error: float
    noise: float
    white: Whiteness | None

    @property
    def ratio(self) -> float | None:
        """The residual in units of the noise."""
        return self.error / self.noise if self.noise > 1e-6 else None


def fit_of(done: Restoration) -> Fit | None:
    """The residual of a restoration; None where it cannot be told, or nothing was changed.

    Raises:
        ConfigError: see `origin_of`.
    """
    prepared = origin_of(done).prepared
    if done.unchanged:
        return None
    known = Known.of(done)
    if not known.blurred:
        return None
    r = known.residual()
    count = int((r != 0).sum()) or 1
    error = prepared.scale * float((r.square().sum() / count).sqrt())
    return Fit(error, prepared.scale * known.sigma, whiteness(r))


def in_percent(share: float) -> str:
    """A share as text.

    >>> in_percent(0.123), in_percent(0.00123), in_percent(0.0)
    ('12 %', '0.12 %', '0 %')
    """
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"
