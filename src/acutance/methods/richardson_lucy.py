r"""Richardson-Lucy (Richardson 1972, Lucy 1974) with total variation (Dey et al. 2006), accelerated (Biggs 1997).

Maximum likelihood of Poisson noise over a background b, with a penalty on the length of the gradient:

    min_{x >= o}  sum (A x + b) - (y + b) log(A x + b)  +  l sum_i s_i ||(D x)_i||,          s = A'M 1

    z(t) + b = (p(t) + b) / (1 - l div(D p / |D p|))  *  A'M((y + b) / (A p(t) + b)) / A'M 1

    x(t+1) = max(z(t) - m (p(t) + b), o),    m such that <s, x(t+1)> = <M, y>,       p(t) = x(t) + a(t) (x(t) - x(t-1))

With "valid" borders A'M 1, the share of a pixel's light that is seen, is not 1 beyond the frame and beside masked
pixels: dividing by it is what makes both right. Where y is saturated the ratio is at least 1. Of a pixel that is not
seen at all, only the penalty is at work. a(t) is the correlation of the last two updates, between 0 and 1; without
acceleration a = 0, and without a penalty the likelihood rises with every step. b stands for light that was counted but
is not of the scene, such as the noise of reading a sensor out (Snyder et al. 1993); photographs, whose noise is about
the same in light and shade, want a large one, photon counts none.

A picture whose background was subtracted has negative values. A scene that is forced above zero would gain light there,
so o = 2 min(y, 0) over the valid pixels, and b is larger by -o. m keeps the flux of each channel: without it, what is
cut off at o, as are the rings around stars on a black sky, is added to the flux at every step, and the penalty takes a
little away. It is the multiplier of the constraint <s, x> = <M, y>, x being the point that is nearest to z in the
metric of the step, (p + b) / s (Bonettini et al. 2009). Where y is saturated its flux is unknown: m = 0.

Without a penalty the method fits the noise in the end: then stop it when the residual is as small as the noise
(Morozov's discrepancy). With one, all steps are best, and a noise level that is told wrong does little harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods.spec import Blocks, MethodSpec, Needs, configure
from acutance.noise.level import level_of
from acutance.operators import LinearOperator
from acutance.problem import Method, Observer, Problem, Result, State
from acutance.solver import Solver
from acutance.tensors import per_image, spatial, spread

DARK = 1e-7
"""Least value of x - o and of a model: the method multiplies, so nothing may be black. Too little to add to a flux."""

BELOW = 2.0
"""o in units of the lowest value. With 1, ringing of the background was cut off at o and the flux rose."""

MOST_BACKGROUND = 0.9
"""b of photographs, whose noise is about the same in light and shade, a fraction of the range."""

FLAT = 2e-3
"""Slope, as a fraction of the range, below which a gradient counts as flat."""

STABLE = 3.0
"""The same in units of l: the update is explicit, and flat areas would swing to and fro."""

SEEN = 1e-3
"""Share of a pixel's light, at least, that has to be in the picture for the pixel to be changed."""

KEPT, MOST_NEWTON = 1e-9, 4
"""Error of the flux at which m is good enough, as a part of <s, p + b>, and the most steps to find it."""


@dataclass(frozen=True)
class RichardsonLucyConfig:
    """Settings of Richardson-Lucy.

    Args:
        steps: at most. accelerated: a(t) as above instead of 0.
        strength, power: c and p of l = c sigma^p; strength 0 leaves the penalty out.
        background: b, a fraction of the range; None: that of the problem, which is known of counts of photons, at most
            `MOST_BACKGROUND`, which holds for all else.
        discrepancy: the run ends when the residual has fallen to this multiple of the noise; 0: after all steps.
    """

    steps: int = 60
    accelerated: bool = True
    strength: float = 1.0
    power: float = 1.6
    background: float | None = None
    discrepancy: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1 or min(self.strength, self.discrepancy, self.background or 0) < 0:
            raise ConfigError(f"{self}: steps must be at least 1, strength, background and discrepancy not negative")


@dataclass(frozen=True)
class Discrepancy:
    """Done when the fitting error is down to `error`, (B,): for noise alone 1/2 N sigma^2."""

    error: Tensor

    def done(self, errors: Sequence[Tensor], moves: Sequence[Tensor] = ()) -> Tensor:
        """See `acutance.solver.StopRule`."""
        return errors[-1] <= self.error


