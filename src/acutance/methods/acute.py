r"""Acute: a learned optimiser whose data term is solved in closed form and whose memory is learned.

Problem: y = M (A x + n), A known, the level of n unknown, M a mask of the pixels to be believed. x lives on the domain
of the blur, larger than the picture, so that a border is what it is: pixels that were not observed. Each step is

    r(t)    = M (A x(t) - y),  min(A x(t) - y, 0) where y is saturated
    g_j(t)  = (|K|^2 + R_j)^-1  A' r(t),             R_j = c_j s^(2 p_j) (e_j + |D|^2),          j = 1 ... J
    u, h    = N( x(t) - m(t), g_1(t) ... g_J(t), s, 1 - A'M 1, h(t); t )
    x(t+1)  = x(t) - sum_j w_j g_j(t) + u,           h(t+1) = h

m(t) is the local mean of x(t); s is the noise level, estimated unless it is told; |D|^2 the power of the differences;
c, p, e, w are learned. x - g_j is what regularised least squares around x(t) with the quadratic R_j would answer: a
bank of the scaling matrices D(t) of the classical step (Gong et al. 2020, eq. 5), from which a small U-Net N, shared
by all steps, composes its step. h are features of N that it leaves for itself (memory between stages: Mou et al.
2022), t tells it whether the step is the first one (Luo et al. 2019), as a learned gain on each of its features. With
`flagged` it is told in the same way whether A is exact or only about right. x(0) is the estimate of a fast classical
method, `acutance.methods.fd`.

Pictures of one channel go through the same network by an entrance and an exit of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.frame import Frame
from acutance.linear import laplacian_power, scaled
from acutance.methods.classical import classical
from acutance.methods.spec import Learned, MethodSpec, Needs, builder
from acutance.methods.views import Views
from acutance.networks.unet import UNet, UNetConfig
from acutance.noise.level import level_of
from acutance.operators import BlurField, LinearOperator
from acutance.problem import Observer, Problem, Result, State
from acutance.solver import Solver, Standstill
from acutance.tensors import fast_length
from acutance.views import VIEWS

CHANNELS = (1, 3)
"""Numbers of channels of the pictures that the network has an entrance for."""

STRENGTHS = (30.0, 200.0, 1500.0, 10000.0)
"""c_j of an untrained bank; 1 / c_j is the variance that differences are expected to have, for p = 1."""

LEAST_LEVEL = 3e-3
"""Noise levels below this one are taken as this one, about the least that was trained on. On 12 held-out photographs
without noise, kernels of 13 to 27 pixels, it has 34.5 dB with it, 34.3 with 2.3e-3, 33.9 where only the first estimate
is told the true level, `levin` 36.1."""

UNINFORMED = 0.01
"""The noise level that is assumed where none may be used."""

WINDOW, DETAIL = 9, 4.0
"""Side of the squares whose mean is taken from x before the network sees it, and what the rest is multiplied by.
Shown x itself, the network learns at half the pace: its features carry the brightness, of which it is to change
nothing."""

AMPLIFICATION = 5.0
"""What g_j and the noise level are multiplied by for the network, so that they are of the order of a picture."""

LEAST_MARGIN = 16
"""Pixels that a window of a blur field is larger than its weight, at least, where preconditioners are applied to it."""

LARGE = 1 << 20
"""Pixels above which preconditioners are applied one by one: the same numbers with a fraction of the memory."""


@dataclass(frozen=True)
class AcuteConfig:
    """Settings of Acute.

    Args:
        widths, blocks: of the U-Net, see `acutance.networks.unet.UNetConfig`; comma-separated.
        memory: features that a step leaves for the next one, in channels of the size of the picture.
        bank: number of preconditioners.
        moments: steps that the network knows apart; from this one on all are the same to it.
        flagged: whether the network is told if the blur is only about right (`Problem.approximate`), so that it need
            not hedge where it is exact.
        informed: whether the noise level, estimated or told, is used at all; else 1 % is assumed everywhere.
        units: networks: 1, shared by all steps, or 2, the first for the first step only.
        steps: most steps of a run.
        views: how many of the eight ways to flip and turn the picture it is restored in; the mean of all is taken, and
            a picture takes no more steps than help, see `acutance.methods.views`.
        threshold: the run ends when a step changes the picture by less than this fraction of the range, root mean
            square; 0 uses all steps.
        seconds: no step is begun after so much time; None: no limit.
    """

    widths: str = "48,96,128"
    blocks: str = "1,1,2"
    memory: int = 4
    bank: int = 4
    moments: int = 2
    flagged: bool = False
    informed: bool = True
    units: int = 1
    steps: int = 5
    views: int = 1
    threshold: float = 0.0
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"steps={self.steps}: at least one step is needed")
        if not 1 <= self.bank <= 64 or not 0 <= self.memory <= 256 or not 1 <= self.moments <= 64:
            raise ConfigError(f"bank={self.bank}, memory={self.memory}, moments={self.moments}: out of range")
        if not 1 <= self.views <= len(VIEWS):
            raise ConfigError(f"views={self.views}: between 1 and {len(VIEWS)}")
        if self.units not in (1, 2):
            raise ConfigError(f"units={self.units}: 1 or 2")
        self.unet  # noqa: B018 - checks itself

    @property
    def halo(self) -> int:
        """Pixels that one output pixel of a step's network sees on every side, at most."""
        more = WINDOW // 2 + self.unet.multiple_of - 1
        return self.unet.halo + more - more % self.unet.multiple_of

    @property
    def unet(self) -> UNetConfig:
        """The size of the network."""
        return UNetConfig(_integers("widths", self.widths), _integers("blocks", self.blocks))


