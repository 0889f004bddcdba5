r"""TNRD, trainable nonlinear reaction diffusion (Chen & Pock 2017), for deblurring.

Problem: y = A x + n, A known, the level s of n told or estimated. Each stage, with weights of its own, is a step of
gradient descent:

    x(t+1) = x(t) - l A'(A x(t) - y) - r sum_i f'_i * phi_i(f_i * x(t))

f_i: learned filters, phi_i: learned influence functions (`acutance.networks.rbf`), l and r: learned weights. f' is f
turned by 180 degrees. A is the honest blur of any border and kind: a residual counts where y was observed.

Explicit steps need many stages behind a strong blur. So x(0) is not y, as in the paper, but a regularised inverse: the
solution for the prior STRENGTH s^2 |D x|^2 (`start="inverse"`), or what `acutance.methods.fd` finds (`start="fd"`).

The authors train one model for each noise level. Here one model is for all levels: with q = s / 1 %,

    l = exp(a + b log q) / m,   r = exp(c + d log q) / m,   m = 1 + 8 exp(c + d log q),
    phi_i(z) = g phi_i(z / g),  g = q^p,                        a, b, c, d, p learned for each stage

m keeps the step stable where the noise is strong: 8 is the largest |D|^2.
An untrained stage has phi_i(z) = z / (1 + (z / k)^2) and sum_i |F_i|^2 = |D|^2, and r / l is that of the start, which
it leaves nearly as it is. Every channel is restored as if it were alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.frame import Frame
from acutance.methods.adjusted import STRENGTH, regularised_inverse
from acutance.methods.classical import classical
from acutance.methods.spec import Learned, MethodSpec, Needs, builder
from acutance.methods.stages import chained, check_stages, exact
from acutance.networks.rbf import Field, FilterBank, RadialBasis, influence
from acutance.noise.level import level_of
from acutance.operators import Blur
from acutance.problem import Problem, State
from acutance.solver import Solver
from acutance.tensors import spread

STANDARD = 0.01
"""The noise level at which q = 1."""

STEP, KNEE = 0.2, 0.05
"""l and k of an untrained stage."""

LARGEST = 8.0
"""The largest |D|^2."""

Start = Literal["inverse", "fd"]


@dataclass(frozen=True)
class TnrdConfig:
    """Settings of TNRD.

    Args:
        stages: that have weights. steps: how many of them are used; None: all.
        start: x(0), "inverse" or "fd", see the module.
        side: of the filters, odd, pixels; there are side^2 - 1. centres, reach: of the influence functions, which are
            constant beyond the reach.
        least: noise levels below this one are taken as this one, a fraction of the range.
    """

    stages: int = 5
    steps: int | None = None
    start: Start = "inverse"
    side: int = 5
    centres: int = 63
    reach: float = 0.5
    least: float = 0.002

    def __post_init__(self) -> None:
        check_stages(self.stages, self.steps)
        if self.start not in ("inverse", "fd"):
            raise ConfigError(f"start={self.start!r} is neither 'inverse' nor 'fd'")
        if not 0 < self.least < 1:
            raise ConfigError(f"least={self.least}: give a fraction of the range, 0.002 for 0.2 %")


@dataclass(frozen=True, eq=False)
class TnrdState(State):
    """x, and the noise level, (B,)."""

    level: Tensor


class TnrdStage(nn.Module):
    """Filters, functions and weights of one stage. Args: config: sizes."""

    def __init__(self, config: TnrdConfig) -> None:
        super().__init__()
        bank = FilterBank(config.side)
        functions = RadialBasis(bank.mixing.shape[1], config.centres, config.reach)
        functions.fit(lambda z: influence(z, KNEE))
        self.field = Field(bank, functions)
        self.log_data = nn.Parameter(torch.tensor([math.log(STEP), 0.0]))
        self.log_prior = nn.Parameter(torch.tensor([math.log(STEP * STRENGTH * STANDARD**2), 2.0]))
        self.gain = nn.Parameter(torch.tensor(0.5))

    def weights(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """The weights l and r for noise levels (B,), above 0."""
        q = (level / STANDARD).log().to(self.gain)
        data, prior = (torch.exp(w[0] + w[1] * q) for w in (self.log_data, self.log_prior))
        shorter = 1 + LARGEST * prior
        return data / shorter, prior / shorter

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """sum_i f'_i * phi_i(f_i * x) for noise levels (B,); see `Field`."""
        out: Tensor = self.field(x, (level / STANDARD).to(self.gain) ** self.gain)
        return out


@dataclass(frozen=True, eq=False)
class Diffuse:
    """One stage.

    Args:
        stage: its weights. config: see `TnrdConfig`. frame: how the field is evaluated.
    """

    stage: TnrdStage
    config: TnrdConfig
    frame: Frame

    def init(self, problem: Problem) -> TnrdState:
        """x(0) by a regularised inverse.

        Raises:
            ConfigError: no blur.
        """
        if problem.operator is None:
            raise ConfigError("tnrd needs the blur; give a kernel")
        level = level_of(problem).clamp_min(self.config.least)
        told = replace(problem, sigma=level)
        if self.config.start == "inverse" and isinstance(problem.operator, Blur):
            return TnrdState(regularised_inverse(told, level), level)
        return TnrdState(classical(told), level)

    def __call__(self, problem: Problem, state: TnrdState) -> TnrdState:
        """x(t) -> x(t+1)."""
        x, stage = state.x, self.stage
        data, prior = (spread(w.to(x), x) for w in stage.weights(state.level))
        field = self.frame(lambda z: stage(z, state.level), x, halo=stage.field.halo)
        return TnrdState(x - data * problem.gradient(x) - prior * field, state.level)


class Tnrd(Learned[TnrdState]):
    """The stages with their weights; see the module.

    Args:
        config: sizes. frame: how the fields are evaluated, in float32 at least.

    Example:
        >>> problem = Problem(torch.rand(1, 3, 24, 32), Blur(torch.full((1, 1, 3, 3), 1 / 9)))
        >>> Tnrd(TnrdConfig(stages=2)).run(problem).x.shape
        torch.Size([1, 3, 26, 34])
    """

    def __init__(self, config: TnrdConfig | None = None, frame: Frame | None = None) -> None:
        super().__init__()
        self.config = config = config or TnrdConfig()
        self.frame = frame or Frame()
        self.stages = nn.ModuleList(TnrdStage(config) for _ in range(config.stages))

    def solver(self) -> Solver[TnrdState]:
        """The stages in order."""
        return chained(self.stages, self.config.steps, lambda s: Diffuse(s, self.config, exact(self.frame)))


build = builder("tnrd", TnrdConfig, Tnrd)

SPEC = MethodSpec(
    name="tnrd",
    summary="learned reaction diffusion, five gradient steps from a regularised inverse; wants the noise level",
    reference="chen2017tnrd",
    build=build,
    needs=Needs(kernel=True, sigma=True, mask=True),
    weights="tnrd",
    channels_apart=True,
)
