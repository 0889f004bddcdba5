r"""Trains the network that tells motion (`acutance.networks.motion_field`) on scenes whose camera is known to move.

    q* = sqrt(12 d) (cos 2a, sin 2a),      d, a from the covariance C of the path of a place while it is exposed
    loss = mean  e^w |q - q*| / UNIT - 2 w

d is the difference of the eigenvalues of C and a the direction of the larger one: of a straight path sqrt(12 d) is its
length, and a path without a direction has none. The loss is the negative log likelihood of a Laplace distribution in
the plane, so the network learns how certain it is. Scenes are those of `acutance_lab.synth.motion`, without objects,
which a grid of kernels cannot follow. They take most of the time to make, so each is used about `USES` times, in one of
eight symmetries each time.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.frame import resolve_precision
from acutance.methods.motion_flow import MotionFlowConfig, at_nodes, seen
from acutance.methods.spec import configure
from acutance.networks.motion_field import CELL, UNIT, MotionField
from acutance.weights import Weights
from acutance_lab.data.photographs import Photographs
from acutance_lab.synth import DynamicBlur
from acutance_lab.synth.camera import axis
from acutance_lab.train import plain_fit
from acutance_lab.train.config import LEAST_SIDE, Phase, TrainConfig

USES, KEPT = 2, 48
"""Updates that a batch of scenes is used in, on the average, and batches that are kept to draw from."""

SPACING = 48
"""Pixels between the nodes at which the examination compares."""


@dataclass(frozen=True)
class Examination:
    """Motion at the nodes of held-out scenes.

    Args:
        scenes: how many. error: mean distance |q - q*|, pixels. nothing: the same where no motion is told.
    """

    scenes: int
    error: float
    nothing: float


@dataclass(frozen=True, eq=False)
class Scenes:
    """Blurred pictures, as the network is shown them (n, 1, S, S), and q* (n, 2, S / CELL, S / CELL)."""

    pictures: Tensor
    motion: Tensor


def path_motion(maps: Tensor, size: tuple[int, int], cell: int = CELL) -> Tensor:
    """q* for every square of `cell` pixels, (B, 2, H / cell, W / cell).

    Args:
        maps: (B, moments, 3, 3), see `acutance_lab.synth.motion.Movement`. size: (H, W), multiples of `cell`.
    """
    rows, cols = (cell * axis(n // cell, maps) for n in size)
    y, x = torch.meshgrid(rows, cols, indexing="ij")
    places = torch.stack((x, y, torch.ones_like(x)), -1).reshape(-1, 3)
    there = places @ maps.mT  # (B, moments, places, 3)
    path = there[..., :2] / there[..., 2:]
    x, y = (path - path.mean(1, keepdim=True)).unbind(-1)
    along, twice = x.square().mean(1) - y.square().mean(1), -2 * (x * y).mean(1)  # rows point down, angles up
    d = torch.hypot(along, twice)
    q = torch.stack((along, twice), 1) * torch.sqrt(12 / d.clamp_min(1e-12))[:, None]
    return q.reshape(*q.shape[:2], len(rows), len(cols))


def scenes(blur: DynamicBlur, photographs: Photographs, phase: Phase, span: int, seed: int) -> Scenes:
    """A batch of scenes; everything is drawn from the seed."""
    limited, generator = blur.limited(span), torch.Generator().manual_seed(seed)
    sharp = photographs.crops(phase.batch, phase.crop + 2 * limited.margin(), generator)
    size = (phase.crop, phase.crop)
    movement = limited.draw(phase.batch, size, generator)
    example = limited.expose(sharp, movement, generator)
    return Scenes(seen(example.problem.observed), path_motion(movement.maps[:, 0], size))


def turned(kept: Scenes, turns: int, mirrored: bool) -> Scenes:
    """Scenes turned by so many quarters counter-clockwise, then mirrored left to right."""
    pictures, motion = (z.rot90(turns, (-2, -1)) for z in (kept.pictures, kept.motion))
    sign = motion.new_tensor([1.0, 1.0]) * (-1.0) ** turns
    if mirrored:
        pictures, motion, sign = pictures.flip(-1), motion.flip(-1), sign * sign.new_tensor([1.0, -1.0])
    return Scenes(pictures.contiguous(), motion * sign[:, None, None])


def loss_of(q: Tensor, w: Tensor, truth: Tensor) -> Tensor:
    """The loss, (). Args: q, truth: (n, 2, h, w), pixels. w: log precision, (n, 1, h, w)."""
    distance = (q - truth).square().sum(1, keepdim=True).add(1e-6).sqrt() / UNIT
    return (torch.exp(w) * distance - 2 * w).mean()


class Supply:
    """Batches of scenes that are used several times.

    Args:
        config: of the run. photographs: to train on. seed: of all draws.
    """

    def __init__(self, config: TrainConfig, photographs: Photographs, seed: int) -> None:
        self.config, self.photographs = config, photographs
        self.host = random.Random(seed)
        self.kept: list[Scenes] = []
        self.made = 0

    def __call__(self, done: float) -> Scenes:
        """The scenes of the next update, `done` of the run being over."""
        host = self.host
        if not self.kept or host.random() < 1 / USES:
            phase = self.config.phase(host.random() if self.config.mixed else done)
            new = scenes(_motion(self.config), self.photographs, phase, host.choice(phase.spans), host.getrandbits(48))
            self.made += phase.batch
            if len(self.kept) >= KEPT:
                self.kept.pop(host.randrange(KEPT))
            self.kept.append(new)
        return turned(host.choice(self.kept), host.randrange(4), host.random() < 0.5)


def network(config: TrainConfig, start: Weights | None = None) -> MotionField:
    """A network of that configuration, new or with those weights.

    Raises:
        ConfigError: the configuration is for something else, or its model is unknown.
        WeightsError: weights of another network.
    """
    if config.method != "motion-flow":
        raise ConfigError(f"method={config.method!r}: this training is for motion-flow")
    _motion(config)
    for crop in (config.validation.crop, *(phase.crop for phase in config.phases)):
        if crop % CELL:
            raise ConfigError(f"crop={crop}: give multiples of {CELL} pixels")
    net = MotionField(configure(MotionFlowConfig, "motion-flow", dict(config.model)).features)
    if start is not None:
        try:
            net.load_state_dict(start.tensors)
        except RuntimeError:
            raise WeightsError(f"{start.version} holds weights of another network; give those of motion-flow") from None
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def read(config: TrainConfig, data: Path) -> tuple[Photographs, Photographs]:
    """The photographs to train on, and the held-out ones.

    Raises:
        acutance.errors.DataError: too few or too small photographs.
    """
    blur, cpu = _motion(config), torch.device("cpu")
    room = 2 * blur.limited(max(max(phase.spans) for phase in config.phases)).margin()
    sides = [phase.crop + room for phase in config.phases]
    kept = Photographs.load(data, device=cpu, least=max(LEAST_SIDE, *sides))
    kept = kept.with_reduced(config.reduced, least=max(LEAST_SIDE, *sides))
    examined = max(LEAST_SIDE, config.validation.crop + room)
    return kept, Photographs.load(data, device=cpu, validation=True, least=examined)


def held_out(config: TrainConfig, photographs: Photographs) -> list[Scenes]:
    """The scenes of the examination, one for each crop, the same in every run."""
    longest, found = max(max(phase.spans) for phase in config.phases), []
    one = Phase(until=1.0, batch=1, crop=config.validation.crop, steps=1, windows=1, spans=(longest,))
    for i in range(config.validation.crops):
        name = photographs.names[i % len(photographs.names)]
        seed = int.from_bytes(hashlib.sha256(f"{name}/{i}".encode()).digest()[:6], "big")
        found.append(scenes(_motion(config), photographs.only(i % len(photographs.names)), one, longest, seed))
    return found


def fit(
    config: TrainConfig,
    photographs: Photographs,
    held: Sequence[Scenes],
    *,
    seed: int,
    minutes: float,
    start: Weights | None = None,
    on_examination: Callable[[float, dict[str, Tensor], Examination], None] | None = None,
) -> tuple[dict[str, Tensor], Examination, int]:
    """The moving average of the weights after some minutes of a core, its examination, and how many scenes were made.

    Args:
        config: phases, motion, model and learning rate count. photographs: to train on. held: for the examination.
        start: weights to go on from; none: a new network.
        on_examination: is told core minutes, weights and examination after every fifth of the time.
    """
    torch.manual_seed(seed)
    net, supply = network(config, start), Supply(config, photographs, seed)
    low = resolve_precision(config.precision, torch.device("cpu")) == torch.bfloat16

    def backward(done: float) -> None:
        given = supply(done)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
            q, w = net.cells(given.pictures)
        loss_of(q, w, given.motion).backward()  # type: ignore[no-untyped-call]

    weights, found = plain_fit.fit(
        net, backward, partial(examine, held=held, config=config), minutes=minutes,
        rate=config.optimiser.learning_rate, floor=config.optimiser.final, on_examination=on_examination,
    )  # fmt: skip
    return weights, found, supply.made


@torch.no_grad()
def examine(weights: Mapping[str, Tensor], held: Sequence[Scenes], config: TrainConfig) -> Examination:
    """Compare motion at the nodes of a grid, as it is used."""
    net = network(config)
    net.load_state_dict(weights)
    net.eval()
    errors, lengths = [], []
    for scene in held:
        grid = (max(1, round(scene.pictures.shape[-1] / SPACING)),) * 2
        found = at_nodes(*net.cells(scene.pictures), grid, MotionFlowConfig.smoothing)
        truth = at_nodes(scene.motion, torch.zeros_like(scene.motion[:, :1]), grid, 0)
        errors.append(float((found - truth).norm(dim=1).mean()))
        lengths.append(float(truth.norm(dim=1).mean()))
    return Examination(len(held), round(sum(errors) / len(held), 3), round(sum(lengths) / len(held), 3))


def write(
    path: Path,
    weights: dict[str, Tensor],
    found: Examination,
    *,
    config: TrainConfig,
    pictures: int,
    minutes: float,
    seed: int,
    start: Weights | None = None,
) -> None:
    """Write weights and their card. Args: pictures: scenes of this run. minutes: of it. start: what it went on from."""
    before = 0.0 if start is None else float(start.card.get("minutes", 0.0))
    plain_fit.write(
        path, weights, found, name="motion-flow-1", pictures=pictures, minutes=before + minutes, seed=seed,
        method="motion-flow", model=dict(config.model), start=None if start is None else start.version,
    )  # fmt: skip


def _motion(config: TrainConfig) -> DynamicBlur:
    """The synthesis of a configuration, without objects."""
    if config.motion is None:
        raise ConfigError("the configuration has no table [motion], so nothing would move")
    return replace(config.motion, objects=(1.0,))
