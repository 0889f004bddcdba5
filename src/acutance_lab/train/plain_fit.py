r"""A small network fitted for some minutes of a core: Muon, a rate that rises and falls, an average of the weights.

    rate(n, t) = rate min( 1, (n + 1) / RISE ) max( floor, (1 + cos pi t) / 2 ),    n: updates, t in [0, 1): time spent

For networks of an estimator that are trained alone; methods are trained by `acutance_lab.train.loop`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from acutance.weights import write_weights
from acutance_lab.train.meter import core_seconds, device_name
from acutance_lab.train.optimiser import optimiser_for
from acutance_lab.train.publish import DATA

E = TypeVar("E")
"""The scores of an examination."""

RISE = 50
"""Updates in which the rate rises."""

AVERAGE = 0.99
"""Of the moving average, from 1000 updates on; before, it forgets faster."""

EXAMINED = 0.2
"""Part of the time between two examinations."""


def fit(
    network: nn.Module,
    backward: Callable[[float], None],
    examine: Callable[[dict[str, Tensor]], E],
    *,
    minutes: float,
    rate: float,
    floor: float,
    on_examination: Callable[[float, dict[str, Tensor], E], None] | None = None,
) -> tuple[dict[str, Tensor], E]:
    """The moving average of the weights and its examination; an update whose gradients are not finite is left out.

    Args:
        network: is changed. backward: draws a batch and adds the gradients of its loss; told the part of the time that
            is spent, in [0, 1). examine: judges weights. minutes: of a core. rate: the highest. floor: of the fall.
        on_examination: is told core minutes, weights and examination after every fifth of the time.
    """
    cpu = torch.device("cpu")
    optimiser = optimiser_for(list(network.parameters()), "muon", rate)
    average = {key: value.detach().clone() for key, value in network.state_dict().items()}
    began, updates, examined = core_seconds(cpu), 0, 0.0
    while (done := (core_seconds(cpu) - began) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (updates + 1) / RISE) * max(floor, 0.5 * (1 + math.cos(math.pi * done)))
        optimiser.zero_grad()
        backward(done)
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        if not bool(torch.isfinite(norm)):
            continue
        optimiser.step()
        updates += 1
        weight = min(AVERAGE, updates / (updates + 10))
        for key, value in network.state_dict().items():
            average[key].lerp_(value, 1 - weight)
        if on_examination is not None and done > examined + EXAMINED:
            examined = done
            on_examination(done * minutes, average, examine(average))
    return average, examine(average)


def write(
    path: Path,
    weights: dict[str, Tensor],
    found: Any,
    *,
    name: str,
    pictures: int,
    minutes: float,
    seed: int,
    **more: Any,
) -> None:
    """Write weights and their card.

    Args:
        found: the examination, a dataclass. name: of the version, METHOD-NUMBER. pictures: to train on. minutes: spent.
        more: of the card.
    """
    card = {
        "name": name, "method": name.partition("-")[0], "model": {}, "licence": "Apache-2.0", "data": DATA,
        "pictures": pictures, "minutes": round(minutes, 1), "seed": seed, **more,
        "device": device_name(torch.device("cpu")), "scores": [asdict(found)],
    }  # fmt: skip
    write_weights(path, weights, card, dtype=torch.bfloat16)
