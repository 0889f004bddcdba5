"""Signals: Ctrl-C, and what a system sends to end a program, finish the current picture of a batch; again, at once."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, ClassVar


class Stopped(KeyboardInterrupt):
    """The program is to end at once."""


class Stopping:
    """While entered, catches SIGINT, SIGTERM and SIGHUP where they are not ignored (nohup).

    Args:
        graceful: the first signal is only noted in `number`, the second raises; else the first raises.
    """

    last: ClassVar[int | None] = None
    """The signal that ended something at once."""

    def __init__(self, *, graceful: bool) -> None:
        self.graceful = graceful
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether no further picture is to be begun."""
        return self.number is not None

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.graceful and self.number is None:
            self.number = number
            with suppress(OSError):  # straight to the terminal: a signal may come in the middle of any printing
                os.write(2, b"\nstopping when this picture is done; once more to stop at once\n")
            return
        Stopping.last = number
        raise Stopped(signal.Signals(number).name)
