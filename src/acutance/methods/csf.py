r"""CSF, the cascade of shrinkage fields (Schmidt & Roth 2014).

Problem: y = A x + n, A known, the level s of n told or estimated. Each stage, with weights of its own, is

    x(t+1) = F^-1[ (l conj(K) Y_t + F sum_i f'_i * phi_i(f_i * x(t))) / (l |K|^2 + sum_i |F_i|^2) ]

f_i: learned filters, phi_i: learned shrinkage functions (`acutance.networks.rbf`), l: a learned weight of the data. It
is half-quadratic splitting (`acutance.methods.half_quadratic`) whose prior is learned, step by step. Y_t is y where it
was observed, and K x(t) elsewhere (`acutance.methods.adjusted`); the authors taper the edges of every estimate instead.
x(0) is a regularised inverse; in the paper it is y with tapered edges.

The authors train one model for each noise level. Here one model is for all levels: with q = s / 1 %,

    l = exp(a + b log q),        phi_i(z) = g phi_i(z / g),  g = q^p,         a, b, p learned for each stage

An untrained stage has phi_i(z) = z^3 / (z^2 + k^2) and sum_i |F_i|^2 = |D|^2: one step for a Lorentzian error of the
differences. Every channel is restored as if it were alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError, WeightsError
from acutance.frame import Frame
from acutance.methods.adjusted import AdjustedState, Start
from acutance.methods.spec import Learned, MethodSpec, Needs, StateDict, builder
from acutance.methods.stages import chained, check_stages, exact
from acutance.networks.rbf import Field, FilterBank, RadialBasis, cosine_basis, shrinkage
from acutance.noise.level import level_of
from acutance.problem import Problem
from acutance.solver import Solver

STANDARD = 0.01
"""The noise level at which l = exp(a) and g = 1."""

STRENGTH, KNEE = 800.0, 0.02
"""1 / (l s^2), and k, of an untrained stage."""

GREYS = 255.0


@dataclass(frozen=True)
class CsfConfig:
    """Settings of CSF.

    Args:
        stages: that have weights. steps: how many of them are used; None: all.
        start: x(0), "inverse", or "tapered" as in the paper, see `acutance.methods.adjusted`.
        side: of the filters, odd, pixels. filters: their number; None: side^2 - 1.
        centres, reach: of the shrinkage functions, which are straight lines of slope 1 beyond the reach.
        least: noise levels below this one are taken as this one, a fraction of the range.
    """

    stages: int = 5
    steps: int | None = None
    start: Start = "inverse"
    side: int = 5
    filters: int | None = None
    centres: int = 53
    reach: float = 0.5
    least: float = 0.002

    def __post_init__(self) -> None:
        check_stages(self.stages, self.steps)
        if not 0 < self.least < 1:
            raise ConfigError(f"least={self.least}: give a fraction of the range, 0.002 for 0.2 %")


class CsfStage(nn.Module):
    """Filters, functions and the weight of the data of one stage. Args: config: sizes."""

    def __init__(self, config: CsfConfig) -> None:
        super().__init__()
        bank = FilterBank(config.side, config.filters)
        functions = RadialBasis(bank.mixing.shape[1], config.centres, config.reach, slope=1.0)
        functions.fit(lambda z: shrinkage(z, KNEE))
        self.field = Field(bank, functions)
        self.log_weight = nn.Parameter(torch.tensor(-math.log(STRENGTH * STANDARD**2)))
        self.slope = nn.Parameter(torch.tensor(-2.0))
        self.gain = nn.Parameter(torch.tensor(0.5))

    def weight(self, level: Tensor) -> Tensor:
        """The weight l of the data for noise levels (B,), above 0."""
        return torch.exp(self.log_weight + self.slope * (level / STANDARD).log().to(self.slope))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """sum_i f'_i * phi_i(f_i * x) for noise levels (B,); see `Field`."""
        out: Tensor = self.field(x, (level / STANDARD).to(self.gain) ** self.gain)
        return out


@dataclass(frozen=True, eq=False)
class Shrink:
    """One stage.

    Args:
        stage: its weights. config: see `CsfConfig`. frame: how the field is evaluated.
    """

    stage: CsfStage
    config: CsfConfig
    frame: Frame

    def init(self, problem: Problem) -> AdjustedState:
        """x(0), on the domain of the blur."""
        return AdjustedState.first(problem, level_of(problem).clamp_min(self.config.least), self.config.start)

    def __call__(self, problem: Problem, state: AdjustedState) -> AdjustedState:
        """x(t) -> x(t+1)."""
        stage, scene, x = self.stage, state.scene, state.picture
        halo = stage.field.halo
        around = circular(x, halo)
        extra = self.frame(lambda z: stage(z, state.level), around, halo=halo)[..., halo:-halo, halo:-halo]
        weight = stage.weight(state.level).to(x)
        return state.then(scene.divided(state.data(), weight, extra, stage.field.bank.power(scene.size).to(x)))


