"""The training loop.

An *episode* is one batch of problems (`acutance_lab.train.episodes`). It is unrolled in windows of a few steps; after
each window the weights are updated and the next window goes on from the detached estimate. So a step that is trained
through 3 steps at a time also meets its own 10th or 20th iterate, and a run of 50 steps holds what the first 5 gained.
With a pool (`acutance_lab.train.pool`) an update draws one window of any of the batches that it keeps, with a harvest
(`acutance_lab.train.harvest`) one step on squares of many of them.

Distribution, devices and precision of the optimiser come from Lightning Fabric.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError, MissingExtra, WeightsError
from acutance.frame import Frame, resolve_precision
from acutance.methods.spec import Learned, find
from acutance_lab.data.photographs import Photographs
from acutance_lab.train import checkpoint
from acutance_lab.train.checkpoint import Clock, wider
from acutance_lab.train.config import LEAST_SIDE, TrainConfig
from acutance_lab.train.episodes import Unroll, episode, source_of, synthesis
from acutance_lab.train.meter import Meter, core_seconds, device_name
from acutance_lab.train.optimiser import optimiser_for
from acutance_lab.train.pool import Work
from acutance_lab.train.schedule import copy_stage, set_schedule, update_ema
from acutance_lab.train.stopping import Stopping
from acutance_lab.train.trunk import Trunk, config_hash, not_behind, same_network
from acutance_lab.train.validate import Score, examination, largest_crop, validate

if TYPE_CHECKING:
    from lightning.fabric import Fabric

logger = logging.getLogger(__name__)
FAST = 100.0
"""Iterations per second that are assumed until the speed is measured."""
FIRST_SECONDS = 5.0
"""When it is measured first, and again where it turns out to have been higher than measured; at most a hundredth of the
budget."""

OLD = 1_000_000
"""Updates that the moving average of a trunk counts as having seen. So it does not follow the first updates after a
move, in which a pool fills up and moments form (RGDN: 30.3 to 24.5 dB in 62 updates)."""

DISTRIBUTED = "ddp_find_unused_parameters_true"
"""Of several devices: a batch of grey pictures leaves the entrance for colour unused."""

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Budget:
    """How long a run lasts: minutes of wall-clock time, or a number of iterations (exactly reproducible).

    cores: the minutes are those of processor cores, so that runs beside other work compare.
    """

    minutes: float | None = None
    iterations: int | None = None
    checkpoint_seconds: float = 60.0
    checkpoint_iterations: int | None = None
    cores: bool = False

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.iterations is None):
            raise ConfigError("give either minutes or iterations")
        if (self.minutes or self.iterations or 0) <= 0:
            raise ConfigError(f"a budget of {self.minutes or self.iterations or 0}: give more than nothing")

    def now(self) -> float:
        """Seconds by the clock that the budget counts."""
        return time.process_time() if self.cores else time.monotonic()


@dataclass(frozen=True)
class Run:
    """What a finished (or interrupted) run leaves; of several processes one is the `leader`, which reports.

    core_minutes: of processor cores, of this run alone; `clock.core` has those of its trunk as well.
    """

    folder: Path
    clock: Clock
    scores: tuple[Score, ...]
    data: str
    device: str
    images_per_second: float
    data_share: float
    core_minutes: float
    leader: bool = True
    processes: int = 1

    @property
    def pictures_per_core_second(self) -> float:
        """Crops that went through a window, for each second of a core; with those of the trunk."""
        return self.clock.pictures / max(1e-9, self.clock.core)


class Timer:
    """The seconds of a run by two clocks, validation and saving left out: the budget's, and that of processor cores."""

    def __init__(self, budget: Budget, device: torch.device, clock: Clock) -> None:
        self.budget, self.device = budget, device
        self.elapsed_before, self.core_before = clock.elapsed, clock.core
        self.begun = self.saved = self.validated = budget.now()
        self.core_begun = core_seconds(device)
        self.now, self.core = self.begun, clock.core

    def look(self) -> float:
        """Seconds so far by the clock that the budget counts."""
        self.now = self.budget.now()
        return self.elapsed_before + self.now - self.begun

    def take(self, clock: Clock, since: int) -> Clock:
        """The clock of the run as it was at the last look. since: the iteration of the last checkpoint."""
        elapsed = self.elapsed_before + self.now - self.begun
        self.core = self.core_before + core_seconds(self.device) - self.core_begun
        clock = replace(clock, elapsed=elapsed, core=self.core)
        if self.budget.minutes is None:
            return clock
        total = 60 * self.budget.minutes
        rate = (self.now - self.saved) / max(1, clock.iteration - since) / total
        return replace(clock, base_iteration=clock.iteration, base_progress=min(1.0, elapsed / total), rate=rate)

    def go_on(self) -> None:
        """After validation and saving, which do not count."""
        self.saved = self.budget.now()
        self.begun += self.saved - self.now
        self.core_begun = core_seconds(self.device) - (self.core - self.core_before)


