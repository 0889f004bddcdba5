r"""The Wiener filter (Wiener 1949), with the signal's spectrum estimated and the border unknown.

    min_x  1/2 ||A x - y||^2 + 1/2 x' R x,        R(f) = sigma^2 / S(f),      S(f) = a / |D(f)|^g

S is the power spectrum of the sharp picture, which falls with a power of the frequency (D: first differences). Its
level and its fall are the likeliest ones behind the blurred spectrum,

    max_{a, g}  - sum_f  log P(f) + |Y(f)|^2 / P(f),        P = |K|^2 S + sigma^2,

found by Fisher scoring. So nothing has to be tuned: with the true noise level the filter is the best linear one for
such pictures. Where A is circular the solution is X = conj(K) Y / (|K|^2 + sigma^2 / S); the unknown border is
`acutance.linear.Torus`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import EPSILON, ROUNDS, Torus, laplacian_power
from acutance.methods.spec import Blocks, MethodSpec, Needs, configure
from acutance.noise.level import level_of
from acutance.problem import Method, Observer, Problem, Result, direct_result
from acutance.tensors import spread

SEEN = 0.03
"""|K|^2 above which a frequency counts for the first guess of a."""

SCORINGS = 8
FALL, FLATTEST, STEEPEST = 2.0, 1.0, 4.0
"""First guess of g, and its limits."""

FAINTEST = 1e-12
"""Least power that a signal is given."""


@dataclass(frozen=True)
class Wiener:
    """The filter as a method; direct, no steps.

    Args:
        strength: factor on R; above 1 smooths more.
        rounds: of conjugate gradients, for the border.
    """

    strength: float = 1.0
    rounds: int = ROUNDS

    def __post_init__(self) -> None:
        if self.strength < 0 or self.rounds < 0:
            raise ConfigError(f"{self}: strength and rounds must not be negative")

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`."""
        torus, variance = _torus(problem)
        return self.filtered(problem, torus, variance, inverse_spectrum(torus, variance))

    def filtered(self, problem: Problem, torus: Torus, variance: Tensor, inverse: Tensor) -> Result:
        """The filter with the 1 / S of `inverse_spectrum`."""
        x = torus.solve(self.strength * variance * inverse + EPSILON, start=None, rounds=self.rounds)
        return direct_result(problem, torus.crop(torus.picture(x.spectrum)))


@dataclass(frozen=True)
class FittedWiener:
    """The filter with one spectrum for every picture: S = a / |D|^g.

    Args:
        filter: its settings. log_a, g: log a, and g.
    """

    filter: Wiener
    log_a: float
    g: float

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`."""
        torus, variance = _torus(problem)
        laplacian = laplacian_power(*torus.size, like=torus.observed)
        a, g = (torus.observed.new_tensor(each) for each in (self.log_a, self.g))
        return self.filter.filtered(problem, torus, variance, _inverse(laplacian, a, g))


@torch.no_grad()
def fitted(method: Method, seen: Sequence[Problem]) -> Method:
    """The filter with the mean of the spectra that fit some parts of a volume; see `acutance.methods.spec.Blocks`."""
    assert isinstance(method, Wiener)
    found = [fit_spectrum(*_torus(each)) for each in seen]
    a, g = (sum(float(one.mean()) for one in each) / len(found) for each in zip(*found, strict=True))
    return FittedWiener(method, a, g)


def _torus(problem: Problem) -> tuple[Torus, Tensor]:
    """The torus of a problem, and the variance of its noise, (B, 1, 1, 1)."""
    torus = Torus.of(problem.observed, problem.operator, problem.mask)
    return torus, spread(level_of(problem), problem.observed) ** 2


def inverse_spectrum(torus: Torus, variance: Tensor) -> Tensor:
    """1 / S of the picture on a torus, one for all channels: (B, 1, n, m // 2 + 1), zero at frequency zero.

    Args:
        torus: with the picture. variance: of the noise, (B, 1, 1, 1).
    """
    return _inverse(laplacian_power(*torus.size, like=torus.observed), *fit_spectrum(torus, variance))


def _inverse(laplacian: Tensor, a: Tensor, g: Tensor) -> Tensor:
    """|D|^g / a from |D|^2 and log a, zero at frequency zero."""
    known = (laplacian > 0).to(laplacian)
    logs = torch.where(laplacian > 0, laplacian, 1).log()
    return known * torch.exp(0.5 * g * logs - a)


def fit_spectrum(torus: Torus, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest log a and g of the picture on a torus, one for all channels, (B, 1, 1, 1) each.

    Args:
        torus: with the picture. variance: of the noise, (B, 1, 1, 1).
    """
    laplacian = laplacian_power(*torus.size, like=torus.observed)
    power = torus.spectrum(torus.observed).abs().square() / math.prod(torus.size)
    known = (laplacian > 0).to(power)
    logs = torch.where(laplacian > 0, laplacian, 1).log()  # of |D|^2
    floor = variance.clamp_min(FAINTEST)

    used = known * (torus.power > SEEN)
    guess = torch.log(power * torch.exp(0.5 * FALL * logs) / torus.power.clamp_min(SEEN) + FAINTEST) * used
    a = _total(guess) / _total(used.expand_as(guess)).clamp_min(1)  # log a
    g = torch.full_like(a, FALL)
    for _ in range(SCORINGS):
        signal = torch.exp(a - 0.5 * g * logs) * torus.power
        model = signal + floor
        share, misfit = (known * signal / model).expand_as(power), power / model - 1
        slope = -0.5 * logs  # d log S / d g; d log S / d a is 1
        aa, ag, gg = _total(share**2), _total(share**2 * slope), _total((share * slope) ** 2)
        da, dg = _total(share * misfit), _total(share * misfit * slope)
        determinant = (aa * gg - ag**2).clamp_min(torch.finfo(a.dtype).tiny)
        a = (a + ((gg * da - ag * dg) / determinant).clamp(-2, 2)).clamp_min(2 * math.log(FAINTEST))
        g = (g + ((aa * dg - ag * da) / determinant).clamp(-0.5, 0.5)).clamp(FLATTEST, STEEPEST)
    return a, g


def _total(x: Tensor) -> Tensor:
    """Sum over channels and frequencies: (B, 1, 1, 1)."""
    return x.sum(tuple(range(1, x.ndim)), keepdim=True)


def build(**settings: Any) -> Wiener:
    """The Wiener filter; its settings are `strength` and `rounds`."""
    return configure(Wiener, "wiener", settings)


SPEC = MethodSpec(
    name="wiener",
    summary="the classical filter, one pass, nothing to tune; wants the noise level",
    reference="wiener1949",
    build=build,
    needs=Needs(kernel=True, sigma=True, mask=True, volumes=True),
    blocks=Blocks(memory=170, fixed=fitted),
)
