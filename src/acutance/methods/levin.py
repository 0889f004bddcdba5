r"""Deconvolution with a sparse prior (Levin et al. 2007): reweighted least squares with conjugate gradients.

    min_x  1/2 ||A x - y||^2 + l sum_j c_j sum_i |(D_j x)_i|^a,           a = 0.8

D_j: the first differences, c = 1, and all second ones, c = 1/4. Each step replaces the prior by the parabola that
touches it at the current x,

    |v|^a  ~  a/2 max(|v|, e)^(a - 2) v^2 + const,

and solves the linear system that is left with conjugate gradients on a torus with an unknown border
(`acutance.linear`), preconditioned by the same system with its weights averaged, which is diagonal in the Fourier
domain. l = c sigma^p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import EPSILON, ROUNDS, Torus, conjugate_gradients, difference_powers, laplacian_power, scaled
from acutance.methods.spec import Blocks, MethodSpec, Needs, Stepwise, configure
from acutance.noise.level import level_of
from acutance.operators.filters import Difference, circular_differences
from acutance.problem import Problem, State
from acutance.solver import Solver
from acutance.tensors import spatial, spread

SECOND = 0.25
"""c_j of the second differences; that of the first ones is 1."""


def filters_of(like: Tensor) -> list[tuple[float, tuple[Difference, ...]]]:
    """c_j, and the differences that D_j is made of, of a picture or a volume."""
    first = circular_differences(like)
    mixed = [(a, b) for i, a in enumerate(first) for b in first[i + 1 :]]
    return [*((1.0, (d,)) for d in first), *((SECOND, (d, d)) for d in first), *((SECOND, pair) for pair in mixed)]


def differences(x: Tensor) -> list[Tensor]:
    """All D_j x in the order of `filters_of`; each first difference is made once."""
    first = circular_differences(x)
    slopes = [d.forward(x) for d in first]
    own = [d.forward(v) for d, v in zip(first, slopes, strict=True)]
    return [*slopes, *own, *(b.forward(slopes[i]) for i in range(len(first)) for b in first[i + 1 :])]


def differences_adjoint(parts: Sequence[Tensor]) -> Tensor:
    """sum_j D_j' parts_j, the adjoint of `differences`."""
    first = circular_differences(parts[0])
    n = len(first)
    mixed = iter(parts[2 * n :])
    slopes = [v + d.adjoint(w) for d, v, w in zip(first, parts[:n], parts[n : 2 * n], strict=True)]
    for i in range(n):
        for b in first[i + 1 :]:
            slopes[i] = slopes[i] + b.adjoint(next(mixed))
    total = first[0].adjoint(slopes[0])
    for d, v in zip(first[1:], slopes[1:], strict=True):
        total = total + d.adjoint(v)
    return total


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
        torus = Torus.of(problem.observed, problem.operator, problem.mask)
        prior = c.strength * spread(level_of(problem), problem.observed) ** c.power
        weight = c.exponent * START ** (c.exponent - 2)
        power = laplacian_power(*torus.size, like=problem.observed)
        spectrum = torus.solve(prior * weight * power + EPSILON, start=None, rounds=ROUNDS).spectrum
        picture = torus.picture(spectrum)
        return LevinState(torus.crop(picture), torus, picture, spectrum, prior)

    def __call__(self, problem: Problem, state: LevinState) -> LevinState:
        """One reweighting."""
        torus, picture, c = state.torus, state.picture, self.config
        weights = []
        mean = torch.zeros_like(torus.power[:1, :1])
        chosen = filters_of(picture)
        for (share, filters), v in zip(chosen, differences(picture), strict=True):
            w = state.prior * share * c.exponent * v.abs().clamp_min(c.knee) ** (c.exponent - 2)
            weights.append(w)
            mean = mean + w.log().mean(spatial(w), keepdim=True).exp() * _power(torus, filters, picture)
        inverse = 1 / (torus.power + mean + EPSILON)

        def apply(spectrum: Tensor) -> Tensor:
            weighted = [w * v for w, v in zip(weights, differences(torus.picture(spectrum)), strict=True)]
            return torus.normal(spectrum) + torus.spectrum(differences_adjoint(weighted)) + EPSILON * spectrum

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
    axes = ("planes", "rows", "columns")[-len(torus.size) :]
    powers = dict(zip(axes, difference_powers(*torus.size, like=like), strict=True))
    out = torch.ones((1,) * like.ndim, dtype=like.dtype, device=like.device)
    for d in filters:
        out = out * powers[d.axis]
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
    needs=Needs(kernel=True, sigma=True, mask=True, volumes=True),
    blocks=Blocks(memory=240),
    channels_apart=True,
)