class Trainer:
    """A run: what it trains, on what, and where it stands.

    Call in this order: `build`, `read_photographs`, `resume`, `set_up`, `run`.

    Args:
        config: the run. folder: where checkpoint and log go. budget: of time or iterations. fabric: devices.
    """

    report: Report | None = None
    trunk_file: Path | None = None

    def __init__(self, config: TrainConfig, folder: Path, budget: Budget, fabric: Fabric) -> None:
        self.config, self.folder, self.budget, self.fabric = config, folder, budget, fabric
        self.device = fabric.device
        self.spec = find(config.method)
        self.degrade = synthesis(config)
        self.examined = examination(self.spec.needs, config.validation, config.degradation.boundary)
        self.clock = Clock()
        self.scores: tuple[Score, ...] = ()
        self.ema: dict[str, Tensor] = {}
        self.losses: list[float] = []
        self.age = self.started = self.checkpointed = self.stage = 0

    def build(self, init: dict[str, Tensor] | None) -> None:
        """The network with its first weights, and the optimiser.

        Raises:
            ConfigError: nothing to train. WeightsError: `init` is of another network.
        """
        config = self.config
        torch.manual_seed(config.seed)
        if self.spec.weights is None:
            raise ConfigError(f"{config.method} has no weights to train")
        if config.one_channel > 0 and self.spec.needs.channels is not None:
            raise ConfigError(
                f"one_channel={config.one_channel}: {config.method} takes {self.spec.needs.channels} channels only"
            )
        method: Any = self.spec.build(device=self.device, **config.model)
        if not isinstance(method, Learned):
            raise ConfigError(f"{config.method} is not trained step by step; its training is a command of its own")
        if init is not None:
            _start(method, init)
        method.frame = Frame(resolve_precision(config.precision, self.device), tile=None)  # type: ignore[assignment]
        method.train()
        named = [(name, p.requires_grad_(not name.startswith(config.frozen))) for name, p in method.named_parameters()]
        trained = [p for _, p in named if p.requires_grad]
        if not trained:
            raise ConfigError(f"frozen={list(config.frozen)} leaves nothing to train")
        self.method = method
        self.optimiser: Any = optimiser_for(trained, config.optimiser.kind, config.optimiser.learning_rate)

    def read_photographs(self, data: Path) -> None:
        """Those to train on, and the held-out ones.

        Raises:
            DataError: see `Photographs.load`.
        """
        config, degrade = self.config, self.degrade
        least = max(LEAST_SIDE, *(p.crop + 2 * degrade.margin(max(p.spans)) for p in config.phases))
        photographs = Photographs.load(data, device=self.device, least=least, one_in=config.held_out)
        self.photographs = photographs.with_reduced(config.reduced, least=least).with_graphics(config.graphics)
        least = max(LEAST_SIDE, largest_crop(config.validation, self.examined))
        cpu = torch.device("cpu")
        self.held_out = Photographs.load(data, device=cpu, validation=True, least=least, one_in=config.held_out)

    def resume(self, trunk: Trunk | None) -> None:
        """Go on from the checkpoint in the folder, or from the trunk, or begin."""
        path = self.folder / checkpoint.NAME
        if trunk is not None:
            inherited = 60 * trunk.minutes
            self.clock = Clock(episode=trunk.episode, core=inherited, inherited=inherited, pictures=trunk.pictures)
            self.scores = tuple(Score(**s) for s in trunk.curve)
            if self.config.optimiser.schedule == "constant":  # a branch forgets its start
                self.age = OLD
        if path.exists():
            tensors, saved = checkpoint.load(path)
            clock = Clock(**saved["clock"])
            if trunk is not None and self.trunk_file is not None:
                not_behind(trunk, clock.episode, clock.core / 60, self.folder)
            self.ema = checkpoint.restore(tensors, self.method, self.optimiser)
            self.clock = clock
            self.scores = tuple(Score(**s) for s in saved["scores"])
            self.stage = saved.get("stage", 0)
            logger.info("resumed %s at iteration %d", path, self.clock.iteration)
        if not self.ema:
            self.ema = {k: v.detach().clone() for k, v in self.method.state_dict().items()}
        if self.budget.iterations is not None:
            self.clock = replace(self.clock, base_iteration=0, base_progress=0.0, rate=1 / self.budget.iterations)
        elif self.clock.rate == 0 and self.budget.minutes is not None:  # a guess until the first checkpoint
            self.clock = replace(self.clock, rate=1.0 / (FAST * 60 * self.budget.minutes))

    def set_up(self, compile_networks: bool) -> None:
        """Hand network and optimiser to Fabric; open the log; begin to count."""
        window = Unroll(self.method, self.config.loss)
        if compile_networks:  # not the whole window: Inductor has no complex numbers, and its sizes change
            for network in networks_of(self.method):
                network.compile()
        self.wrapped, self.optimiser = self.fabric.setup(window, self.optimiser)
        self.meter = Meter(self.device)
        self.folder.mkdir(parents=True, exist_ok=True)
        leader = self.fabric.is_global_zero
        self.log = _open_log(self.folder / "log.jsonl", self.clock.iteration) if leader else None
        self.started = self.checkpointed = self.clock.iteration
        self.timer = Timer(self.budget, self.device, self.clock)
        order = f"{self.config.seed}/{self.fabric.global_rank}"
        self.source = source_of(self.config, self._work, window, self.ema, order, self.device)

    def run(self) -> Run:
        """Train to the end; a signal ends it after the update."""
        with Stopping() as stop, self.log or nullcontext():
            ending = self.clock.progress() >= 1
            while not ending:
                self._train_one_batch()
                due, ending = self._due(stop.asked)
                if due or ending:
                    self._checkpoint(ending)
        clock, fabric = self.clock, self.fabric
        return Run(
            self.folder, clock, self.scores, self.photographs.digest, device_name(self.device),
            self.meter.images_per_second(), self.meter.share(), core_minutes=(clock.core - clock.inherited) / 60,
            leader=fabric.is_global_zero, processes=fabric.world_size,
        )  # fmt: skip

    def _work(self, number: int) -> Work:
        return self._episode(number)[0]

    def _episode(self, number: int) -> tuple[Work, int]:
        progress, rank = self.clock.progress(), self.fabric.global_rank
        return episode(self.config, progress, self.degrade, self.photographs, number, rank)

    def _train_one_batch(self) -> None:
        """One episode, or one window of a batch of the pool or harvest."""
        number = self.clock.episode
        self._begin_stage()
        with self.meter.data():
            work, windows = self._episode(number) if self.source is None else (self.source.draw(number), 1)
        for _ in range(windows):
            if not self._update(work):
                break
        self.clock = replace(self.clock, episode=number + 1)

    def _begin_stage(self) -> None:
        """Let a stage that is trained for the first time begin as the one before it; see `Phase.behind`."""
        stage = 0 if self.config.mixed else self.config.phase(self.clock.progress()).behind
        while self.stage < stage:
            self.stage += 1
            copy_stage(self.method, self.ema, self.stage)

    def _update(self, work: Work) -> bool:
        """One window and one update of the weights; whether its loss was finite."""
        config, clock, fabric = self.config, self.clock, self.fabric
        set_schedule(self.optimiser, self.method, config, clock.progress(), clock.iteration - self.started)
        loss = self.wrapped(work)
        self.optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        clip = config.optimiser.clip
        norm = fabric.clip_gradients(self.wrapped, self.optimiser, max_norm=clip, error_if_nonfinite=False)
        value = float(_mean_over_processes(fabric, loss.detach()))
        finite = math.isfinite(value) and bool(torch.isfinite(norm))
        work.judge(value)
        if finite:
            self.optimiser.step()
            update_ema(self.ema, self.method, config.optimiser.ema, clock.iteration + self.age)
        seen = work.batch * fabric.world_size
        self.clock = clock = replace(clock, iteration=clock.iteration + 1, pictures=clock.pictures + seen)
        self.losses.append(value)
        self.meter.images += seen
        if self.log:
            self.log.write(json.dumps({"iteration": clock.iteration, "loss": value}) + "\n")
        if not finite:
            logger.warning("iteration %d: loss %s, update skipped", clock.iteration, value)
        return finite

    def _due(self, asked: bool) -> tuple[bool, bool]:
        """Whether a checkpoint is due, and whether the run ends; of several processes the first one decides."""
        budget, clock, elapsed = self.budget, self.clock, self.timer.look()
        wait, ending = budget.checkpoint_seconds, clock.progress() >= 1
        if budget.minutes is not None:
            if ending or clock.base_iteration == 0:  # the speed was taken for too low, or not measured yet
                wait = min(wait, FIRST_SECONDS, 0.6 * budget.minutes)
            ending = elapsed >= 60 * budget.minutes
        ending = ending or asked
        due = self.timer.now - self.timer.saved >= wait
        if budget.checkpoint_iterations is not None:
            due = clock.iteration - self.checkpointed >= budget.checkpoint_iterations
        if self.fabric.world_size > 1:
            due, ending = self.fabric.broadcast((due, ending))
        return due, ending

    def _checkpoint(self, ending: bool) -> None:
        """Save everything; validate where it is time; report."""
        self.clock = self.timer.take(self.clock, self.checkpointed)
        if self.fabric.world_size > 1:
            self.clock = self.fabric.broadcast(self.clock)
        if self.fabric.is_global_zero:
            line: dict[str, Any] = {
                "progress": self.clock.progress(),
                "iteration": self.clock.iteration,
                "minutes": self.clock.elapsed / 60,
                "loss": sum(self.losses) / max(1, len(self.losses)),
                "images_per_second": self.meter.images_per_second(),
                "data_share": self.meter.share(),
            }
            if ending or self.timer.now - self.timer.validated >= 60 * self.config.validation.minutes:
                line |= self._validate()
            checkpoint.save(self.folder, self.method, self.ema, self.optimiser, self._record())
            if self.trunk_file is not None:
                _trunk(self.config, self.ema, self.clock, self.scores).save(self.trunk_file)
            if self.log:
                self.log.write(json.dumps(line) + "\n")
                self.log.flush()
            if self.report is not None:
                self.report(line)
        self.losses, self.checkpointed = [], self.clock.iteration
        self.timer.go_on()

    def _validate(self) -> dict[str, Any]:
        """Score the moving average; for the log."""
        score = validate(
            self.method, self.ema, self.config.validation, self.held_out, self.examined, self.device,
            one_channel=self.config.one_channel > 0,
        )  # fmt: skip
        self.scores = (*self.scores, replace(score, minutes=self.clock.core / 60, iteration=self.clock.iteration))
        self.timer.validated = self.budget.now()
        psnr = dict(zip(score.steps, score.psnr, strict=True))
        return {"psnr": psnr, "blurred": score.blurred, "levels": score.levels}

    def _record(self) -> dict[str, Any]:
        return {
            "clock": vars(self.clock),
            "scores": [vars(s) for s in self.scores],
            "stage": self.stage,
            "method": self.config.method,
            "model": self.config.model,
            "config": asdict(self.config),
            "data": self.photographs.digest,
            "device": device_name(self.device),
        }


