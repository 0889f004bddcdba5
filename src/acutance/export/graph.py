"""A network as it is exported: its inputs and outputs by name, and a task by which copies are compared with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]

Trial = Callable[[torch.Generator, int, int, int], tuple[Tensors, Tensors]]
"""generator, batch, height, width -> inputs by name, and the outputs that the library computes from them."""


@dataclass(frozen=True)
class Port:
    """An input or an output of a graph.

    Args:
        name: of the tensor. shape: numbers, and names of sizes that are free ("batch", "height", "width").
        meaning: one line for the metadata, with the range and the unit.
    """

    name: str
    shape: tuple[int | str, ...]
    meaning: str

    @property
    def free(self) -> dict[int, str]:
        """The axes whose size is free."""
        return {axis: size for axis, size in enumerate(self.shape) if isinstance(size, str)}


@dataclass(frozen=True, eq=False)
class Graph:
    """A network that can be exported.

    Args:
        name: of the method. module: takes the inputs in order, and returns the outputs as a tuple.
        inputs, outputs: see `Port`. does: one line of what the network computes.
        trial: draws a task; see `Trial`.
        card: model card of the weights. version: name and hash of the weights. sha256: of the weights file.
        halves: its numbers may have 16 bits; else moments of a whole picture would be lost.
        constants: numbers that whoever runs the graph needs beside it; they become metadata, as JSON.
    """

    name: str
    module: nn.Module
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    does: str
    trial: Trial
    card: Mapping[str, Any] = field(default_factory=dict)
    version: str = "unnamed"
    sha256: str = ""
    halves: bool = False
    constants: Mapping[str, Any] = field(default_factory=dict)


def extended(x: Tensor, multiple: int) -> Tensor:
    """Extend (B, C, H, W) to multiples, below and to the right, by reflection; traced once for all sizes.

    The same as `acutance.tensors.to_multiple` for sides of at least `multiple` pixels.
    """
    for axis in (-2, -1):
        length = x.shape[axis]
        place = torch.arange((length + multiple - 1) // multiple * multiple, device=x.device)
        x = x.index_select(axis, torch.where(place < length, place, 2 * (length - 1) - place).clamp_min(0))
    return x
