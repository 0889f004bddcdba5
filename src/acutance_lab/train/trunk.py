"""Trunks: training without an end, whose weights are kept between sessions and machines.

A trunk is trained at a constant learning rate. To ship something a branch is cut from it and cooled down to zero;
the trunk itself goes on from where it was. NAME.safetensors holds the weights in bfloat16, NAME.json beside it what
else is needed to go on anywhere: moments of the optimiser are built up again in some hundred updates.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.weights import read_weights, write_weights
from acutance_lab.train.config import TrainConfig

FOLDER = Path("training/trunks")


@dataclass(frozen=True, eq=False)
class Trunk:
    """Where a trunk stands.

    Args:
        method, model: name and settings. tensors: the moving average of the weights, 1 to 2 dB above the
            weights of the moment.
        minutes: of processor cores (of the device, on a GPU). pictures: crops seen, each
            step of a pool and each square of a harvest counted.
        episode: number of the next batch, which seeds it. config: hash of the configuration that it was trained with.
        curve: validation scores so far, as dicts of `acutance_lab.train.validate.Score`.
    """

    method: str
    model: dict[str, Any]
    tensors: dict[str, Tensor]
    minutes: float = 0.0
    pictures: int = 0
    episode: int = 0
    config: str = ""
    curve: tuple[dict[str, Any], ...] = field(default=())

    def save(self, path: Path) -> None:
        """Write weights (bfloat16) and what belongs to them, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        card = {k: v for k, v in vars(self).items() if k != "tensors"} | {"name": path.stem}
        write_weights(path, self.tensors, card, dtype=torch.bfloat16)


def read_trunk(path: Path) -> Trunk:
    """The trunk in a file.

    Raises:
        WeightsError: there is none, or its JSON says less than a trunk needs.
    """
    weights = read_weights(path)
    fields = {k: v for k, v in weights.card.items() if k in Trunk.__dataclass_fields__}
    try:
        return Trunk(**{**fields, "curve": tuple(fields.get("curve", ()))}, tensors=weights.tensors)
    except TypeError as error:
        raise WeightsError(f"{path.with_suffix('.json')} describes no trunk ({error})") from None


def config_hash(config: TrainConfig) -> str:
    """Twelve hexadecimal digits that name a configuration."""
    return hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode()).hexdigest()[:12]


def same_network(trunk: Trunk, config: TrainConfig) -> None:
    """See that a trunk is of the network that a configuration trains.

    Raises:
        ConfigError: it is of another method or size.
    """
    if (trunk.method, trunk.model) != (config.method, config.model):
        raise ConfigError(
            f"the trunk is of {trunk.method} {trunk.model}, the configuration of {config.method} {config.model}; "
            "give it another name or remove the trunk"
        )


def not_behind(trunk: Trunk, episode: int, minutes: float, folder: Path) -> None:
    """See that a trunk has not gone on without the run that is to grow it, which would replace it by an older one.

    Args:
        trunk: as it is now. episode: number of the run's next batch. minutes: of cores, of the run. folder: of the run.

    Raises:
        ConfigError: the trunk has seen more batches.
    """
    if trunk.episode > episode:
        raise ConfigError(
            f"{folder} has {minutes:.1f} core minutes, and the trunk has grown to {trunk.minutes:.1f} since: "
            "give another --out and it goes on from the trunk"
        )


def branched(config: TrainConfig) -> TrainConfig:
    """The configuration of a branch: that of the trunk with a learning rate that falls to 0 in a straight line."""
    return replace(config, optimiser=replace(config.optimiser, schedule="linear", final=0.0, warmup=0.0))


def no_trunk(file: Path) -> NoReturn:
    """Say that a branch needs a trunk.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(f"there is no trunk {file}; train it without --branch first")
