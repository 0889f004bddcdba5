"""What changes between updates: the learning rate, the moving average of the weights, a stage that begins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance_lab.train.config import TrainConfig


def set_schedule(optimiser: Any, method: nn.Module, config: TrainConfig, progress: float, updates: int = 0) -> None:
    """Set the learning rate, and whether batch normalisation keeps its statistics.

    Args:
        progress: fraction of the budget that is spent, 0..1. updates: since the program was started.
    """
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
def update_ema(ema: dict[str, Tensor], method: nn.Module, decay: float, iteration: int) -> None:
    """ema <- d ema + (1 - d) weights, d = min(decay, (1 + n) / (10 + n)) at iteration n; integers are copied."""
    decay = min(decay, (1 + iteration) / (10 + iteration))
    for key, value in method.state_dict().items():
        if value.is_floating_point():
            ema[key].lerp_(value, 1 - decay)
        else:
            ema[key].copy_(value)


@torch.no_grad()
def copy_stage(method: nn.Module, average: dict[str, Tensor], stage: int) -> None:
    """Set the weights `stages.N.` of a method, N = `stage`, and their average to the average of the stage before it.

    Raises:
        ConfigError: the method has no such stage, or one of another shape.
    """
    own = dict(method.state_dict(keep_vars=True))
    names = [name for name in own if name.startswith(f"stages.{stage}.")]
    if not names:
        raise ConfigError(f"behind={stage}: {type(method).__name__} has no stage {stage + 1} to train")
    for name in names:
        source = average.get(name.replace(f"stages.{stage}.", f"stages.{stage - 1}.", 1))
        if source is None or source.shape != own[name].shape:
            raise ConfigError(f"behind={stage}: the stages of {type(method).__name__} are not alike; train them mixed")
        own[name].copy_(source)
        average[name].copy_(source)


@contextmanager
def taking(method: nn.Module, weights: dict[str, Tensor]) -> Iterator[None]:
    """Use the method with other weights, as it is used after training; then it is as it was.

    The mode of every part comes back, too: batch normalisation may be frozen in part of them.
    """
    kept = {k: v.detach().clone() for k, v in method.state_dict().items()}
    modes = [(module, module.training) for module in method.modules()]
    method.load_state_dict(weights)
    method.eval()
    try:
        yield
    finally:
        method.load_state_dict(kept)
        for module, mode in modes:
            module.training = mode
