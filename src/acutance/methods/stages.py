"""What methods that are a chain of stages share, each stage with weights of its own: their number, and the solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from acutance.errors import ConfigError
from acutance.frame import Frame
from acutance.problem import Step
from acutance.solver import Solver

MOST = 64
"""Stages of a method, at most."""


def check_stages(stages: int, steps: int | None) -> None:
    """Check the number of stages that have weights, and how many of them a run uses; None: all.

    Raises:
        ConfigError: no stage, too many, or more than there are.
    """
    if not 1 <= stages <= MOST:
        raise ConfigError(f"stages={stages}: give 1 to {MOST}")
    if steps is not None and not 1 <= steps <= stages:
        raise ConfigError(f"steps={steps}: give 1 to {stages}, the number of stages that have weights")


def exact(frame: Frame) -> Frame:
    """The same with bfloat16 replaced by float32: filters whose responses are small differences need its digits."""
    return replace(frame, dtype=torch.float32) if frame.dtype is torch.bfloat16 else frame


def chained(stages: nn.ModuleList, steps: int | None, step: Callable[[Any], Step[Any]]) -> Solver[Any]:
    """The solver of the first `steps` stages; None: of all."""
    return Solver([step(stage) for stage in list(stages)[:steps]])
