r"""RGDN, the Recurrent Gradient Descent Network (Gong et al. 2020); also known as RGDM.

Problem: y = A x + n, A known, the level of n unknown. A classical step would be

    x(t+1) = x(t) - a(t) D(t) ( 1/l A'(A x(t) - y) + g grad Omega(x(t)) ).

RGDN keeps the gradient of the data term as it is and learns the rest, one unit shared by all steps:

    grad(t)   = A'(A x(t) - y)
    update(t) = D( H(grad(t)) + R(x(t)) )
    x(t+1)    = x(t) + update(t),                        x(0) = y

R stands for the gradient of the prior, H adapts the data gradient to the noise, D scales the direction. The authors'
released network differs: x(t+1) = 0.8 x(t) + 0.2 D(H(grad) - R(x)), with a zero border. Both are `RgdnConfig` values.

The papers start at y. From the result of a quick classical method, `start="fd"`, one step reaches what takes twelve
from y, see docs/decisions/0019-rgdn-start.md. The network and its steps are the same.

Any number of steps at test time; a run ends for each picture when its fitting error stands still.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.frame import Frame
from acutance.methods.classical import classical
from acutance.methods.spec import Learned, MethodSpec, Needs, StateDict, builder
from acutance.networks.residual import HALO, ConvStack
from acutance.problem import Problem, State
from acutance.solver import RelativeChange, Solver

Form = Literal["paper", "released"]
Part = Literal["unit", "prior"]
Start = Literal["observed", "fd"]

STEP_LENGTH, SMOOTHING, KNEE = 1.2, 0.08, 0.03
"""Of the classical step that an untrained network starts as: tried out on training photographs, with a margin to the
limit of stability (a step length of 2), without which training blows up."""

SHARE = 0.5
"""Part of a denoiser's residual that R is trained to be. With H = 1.2 the step is stable where R removes all of x: the
length of both, 1.7, stays below 2. All of the residual, 2.2, diverges behind small kernels."""

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class RgdnConfig:
    """Settings of RGDN.

    Args:
        form: "paper" or "released", see the module.
        part: "unit", or "prior" alone, as a denoiser, see `Denoise`. R is trained so first.
        start: x(0): "observed", y as in the papers, or "fd", see `acutance.methods.classical`.
        features: width of the three networks, at least 6.
        steps: most steps of a run.
        threshold: the run ends when the fitting error changes by less than this fraction of its first value;
            0 uses all steps.
        seconds: no step is begun after so much time; None: no limit.
    """

    form: Form = "paper"
    part: Part = "unit"
    start: Start = "observed"
    features: int = 64
    steps: int = 40
    threshold: float = 1e-3
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.form not in ("paper", "released"):
            raise ConfigError(f"form={self.form!r} is neither 'paper' nor 'released'")
        if self.part not in ("unit", "prior"):
            raise ConfigError(f"part={self.part!r} is neither 'unit' nor 'prior'")
        if self.start not in ("observed", "fd"):
            raise ConfigError(f"start={self.start!r} is neither 'observed' nor 'fd'")
        if self.features < 6:
            raise ConfigError(f"features={self.features}: at least 6 are needed, two for each colour")
        if self.features > 4096:
            raise ConfigError(f"features={self.features}: at most 4096 make sense")
        if self.steps < 1:
            raise ConfigError(f"steps={self.steps}: at least one step is needed")


@dataclass(frozen=True, eq=False)
class Unit:
    """The gradient descent unit: one step of RGDN.

    Args:
        prior: R. adapter: H. scaler: D. Each maps (B, 3, H, W) -> (B, 3, H, W).
        form: how the update is put together. start: see `RgdnConfig`.
        frame: how the networks are evaluated.
    """

    prior: Network
    adapter: Network
    scaler: Network
    form: Form
    frame: Frame
    start: Start = "observed"

    def init(self, problem: Problem) -> State:
        """x(0), on the domain of the blur."""
        return State(classical(problem) if self.start == "fd" else problem.start())

    def __call__(self, problem: Problem, state: State) -> State:
        """x(t) -> x(t+1)."""
        x = state.x
        if self.form == "paper":
            mixed = self.frame(self._mix, problem.gradient(x), x, halo=HALO)
            return State(x + self.frame(self.scaler, mixed, halo=HALO))
        mixed = self.frame(self._mix, problem.gradient(x), x, halo=HALO)
        return State(0.8 * x + 0.2 * self.frame(self.scaler, mixed, halo=HALO))

    def explain(self, problem: Problem, state: State) -> dict[str, Tensor]:
        """What the unit sees and makes of it at x(t): the pictures of Fig. 2 of the RGDM paper."""
        grad = problem.gradient(state.x)
        h = self.frame(self.adapter, grad, halo=HALO)
        r = self.frame(self.prior, state.x, halo=HALO)
        mixed = h + r if self.form == "paper" else h - r
        d = self.frame(self.scaler, mixed, halo=HALO)
        return {"H-input": grad, "H-output": h, "R-output": r, "H+R": mixed, "D-output": d}

    def _mix(self, grad: Tensor, x: Tensor) -> Tensor:
        h, r = self.adapter(grad), self.prior(x)
        return h + r if self.form == "paper" else h - r


@dataclass(frozen=True, eq=False)
class Denoise:
    """The prior alone: x(t+1) = x(t) - R(x(t)) / SHARE; of the released form R has the sign and the blend of its own.

    Args:
        prior: R. form: see `Unit`. frame: how the network is evaluated.
    """

    prior: Network
    form: Form
    frame: Frame

    def init(self, problem: Problem) -> State:
        """x(0): the observed picture."""
        return State(problem.start())

    def __call__(self, problem: Problem, state: State) -> State:
        """x(t) -> x(t+1)."""
        r = self.frame(self.prior, state.x, halo=HALO)
        residual = r if self.form == "paper" else 0.2 * state.x - r
        return State(state.x - residual / SHARE)


class Rgdn(Learned[State]):
    """The three networks and their settings."""

    def __init__(self, config: RgdnConfig | None = None, frame: Frame | None = None) -> None:
        super().__init__()
        self.config = config or RgdnConfig()
        self.frame = frame or Frame()
        self.prior = ConvStack(3, self.config.features)
        self.adapter = ConvStack(3, self.config.features)
        self.scaler = ConvStack(3, self.config.features)
        self._start_as_classical_step()

    def _start_as_classical_step(self) -> None:
        """Make the untrained network, nearly, gradient descent with a Huber total-variation prior of fixed strength.

            x(t+1) = x(t) - a A'(A x(t) - y) - l grad Omega(x(t)),      a, l: STEP_LENGTH, SMOOTHING

        H = a, R = l grad Omega, D = -1; with the released form's 0.8 and 0.2, D = -5 and R = 0.2 x - l grad Omega.
        Training starts from a working optimiser (see `docs/training.md`). Narrow networks have no room for Omega and
        start as Landweber's iteration. From `fd` the data gradient is small at once: H then keeps its random weights,
        with an exit near 0 (at 0 itself the rectifiers of D pass no gradient on).
        """
        paper = self.config.form == "paper"
        if self.config.start == "fd":
            self.adapter.start_small(gain=30.0, residue=0.01)
        else:
            self.adapter.start_as_identity(STEP_LENGTH, gain=16.0)
        self.prior.start_as_identity(0.0 if paper else 0.2, gain=2.0)
        self.prior.add_smoothing(SMOOTHING if paper else -SMOOTHING, KNEE, gain=2.0)
        self.scaler.start_as_identity(-1.0 if paper else -5.0, gain=8.0 if paper else 2.0)

    def solver(self) -> Solver[State]:
        """`steps` times the same unit; in evaluation mode with folded networks."""
        prior, adapter, scaler = (s if self.training else s.folded() for s in (self.prior, self.adapter, self.scaler))
        c = self.config
        unit: Unit | Denoise = Unit(prior, adapter, scaler, form=c.form, frame=self.frame, start=c.start)
        if c.part == "prior":
            unit = Denoise(prior, form=c.form, frame=self.frame)
        stop = RelativeChange(c.threshold) if c.threshold > 0 else None
        return Solver([unit] * c.steps, stop=stop, seconds=c.seconds)


AUTHORS = {"CNNOptimizer.": "prior.", "GradAdj.": "adapter.", "GradScaler.": "scaler."}


def convert(theirs: StateDict) -> StateDict:
    """Our state dict from the authors' (prefixes CNNOptimizer, GradAdj, GradScaler). Use it with form="released".

    Raises:
        WeightsError: a tensor that RGDN does not have.
    """
    ours: StateDict = {}
    for key, value in theirs.items():
        prefix = next((p for p in AUTHORS if key.startswith(p)), None)
        if prefix is None:
            raise WeightsError(
                f"{key!r} is no tensor of the authors' RGDN; expected names that begin with {', '.join(AUTHORS)}"
            )
        ours[AUTHORS[prefix] + key.removeprefix(prefix)] = value
    return ours


build = builder("rgdn", RgdnConfig, Rgdn)

SPEC = MethodSpec(
    name="rgdn",
    summary="learned gradient descent, any kernel, noise level unknown, any number of steps",
    reference="gong2020rgdn",
    build=build,
    needs=Needs(kernel=True, channels=3),
    weights="rgdn",
    aliases=("rgdm",),
    convert=convert,
    converted={"form": "released"},
    converted_boundary="zero",
)