def train(
    config: TrainConfig,
    data: Path,
    folder: Path,
    budget: Budget,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    init: dict[str, Tensor] | None = None,
    trunk: Trunk | None = None,
    trunk_file: Path | None = None,
    compile_networks: bool = False,
    report: Report | None = None,
) -> Run:
    """Train until the budget is spent or a signal says stop; goes on from the checkpoint in `folder` if there is one.

    Args:
        config: the run. data: folder of sharp photographs. folder: where checkpoint and log go.
        budget: of time or iterations. accelerator, devices, nodes: as Fabric takes them.
        init: weights to start from instead of random ones; a tensor of another shape begins as without them.
        trunk: go on from it, where the folder holds no checkpoint. trunk_file: write the trunk there at each
            checkpoint.
        compile_networks: `torch.compile` the networks, each alone.
        report: called with a dict for the log line of each interval.

    Raises:
        MissingExtra: Lightning is not installed. DataError, ConfigError: see there.
    """
    trainer = Trainer(config, folder, budget, _fabric(accelerator, devices, nodes))
    trainer.report, trainer.trunk_file = report, trunk_file
    if trunk is not None:
        same_network(trunk, config)
    trainer.build(trunk.tensors if trunk is not None else init)
    trainer.read_photographs(data)
    trainer.resume(trunk)
    trainer.set_up(compile_networks)
    return trainer.run()


