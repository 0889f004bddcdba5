r"""FDN, the Fourier deconvolution network (Kruse, Rother & Schmidt 2017).

Problem: y = A x + n, A known, the level s of n told or estimated. Each of ten stages, with weights of its own, is

    x(t+1) = F^-1[ (w conj(K) Y_t + F N(x(t))) / (w |K|^2 + sum_i |F_i|^2) ],        w = MLP(1 / s^2)

N is a small convolutional network that stands where classical methods have shrunken filter responses
(`acutance.methods.csf`); F_i are learned filters, w a learned weight of the data, s in 255ths of the range. Y_t is y
where it was observed, and K x(t) elsewhere (`acutance.methods.adjusted`), so masks and the border need nothing else.
x(0) is a regularised inverse; in the paper it is y with tapered edges, which is then the first stage's Y_0 as well.

An untrained stage is a Tikhonov filter: N = 0, sum_i |F_i|^2 = c |D|^2 and w proportional to 1 / s^2. Every channel is
restored as if it were alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acutance.errors import ConfigError, WeightsError
from acutance.frame import Frame
from acutance.methods.adjusted import AdjustedState, Start
from acutance.methods.spec import Learned, MethodSpec, Needs, StateDict, builder
from acutance.methods.stages import chained, check_stages
from acutance.networks.rbf import FilterBank
from acutance.noise.level import level_of
from acutance.problem import Problem
from acutance.solver import Solver

LAYERS, HIDDEN = 6, 16
"""Convolutions of N; features of the layers of the MLP."""

GREYS = 255.0
"""Grey levels in the range: the unit of s."""

WEIGHT = 500.0
"""w of an untrained stage at s = 1 of 255; it is proportional to 1 / s^2."""

STRENGTH = 300.0
"""sum_i |F_i|^2 / w of an untrained stage, as a multiple of s^2 |D|^2, s a fraction of the range."""


LOUD = 100.0
"""The first layer of an untrained N is made larger by this. A stage divides N by w, some 100 at 1 % noise, so a quiet N
hardly learns. One-off figures of two stages after 120 and 80 updates, held-out crops: 29.99 dB with 100, 29.81 with 20,
29.30 with 5; with torch's own first weights they stay at 29.21, their start."""


@dataclass(frozen=True)
class FdnConfig:
    """Settings of FDN.

    Args:
        stages: that have weights. steps: how many of them are used; None: all.
        start: x(0), "inverse", or "tapered" as in the paper, see `acutance.methods.adjusted`.
        features: of N. side: of the filters, odd, pixels.
        least: noise level below which none is told to the network, a fraction of the range.
    """

    stages: int = 10
    steps: int | None = None
    start: Start = "inverse"
    features: int = 32
    side: int = 5
    least: float = 0.002

    def __post_init__(self) -> None:
        check_stages(self.stages, self.steps)
        if not 1 <= self.features <= 1024:
            raise ConfigError(f"features={self.features}: give 1 to 1024")
        if not 0 < self.least < 1:
            raise ConfigError(f"least={self.least}: give a fraction of the range, 0.002 for 0.2 %")


