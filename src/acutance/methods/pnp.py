r"""Plug and play: half-quadratic splitting with a denoiser as the prior (Venkatakrishnan 2013, Zhang et al. 2017).

    z <- denoiser(x, s),      x <- argmin_x  1/2 ||A x - y||^2 + c/2 (sigma / s)^2 ||x - z||^2

with s falling from step to step, see `acutance.methods.half_quadratic`. x is the answer to the data and has some noise
left, so the run closes with

    x <- denoiser(x, closing sigma)

The denoiser is any method of the catalogue that restores without a blur: `bm3d`, and the learned ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.frame import TILE, Precision
from acutance.methods.half_quadratic import HalfQuadratic, HalfQuadraticState, Schedule, half_quadratic_steps
from acutance.methods.inner import build_shipped, split
from acutance.methods.spec import MethodSpec, Needs, Stepwise, catalogue, configure, find
from acutance.problem import Method, Problem
from acutance.solver import Solver


@dataclass(frozen=True)
class PnpConfig(Schedule):
    """Settings of plug and play: those of the schedule, and

    Args:
        denoiser: name of a method that needs no blur.
        closing: level of the denoiser behind the last step, in sigma; 0: the run ends with x as the data want it.
    """

    steps: int = 12
    first: float = 28.0
    last: float = 1.0
    weight: float = 0.5
    ceiling: float | None = 49 / 255
    denoiser: str = "bm3d"
    closing: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.closing < 0:
            raise ConfigError(f"closing={self.closing}: give 0 or more")


@dataclass(frozen=True, eq=False)
class Denoiser:
    """A method as a prior."""

    method: Method

    def prox(self, x: Tensor, sigma: Tensor, turn: int) -> Tensor:
        """See `acutance.priors.base.HasProx`."""
        return self.method.run(Problem(x, None, sigma)).x


@dataclass(frozen=True, eq=False)
class Closing:
    """The last step: x once more denoised, at `level` sigma."""

    step: HalfQuadratic
    denoiser: Denoiser
    level: float

    def init(self, problem: Problem) -> HalfQuadraticState:
        """As the step that it closes."""
        return self.step.init(problem)

    def __call__(self, problem: Problem, state: HalfQuadraticState) -> HalfQuadraticState:
        """z, x, and z of it."""
        state = self.step(problem, state)
        picture = self.denoiser.prox(state.picture, self.level * state.sigma, self.step.turn + 1)
        return replace(state, x=state.torus.crop(picture))


@dataclass(frozen=True, eq=False)
class Pnp(Stepwise[HalfQuadraticState]):
    """Plug and play as a method."""

    config: PnpConfig
    denoiser: Denoiser

    def solver(self) -> Solver[HalfQuadraticState]:
        """One step for each level of the denoiser; the last closes with it."""
        steps = half_quadratic_steps(self.denoiser, self.config)
        if self.config.closing == 0:
            return Solver(steps)
        return Solver([*steps[:-1], Closing(steps[-1], self.denoiser, self.config.closing)])


def build(
    *,
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
    tile: int | None = TILE,
    **settings: Any,
) -> Pnp:
    """Plug and play.

    Args:
        device, precision, tile: of a denoiser that is a network.
        settings: fields of `PnpConfig`; those that begin with ``denoiser_`` are handed to the denoiser.

    Raises:
        ConfigError: an unknown setting, or a denoiser that is none. UnknownMethod: there is no such denoiser.
    """
    own, inner = split(settings, "denoiser_")
    config = configure(PnpConfig, "pnp", own)
    spec = find(config.denoiser)
    if spec.needs.task != "denoise":
        names = [s.name for s in catalogue().values() if s.needs.task == "denoise"]
        raise ConfigError(f"denoiser={config.denoiser!r} is none; a denoiser is one of {', '.join(names)}")
    if config.denoiser == "bm3d":
        inner = {"step": 4, "radius": 12, **inner}
    return Pnp(config, Denoiser(build_shipped(spec, inner, device=device, precision=precision, tile=tile)))


SPEC = MethodSpec(
    name="pnp",
    summary="plug and play: any denoiser as the prior (BM3D); wants the noise level",
    reference="venkatakrishnan2013plug",
    build=build,
    needs=Needs(kernel=True, sigma=True, mask=True),
    composed=True,
)
