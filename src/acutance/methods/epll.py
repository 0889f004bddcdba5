r"""EPLL, the expected patch log-likelihood (Zoran & Weiss 2011).

    min_x  1/2 ||A x - y||^2 - sigma^2 sum_i log p(P_i x),      P_i x: the i-th of all overlapping 8 x 8 patches

p is a Gaussian mixture of 200 components, see `acutance.priors.mixture`, fitted to photographs by us
(`acutance-lab fit`). Solved by half-quadratic splitting, see `acutance.methods.half_quadratic`; the patches of a
grid that is moved from step to step stand for all of them where `stride` is above 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.frame import TILE, Precision
from acutance.methods.half_quadratic import HalfQuadraticState, Schedule, half_quadratic_steps
from acutance.methods.spec import MethodSpec, Needs, StateDict, Stepwise, configure
from acutance.priors.mixture import PatchMixture
from acutance.solver import Solver


@dataclass(frozen=True)
class EpllConfig(Schedule):
    """Settings of EPLL: those of the schedule, and

    Args:
        stride: pixels between the patches that are looked at in one step.
    """

    steps: int = 12
    first: float = 28.0
    last: float = 0.7
    weight: float = 0.62
    stride: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride < 1:
            raise ConfigError(f"stride={self.stride}: give 1 or more pixels")


@dataclass(frozen=True, eq=False)
class Patches:
    """The mixture as a prior on pictures."""

    mixture: PatchMixture
    stride: int

    def prox(self, x: Tensor, sigma: Tensor, turn: int) -> Tensor:
        """See `acutance.priors.base.HasProx`."""
        return self.mixture.to(x).prox(x, sigma, turn, stride=self.stride)


@dataclass(frozen=True, eq=False)
class Epll(Stepwise[HalfQuadraticState]):
    """EPLL as a method."""

    config: EpllConfig
    mixture: PatchMixture

    def solver(self) -> Solver[HalfQuadraticState]:
        """One step for each weight of the tie."""
        return Solver(half_quadratic_steps(Patches(self.mixture, self.config.stride), self.config))


def build(
    *,
    weights: StateDict | None = None,
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
    tile: int | None = TILE,
    **settings: Any,
) -> Epll:
    """EPLL.

    Args:
        weights: of the mixture; None: one that has seen no photograph.
        device: where the mixture lives. precision, tile: of networks, which this method has none of.
        settings: fields of `EpllConfig`.

    Raises:
        WeightsError: weights of something else.
        ConfigError: an unknown setting.
    """
    config = configure(EpllConfig, "epll", settings)
    mixture = PatchMixture.untrained() if weights is None else PatchMixture.of(weights)
    if config.stride > mixture.side:
        raise ConfigError(f"stride={config.stride}: patches of {mixture.side} pixels want a stride of at most that")
    return Epll(config, mixture.to(torch.empty(0, device=device)))


SPEC = MethodSpec(
    name="epll",
    summary="classical: patches follow a mixture of 200 Gaussians, fitted to photographs; wants the noise level",
    reference="zoran2011epll",
    build=build,
    needs=Needs(kernel=True, sigma=True, mask=True),
    channels_apart=True,
    weights="epll",
)
