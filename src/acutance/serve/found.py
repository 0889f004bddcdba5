"""Searches for a kernel whose outcome is kept, so that the next question about the same picture needs none."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from acutance.blind.base import Estimate
from acutance.blind.method import Blind
from acutance.problem import Problem
from acutance.restoration.restorer import Restorer
from acutance.serve.orders import Order

KEPT = 8
"""Searches that a worker remembers; the one not asked for for longest goes first. They are kernels, no pictures."""


@dataclass(frozen=True, eq=False)
class Found(Blind):
    """`blind` that estimates once, and with its own method. Args: plain: it. memory: its estimate, or empty."""

    plain: Blind
    memory: list[Estimate] = field(default_factory=list)

    @staticmethod
    def of(plain: Blind, memory: list[Estimate] | None = None) -> Found:
        """The same method, which takes its estimate from `memory`, and puts it there."""
        kept = [] if memory is None else memory
        return Found(plain.config, plain.method, plain.otherwise, plain, kept, on_stage=plain.on_stage)

    def estimate(self, problem: Problem, index: int = 0) -> Estimate:
        """See `Blind.estimate`."""
        if not self.memory:
            self.memory.append(self.plain.watched(self.on_stage).estimate(problem, index))
        return self.memory[0]


class Searches:
    """The outcomes of the last searches."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], list[Estimate]] = OrderedDict()

    def remembering(self, restorer: Restorer, order: Order) -> Restorer:
        """The restorer, whose search is left out where the same method has searched this picture with this mask.

        The noise level, the strength and what is done with the result do not matter to a search.
        """
        method = restorer.method
        if not isinstance(method, Blind):
            return restorer
        files = tuple(None if name is None else _digest(order, name) for name in (order.picture, order.mask))
        key = (*files, method.config, order.options.quality, order.options.preview)
        memory = self._kept.setdefault(key, [])
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return replace(restorer, method=Found.of(method, memory))


def _digest(order: Order, name: str) -> bytes:
    with (order.folder / name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