def _integers(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{name}={text!r}: write whole numbers with commas between them") from None


@dataclass(frozen=True, eq=False)
class AcuteState(State):
    """x, M (A x - y) of it, the memory as a picture (B, memory, H', W'), and what stays the same in all steps.

    Args:
        residual: the size of the picture. memory: see above. step: how many were taken.
        level: of the noise, (B,).
        unseen: 1 - A'M 1, (B or 1, 1, H', W'): 0 where all of a point's light was observed.
    """

    residual: Tensor
    memory: Tensor
    step: int
    level: Tensor
    unseen: Tensor


def local_mean(x: Tensor) -> Tensor:
    """The mean of the pixels that the picture has in the square of `WINDOW` pixels around each one; x (B, C, H, W)."""
    rows = F.avg_pool2d(x, (WINDOW, 1), 1, (WINDOW // 2, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, WINDOW), 1, (0, WINDOW // 2), count_include_pad=False)


class Bank(nn.Module):
    """The preconditioners (|K|^2 + R_j)^-1."""

    def __init__(self, size: int) -> None:
        super().__init__()
        place = torch.linspace(0, len(STRENGTHS) - 1, size) if size > 1 else torch.tensor([1.0])
        known = torch.tensor(STRENGTHS).log()
        low = place.floor().clamp(0, len(STRENGTHS) - 2).long()
        self.log_strength = nn.Parameter(known[low] + (place - low) * (known[low + 1] - known[low]))
        self.power = nn.Parameter(torch.ones(size))
        self.log_constant = nn.Parameter(torch.full((size,), math.log(0.01)))
        self.weight = nn.Parameter(torch.zeros(size))  # an untrained step changes nothing

    def quadratics(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """R_j for noise levels (B,), above 0, as strength (B, J, 1, 1, 1) * (constant (J, 1, 1, 1) + |D|^2)."""
        s = level.log()[:, None]
        strength = (self.log_strength + 2 * self.power * s).exp()[..., None, None, None]
        return strength, self.log_constant.exp()[:, None, None, None]

    def forward(self, blur: LinearOperator, gradient: Tensor, level: Tensor, dtype: torch.dtype) -> Tensor:
        """All g_j for a gradient A' r (B, C, H', W'): (B, J, C, H', W'), of that type; transforms in the gradient's.

        Where the kernel changes over the picture, so does K: window by window, blended.
        """
        if isinstance(blur, BlurField):
            return self._local(blur, gradient, level, dtype)
        n, m = (fast_length(size) for size in gradient.shape[-2:])
        return self._solved(blur.power(n, m, like=gradient), (n, m), gradient, level, dtype)

    def _solved(
        self, power: Tensor, size: tuple[int, int], gradient: Tensor, level: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """All g_j on a torus of that size, where |K|^2 is `power`."""
        (height, width), (n, m) = gradient.shape[-2:], size
        differences = laplacian_power(n, m, like=gradient)
        strength, constant = self.quadratics(level.to(gradient))

        def solved(spectrum: Tensor, power: Tensor, strength: Tensor, constant: Tensor) -> Tensor:
            x: Tensor = torch.fft.irfft2(scaled(spectrum, 1 / (power + strength * (constant + differences))), s=(n, m))
            return x[..., :height, :width]

        if torch.is_grad_enabled() or n * m < LARGE:
            spectrum = torch.fft.rfft2(gradient, s=(n, m))
            return solved(spectrum[:, None], power[:, None], strength, constant).to(dtype)
        batch, channels, bank = *gradient.shape[:2], len(self.weight)
        out = gradient.new_empty(batch, bank, channels, height, width, dtype=dtype)
        power = power.expand(batch, channels, -1, -1)
        for b in range(batch):
            for c in range(channels):
                spectrum = torch.fft.rfft2(gradient[b, c], s=(n, m))
                for j in range(bank):
                    out[b, j, c] = solved(spectrum, power[b, c], strength[b, j, 0, 0, 0], constant[j, 0, 0, 0])
        return out

    def _local(self, field: BlurField, gradient: Tensor, level: Tensor, dtype: torch.dtype) -> Tensor:
        (height, width), (r, s) = gradient.shape[-2:], field.radius
        margin = max(r, s, LEAST_MARGIN)
        out = gradient.new_zeros(gradient.shape[0], len(self.weight), *gradient.shape[1:], dtype=dtype)
        for window in field.windows(height - 2 * r, width - 2 * s, gradient, margin):
            place = (..., window.domain_rows, window.domain_cols)
            piece = gradient[place]
            size = (fast_length(piece.shape[-2]), fast_length(piece.shape[-1]))
            found = self._solved(window.power(*size), size, piece, level, gradient.dtype)
            out[place] += (window.weight * found).to(dtype)
        return out


@dataclass(frozen=True, eq=False)
class Descend:
    """One step.

    Args:
        network: N. bank: of preconditioners. config: sizes. frame: how the network is evaluated.
    """

    network: UNet
    bank: Bank
    config: AcuteConfig
    frame: Frame

    def init(self, problem: Problem) -> AcuteState:
        """x(0) by `classical`; nothing remembered.

        Raises:
            ConfigError: a number of channels that the network has no entrance for; no blur.
        """
        if problem.operator is None:
            raise ConfigError("acute needs the blur; give a kernel")
        if problem.observed.shape[1] not in CHANNELS:
            raise ConfigError(f"a picture of {problem.observed.shape[1]} channels; acute takes 1 or 3")
        level = level_of(problem) if self.config.informed else torch.full_like(problem.observed[:, 0, 0, 0], UNINFORMED)
        level = level.clamp_min(LEAST_LEVEL)
        x = classical(replace(problem, sigma=level))
        seen = problem.observed[:, :1] * 0 + 1 if problem.mask is None else problem.mask.to(x)
        if problem.saturated is not None:
            seen = seen * (1 - problem.saturated)
        unseen = 1 - problem.operator.adjoint(seen).mean(1, keepdim=True)
        memory = x.new_zeros(1).expand(x.shape[0], self.config.memory, *x.shape[-2:])
        return AcuteState(x, problem.residual(x), memory, 0, level, unseen)

    def __call__(self, problem: Problem, state: AcuteState) -> AcuteState:
        """x(t) -> x(t+1)."""
        assert problem.operator is not None
        x = state.x
        batch, channels, height, width = x.shape
        g = self.bank(problem.operator, problem.operator.adjoint(state.residual), state.level, self._dtype(x))
        moment = self.network.gains.weight.new_zeros(1, self.config.moments)
        moment[0, min(state.step, self.config.moments - 1)] = 1
        known = 0.5 * state.level.log()[:, None] + 2  # of the order of 1
        conditions = [moment.expand(batch, -1), known.to(moment)]
        if self.config.flagged:
            flag = x.new_zeros(1) if problem.approximate is None else problem.approximate
            conditions.append(flag.to(moment).reshape(-1, 1).expand(batch, 1))
        condition = torch.cat(conditions, 1)
        noise = (AMPLIFICATION * state.level).reshape(-1, 1, 1, 1).to(x).expand(batch, 1, height, width)

        def network(g: Tensor, x: Tensor, *others: Tensor) -> Tensor:
            mean = local_mean(x)
            z = torch.cat([z.to(g.dtype) for z in (DETAIL * (x - mean), AMPLIFICATION * g, *others)], 1)
            out: Tensor = self.network(z, condition, CHANNELS.index(channels))
            return out

        # g, (B, J C, H', W') here, goes first, so that what comes out has its type
        inputs = [g.flatten(1, 2), x, noise, state.unseen.expand(batch, -1, -1, -1)]
        if self.config.memory:
            inputs.append(state.memory)
        out = self.frame(network, *inputs, halo=self.config.halo, multiple_of=self.config.unet.multiple_of)
        x = x + out[:, :channels]
        for j, weight in enumerate(self.bank.weight):
            x -= weight * g[:, j]
        memory = out[:, channels:].clone()  # so that the rest of `out` can go
        del g, inputs, out
        return replace(state, x=x, residual=problem.residual(x), memory=memory, step=state.step + 1)

    def _dtype(self, x: Tensor) -> torch.dtype:
        return torch.bfloat16 if self.frame.dtype is torch.bfloat16 else x.dtype

    def explain(self, problem: Problem, state: AcuteState) -> dict[str, Tensor]:
        """What the bank offers at x(t), and what the network adds to its mean."""
        assert problem.operator is not None
        g = self.bank(problem.operator, problem.operator.adjoint(state.residual), state.level, state.x.dtype)
        mean = torch.einsum("j,bjchw->bchw", self.bank.weight.to(g), g)
        offers = {f"x-g{j + 1}": state.x - g[:, j] for j in range(g.shape[1])}
        return {**offers, "network": self(problem, state).x - state.x + mean}


class Acute(Learned[AcuteState]):
    """The optimiser with its weights; see the module. An untrained step changes nothing: x(t) = x(0).

    Args:
        config: sizes and stopping. frame: how the networks are evaluated.

    Example:
        >>> from acutance.operators import Blur
        >>> problem = Problem(torch.rand(1, 1, 32, 32), Blur(torch.full((1, 1, 3, 3), 1 / 9)))
        >>> Acute(AcuteConfig(widths="8,8", blocks="1,1", steps=2)).run(problem).x.shape
        torch.Size([1, 1, 34, 34])
    """

    def __init__(self, config: AcuteConfig | None = None, frame: Frame | None = None) -> None:
        super().__init__()
        self.config = config = config or AcuteConfig()
        self.frame = frame or Frame()
        extra = 2 + config.memory
        self.networks = nn.ModuleList(
            UNet(
                config.unet,
                entrances=tuple(c * (1 + config.bank) + extra for c in CHANNELS),
                exits=tuple(c + config.memory for c in CHANNELS),
                conditions=config.moments + 1 + config.flagged,
            )
            for _ in range(config.units)
        )
        self.bank = Bank(config.bank)
        for network in self.networks:
            for layer in network.exits:  # type: ignore[union-attr]
                nn.init.zeros_(layer.weight)

    def solver(self) -> Solver[AcuteState]:
        """`steps` times the same step, or a first one and the others."""
        first, last = (
            Descend(network, self.bank, self.config, self.frame)  # type: ignore[arg-type]
            for network in (self.networks[0], self.networks[-1])
        )
        stop = Standstill(self.config.threshold) if self.config.threshold > 0 else None
        return Solver([first] + [last] * (self.config.steps - 1), stop=stop, seconds=self.config.seconds)

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`; with several views see `acutance.methods.views`."""
        solver = self.solver()
        if self.config.views == 1:
            return solver.run(problem, on_step=on_step)
        together = [Views(step, self.config.views) for step in solver.steps]
        return Solver(together, stop=solver.stop, seconds=solver.seconds).run(problem, on_step=on_step)


build = builder("acute", AcuteConfig, Acute)

SPEC = MethodSpec(
    name="acute",
    summary="learned optimiser with closed-form data steps and memory; any kernel, noise level unknown",
    reference="acutance2026acute",
    build=build,
    needs=Needs(kernel=True, uses_sigma=True, mask=True, tile=960),
    weights="acute",
    own_views=True,
    qualities={"fast": {"steps": 2}, "balanced": {"steps": 5}, "best": {"steps": 10, "views": 4}},
)
