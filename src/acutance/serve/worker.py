"""A worker process: takes an order from a pipe, answers, takes the next.

Messages to the server are (kind, content): ("ready", about), ("taken", None), ("progress", event), ("done", report),
("failed", (kind, message)). Messages from it are an `Order`, "cancel", or the end of the pipe.
"""

from __future__ import annotations

import contextlib
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from acutance.serve.orders import Event, Failed, Order, Report

CANCEL = "cancel"
OOM_SCORE = 500
"""Added to the score by which Linux chooses whom to kill where memory ends: a worker goes before the server."""


class Handler(Protocol):
    """What a worker does with orders."""

    about: dict[str, Any]

    def __call__(self, order: Order, tell: Callable[[Event], None], look: Callable[[], None] = ...) -> Report:
        """Carry out an order.

        Args:
            order: what to do. tell: reports progress. look: looks for a cancel without a report; it may be called
                often. Both raise `Failed` where the order was cancelled.
        """
        ...


Maker = Callable[[int, str, int, tuple[str, ...]], Handler]
"""(threads, device, memory ceiling in bytes or 0, methods to load first) -> handler; runs in the worker."""


def restorations(threads: int, device: str, memory: int, preload: tuple[str, ...]) -> Handler:
    """The handler of the service; imports the library, and with it torch, in the worker only."""
    from acutance.serve.restoration import make

    return make(threads, device, memory, preload)


def main(pipe: Connection, make: Maker, threads: int, device: str, memory: int, preload: tuple[str, ...]) -> None:
    """Run until the pipe ends. An error of an order is its answer; the worker goes on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server says when to end
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    handle = make(threads, device, memory, preload)
    if memory:
        limit_address_space(memory)
    pipe.send(("ready", handle.about))
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            order = pipe.recv()
            if isinstance(order, Order):  # a "cancel" that came too late is dropped
                pipe.send(("taken", None))
                pipe.send(_answer(handle, order, pipe))


def _answer(handle: Handler, order: Order, pipe: Connection) -> tuple[str, Any]:
    cancelled = False  # kept, since somebody may catch what a look raises

    def look() -> None:
        nonlocal cancelled
        cancelled = cancelled or (pipe.poll() and pipe.recv() == CANCEL)
        if cancelled:
            raise Failed("cancelled", "cancelled")

    def tell(event: Event) -> None:
        look()
        pipe.send(("progress", event))

    try:
        return "done", handle(order, tell, look)
    except Failed as failure:
        return "failed", (failure.kind, failure.message)
    except (EOFError, BrokenPipeError):
        raise
    except MemoryError:
        return "failed", ("memory", "not enough memory for this picture; send a smaller one")
    except Exception:
        traceback.print_exc()
        return "failed", ("bug", "an internal error; the log of the service says more")


def limit_address_space(memory: int) -> None:
    """Let allocations fail, instead of the machine, where the worker would have more than `memory` bytes resident.

    What is mapped but not resident now (libraries, a GPU's address space) comes on top.
    """
    try:
        import resource

        pages = Path("/proc/self/statm").read_text().split()
    except (ImportError, OSError):
        return
    mapped, resident = (int(p) * os.sysconf("SC_PAGE_SIZE") for p in pages[:2])
    limit = mapped + max(0, memory - resident)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def resident(pid: int) -> int:
    """Bytes that a process has resident; 0 where that is unknown."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
