"""For methods that are made of another method: its settings among theirs, and how it is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from acutance.frame import Precision
from acutance.methods.spec import MethodSpec
from acutance.problem import Method
from acutance.weights import embedded_for


def split(settings: Mapping[str, Any], prefix: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of the outer method, and those of the inner one, which begin with ``prefix``, without it.

    Example:
        >>> split({"size": 3, "method_steps": 2}, "method_")
        ({'size': 3}, {'steps': 2})
    """
    own = {key: value for key, value in settings.items() if not key.startswith(prefix)}
    inner = {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}
    return own, inner


def build_shipped(
    spec: MethodSpec, settings: Mapping[str, Any], *, device: torch.device | str, precision: Precision, tile: int | None
) -> Method:
    """A method with its shipped weights, if it has any.

    Raises:
        WeightsError: it wants weights, and none are shipped. ConfigError: an unknown setting.
    """
    made: dict[str, Any] = {}
    if spec.weights is not None:
        found = embedded_for(spec.weights, settings)
        made = {**found.card.get("model", {}), "weights": found.tensors}
    if spec.weights is not None or spec.composed:
        made = {**made, "device": device, "precision": precision, "tile": tile}
    return spec.build(**{**made, **settings})
