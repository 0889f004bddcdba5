r"""Deconvolution with a sparse prior (Levin et al. 2007): reweighted least squares with conjugate gradients.

    min_x  1/2 ||A x - y||^2 + l sum_j c_j sum_i |(D_j x)_i|^a,           a = 0.8

D_j: the first differences, c = 1, and the three second ones, c = 1/4. Each step replaces the prior by the parabola that
touches it at the current x,

    |v|^a  ~  a/2 max(|v|, e)^(a - 2) v^2 + const,

and solves the linear system that is left with conjugate gradients on a torus with an unknown border
(`acutance.linear`), preconditioned by the same system with its weights averaged, which is diagonal in the Fourier
domain. l = c sigma^p.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import EPSILON, ROUNDS, Torus, conjugate_gradients, laplacian_power, scaled
from acutance.methods.spec import MethodSpec, Needs, Stepwise, configure
from acutance.noise.level import level_of
from acutance.operators.filters import ALONG, DOWN, Difference
from acutance.problem import Problem, State
from acutance.solver import Solver

FILTERS = (
    (1.0, (DOWN,)),
    (1.0, (ALONG,)),
    (0.25, (DOWN, DOWN)),
    (0.25, (ALONG, ALONG)),
    (0.25, (DOWN, ALONG)),
)
"""c_j, and the differences that D_j is made of."""


START = 0.05
"""Size of every difference for the weights of the start, a fraction of the range."""


@dataclass(frozen=True)
class LevinConfig:
    """Settings of the sparse prior.

    Args:
        strength, power: c and p of l = c sigma^p. exponent: a, above 0 and up to 2.
        knee: e, below which a derivative counts as zero, a fraction of the range.
        steps: reweightings. rounds: of conjugate gradients in each.
    """

    strength: float = 0.635
    power: float = 1.6
    exponent: float = 0.8
    knee: float = 0.0115
    steps: int = 6
    rounds: int = 15

    def __post_init__(self) -> None:
        if self.steps < 1 or self.rounds < 1 or self.strength < 0 or self.knee <= 0 or not 0 < self.exponent <= 2:
            raise ConfigError(
                f"{self}: steps and rounds must be at least 1, strength not negative, knee above 0, exponent above 0 "
                "and up to 2"
            )


@dataclass(frozen=True, eq=False)
class LevinState(State):
    """x; on the torus it and its spectrum; l, (B, 1, 1, 1)."""

    torus: Torus
    picture: Tensor
    spectrum: Tensor
    prior: Tensor


@dataclass(frozen=True, eq=False)
class Reweighting:
    """New weights, and the solution with them."""

    config: LevinConfig

    def init(self, problem: Problem) -> LevinState:
        """The solution with the weights of a picture all of whose differences are `START`."""
        c = self.config
        torus = Torus.of(problem.observed, problem.blur, problem.mask)
        prior = c.strength * level_of(problem).reshape(-1, 1, 1, 1) ** c.power
        weight = c.exponent * START ** (c.exponent - 2)
        power = laplacian_power(*torus.size, problem.observed)
        spectrum = torus.solve(prior * weight * power + EPSILON, start=None, rounds=ROUNDS).spectrum
        picture = torus.picture(spectrum)
        return LevinState(torus.crop(picture), torus, picture, spectrum, prior)

    def __call__(self, problem: Problem, state: LevinState) -> LevinState:
        """One reweighting."""
        torus, picture, c = state.torus, state.picture, self.config
        weights = []
        mean = torch.zeros_like(torus.power[:1, :1])
        for share, filters in FILTERS:
            v = picture
            for d in filters:
                v = d.forward(v)
            w = state.prior * share * c.exponent * v.abs().clamp_min(c.knee) ** (c.exponent - 2)
            weights.append(w)
            mean = mean + w.log().mean((-2, -1), keepdim=True).exp() * _power(torus, filters, picture)
        inverse = 1 / (torus.power + mean + EPSILON)

        def apply(spectrum: Tensor) -> Tensor:
            x = torus.picture(spectrum)
            total = torch.zeros_like(x)
            for (_, filters), w in zip(FILTERS, weights, strict=True):
                v = x
                for d in filters:
                    v = d.forward(v)
                v = w * v
                for d in reversed(filters):
                    v = d.adjoint(v)
                total += v
            return torus.normal(spectrum) + torus.spectrum(total) + EPSILON * spectrum

        spectrum, _ = conjugate_gradients(
            apply,
            torus.data,
            state.spectrum,
            rounds=c.rounds,
            precondition=lambda r: scaled(r, inverse),
            inner=torus.inner,
        )
        picture = torus.picture(spectrum)
        return LevinState(torus.crop(picture), torus, picture, spectrum, state.prior)


def _power(torus: Torus, filters: tuple[Difference, ...], like: Tensor) -> Tensor:
    """|D_j|^2, broadcastable to a spectrum."""
    n, m = torus.size
    rows = (2 - 2 * torch.cos(2 * torch.pi * torch.fft.fftfreq(n, dtype=like.dtype, device=like.device)))[:, None]
    cols = 2 - 2 * torch.cos(2 * torch.pi * torch.fft.rfftfreq(m, dtype=like.dtype, device=like.device))
    out = torch.ones(1, 1, 1, 1, dtype=like.dtype, device=like.device)
    for d in filters:
        out = out * (rows if d.axis == "rows" else cols)
    return out


@dataclass(frozen=True)
class Levin(Stepwise[LevinState]):
    """The sparse prior as a method."""

    config: LevinConfig

    def solver(self) -> Solver[LevinState]:
        """`steps` reweightings."""
        return Solver([Reweighting(self.config)] * self.config.steps)


def build(**settings: Any) -> Levin:
    """The sparse prior; its settings are those of `LevinConfig`."""
    return Levin(configure(LevinConfig, "levin", settings))


SPEC = MethodSpec(
    name="levin",
    summary="sparse first and second derivatives by reweighted least squares; wants the noise level",
    reference="levin2007image",
    build=build,
    needs=Needs(kernel=True, sigma=True, mask=True),
    channels_apart=True,
)