def circular(x: Tensor, more: int) -> Tensor:
    """x (B, C, n, m), continued periodically by `more` pixels on every side, however small it is."""
    rows, cols = (torch.arange(-more, n + more, device=x.device) % n for n in x.shape[-2:])
    return x[..., rows[:, None], cols]


class Csf(Learned[AdjustedState]):
    """The stages with their weights; see the module.

    Args:
        config: sizes. frame: how the fields are evaluated, in float32 at least.

    Example:
        >>> from acutance.operators import Blur
        >>> problem = Problem(torch.rand(1, 3, 24, 32), Blur(torch.full((1, 1, 3, 3), 1 / 9)))
        >>> Csf(CsfConfig(stages=2)).run(problem).x.shape
        torch.Size([1, 3, 26, 34])
    """

    def __init__(self, config: CsfConfig | None = None, frame: Frame | None = None) -> None:
        super().__init__()
        self.config = config = config or CsfConfig()
        self.frame = frame or Frame()
        self.stages = nn.ModuleList(CsfStage(config) for _ in range(config.stages))

    def solver(self) -> Solver[AdjustedState]:
        """The stages in order."""
        return chained(self.stages, self.config.steps, lambda s: Shrink(s, self.config, exact(self.frame)))


def convert(
    filters: Sequence[Sequence[Tensor]], weights: Tensor, data: Tensor, means: Tensor, sigma: float
) -> tuple[StateDict, dict[str, float | int | str]]:
    """Our state dict and settings from a model of the authors, which is for one noise level.

    Args:
        filters: f_i of each stage, (h, w) with odd sides, that sum to 0. weights: w of each stage and function,
            (stages, filters, centres). data: the weight of the data of each stage. means: m_j, evenly spaced.
        sigma: the noise level of the model. The last three are in grey levels of 255.

    Raises:
        WeightsError: a filter that is even or does not sum to 0, centres that are not evenly spaced around 0.
    """
    stages, count, centres = weights.shape
    side = max(max(f.shape) for stage in filters for f in stage)
    if side % 2 == 0 or len(filters) != stages or any(len(stage) != count for stage in filters):
        raise WeightsError(
            f"filters of {side} pixels in {len(filters)} stages; expected odd sides, {count} in {stages}"
        )
    expected = torch.linspace(-float(means[-1]), float(means[-1]), centres).to(means)
    if not torch.allclose(means, expected, rtol=1e-4):
        raise WeightsError("the centres of the functions are not evenly spaced around 0")
    side = max(side, 3)
    basis = cosine_basis(side).flatten(1)
    ours: StateDict = {}
    for t, stage in enumerate(filters):
        whole = torch.stack([_centred(f.double(), side) for f in stage])
        if float(whole.sum((1, 2)).abs().max()) > 1e-4 * float(whole.abs().max()):
            raise WeightsError(f"a filter of stage {t + 1} does not sum to 0; CSF has no others")
        ours[f"stages.{t}.field.bank.mixing"] = (whole.flatten(1) @ basis.T).T.contiguous()
        ours[f"stages.{t}.field.functions.weight"] = weights[t].double() / GREYS
        ours[f"stages.{t}.log_weight"] = data[t].double().log()
        ours[f"stages.{t}.slope"] = torch.zeros((), dtype=torch.float64)
        ours[f"stages.{t}.gain"] = torch.zeros((), dtype=torch.float64)
    settings: dict[str, float | int | str] = {
        "start": "tapered", "stages": stages, "side": side, "filters": count, "centres": centres,
        "reach": float(means[-1]) / GREYS, "least": sigma / GREYS,
    }  # fmt: skip
    return ours, settings


def _centred(f: Tensor, side: int) -> Tensor:
    """A filter of the authors, which they convolve with, in the middle of a square, as a correlation."""
    if any(n % 2 == 0 for n in f.shape):
        raise WeightsError(f"a filter of {tuple(f.shape)} pixels; expected odd sides")
    out = f.new_zeros(side, side)
    top, left = ((side - n) // 2 for n in f.shape)
    out[top : top + f.shape[0], left : left + f.shape[1]] = torch.flip(f, (0, 1))
    return out


build = builder("csf", CsfConfig, Csf)

SPEC = MethodSpec(
    name="csf",
    summary="learned shrinkage of filter responses, five divisions in the Fourier domain; wants the noise level",
    reference="schmidt2014csf",
    build=build,
    needs=Needs(kernel=True, sigma=True, mask=True),
    weights="csf",
    channels_apart=True,
)