@dataclass(frozen=True, eq=False)
class RichardsonLucyState(State):
    """x(t), the A x(t) - y behind it, and what a(t) is made of.

    Args:
        light: y + b, nowhere negative. inverse: 1 / A'M 1 where it is seen, else 0; unseen: 1 where it is not, else 0.
        before: x(t-1). update, update_before: the last two x(t) - p(t-1). prior: l, (B, 1, 1, 1).
        lowest: o, (B, 1, 1, 1). background: b, made larger by -o, (B, 1, 1, 1).
        seen: s. flux: <M, y>, (B, C, 1, 1); None where y is saturated.
    """

    residual: Tensor
    light: Tensor
    inverse: Tensor
    unseen: Tensor
    before: Tensor
    update: Tensor | None
    update_before: Tensor | None
    prior: Tensor
    lowest: Tensor
    background: Tensor
    seen: Tensor
    flux: Tensor | None


@dataclass(frozen=True, eq=False)
class RichardsonLucyStep:
    """One multiplicative update. Args: config. lowest: o, where it is known; None: by the module's rule."""

    config: RichardsonLucyConfig
    lowest: float | None = None

    def init(self, problem: Problem) -> RichardsonLucyState:
        """The observed picture, extended and nowhere black."""
        c, y = self.config, problem.observed
        weight = _weight(problem)
        lowest = _lowest(y, weight) if self.lowest is None else y.new_full((1,) * y.ndim, self.lowest)
        x = problem.start().clamp_min(lowest + DARK)
        seen = _blur(problem).adjoint(weight)
        inverse = torch.where(seen > SEEN, 1 / seen.clamp_min(SEEN), 0)
        prior = c.strength * spread(level_of(problem), y) ** c.power
        b = self._background(problem) - lowest
        light, unseen = torch.where(weight > 0, y + b, 0.0).clamp_min(0), (seen <= SEEN).to(x)
        flux = None if problem.saturated is not None else _sums(torch.where(weight > 0, y, 0.0))
        return RichardsonLucyState(
            x, problem.residual(x), light, inverse, unseen, x, None, None, prior, lowest, b, seen, flux
        )

    def __call__(self, problem: Problem, state: RichardsonLucyState) -> RichardsonLucyState:
        """x(t) -> x(t+1)."""
        blur, x, p = _blur(problem), state.x, self._predicted(state)
        b, least = state.background, state.lowest + DARK
        known = p is x and problem.mask is None and problem.saturated is None  # else the residual is not A x - y
        model = (state.residual + problem.observed if known else blur.forward(p)) + b
        ratio = state.light / model.clamp_min_(DARK)
        if problem.saturated is not None:
            ratio = torch.where(problem.saturated > 0, ratio.clamp_min(1), ratio)
        factor = torch.addcmul(state.unseen, blur.adjoint(ratio), state.inverse)
        if self.config.strength > 0:
            factor /= (1 - state.prior * _curvature(p, state.prior)).clamp_min_(0.1)
        shifted = p + b
        new = factor.mul_(shifted).sub_(b)
        new = torch.maximum(new, least) if state.flux is None else _with_flux(new, shifted, least, state)
        update = new - p if self.config.accelerated else None
        return replace(
            state, x=new, residual=problem.residual(new), before=x, update=update, update_before=state.update
        )

    def _background(self, problem: Problem) -> Tensor | float:
        """b before it is made larger by -o: a number, or (B, 1, 1, 1)."""
        if self.config.background is not None:
            return self.config.background
        known = problem.background
        return MOST_BACKGROUND if known is None else spread(known.clamp_max(MOST_BACKGROUND), problem.observed)

    def _predicted(self, state: RichardsonLucyState) -> Tensor:
        """p(t)."""
        if state.update is None or state.update_before is None:
            return state.x
        along = per_image(state.update * state.update_before)
        a = (along / per_image(state.update_before.square()).clamp_min(1e-30)).clamp(0, 1).nan_to_num(0)
        ahead = torch.lerp(state.before, state.x, 1 + spread(a, state.x))
        return torch.maximum(ahead, state.lowest + DARK)


def _blur(problem: Problem) -> LinearOperator:
    if problem.operator is None:
        raise ConfigError("richardson-lucy needs a blur; give a kernel")
    return problem.operator


