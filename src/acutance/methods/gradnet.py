r"""GradNet, noise-blind image deblurring (Jin, Roth & Favaro 2017).

Problem: y = A x + n, A known, the level of n *unknown*. A Bayesian lower bound, with a Gaussian around x for what is
uncertain in it, gives the data term N/2 log(||A x - y||^2 + N u^2 ||k||^2): N observed pixels, u a small uncertainty, k
the kernel. Its majoriser at x(t) is quadratic with the weight l, which follows the residual. Each of seven stages, with
weights of its own, is a gradient step that is preconditioned in the Fourier domain:

    l(t)   = e N / (||A x(t) - y||^2 + N u^2 ||k||^2)
    g(t)   = l(t) A'(A x(t) - y) + sum_i f'_i * phi_i(f_i * x(t))
    x(t+1) = x(t) - F^-1[ F g(t) / (l(t) |K|^2 + sum_i |F_i|^2) ]

f_i: learned filters, phi_i: learned influence functions (`acutance.networks.rbf`); e is learned as well, the weight of
the data against the prior. x(0) is y, extended to the domain of the blur; A is the honest blur, so a residual counts
where y was observed.

Assumed, since our source leaves it open: e and u are learned for each stage; l is of each picture and channel.

An untrained stage has phi_i(z) = z / (1 + (z / k)^2) and sum_i |F_i|^2 = |D|^2: a step of iteratively reweighted least
squares for a Lorentzian error of the differences. Every channel is restored as if it were alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.frame import Frame
from acutance.linear import scaled
from acutance.methods.spec import Learned, MethodSpec, Needs, builder
from acutance.methods.stages import chained, check_stages, exact
from acutance.networks.rbf import Field, FilterBank, RadialBasis, influence
from acutance.operators import Blur
from acutance.problem import Problem, State
from acutance.solver import Solver
from acutance.tensors import fast_length

STRENGTH, KNEE, UNCERTAIN = 500.0, 0.02, 0.005
"""1 / e, k and u of an untrained stage."""


@dataclass(frozen=True)
class GradnetConfig:
    """Settings of GradNet.

    Args:
        stages: that have weights. steps: how many of them are used; None: all.
        side: of the filters, odd, pixels; there are side^2 - 1. centres, reach: of the influence functions, which are
            constant beyond the reach.
    """

    stages: int = 7
    steps: int | None = None
    side: int = 5
    centres: int = 53
    reach: float = 0.5

    def __post_init__(self) -> None:
        check_stages(self.stages, self.steps)


class GradnetStage(nn.Module):
    """Filters, functions and weights of one stage. Args: config: sizes."""

    def __init__(self, config: GradnetConfig) -> None:
        super().__init__()
        bank = FilterBank(config.side)
        functions = RadialBasis(bank.mixing.shape[1], config.centres, config.reach)
        functions.fit(lambda z: influence(z, KNEE))
        self.field = Field(bank, functions)
        self.log_weight = nn.Parameter(torch.tensor(-math.log(STRENGTH)))
        self.log_uncertain = nn.Parameter(torch.tensor(math.log(UNCERTAIN)))

    def weight(self, problem: Problem, residual: Tensor) -> Tensor:
        """The weight l of each picture and channel, (B, C, 1, 1). residual: M (A x - y)."""
        mask = torch.ones_like(residual) if problem.mask is None else (problem.mask > 0).expand_as(residual)
        pixels = mask.sum((-2, -1), keepdim=True).clamp_min(1).to(residual)
        assert isinstance(problem.operator, Blur)
        kernel = problem.operator.kernel.square().sum((-2, -1), keepdim=True)
        mean = residual.square().sum((-2, -1), keepdim=True) / pixels
        uncertain = torch.exp(2 * self.log_uncertain).to(residual)
        return torch.exp(self.log_weight).to(residual) / (mean + uncertain * kernel)

    def forward(self, x: Tensor) -> Tensor:
        """sum_i f'_i * phi_i(f_i * x); see `Field`."""
        out: Tensor = self.field(x)
        return out


@dataclass(frozen=True, eq=False)
class Descend:
    """One stage.

    Args:
        stage: its weights. frame: how the field is evaluated.
    """

    stage: GradnetStage
    frame: Frame

    def init(self, problem: Problem) -> State:
        """x(0): y, extended to the domain of the blur.

        Raises:
            ConfigError: no blur, or one that is no convolution.
        """
        if not isinstance(problem.operator, Blur):
            raise ConfigError("gradnet works in the Fourier domain and needs one kernel for the whole picture")
        return State(problem.start())

    def __call__(self, problem: Problem, state: State) -> State:
        """x(t) -> x(t+1)."""
        x, stage, blur = state.x, self.stage, problem.operator
        assert isinstance(blur, Blur)
        residual = problem.residual(x)
        weight = stage.weight(problem, residual)
        gradient = weight * blur.adjoint(residual) + self.frame(stage, x, halo=stage.field.halo)
        height, width = x.shape[-2:]
        size = (height, width) if blur.boundary == "circular" else (fast_length(height), fast_length(width))
        below = weight * blur.power(*size, like=x) + stage.field.bank.power(size).to(x)
        spectrum = scaled(torch.fft.rfft2(gradient, s=size), 1 / below.clamp_min(torch.finfo(x.dtype).tiny))
        return State(x - torch.fft.irfft2(spectrum, s=size)[..., :height, :width])


class Gradnet(Learned[State]):
    """The stages with their weights; see the module.

    Args:
        config: sizes. frame: how the fields are evaluated, in float32 at least.

    Example:
        >>> problem = Problem(torch.rand(1, 3, 24, 32), Blur(torch.full((1, 1, 3, 3), 1 / 9)))
        >>> Gradnet(GradnetConfig(stages=2)).run(problem).x.shape
        torch.Size([1, 3, 26, 34])
    """

    def __init__(self, config: GradnetConfig | None = None, frame: Frame | None = None) -> None:
        super().__init__()
        self.config = config = config or GradnetConfig()
        self.frame = frame or Frame()
        self.stages = nn.ModuleList(GradnetStage(config) for _ in range(config.stages))

    def solver(self) -> Solver[State]:
        """The stages in order."""
        return chained(self.stages, self.config.steps, lambda s: Descend(s, exact(self.frame)))


build = builder("gradnet", GradnetConfig, Gradnet)

SPEC = MethodSpec(
    name="gradnet",
    summary="learned gradient steps, preconditioned in the Fourier domain; the noise level need not be known",
    reference="jin2017gradnet",
    build=build,
    needs=Needs(kernel=True, mask=True),
    weights="gradnet",
    channels_apart=True,
)
