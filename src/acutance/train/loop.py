"""The training loop, all of it.

An *episode* is one batch of problems. It is unrolled in windows of a few steps; after each window the weights are
updated and the next window goes on from the detached estimate. So a step that is trained through 3 steps at a time
also meets its own 10th or 20th iterate, and a run of 50 steps holds what the first 5 gained.

Episode e draws everything from a Generator seeded with (seed, e, rank): nothing but the number of the episode is
needed to resume. Distribution, devices and precision of the optimiser come from Lightning Fabric.
"""

from __future__ import annotations

import json
import logging
import math
import random
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import torch
from torch import Tensor, nn

from acutance.data.photographs import Photographs
from acutance.errors import ConfigError, MissingExtra, WeightsError
from acutance.frame import Frame, resolve_precision
from acutance.methods.spec import Learned, find
from acutance.problem import State
from acutance.synth import Degradation, Synthesis, kernels
from acutance.train import checkpoint
from acutance.train.adversary import Adversary
from acutance.train.checkpoint import Clock
from acutance.train.config import LEAST_SIDE, LossConfig, TrainConfig
from acutance.train.loss import recursive
from acutance.train.meter import Meter, core_seconds, device_name
from acutance.train.optimiser import optimiser_for
from acutance.train.perceptual import Perceptual
from acutance.train.pool import Pool, Work
from acutance.train.stopping import Stopping
from acutance.train.trunk import Trunk, config_hash, same_network
from acutance.train.validate import Score, examination, largest_crop, validate

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


class Unroll(nn.Module):
    """A window of steps and its loss as one forward call, so that every distributed strategy wraps it."""

    def __init__(self, method: Learned[State], loss: LossConfig) -> None:
        super().__init__()
        self.method, self.loss = method, loss
        self.perceptual = Perceptual.load(loss.judge) if loss.perceptual else None

    def forward(self, work: Work) -> Tensor:
        """The loss over `work.steps` steps from where the work stands, which then stands behind them."""
        steps, example = self.method.solver().steps, work.example
        problem = example.problem
        state = steps[0].init(problem) if work.state is None else work.state
        estimates = []
        for t in range(work.done, work.done + work.steps):
            state = steps[min(t, len(steps) - 1)](problem, state)
            estimates.append(example.shown(problem.crop(state.x)))
        work.done += work.steps
        work.state = replace(state, **{k: v.detach() for k, v in vars(state).items() if isinstance(v, Tensor)})
        sharp = example.shown(problem.crop(example.sharp))
        loss = recursive(estimates, sharp, self.loss)
        if self.perceptual is not None:
            apart = torch.stack([self.perceptual(x, sharp) for x in estimates])
            loss = loss + self.loss.perceptual * apart.mean()
        if work.adversary is not None:
            loss = loss + work.adversary.term(estimates[-1])
        return loss

    @torch.no_grad()
    def advance(self, work: Work, steps: int) -> None:
        """Take steps without gradients, until the batch diverges."""
        window, end = work.steps, work.done + steps
        work.steps = 1
        while work.done < min(end, work.life):
            work.judge(float(self(work)))
        work.steps = window


