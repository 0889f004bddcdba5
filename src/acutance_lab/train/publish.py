"""From a run to shipped weights: only if they score higher on the held-out crops than the crops and what is shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import acutance.weights
from acutance.errors import ConfigError, WeightsError
from acutance.frame import Frame, resolve_precision
from acutance.methods.spec import Learned, find
from acutance.weights import embedded, write_weights
from acutance_lab.data.photographs import HELD_OUT, Photographs
from acutance_lab.train import checkpoint
from acutance_lab.train.checkpoint import wider
from acutance_lab.train.config import LEAST_SIDE, ValidationConfig
from acutance_lab.train.validate import Score, examination, largest_crop, validate

SHIPPED = Path(acutance.weights.__file__).resolve().parent
"""Folder of the weights that the product comes with."""

DATA = "451 photographs, CC0, CC BY, CC BY-SA, Unsplash and Free Art licences; see docs/training.md"
"""What shipped weights are trained on, for their cards."""

EXAMINATION = ValidationConfig(
    crops=48, crop=96, steps=(1, 2, 5, 10, 30), levels=(0.002, 0.006, 0.01, 0.02, 0.03, 0.05),
    spans=(1, 7, 13, 19, 25, 31, 41, 51), halved=True,
)  # fmt: skip
"""Harder than the validation during a run: more steps, more kernels; every noise level with every kernel size."""

SLACK = 0.1
"""Decibels by which weights may be worse than the shipped ones at one noise level, if they are better on the whole: a
mean alone once shipped weights that failed at 3 %."""


def publish(
    run: Path, *, name: str, version: str, data: Path | None, share: float = 1.0, steps: int | None = None,
    force: bool = False,
) -> str:  # fmt: skip
    """Score a run's moving average against the shipped weights and ship it if it is better.

    Args:
        run: its folder. name: of the weights and of the method. version: in the card. data: photographs with held-out
            ones among them. share: of the run in the weights that are examined and shipped, in (0, 1];
            the rest is what is shipped so far. The mean of weights and of those that they were tuned from is often
            better than both (Wortsman et al. 2022). steps: that the method takes by default; None: as in the run.
            force: ship whatever the scores.

    Returns:
        A sentence with the scores and what was done.

    Raises:
        ConfigError: nothing to compare with, or the shipped weights are better, or the blurred pictures themselves.
    """
    tensors, record = checkpoint.load(run / checkpoint.NAME)
    candidate = checkpoint.part(tensors, "ema.")
    if not 0 < share <= 1:
        raise ConfigError(f"share={share}: give a number above 0, up to 1")
    if share < 1:
        candidate = averaged(candidate, embedded(name).tensors, share)
    settings = record["model"] if steps is None else {**record["model"], "steps": steps}
    new = None if data is None else examine(record["method"], candidate, settings, data)
    try:
        shipped = embedded(name)
    except WeightsError:
        shipped = None
    sentence = "" if new is None else f"{version}: {_scores(new)}"
    if new is not None and max(new.psnr) <= new.blurred and not force:
        raise ConfigError(f"not shipped: the held-out pictures were better before. {sentence}")
    if shipped is not None and not force:
        if new is None or data is None:
            raise ConfigError("give --data, so that the shipped weights and these can be compared (or --force)")
        old = examine(record["method"], shipped.tensors, shipped.card.get("model", {}), data)
        sentence += f"; shipped {shipped.version}: {_scores(old)}"
        reason = objection(new, old)
        if reason:
            raise ConfigError(f"not shipped: {reason}. {sentence}")
    card: dict[str, Any] = {
        "name": version,
        "method": record["method"],
        "model": settings,
        "licence": "Apache-2.0",
        "data": DATA,
        "data_hash": record["data"],
        "share": share,
        "minutes": round((record["clock"].get("core") or record["clock"]["elapsed"]) / 60, 1),
        "iterations": record["clock"]["iteration"],
        "device": record["device"],
        "scores": record["scores"][-1:] if new is None else [vars(new)],
    }
    digest = write_weights(SHIPPED / f"{name}.safetensors", candidate, card, dtype=torch.bfloat16)
    return f"shipped {version} ({digest[:8]}). {sentence}"


def averaged(new: dict[str, Tensor], old: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """share new + (1 - share) old; a matrix of `old` with fewer columns counts as one with zeros there.

    Raises:
        ConfigError: weights of another network.
    """
    wide = {key: wider(value.float(), new[key]) for key, value in old.items() if key in new}
    if new.keys() != old.keys() or any(new[key].shape != value.shape for key, value in wide.items()):
        raise ConfigError("the shipped weights are of another network; their mean with these means nothing")
    return {key: torch.lerp(wide[key], value.float(), share) for key, value in new.items()}


def objection(new: Score, old: Score) -> str:
    """Why the new weights are not to replace the old ones; empty if they are."""
    if max(new.psnr) <= max(old.psnr):
        return "what is shipped is better"
    for level, mine, theirs in zip(EXAMINATION.levels, new.levels, old.levels, strict=False):  # none of unknown blur
        if mine < theirs - SLACK:
            return f"at {100 * level:g} % noise they are {theirs - mine:.2f} dB worse than what is shipped"
    for span, mine, theirs in zip(EXAMINATION.spans, new.spans, old.spans, strict=False):
        if mine < theirs - SLACK:
            return f"behind kernels of {span} pixels they are {theirs - mine:.2f} dB worse than what is shipped"
    return ""


def examine(
    method: str,
    weights: dict[str, Tensor],
    settings: dict[str, Any],
    data: Path,
    *,
    examination_of: ValidationConfig = EXAMINATION,
    one_in: int = HELD_OUT,
) -> Score:
    """Score weights on the held-out photographs below `data`, one in so many, by an examination."""
    model: Any = find(method).build(weights=weights, **settings)
    if not isinstance(model, Learned):
        raise ConfigError(f"{method} has no weights")
    cpu = torch.device("cpu")
    model.frame = Frame(resolve_precision("auto", cpu), None)  # type: ignore[assignment]
    needs = find(method).needs
    # any number of steps of a method that knows the blur; of another one its own schedule, and noise as it is drawn
    config = examination_of if needs.kernel else replace(examination_of, steps=(len(model.solver().steps),), levels=())
    examined = examination(needs, config, "valid")
    least = max(LEAST_SIDE, largest_crop(config, examined))
    photographs = Photographs.load(data, device=cpu, validation=True, least=least, one_in=one_in)
    both = needs.channels is None
    return validate(model, model.state_dict(), config, photographs, examined, cpu, one_channel=both)


def _scores(score: Score) -> str:
    each = ", ".join(f"{p:.2f} dB after {s} steps" for s, p in zip(score.steps, score.psnr, strict=True))
    levels = ", ".join(
        f"{p:.2f} at {100 * level:g} %" for level, p in zip(EXAMINATION.levels, score.levels, strict=False)
    )
    spans = ", ".join(f"{p:.2f} at {span}" for span, p in zip(EXAMINATION.spans, score.spans, strict=False))
    parts = [f"blurred {score.blurred:.2f}"]
    parts += [f"by noise level {levels}", f"by kernel size {spans}"] if levels else []
    if score.border is not None:
        parts.append(f"border {score.border:.2f}, interior {score.interior:.2f}")
    return f"{each} ({'; '.join(parts)})"
