r"""Golf: blind deblurring with one long drive and a few short putts (Luo et al. 2019).

    x(1) = F(y),            F(y) = y + f(y):        one aggressive step towards the sharp picture
    x(t+1) = G(x(t)),       G(x) = x + r(x):        the same small network again and again; r is the negative gradient
                                                    of a learned prior, x(t+1) = x(t) - grad P(x(t))

With a gain g a stroke is x(t+1) = x(t) + g r(x(t)). It improves the mean square error if and only if

    0 < g < 2 <r, s - x> / |r|^2,        s the sharp picture,

so a network that meets blur of another kind than it was trained on does less harm with a gain below 1
(`acutance-lab experiment brightness`). `keep_mean` holds the brightness of each colour.

Nothing is known of the blur. Two networks, because one that is iterated on its own estimates meets a different task in
every step and forgets the others (section 3.3). F is trained first, alone; then G, over the mean of its iterates, with
F frozen. `drives=2` splits the first task once more, F1 -> F2 -> G, as the paper proposes for severe blur.

Both networks normalise features by moments over the whole picture, and see to its size themselves
(`acutance.networks.blocks`): the picture is never cut into tiles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from acutance.errors import ConfigError
from acutance.frame import Frame
from acutance.methods.spec import Learned, MethodSpec, Needs, builder
from acutance.networks.blocks import BasicBlocks
from acutance.problem import Problem, State
from acutance.solver import Solver


@dataclass(frozen=True)
class GolfConfig:
    """Settings of Golf.

    Args:
        drive, putt: features of F and of G.
        drives: networks of the size of F, one after the other.
        putts: how often G is applied; 0: F alone.
        keep_mean: whether the mean of each colour stays what it is (`acutance.networks.blocks`). The paper's form lets
            it drift, by a grey level for golf-1; new weights are trained with it.
        gain: what a stroke's residual is multiplied with, above 0, at most 1. Train with 1.
    """

    drive: int = 32
    putt: int = 16
    drives: int = 1
    putts: int = 3
    keep_mean: bool = False
    gain: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.drive <= 1024 or not 1 <= self.putt <= 1024:
            raise ConfigError(f"drive={self.drive}, putt={self.putt}: between 1 and 1024 features")
        if not 1 <= self.drives <= 8 or not 0 <= self.putts <= 1000:
            raise ConfigError(
                f"drives={self.drives}, putts={self.putts}: at least one drive, at most 8; at most 1000 putts"
            )
        if not 0 < self.gain <= 1:
            raise ConfigError(f"gain={self.gain}: give a number above 0, at most 1")


@dataclass(frozen=True, eq=False)
class Stroke:
    """x -> N(x). Args: network: N. frame: how it is evaluated."""

    network: BasicBlocks
    frame: Frame

    def init(self, problem: Problem) -> State:
        """The picture as it is.

        Raises:
            ConfigError: not three channels.
        """
        if problem.observed.shape[1] != 3:
            raise ConfigError(f"a picture of {problem.observed.shape[1]} channels; golf takes 3")
        return State(problem.start())

    def __call__(self, problem: Problem, state: State) -> State:
        """One stroke."""
        return State(self.frame(self.network, state.x, halo=0))


class Golf(Learned[State]):
    """Both networks; see the module.

    Args:
        config: sizes. frame: how the networks are evaluated.

    Example:
        >>> import torch
        >>> Golf(GolfConfig(drive=4, putt=4)).run(Problem(torch.rand(1, 3, 24, 32))).x.shape
        torch.Size([1, 3, 24, 32])
    """

    def __init__(self, config: GolfConfig | None = None, frame: Frame | None = None) -> None:
        super().__init__()
        self.config = config = config or GolfConfig()
        self.frame = replace(frame or Frame(), tile=None)
        blocks = partial(BasicBlocks, keep_mean=config.keep_mean, gain=config.gain)
        self.drives = nn.ModuleList(blocks(config.drive) for _ in range(config.drives))
        self.putt = blocks(config.putt)

    def solver(self) -> Solver[State]:
        """The drives, then the putts."""
        drives = [Stroke(network, self.frame) for network in self.drives if isinstance(network, BasicBlocks)]
        return Solver([*drives, *[Stroke(self.putt, self.frame)] * self.config.putts])


build = builder("golf", GolfConfig, Golf)

SPEC = MethodSpec(
    name="golf",
    summary="learned: one large step, then a few small ones; takes any blur away without a kernel",
    reference="luo2019golf",
    build=build,
    needs=Needs(kernel=False, channels=3),
    weights="golf",
)
