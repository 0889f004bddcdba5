"""Everything a run needs to go on, in one safetensors file written atomically; a JSON beside it for people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from torch import Tensor, nn

from acutance.errors import WeightsError

NAME = "checkpoint.safetensors"


@dataclass(frozen=True)
class Clock:
    """Where a run stands. Between two checkpoints progress grows by `rate` per iteration, whatever the clock says, so
    that a run resumed from a checkpoint repeats the same learning rates to the last bit."""

    episode: int = 0
    iteration: int = 0
    elapsed: float = 0.0  # seconds of training so far, by the clock that the budget counts
    core: float = 0.0  # seconds of processor cores, those of the trunk that it started from included
    inherited: float = 0.0  # those of the trunk
    pictures: int = 0  # that went through a window, those of the trunk included
    base_iteration: int = 0  # where `base_progress` was measured
    base_progress: float = 0.0
    rate: float = 0.0  # progress per iteration since then

    def progress(self) -> float:
        """Fraction of the budget that is spent, 0..1."""
        progress = self.base_progress + self.rate * (self.iteration - self.base_iteration)
        return min(1.0, round(progress, 12))  # 49 iterations of 1/49 each are all of it


def save(
    folder: Path,
    model: nn.Module,
    ema: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    record: dict[str, Any],
) -> Path:
    """Write model, EMA, optimiser, and `record` (JSON-able: clock, configuration, scores)."""
    tensors = pack(model, optimiser) | {f"ema.{k}": v for k, v in ema.items()}
    tensors = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    target, partial = folder / NAME, folder / f".{NAME}.partial"
    # save_file would write to a name of its own first, which a killed program leaves behind
    partial.write_bytes(serialised(tensors, metadata={"record": json.dumps(record)}))
    partial.replace(target)
    (folder / "checkpoint.json").write_text(json.dumps(record, indent=1) + "\n")
    return target


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record of a checkpoint.

    Raises:
        WeightsError: the file is damaged or no checkpoint.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            return {k: file.get_tensor(k) for k in file.keys()}, json.loads(metadata["record"])  # noqa: SIM118
    except (SafetensorError, KeyError, OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is no readable checkpoint ({error}); delete it to start afresh") from None


def restore(tensors: dict[str, Tensor], model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Put the tensors of a checkpoint back; returns the EMA."""
    unpack(tensors, model, optimiser)
    device = next(model.parameters()).device
    return {k: v.to(device) for k, v in part(tensors, "ema.").items()}


def pack(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights and the optimiser's history, as ``model.*`` and ``adam.*``."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    for i, p in enumerate(p for group in optimiser.param_groups for p in group["params"]):
        for key, value in optimiser.state.get(p, {}).items():
            tensors[f"adam.{i}.{key}"] = value
    return tensors


def unpack(tensors: dict[str, Tensor], model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Put back what `pack` took."""
    model.load_state_dict(part(tensors, "model."))
    for i, p in enumerate(p for group in optimiser.param_groups for p in group["params"]):
        state = part(tensors, f"adam.{i}.")
        if state:
            optimiser.state[p] = {k: v.to(p.device) if k != "step" else v for k, v in state.items()}


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def wider(value: Tensor, own: Tensor) -> Tensor:
    """A matrix (rows, columns) with columns of zeros up to the width of `own`; anything else as it is."""
    rows_fit = value.ndim == own.ndim == 2 and len(value) == len(own)
    if not rows_fit or value.shape[1] >= own.shape[1]:
        return value
    return torch.cat((value, value.new_zeros(len(value), own.shape[1] - value.shape[1])), 1)