def _start(method: nn.Module, init: dict[str, Tensor]) -> None:
    """Load what fits: a network for another sampling matrix, say, takes all but the matrix.

    A matrix that has more columns keeps those of `init`; the new inputs count for nothing at first.

    Raises:
        WeightsError: tensors are missing, or too many, or hardly any fits.
    """
    own = method.state_dict()
    if init.keys() != own.keys():
        odd = sorted(init.keys() ^ own.keys())
        raise WeightsError(f"these weights are of another network: {', '.join(odd[:3])}{' ...' * (len(odd) > 3)}")
    init = {key: wider(value, own[key]) for key, value in init.items()}
    fresh = [key for key, value in init.items() if value.shape != own[key].shape]
    if 2 * len(fresh) > len(own):
        raise WeightsError(
            f"these weights are of another size: {fresh[0]} and {len(fresh) - 1} more tensors do not fit"
        )
    method.load_state_dict({key: own[key] if key in fresh else value for key, value in init.items()})
    if fresh:
        logger.warning("of another shape, so they begin afresh: %s", ", ".join(fresh))


def _open_log(path: Path, iteration: int) -> TextIO:
    """The log, to append to; what a killed run wrote after its last checkpoint is dropped, half a line included."""
    kept = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            if json.loads(line)["iteration"] <= iteration:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    path.write_text("".join(kept))
    return path.open("a")


def _fabric(accelerator: str, devices: int, nodes: int) -> Fabric:
    try:
        from lightning.fabric import Fabric
    except ImportError:
        raise MissingExtra("training", "lab") from None
    for name in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy="auto" if devices * nodes == 1 else DISTRIBUTED,
    )
    fabric.launch()
    return fabric


def _trunk(config: TrainConfig, ema: dict[str, Tensor], clock: Clock, scores: tuple[Score, ...]) -> Trunk:
    return Trunk(
        config.method, config.model, ema, minutes=round(clock.core / 60, 4), pictures=clock.pictures,
        episode=clock.episode, config=config_hash(config), curve=tuple(vars(s) for s in scores),
    )  # fmt: skip


def networks_of(method: nn.Module) -> list[nn.Module]:
    """The largest parts of a method that are called as a whole."""
    parts = [list(c) if isinstance(c, nn.ModuleList) else [c] for c in method.children()]
    return [network for part in parts for network in part]


def _mean_over_processes(fabric: Fabric, loss: Tensor) -> Tensor:
    """What one process with all the batches would have."""
    if fabric.world_size == 1:
        return loss
    mean = fabric.all_reduce(loss, reduce_op="mean")
    assert isinstance(mean, Tensor)
    return mean