class FdnStage(nn.Module):
    """N, the MLP and the filters of one stage.

    Args:
        features: of N. side: of the filters.
    """

    def __init__(self, features: int, side: int) -> None:
        super().__init__()
        widths = [1, *[features] * (LAYERS - 1), 1]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3) for a, b in pairwise(widths))
        sizes = [1, HIDDEN, HIDDEN, HIDDEN, 1]
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.filters = FilterBank(side)
        self._start_as_tikhonov()

    @torch.no_grad()
    def _start_as_tikhonov(self) -> None:
        """See the module. One unit of each dense layer hands its input on; the others start as usual, unheard."""
        for layer in self.convolutions[:-1]:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        first = self.convolutions[0]
        assert isinstance(first, nn.Conv2d)
        first.weight.mul_(LOUD)
        for p in self.convolutions[-1].parameters():
            nn.init.zeros_(p)
        for layer in self.dense:
            assert isinstance(layer, nn.Linear)
            nn.init.zeros_(layer.bias)
            layer.weight[0] = 0
            layer.weight[0, 0] = WEIGHT ** (1 / len(self.dense))
        self.filters.mixing.mul_((STRENGTH * WEIGHT) ** 0.5 / GREYS)

    def weight(self, level: Tensor) -> Tensor:
        """w for noise levels (B,), above 0, fractions of the range."""
        z = (1 / (GREYS * level).square())[:, None].to(self.filters.mixing)
        for layer in self.dense[:-1]:
            z = F.elu(layer(z))
        return F.softplus(self.dense[-1](z))[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        """N(x), each channel as if it were alone: (B, C, H, W) -> (B, C, H, W); its border is replicated."""
        z = F.pad(x.reshape(-1, 1, *x.shape[-2:]), [LAYERS] * 4, mode="replicate")
        for layer in self.convolutions[:-1]:
            z = F.elu(layer(z))
        out: Tensor = self.convolutions[-1](z)
        return out.reshape(x.shape)


@dataclass(frozen=True, eq=False)
class Divide:
    """One stage.

    Args:
        stage: its weights. config: see `FdnConfig`. frame: how N is evaluated.
    """

    stage: FdnStage
    config: FdnConfig
    frame: Frame

    def init(self, problem: Problem) -> AdjustedState:
        """x(0), on the domain of the blur."""
        return AdjustedState.first(problem, level_of(problem).clamp_min(self.config.least), self.config.start)

    def __call__(self, problem: Problem, state: AdjustedState) -> AdjustedState:
        """x(t) -> x(t+1)."""
        scene, x = state.scene, state.picture
        weight = self.stage.weight(state.level).to(x)
        extra = self.frame(self.stage, x, halo=LAYERS)
        return state.then(scene.divided(state.data(), weight, extra, self.stage.filters.power(scene.size).to(x)))


class Fdn(Learned[AdjustedState]):
    """The stages with their weights; see the module.

    Args:
        config: sizes. frame: how the networks are evaluated.

    Example:
        >>> from acutance.operators import Blur
        >>> problem = Problem(torch.rand(1, 3, 24, 32), Blur(torch.full((1, 1, 3, 3), 1 / 9)))
        >>> Fdn(FdnConfig(stages=2, features=4)).run(problem).x.shape
        torch.Size([1, 3, 26, 34])
    """

    def __init__(self, config: FdnConfig | None = None, frame: Frame | None = None) -> None:
        super().__init__()
        self.config = config = config or FdnConfig()
        self.frame = frame or Frame()
        self.stages = nn.ModuleList(FdnStage(config.features, config.side) for _ in range(config.stages))

    def solver(self) -> Solver[AdjustedState]:
        """The stages in order."""
        return chained(self.stages, self.config.steps, lambda s: Divide(s, self.config, self.frame))


AUTHORS = {f"conv{i}": f"convolutions.{i - 1}" for i in range(1, LAYERS + 1)} | {
    "dense1": "dense.0", "dense2": "dense.1", "dense3": "dense.2", "lambda": "dense.3",
}  # fmt: skip
CONVERTED = {"least": 0.1 / GREYS, "start": "tapered"}
"""Settings for weights of the authors, beside the number of stages."""


def convert(theirs: Mapping[str, Tensor]) -> StateDict:
    """Our state dict from the arrays of the authors' HDF5.

    Names are STAGE/LAYER/ARRAY, such as ``model_2/conv1_1/kernel:0`` or ``stage1/conv1/kernel``; stages count in the
    order of their numbers. Kernels are (height, width, in, out). Pictures have the range 0 to 1 there as well.

    Raises:
        WeightsError: an array that FDN does not have, or one of another number of axes.
    """
    parsed = [(name, _parsed(name)) for name in theirs]
    numbers = sorted({stage for _, (stage, _, _) in parsed})
    ours: StateDict = {}
    for name, (stage, layer, array) in parsed:
        value, prefix = theirs[name], f"stages.{numbers.index(stage)}"
        if array == "filter_weights":
            ours[f"{prefix}.filters.mixing"] = value
            continue
        if layer not in AUTHORS:
            raise WeightsError(f"{name!r} is no array of the authors' FDN; expected {', '.join(AUTHORS)}")
        if array == "kernel":
            value = _turned(name, value)
        ours[f"{prefix}.{AUTHORS[layer]}.{'weight' if array == 'kernel' else 'bias'}"] = value
    return ours


def _turned(name: str, value: Tensor) -> Tensor:
    """A kernel of Keras as a weight of torch."""
    if value.ndim not in (2, 4):
        raise WeightsError(f"{name!r} has the shape {tuple(value.shape)}; expected two or four axes")
    return value.T.contiguous() if value.ndim == 2 else value.permute(3, 2, 0, 1).contiguous()


def _parsed(name: str) -> tuple[int, str, str]:
    """Number of the stage, name of the layer, and kernel, bias or filter_weights."""
    found = re.fullmatch(r"\D*?(\d+)/(?:([a-z]+\d?)(?:_\d+)?/|[\w]+/)?(kernel|bias|filter_weights)(?::0)?", name)
    if found is None or (found[2] is None and found[3] != "filter_weights"):
        raise WeightsError(f"{name!r} is no array of the authors' FDN; expected names like model_2/conv1_1/kernel:0")
    return int(found[1]), found[2] or "", found[3]


build = builder("fdn", FdnConfig, Fdn)

SPEC = MethodSpec(
    name="fdn",
    summary="learned: ten divisions in the Fourier domain with small networks; wants the noise level",
    reference="kruse2017fdn",
    build=build,
    needs=Needs(kernel=True, sigma=True, mask=True),
    weights="fdn",
    channels_apart=True,
)
