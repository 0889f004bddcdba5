"""A training run as values: TOML in, frozen dataclasses out, unknown keys are errors."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from acutance.errors import ConfigError
from acutance.settings import from_table
from acutance_lab.data.photographs import HELD_OUT
from acutance_lab.synth import DynamicBlur, Noisy, Rain, Untouched

LEAST_SIDE = 192
"""Sides of photographs, in pixels, below which they are left out whatever the crops are."""

TASKS = ("motion", "noise", "rain", "sensed")
"""Tables of a configuration that say what happens to pictures, if it is not blur by a kernel that is known."""


@dataclass(frozen=True)
class Phase:
    """One leg of the progressive schedule.

    Args:
        until: fraction of the run's budget at which it ends, the last one 1.
        batch: pictures in a batch, on each device. crop: side of the supervised part of a picture, pixels.
        steps: steps of the unroll that the gradient flows through.
        windows: how often at most a batch goes on from where the last unroll left it (detached), so that the step
            learns to improve late iterates as well; the number is uniform in 1..windows.
        spans: kernel sizes (odd), one drawn for each batch.
        behind: steps that a batch takes without a gradient before the unroll. With `steps = 1` it trains the stage that
            follows them alone, on what the stages before it make: the greedy training of a chain of stages. Where
            phases are not mixed, a stage begins as a copy of the one before it.
    """

    until: float
    batch: int
    crop: int
    steps: int
    windows: int
    spans: tuple[int, ...]
    behind: int = 0


@dataclass(frozen=True)
class OptimiserConfig:
    """How weights are updated.

    Args:
        kind: "adam", or "muon" for hidden convolutions and Adam for the rest (`acutance_lab.train.optimiser`).
        learning_rate: the peak. final: the last one, as a fraction of it.
        warmup: fraction of the run over which the learning rate rises. rise: updates over which it rises after every
            start of the program, also of a resumed run without the optimiser's history; the smaller of both counts.
        schedule: "cosine"; "constant", for trunks; "linear" fall to `final`, for branches; or "steps": `drops` equal
            factors, evenly spaced, that come to `final` (Luo et al. 2019: eleven factors of 0.3).
        clip: largest norm of the gradient. ema: decay of the moving average of the weights.
    """

    kind: Literal["adam", "muon"] = "adam"
    learning_rate: float = 5e-4
    warmup: float = 0.02
    rise: int = 0
    final: float = 0.01
    schedule: Literal["cosine", "steps", "constant", "linear"] = "cosine"
    drops: int = 11
    clip: float = 1.0
    ema: float = 0.995


@dataclass(frozen=True)
class PoolConfig:
    """See `acutance_lab.train.pool`.

    Args:
        batches: that the pool holds. life: range of the steps after which one is replaced, drawn log-uniformly.
    """

    batches: int = 64
    life: tuple[int, int] = (4, 40)

    def __post_init__(self) -> None:
        if self.batches < 1 or not 1 <= self.life[0] <= self.life[1]:
            raise ConfigError(f"pool: batches={self.batches}, life={self.life}: give at least 1, and a rising range")


@dataclass(frozen=True)
class HarvestConfig:
    """See `acutance_lab.train.harvest`.

    Args:
        pieces: squares that are kept, of which an update takes `batch`. side: of a square, pixels. margin: pixels next
            to a cut that do not count. each: squares that are tried from each picture.
        late: share of the problems that are taken on by 1 to `latest` steps before they are cut.
        teacher: a method with shipped weights, NAME or NAME:SETTING=VALUE, whose result is the answer instead of the
            sharp picture; None: the sharp picture is. See the module.
    """

    pieces: int = 300
    batch: int = 12
    side: int = 72
    margin: int = 6
    each: int = 4
    late: float = 0.4
    latest: int = 4
    teacher: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= self.pieces or min(self.each, self.latest) < 1:
            raise ConfigError(
                f"harvest: batch={self.batch}, pieces={self.pieces}, each={self.each}, latest={self.latest}: give at "
                "least 1, and no larger batch than there are pieces"
            )
        if not 0 <= 2 * self.margin < self.side:
            raise ConfigError(f"harvest: side={self.side}, margin={self.margin}: nothing of a square would count")
        if not 0 <= self.late <= 1:
            raise ConfigError(f"harvest: late={self.late}: give a share from 0 to 1")


@dataclass(frozen=True)
class LossConfig:
    """See `acutance_lab.train.loss`.

    floor: mean square below which an image is as good as perfect to a logarithm or a ratio: 1e-5 is 50 dB.
    perceptual: weight of `acutance_lab.train.perceptual`, 0 for none; judge: file of its network, or "torchvision".
    """

    kind: Literal["log-mse", "ratio", "mse", "l1", "charbonnier"] = "log-mse"
    gradient: float = 0.1
    growth: float = 1.0
    edge: float = 0.0
    perceptual: float = 0.0
    judge: str = "torchvision"
    floor: float = 1e-5


@dataclass(frozen=True)
class DegradationConfig:
    """See `acutance_lab.synth.degradation.Degradation`."""

    kernels: Literal["spline", "mixture"] = "mixture"
    sigma: tuple[float, float] = (0.003, 0.05)
    uniform: float = 0.0
    clean: float = 0.0
    linear: float = 0.0
    encoded: float = 0.0
    grey: float = 0.25
    exposure: float = 1.0
    saturation: float = 0.0
    photon: float = 0.0
    correlated: float = 0.0
    jpeg: float = 0.0
    kernel_error: float = 0.0
    level_error: float = 0.0
    masked: bool = False
    bits: int = 8
    boundary: Literal["valid", "zero"] = "valid"


@dataclass(frozen=True)
class ValidationConfig:
    """Held-out crops: how many, how large, the steps after which they are scored, how often (minutes).

    halved: whether every other crop is cut from its photograph at half of the size; with each kernel and each level.
    spans: sizes of their kernels, pixels, in turn.
    levels: noise levels that the crops go through in turn, of a denoiser those of white noise; none: each has one drawn
        between 0.3 and 5 %, of a denoiser as `acutance_lab.synth.noisy` draws it.
    """

    crops: int = 8
    crop: int = 96
    steps: tuple[int, ...] = (5, 20)
    minutes: float = 8.0
    levels: tuple[float, ...] = ()
    spans: tuple[int, ...] = (13, 19, 25, 31)
    halved: bool = False

    def __post_init__(self) -> None:
        if not self.steps or list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 1:
            raise ConfigError(f"steps={self.steps}: give rising numbers, at least 1")
        if not all(0 < level < 1 for level in self.levels):
            raise ConfigError(f"levels={self.levels}: give fractions of the range, 0.01 for 1 %")


@dataclass(frozen=True)
class TrainConfig:
    """A whole run.

    Args:
        method: a learned method of the catalogue.
        seed: of weights and data.
        precision: of the networks, see `acutance.frame.resolve_precision`; weights and their updates are in float32.
        frozen_statistics: fraction of the run after which batch normalisation keeps its statistics; 0 keeps the
            initial ones (mean 0, variance 1) throughout, so that training and use are the same function.
        model: settings of the method's `build`.
        frozen: beginnings of the names of weights that are not trained.
        one_channel: share of the batches that are grey pictures on one channel, for methods that take such.
        reduced: share of the crops of photographs that are cut from copies of 0.35 to 0.7 of their size, in which
            neighbouring pixels differ more.
        held_out: one picture in so many is held out, by the hash of its name.
        graphics: share of the crops that are cut from rendered pages and screens, see `acutance_lab.synth.graphics`.
        phases: the schedule, in order; if `mixed`, each batch is of one of them, drawn in proportion to their lengths.
        harvest: an update takes squares of many problems, one step on; only for methods that see nothing but x and the
            gradient of its data term. pool: batches go on from where their optimisers stand, in random order;
            None: each is unrolled and forgotten.
        degradation, motion, noise, rain, sensed: what happens to pictures, at most one of them; without any,
            `degradation` as it is by default: blur by a kernel that the method is told. Of motion the spans of a phase
            are the longest blurs, pixels; the last three heed no spans. `sensed` does nothing: the method measures.
    """

    method: str
    phases: tuple[Phase, ...]
    seed: int = 1
    mixed: bool = False
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    frozen_statistics: float = 0.0
    one_channel: float = 0.0
    reduced: float = 0.0
    graphics: float = 0.0
    held_out: int = HELD_OUT
    model: dict[str, Any] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    optimiser: OptimiserConfig = OptimiserConfig()
    loss: LossConfig = LossConfig()
    pool: PoolConfig | None = None
    harvest: HarvestConfig | None = None
    degradation: DegradationConfig = DegradationConfig()
    motion: DynamicBlur | None = None
    noise: Noisy | None = None
    rain: Rain | None = None
    sensed: Untouched | None = None
    validation: ValidationConfig = ValidationConfig()

    def __post_init__(self) -> None:
        given = [name for name in TASKS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} together: a run has one task")
        if self.pool is not None and self.harvest is not None:
            raise ConfigError("pool and harvest together: give one of them")
        for name, share in (("reduced", self.reduced), ("graphics", self.graphics)):
            if not 0 <= share < 1:
                raise ConfigError(f"{name}={share}: give a share of the crops from 0 to below 1")
        if self.held_out < 2:
            raise ConfigError(f"held_out={self.held_out}: give at least 2, so that some are left for training")
        ends = [p.until for p in self.phases]
        if not ends or ends != sorted(ends) or ends[-1] != 1:
            raise ConfigError(f"phases must end at rising fractions, the last at 1, not {ends}")
        for phase in self.phases:
            for name in ("batch", "crop", "steps", "windows"):
                if getattr(phase, name) < 1:
                    raise ConfigError(f"{name}={getattr(phase, name)}: give at least 1")
            if phase.behind < 0:
                raise ConfigError(f"behind={phase.behind}: give 0 or more")
            if phase.behind and (self.pool is not None or self.harvest is not None):
                raise ConfigError(f"behind={phase.behind} and a pool or harvest: their batches go on by themselves")
            if not phase.spans:
                raise ConfigError("spans=[]: give at least one kernel size")
            if any(s % 2 == 0 for s in phase.spans):
                raise ConfigError(f"kernel sizes must be odd, not {phase.spans}")

    def phase(self, progress: float) -> Phase:
        """The phase at that fraction of the run; where they are mixed, of any number that is uniform in 0..1."""
        return next((p for p in self.phases if progress < p.until), self.phases[-1])


def read_config(path: Path) -> TrainConfig:
    """A configuration from a TOML file; one with `like = "other.toml"` says only what differs from its neighbour.

    Raises:
        ConfigError: no such file, no TOML, an unknown key, a value of the wrong type.
    """
    return from_table(TrainConfig, _tables(path), where=str(path))


def _tables(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The tables of a configuration, over those of the one that it is `like`."""
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is no valid TOML: {error}") from None
    like = table.pop("like", None)
    if like is None:
        return table
    if not isinstance(like, str):
        raise ConfigError(f"{path}: like={like!r} must be the name of another configuration")
    base = path.parent / like
    if base.resolve() in above or base.resolve() == path.resolve():
        raise ConfigError(f"{path}: it is like {like}, which is like it; one has to stand alone")
    return _over(_tables(base, (*above, path.resolve())), table)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above`; tables are joined, lists are not."""
    both = {k: _over(below[k], v) for k, v in above.items() if isinstance(v, dict) and isinstance(below.get(k), dict)}
    return below | above | both