def _sums(x: Tensor) -> Tensor:
    """Sum over the pixels of each channel, (B, C, 1, 1)."""
    return x.sum(spatial(x), keepdim=True)


def _with_flux(z: Tensor, shifted: Tensor, least: Tensor, state: RichardsonLucyState) -> Tensor:
    """max(z - m (p + b), least) with the flux of y, see the module; m by Newton's method, which cannot overshoot twice.

    Args:
        z, shifted: z(t) and p(t) + b, (B, C, H, W). least: (B, 1, 1, 1).
    """
    assert state.flux is not None
    x, m = torch.maximum(z, least), torch.zeros_like(state.flux)
    away = (shifted * state.seen).masked_fill_(state.unseen > 0, 0)
    whole = _sums(away)
    for _ in range(MOST_NEWTON):
        excess = _sums(x * state.seen) - state.flux
        if bool((excess.abs() <= KEPT * whole).all()):
            break
        slope = _sums(torch.where(x > least, away, 0.0))
        m = torch.where(slope > 0, m + excess / slope, m).clamp(-0.5, 0.5)
        x = torch.where(state.unseen > 0, x, torch.maximum(torch.addcmul(z, -m, shifted), least))
    return x


def _lowest(y: Tensor, weight: Tensor) -> Tensor:
    """o, (B, 1, ..., 1)."""
    return BELOW * torch.where(weight > 0, y, 0.0).amin(tuple(range(1, y.ndim)), keepdim=True).clamp_max(0)


def _weight(problem: Problem) -> Tensor:
    """M as a picture of the size of y: 1 where a sample tells something, also a bound, else 0."""
    weight = torch.ones_like(problem.observed)
    if problem.mask is not None:
        weight = weight * (problem.mask > 0)
    return weight if problem.saturated is None else torch.where(problem.saturated > 0, 1.0, weight)


def _curvature(x: Tensor, prior: Tensor) -> Tensor:
    """div(D x / |D x|), smoothed where x is flat, the more the stronger l; zero slope across the border."""
    flat = (STABLE * prior).clamp_min(FLAT)
    axes = spatial(x)
    slopes = [torch.diff(x, dim=dim, append=x.narrow(dim, x.shape[dim] - 1, 1)) for dim in axes]
    square = slopes[0].square()
    for slope in slopes[1:]:
        square = square + slope.square()
    size = torch.sqrt(square + flat**2)
    slopes = [slope / size for slope in slopes]
    out = slopes[0] + slopes[1]
    for slope in slopes[2:]:
        out += slope
    for dim, slope in zip(axes, slopes, strict=True):
        length = x.shape[dim] - 1
        out.narrow(dim, 1, length).sub_(slope.narrow(dim, 0, length))
    return out


@dataclass(frozen=True)
class RichardsonLucy:
    """Richardson-Lucy as a method. Args: config. lowest: see `RichardsonLucyStep`."""

    config: RichardsonLucyConfig
    lowest: float | None = None

    def solver(self) -> Solver[RichardsonLucyState]:
        """`steps` equal steps."""
        return Solver([RichardsonLucyStep(self.config, self.lowest)] * self.config.steps)

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`."""
        solver = self.solver()
        if self.config.discrepancy > 0:
            count = problem.observed[0].numel()
            stop = Discrepancy(0.5 * count * (self.config.discrepancy * level_of(problem)) ** 2)
            solver = Solver(solver.steps, stop=stop)
        return solver.run(problem, on_step=on_step)


def with_lowest(method: Method, seen: Sequence[Problem]) -> Method:
    """The method with one o, the lowest of some parts of a volume; see `acutance.methods.spec.Blocks`."""
    assert isinstance(method, RichardsonLucy)
    return replace(method, lowest=min(float(_lowest(each.observed, _weight(each)).min()) for each in seen))


def build(**settings: Any) -> RichardsonLucy:
    """Richardson-Lucy; its settings are those of `RichardsonLucyConfig`."""
    return RichardsonLucy(configure(RichardsonLucyConfig, "richardson-lucy", settings))


SPEC = MethodSpec(
    name="richardson-lucy",
    summary="the astronomers' method, Poisson noise, with total variation; wants the noise level",
    reference="richardson1972",
    build=build,
    needs=Needs(kernel=True, sigma=True, mask=True, volumes=True, photons=True),
    blocks=Blocks(memory=120, fixed=with_lowest),
    aliases=("rl",),
)
