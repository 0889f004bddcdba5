"""The progress of several workers: a bar on a terminal, elsewhere a line every ten seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from acutance.cli.console import duration, err, progress_bar, say
from acutance.cli.watching import EVERY


class Pace:
    """Shows how many pictures are done, how many come in a second, and how long the rest takes.

    Args:
        total: pictures. workers: tells how many workers there are now.
    """

    def __init__(self, total: int, workers: Callable[[], int]) -> None:
        self.total, self.count, self.worked = total, 0, 0
        self._workers, self._begun = workers, time.monotonic()
        self._bar = progress_bar()
        self._task = self._bar.add_task("pictures", total=total)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Pace:
        self._begun = time.monotonic()
        self._bar.start()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._bar.stop()
        self._thread.join(1)

    def step(self) -> None:
        """A worker has done one more picture, in whatever way."""
        self.worked += 1
        self.skip(1)

    def skip(self, count: int) -> None:
        """So many more pictures are accounted for without a worker: they were done before."""
        self.count += count
        self._bar.advance(self._task, count)

    @property
    def rate(self) -> float:
        """Pictures a second, of those that workers did."""
        return self.worked / max(time.monotonic() - self._begun, 1e-9)

    def line(self) -> str:
        """The progress as a sentence."""
        workers = self._workers()
        crew = f"{workers} worker{'s' * (workers != 1)}"
        if not self.worked:
            return f"{self.count} of {self.total} pictures, {crew}"
        left = (self.total - self.count) / self.rate
        return f"{self.count} of {self.total} pictures, {self.rate:.3g} a second, about {duration(left)} left, {crew}"

    def _tick(self) -> None:
        while not self._over.wait(1.0 if err.is_terminal else EVERY):
            if not err.is_terminal:
                say(self.line())
            elif self.worked:
                self._bar.update(self._task, description=f"{self.rate:.3g} pictures a second")
