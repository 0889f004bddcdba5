"""End a run cleanly on SIGTERM, SIGINT or SIGHUP: it is saved, scored, and leaves its row in the ledger."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType

logger = logging.getLogger(__name__)


class Stopping:
    """A context in which the first signal sets `asked`; a second one ends the program as it would without it.

    Outside the main thread, where Python takes no signals, `asked` stays False.

    Example:
        >>> with Stopping() as stop:
        ...     stop.asked
        False
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGTERM", "SIGINT", "SIGHUP"):
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._restore()
        logger.warning("%s: the run ends after this update; once more ends it at once", signal.Signals(number).name)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}
