r"""MLP: a regularised inverse, then a perceptron that removes its coloured noise (Schuler, Burger, Harmeling &
Schoelkopf 2013).

    z = argmin_z  ||A z - y||^2 + a sigma^2 ||D z||^2 + b ||z||^2        D: first differences; `acutance.linear.Torus`
    x = perceptron on overlapping patches of z                           `acutance.networks.patches`

Where A is circular, z = F^-1[ conj(K) Y / (|K|^2 + a sigma^2 |D|^2 + b) ]. Dividing by small |K| leaves noise that is
strong in some frequencies and absent in others; the perceptron has learned to tell it from the picture. The paper
trains one large perceptron for each kernel and noise level. Here a smaller one serves all kernels and is told the
level; every channel is restored alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from acutance.errors import ConfigError
from acutance.frame import Frame
from acutance.linear import ROUNDS, Torus, laplacian_power
from acutance.methods.spec import Learned, MethodSpec, Needs, builder
from acutance.networks.patches import HALO, STRIDE, PatchPerceptron
from acutance.noise.level import level_of
from acutance.problem import Problem, State
from acutance.solver import Solver
from acutance.tensors import spread


@dataclass(frozen=True)
class MlpConfig:
    """Settings of MLP.

    Args:
        hidden, layers: units of a hidden layer and number of such layers; they belong to the weights.
        smoothing, ridge: a and b of the inverse. 20 is the paper's a; the weights are trained for both.
        rounds: of conjugate gradients, for the border.
    """

    hidden: int = 512
    layers: int = 4
    smoothing: float = 20.0
    ridge: float = 1e-4
    rounds: int = ROUNDS

    def __post_init__(self) -> None:
        if not 1 <= self.hidden <= 4096 or not 1 <= self.layers <= 16:
            raise ConfigError(f"hidden={self.hidden}, layers={self.layers}: 1 to 4096 units, 1 to 16 layers")
        if self.smoothing < 0 or not self.ridge > 0 or self.rounds < 0:
            raise ConfigError(
                f"smoothing={self.smoothing}, ridge={self.ridge}, rounds={self.rounds}: ridge must be above 0, and the "
                "others not negative"
            )


@dataclass(frozen=True, eq=False)
class Correct:
    """The only step: z -> x.

    Args:
        network: the perceptron. config: of the inverse. frame: how the network is evaluated.
    """

    network: PatchPerceptron
    config: MlpConfig
    frame: Frame

    def init(self, problem: Problem) -> State:
        """z, on the domain of the blur."""
        c, torus = self.config, Torus.of(problem.observed, problem.operator, problem.mask)
        variance = spread(level_of(problem), problem.observed) ** 2
        quadratic = c.smoothing * variance * laplacian_power(*torus.size, like=problem.observed) + c.ridge
        estimate = torus.solve(quadratic, start=None, rounds=c.rounds)
        return State(torus.crop(torus.picture(estimate.spectrum)))

    def __call__(self, problem: Problem, state: State) -> State:
        """Every channel through the network."""
        z = state.x
        batch, channels, height, width = z.shape
        planes = z.reshape(batch * channels, 1, height, width)
        level = spread(level_of(problem).to(z).repeat_interleave(channels), planes).expand_as(planes)
        x: Tensor = self.frame(self.network, planes, level, halo=HALO, multiple_of=STRIDE)
        return State(x.reshape(z.shape))


class Mlp(Learned[State]):
    """The inverse and the perceptron. Untrained, the perceptron changes nothing.

    Args:
        config: sizes, and strength of the inverse. frame: how the network is evaluated.

    Example:
        >>> import torch
        >>> from acutance.operators import Blur
        >>> problem = Problem(torch.rand(1, 1, 32, 32), Blur(torch.full((1, 1, 3, 3), 1 / 9)))
        >>> Mlp(MlpConfig(hidden=8, layers=1)).run(problem).x.shape
        torch.Size([1, 1, 34, 34])
    """

    def __init__(self, config: MlpConfig | None = None, frame: Frame | None = None) -> None:
        super().__init__()
        self.config = config = config or MlpConfig()
        self.frame = frame or Frame()
        self.network = PatchPerceptron(config.hidden, config.layers)

    def solver(self) -> Solver[State]:
        """One step."""
        return Solver([Correct(self.network, self.config, self.frame)])


build = builder("mlp", MlpConfig, Mlp)

SPEC = MethodSpec(
    name="mlp",
    summary="regularised inverse, then a learned perceptron on patches; wants the noise level",
    reference="schuler2013mlp",
    build=build,
    needs=Needs(kernel=True, sigma=True, mask=True),
    weights="mlp",
    channels_apart=True,
)