def synthesis(config: TrainConfig) -> Synthesis:
    """What a configuration makes its batches with."""
    for other in (config.motion, config.noise, config.rain, config.sensed):
        if other is not None:
            return other
    values = {k: v for k, v in vars(config.degradation).items() if k != "kernels"}
    sampler = {"spline": kernels.spline, "mixture": kernels.mixture}[config.degradation.kernels]
    return Degradation(sampler=sampler, **values)


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
        compile_networks: `torch.compile` the window.
        report: called with a dict for the log line of each interval.

    Raises:
        MissingExtra: Lightning is not installed. DataError, ConfigError: see there.
    """
    fabric = _fabric(accelerator, devices, nodes)
    device = fabric.device
    torch.manual_seed(config.seed)
    spec = find(config.method)
    if spec.weights is None:
        raise ConfigError(f"{config.method} has no weights to train")
    if config.one_channel > 0 and spec.needs.channels is not None:
        raise ConfigError(
            f"one_channel={config.one_channel}: {config.method} takes {spec.needs.channels} channels only"
        )
    method: Any = spec.build(device=device, **config.model)
    assert isinstance(method, Learned)
    if trunk is not None:
        same_network(trunk, config)
    if init is not None or trunk is not None:
        _start(method, trunk.tensors if trunk is not None else init or {})
    method.frame = Frame(resolve_precision(config.precision, device), tile=None)  # type: ignore[assignment]
    method.train()
    trained = [p.requires_grad_(not name.startswith(config.frozen)) for name, p in method.named_parameters()]
    trained = [p for p in trained if p.requires_grad]
    if not trained:
        raise ConfigError(f"frozen={list(config.frozen)} leaves nothing to train")
    degrade = synthesis(config)
    largest = max(p.crop + 2 * degrade.margin(max(p.spans)) for p in config.phases)
    least = max(LEAST_SIDE, largest)
    photographs = Photographs.load(data, device=device, least=least)
    photographs = photographs.with_reduced(config.reduced, least=least).with_graphics(config.graphics)
    examined = examination(spec.needs, config.validation, config.degradation.boundary)
    largest = largest_crop(config.validation, examined)
    held_out = Photographs.load(data, device=torch.device("cpu"), validation=True, least=max(LEAST_SIDE, largest))
    optimiser = optimiser_for(trained, config.optimiser.kind, config.optimiser.learning_rate)
    adversary = Adversary(config.adversary, seed=config.seed, device=device) if config.adversary.weight else None
    clock = Clock()
    ema: dict[str, Tensor] = {}
    scores: tuple[Score, ...] = ()
    age = OLD if trunk is not None and config.optimiser.schedule == "constant" else 0  # a branch forgets its start
    if trunk is not None:
        inherited = 60 * trunk.minutes
        clock = Clock(episode=trunk.episode, core=inherited, inherited=inherited, pictures=trunk.pictures)
        scores = tuple(Score(**s) for s in trunk.curve)
    path = folder / checkpoint.NAME
    if path.exists():
        tensors, saved = checkpoint.load(path)
        ema = checkpoint.restore(tensors, method, optimiser)
        if adversary is not None:
            adversary.restore(checkpoint.part(tensors, checkpoint.ADVERSARY))
        clock = Clock(**saved["clock"])
        scores = tuple(Score(**s) for s in saved["scores"])
        logger.info("resumed %s at iteration %d", path, clock.iteration)
    if not ema:
        ema = {k: v.detach().clone() for k, v in method.state_dict().items()}
    if budget.iterations is not None:
        clock = replace(clock, base_iteration=0, base_progress=0.0, rate=1 / budget.iterations)
    elif clock.rate == 0 and budget.minutes is not None:
        clock = replace(clock, rate=1.0 / (FAST * 60 * budget.minutes))  # a guess until the first checkpoint

    window = Unroll(method, config.loss)
    wrapped, optimiser = fabric.setup(torch.compile(window) if compile_networks else window, optimiser)
    if adversary is not None:
        adversary.set_up(fabric)
    meter = Meter(device)
    folder.mkdir(parents=True, exist_ok=True)
    log = _open_log(folder / "log.jsonl", clock.iteration) if fabric.is_global_zero else None
    losses: list[float] = []
    begun, elapsed_before, started = budget.now(), clock.elapsed, clock.iteration
    last_saved, last_validated, interval_start = begun, begun, clock.iteration
    core_begun, core_before = core_seconds(device), clock.core

    def episode(number: int) -> tuple[Work, int]:
        return _episode(config, clock.progress(), degrade, photographs, number, fabric.global_rank)

    order = f"{config.seed}/{fabric.global_rank}"
    pool = None
    if config.pool is not None:
        pool = Pool(config.pool, lambda number: episode(number)[0], window.advance, seed=order)

    def record() -> dict[str, Any]:
        return {
            "clock": vars(clock),
            "scores": [vars(s) for s in scores],
            "method": config.method,
            "model": config.model,
            "config": asdict(config),
            "data": photographs.digest,
            "device": device_name(device),
        }

    with Stopping() as stop, log or nullcontext():
        ending = clock.progress() >= 1
        while not ending:
            with meter.data():
                work, windows = episode(clock.episode) if pool is None else (pool.draw(clock.episode), 1)
            work.adversary = adversary if adversary is not None and adversary.begun(clock.progress()) else None
            for _ in range(windows):
                _set_schedule(optimiser, method, config, clock.progress(), clock.iteration - started)
                loss = wrapped(work)
                optimiser.zero_grad(set_to_none=True)
                fabric.backward(loss)
                norm = fabric.clip_gradients(
                    wrapped, optimiser, max_norm=config.optimiser.clip, error_if_nonfinite=False
                )
                value = float(_mean_over_processes(fabric, loss.detach()))
                finite = math.isfinite(value) and bool(torch.isfinite(norm))
                work.judge(value)
                if finite:
                    optimiser.step()
                    _update_ema(ema, method, config.optimiser.ema, clock.iteration + age)
                told = _learn(fabric, work, config.optimiser.clip) if finite else {}
                seen = work.batch * fabric.world_size
                clock = replace(clock, iteration=clock.iteration + 1, pictures=clock.pictures + seen)
                losses.append(value)
                meter.images += seen
                if log:
                    log.write(json.dumps({"iteration": clock.iteration, "loss": value, **told}) + "\n")
                if not finite:
                    logger.warning("iteration %d: loss %s, update skipped", clock.iteration, value)
                    break
            clock = replace(clock, episode=clock.episode + 1)
            now = budget.now()
            wait, ending = budget.checkpoint_seconds, clock.progress() >= 1
            if budget.minutes is not None:
                if ending or clock.base_iteration == 0:  # the speed was taken for too low, or not measured yet
                    wait = min(wait, FIRST_SECONDS, 0.6 * budget.minutes)
                ending = elapsed_before + now - begun >= 60 * budget.minutes
            ending = ending or stop.asked
            due = now - last_saved >= wait
            if budget.checkpoint_iterations is not None:
                due = clock.iteration - interval_start >= budget.checkpoint_iterations
            if fabric.world_size > 1:
                due, ending = fabric.broadcast((due, ending))
            if not (due or ending):
                continue
            elapsed = elapsed_before + now - begun
            core = core_before + core_seconds(device) - core_begun
            clock = replace(clock, elapsed=elapsed, core=core)
            if budget.minutes is not None:
                total = 60 * budget.minutes
                spent = (now - last_saved) / max(1, clock.iteration - interval_start) / total
                clock = replace(
                    clock, base_iteration=clock.iteration, base_progress=min(1.0, elapsed / total), rate=spent
                )
            if fabric.world_size > 1:
                clock = fabric.broadcast(clock)
            if fabric.is_global_zero:
                line: dict[str, Any] = {
                    "progress": clock.progress(),
                    "iteration": clock.iteration,
                    "minutes": elapsed / 60,
                    "loss": sum(losses) / max(1, len(losses)),
                    "images_per_second": meter.images_per_second(),
                    "data_share": meter.share(),
                }
                if ending or now - last_validated >= 60 * config.validation.minutes:
                    score = validate(
                        method, ema, config.validation, held_out, examined, device,
                        one_channel=config.one_channel > 0,
                    )  # fmt: skip
                    scores = (*scores, replace(score, minutes=core / 60, iteration=clock.iteration))
                    line["psnr"] = dict(zip(score.steps, score.psnr, strict=True))
                    line["blurred"] = score.blurred
                    line["levels"] = score.levels
                    last_validated = budget.now()
                checkpoint.save(
                    folder, method, ema, optimiser, record(),
                    adversary=None if adversary is None else adversary.tensors(),
                )  # fmt: skip
                if trunk_file is not None:
                    _trunk(config, ema, clock, scores).save(trunk_file)
                if log:
                    log.write(json.dumps(line) + "\n")
                    log.flush()
                if report is not None:
                    report(line)
            losses, last_saved, interval_start = [], budget.now(), clock.iteration
            begun += last_saved - now  # validation and saving are not training time
            core_begun = core_seconds(device) - (core - core_before)
    return Run(
        folder, clock, scores, photographs.digest, device_name(device), meter.images_per_second(), meter.share(),
        core_minutes=(clock.core - clock.inherited) / 60, leader=fabric.is_global_zero, processes=fabric.world_size,
    )  # fmt: skip


def _start(method: nn.Module, init: dict[str, Tensor]) -> None:
    """Load what fits: a network for another sampling matrix, say, takes all but the matrix.

    Raises:
        WeightsError: tensors are missing, or too many, or hardly any fits.
    """
    own = method.state_dict()
    if init.keys() != own.keys():
        odd = sorted(init.keys() ^ own.keys())
        raise WeightsError(f"these weights are of another network: {', '.join(odd[:3])}{' ...' * (len(odd) > 3)}")
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
        raise MissingExtra("training", "train") from None
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


def _episode(
    config: TrainConfig, progress: float, degrade: Synthesis, photographs: Photographs, episode: int, rank: int
) -> tuple[Work, int]:
    """The batch of that number, and how many windows it is unrolled for."""
    host = random.Random(f"{config.seed}/{episode}")
    phase = config.phase(random.Random(f"{config.seed}/{episode}/phase").random() if config.mixed else progress)
    span, windows = host.choice(phase.spans), host.randint(1, phase.windows)
    device = photographs.flat.device
    generator = torch.Generator(device).manual_seed(host.getrandbits(48) + rank)
    sharp = photographs.crops(phase.batch, phase.crop + 2 * degrade.margin(span), generator)
    one_channel = config.one_channel > 0 and host.random() < config.one_channel
    return Work(degrade(sharp, generator, span=span, one_channel=one_channel), phase.steps), windows


def _mean_over_processes(fabric: Fabric, loss: Tensor) -> Tensor:
    """What one process with all the batches would have."""
    if fabric.world_size == 1:
        return loss
    mean = fabric.all_reduce(loss, reduce_op="mean")
    assert isinstance(mean, Tensor)
    return mean


def _learn(fabric: Fabric, work: Work, clip: float) -> dict[str, float]:
    """Update the adversary, if there is one, on where the window ended; for the log."""
    if work.adversary is None:
        return {}
    assert work.state is not None
    crop = work.example.problem.crop
    loss = work.adversary.learn(fabric, crop(work.example.sharp), crop(work.state.x), clip=clip)
    return {"discriminator": loss}


def _set_schedule(optimiser: Any, method: nn.Module, config: TrainConfig, progress: float, updates: int = 0) -> None:
    """updates: since the program was started."""
    o, progress = config.optimiser, min(1.0, progress)
    if o.schedule == "steps":
        left = o.final ** (min(o.drops, math.floor(progress * (o.drops + 1))) / o.drops)
    elif o.schedule == "constant":
        left = 1.0
    elif o.schedule == "linear":
        left = 1 - (1 - o.final) * progress
    else:
        left = o.final + (1 - o.final) * 0.5 * (1 + math.cos(math.pi * progress))
    warm = (progress + 1e-4) / o.warmup if o.warmup and o.schedule != "constant" else 1.0
    for group in optimiser.param_groups:
        group["lr"] = o.learning_rate * min(left, warm, (updates + 1) / o.rise if o.rise else 1.0)
    frozen = progress >= config.frozen_statistics
    for module in method.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(not frozen)


@torch.no_grad()
def _update_ema(ema: dict[str, Tensor], method: nn.Module, decay: float, iteration: int) -> None:
    decay = min(decay, (1 + iteration) / (10 + iteration))
    for key, value in method.state_dict().items():
        if value.is_floating_point():
            ema[key].lerp_(value, 1 - decay)
        else:
            ema[key].copy_(value)
