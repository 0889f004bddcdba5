"""The progress of a search for a kernel, told to an observer, which may raise to end it.

    share = done / (done + coming)              done, coming: cost of the parts that were carried out, and that may come

Between two calls of the observer there is less than half a second of computing on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from acutance.problem import Progress, Stage, StageObserver

COSTS = MappingProxyType(
    {"estimating": 2.9, "judging": 1.4, "sparse": 1.0, "polishing": 2.3, "lights": 0.5, "shapes": 2.0, "encoded": 1.6,
     "turning": 7.5, "trying": 3.0}
)  # fmt: skip
"""Parts of a search in their order, and seconds of one core that each took (Xeon of 2.1 GHz, photographs of 0.5 and 6
megapixels), the learned estimator being asked."""

LAST_LEVEL = 0.75
"""Part of its work that an estimator has done at most before its last step at a scale; each scale costs half of the
next."""


class Course:
    """The way through a search.

    Args:
        on_stage: hears of it; None: nobody. parts: names of `COSTS` that may come, in their order.
        slower: how many times as long estimating takes as with the learned estimator.
    """

    def __init__(
        self, on_stage: StageObserver | None = None, parts: Sequence[str] = tuple(COSTS), *, slower: float = 1.0
    ) -> None:
        self.on_stage = on_stage
        self._costs = {part: COSTS[part] * (slower if part == "estimating" else 1.0) for part in parts}
        self._coming, self._done, self._now, self._told = list(parts), 0.0, "", 0.0
        self._piece: tuple[float, float] = (0.0, 1.0)
        self._kernel: tuple[int | None, int, int, int | None] = (None, 0, 0, None)

    def begin(self, part: str) -> None:
        """A part begins; those before it that did not are left out."""
        self._done += self._costs.get(self._now, 0.0)
        self._now, self._coming = part, self._coming[self._coming.index(part) + 1 :]
        self.piece(0.0, 1.0)

    def piece(
        self,
        before: float,
        after: float,
        *,
        size: int | None = None,
        number: int = 0,
        count: int = 0,
        window: int | None = None,
    ) -> None:
        """Begin a piece of the part, between two shares of it; the other arguments: see `Stage`."""
        self._piece, self._kernel = (before, after), (size, number, count, window)
        self.tell(0.0)

    def tell(self, share: float) -> None:
        """So much of the piece is done, in [0, 1]."""
        if self.on_stage is None:
            return
        (before, after), cost = self._piece, self._costs[self._now]
        done = self._done + cost * (before + (after - before) * share)
        whole = self._done + cost + sum(self._costs[part] for part in self._coming)
        self._told = max(self._told, done / whole)
        self.on_stage(Stage(self._now, self._told, *self._kernel))

    def on_level(self, level: int, *, last: bool) -> None:
        """An estimator has gone through a step at a level, 0 the finest."""
        self.tell(1.0 if last else LAST_LEVEL * 0.5**level)

    def on_step(self, progress: Progress) -> None:
        """An observer of a method that is tried, see `acutance.problem.Observer`."""
        self.tell(progress.step / progress.steps)
