"""Worker processes and the bounded queue before them.

Each worker has a thread in the server, its keeper, that starts the process, hands it orders, listens, and replaces it
when it dies or has to be killed. What happens to one order never reaches another.
"""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import multiprocessing.connection
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from acutance.serve import worker
from acutance.serve.orders import Event, Failed, Full, Kind, Order, Report
from acutance.serve.settings import Settings

LOOK = 0.1
"""Seconds between two looks at a running worker: its memory, the deadline, a cancellation."""
GRACE = 0.75
"""Seconds that a cancelled worker has to stop by itself before it is killed. With two times `LOOK` it is below 1 s."""
PIECE_GRACE = 15.0
"""The same for a piece of a picture, and for a look at it: it stops by itself sooner than a new worker would be up."""
START = 180.0
"""Seconds that a worker may take to load its methods."""
MOST_BACKOFF = 30.0
"""Seconds between two starts of a worker that does not come up, at most."""

log = logging.getLogger("acutance.serve")


class Ticket:
    """An accepted order: its future, and the way to cancel it."""

    def __init__(self, order: Order, deadline: float, on_event: Callable[[Event], None] | None) -> None:
        self.order, self.deadline, self.on_event = order, deadline, on_event
        self.future: Future[Report] = Future()
        self.accepted = time.monotonic()
        self.stop: Failed | None = None

    def cancel(self, kind: Kind = "cancelled", message: str = "cancelled") -> None:
        """Take it from the queue, or stop its worker; its future then fails with this."""
        self.stop = self.stop or Failed(kind, message)

    def tell(self, event: Event) -> None:
        """Hand on an event; a listener that fails is no matter of the pool."""
        if self.on_event is not None:
            try:
                self.on_event(event)
            except Exception:
                log.exception("a listener failed")

    def overdue(self) -> bool:
        """Cancel it where its deadline is past; whether it is to stop."""
        if self.stop is None and time.monotonic() - self.accepted > self.deadline:
            self.cancel("deadline", f"it took longer than the limit of {self.deadline:g} s; send a smaller picture")
        return self.stop is not None

    def finish(self, outcome: Report | Failed) -> None:
        """Settle the future, once."""
        if not self.future.done():
            if isinstance(outcome, Failed):
                self.future.set_exception(outcome)
            else:
                self.future.set_result(outcome)


class Process:
    """A running worker. Waits until it is ready, unless `given_up` says that it is no longer wanted.

    Raises:
        Failed: it did not come up.
    """

    def __init__(
        self, make: worker.Maker, settings: Settings, slot: int, given_up: Callable[[], bool] = lambda: False
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        device = settings.devices[slot % len(settings.devices)]
        arguments = (theirs, make, settings.threads, device, settings.limits.memory, settings.preload)
        self.process = context.Process(target=worker.main, args=arguments, name=f"acutance-worker-{slot}", daemon=True)
        self.process.start()
        theirs.close()
        self.about: dict[str, Any] = {}
        message, end = self.receive(LOOK), time.monotonic() + START
        while message is None and time.monotonic() < end and not given_up():
            message = self.receive(LOOK)
        kind, content = message or ("late", None)
        if kind != "ready":
            self.kill()
            raise Failed("crash", "a worker did not start")
        self.about = content or {}

    def receive(self, seconds: float) -> tuple[str, Any] | None:
        """The next message; None where there is none in that time; ("died", exit code) where there will be none."""
        ready = multiprocessing.connection.wait([self.pipe, self.process.sentinel], seconds)
        if self.pipe in ready:
            with contextlib.suppress(EOFError, OSError):
                message: tuple[str, Any] = self.pipe.recv()
                return message
        if ready:
            self.process.join(GRACE)
            return "died", self.process.exitcode
        return None

    def send(self, message: Order | str) -> bool:
        """Whether the worker could be told."""
        try:
            self.pipe.send(message)
        except (OSError, ValueError):
            return False
        return True

    def kill(self) -> None:
        """End it now."""
        self.process.kill()
        self.process.join(5)
        self.pipe.close()

    def end(self) -> None:
        """Close its pipe, at which it ends by itself; else kill it."""
        self.pipe.close()
        self.process.join(GRACE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(5)


class Pool:
    """Workers and their queue.

    Args:
        settings: see there. make: builds the handler, in the worker; a function of a module, so that it travels.
    """

    def __init__(self, settings: Settings, make: worker.Maker) -> None:
        self.settings, self.make = settings, make
        self.restarts, self.closing = 0, False
        self._queue: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._workers: dict[int, Process] = {}
        self._running: dict[int, Ticket] = {}
        self._recent: deque[float] = deque(maxlen=20)
        self._keepers = [threading.Thread(target=self._keep, args=(i,), daemon=True) for i in range(settings.workers)]

    def start(self) -> None:
        """Start the workers; returns at once."""
        for keeper in self._keepers:
            keeper.start()

    def submit(self, order: Order, on_event: Callable[[Event], None] | None = None) -> Ticket:
        """Put an order into the queue. `on_event` is called from another thread.

        Raises:
            Full: the queue is full. Failed: the service is ending.
        """
        ticket = Ticket(order, self.settings.limits.deadline, on_event)
        with self._changed:
            if self.closing:
                raise Failed("closing", "the service is ending; try again in a moment")
            if self.full:
                raise Full(self.wait)
            self._queue.append(ticket)
            self._changed.notify()
        return ticket

    @property
    def full(self) -> bool:
        """Whether the next order would be refused."""
        idle = self.settings.workers - len(self._running)
        return len(self._queue) >= self.settings.limits.queue + idle

    @property
    def wait(self) -> int:
        """Seconds until a place in the queue is likely to be free, 1 to 120."""
        each = sum(self._recent) / len(self._recent) if self._recent else 5.0
        return min(120, max(1, math.ceil(each / self.settings.workers)))

    @property
    def queued(self) -> int:
        """Orders that wait."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Orders that are being worked on."""
        return len(self._running)

    @property
    def ready(self) -> int:
        """Workers that are up."""
        return len(self._workers)

    @property
    def about(self) -> dict[str, Any]:
        """What a worker says of itself; {} before the first is up."""
        return next((w.about for w in list(self._workers.values())), {})

    def pids(self) -> list[int]:
        """Process ids of the workers that are up."""
        return [w.process.pid for w in list(self._workers.values()) if w.process.pid is not None]

    def close(self, grace: float = 60.0) -> None:
        """Refuse new orders, finish the accepted ones for up to `grace` seconds, stop the rest, end the workers."""
        with self._changed:
            self.closing = True
            self._changed.notify_all()
        end = time.monotonic() + grace
        for keeper in self._keepers:
            keeper.join(max(0.0, end - time.monotonic()))
        with self._changed:
            for ticket in (*self._queue, *self._running.values()):
                ticket.cancel("closing", "the service ended before the picture was finished")
        for keeper in self._keepers:
            keeper.join(5 * GRACE + 5)

    # -- keepers ------------------------------------------------------------------------------------------------------

    def _keep(self, slot: int) -> None:
        failures = 0
        while True:
            process = self._workers.get(slot)
            if process is None:
                try:
                    process = self._workers[slot] = Process(self.make, self.settings, slot, self._nothing_left)
                    failures = 0
                except (Failed, OSError) as error:
                    if self._nothing_left():
                        return
                    failures += 1
                    log.error("worker %d: %s", slot, error)
                    if self._idle_until(time.monotonic() + min(MOST_BACKOFF, 2.0**failures)):
                        return
                    continue
            ticket = self._next(process)
            if ticket is not None:
                self._running[slot] = ticket
                try:
                    alive = self._carry_out(process, ticket)
                finally:
                    self._running.pop(slot, None)
            elif process.process.is_alive():  # nothing to do any more
                self._workers.pop(slot).end()
                return
            else:
                alive = False
            if not alive:
                self.restarts += 1
                self._workers.pop(slot).kill()
                log.warning("worker %d is replaced", slot)

    def _nothing_left(self) -> bool:
        return self.closing and not self._queue

    def _idle_until(self, moment: float) -> bool:
        """Wait while no worker is up; whether the pool is closing and nothing is left to do."""
        while time.monotonic() < moment:
            with self._changed:
                self._drop_stopped()
                if self._nothing_left():
                    return True
                self._changed.wait(LOOK)
        return False

    def _next(self, process: Process) -> Ticket | None:
        """The next order, or None where the worker died or the pool is closing."""
        while process.process.is_alive():
            with self._changed:
                self._drop_stopped()
                if self._queue:
                    return self._queue.popleft()
                if self.closing:
                    return None
                self._changed.wait(LOOK)
        return None

    def _drop_stopped(self) -> None:
        for ticket in [t for t in self._queue if t.overdue()]:
            self._queue.remove(ticket)
            ticket.finish(ticket.stop or Failed("cancelled", "cancelled"))

    def _put_back(self, ticket: Ticket) -> bool:
        """For another worker: this one died before it saw the order, which is therefore not to blame."""
        with self._changed:
            self._queue.appendleft(ticket)
        return False

    def _carry_out(self, process: Process, ticket: Ticket) -> bool:
        """Whether the worker may go on."""
        if not process.send(ticket.order):
            return self._put_back(ticket)
        begun, told, taken = time.monotonic(), math.inf, False
        is_short = ticket.order.options.preview is not None or ticket.order.task == "look"
        grace = PIECE_GRACE if is_short else GRACE
        while True:
            message = process.receive(LOOK)
            with self._changed:
                self._drop_stopped()
            taken = taken or (message is not None and message[0] == "taken")
            if message is not None and message[0] == "progress":
                ticket.tell(message[1])
            elif message is not None and message[0] == "done":
                self._recent.append(time.monotonic() - begun)
                ticket.finish(message[1])
                return True
            elif message is not None and message[0] == "failed":
                ticket.finish(ticket.stop or Failed(*message[1]))
                return True
            elif message is not None and message[0] == "died":
                if not taken and ticket.stop is None:
                    return self._put_back(ticket)
                ticket.finish(ticket.stop or _died(message[1]))
                return False
            if ticket.overdue() and told == math.inf:
                told = time.monotonic()
                process.send(worker.CANCEL)
            ceiling = self.settings.limits.memory
            if ceiling and worker.resident(process.process.pid or 0) > ceiling:
                ticket.cancel("memory", "not enough memory for this picture; send a smaller one")
                told = -math.inf
            if ticket.stop is not None and time.monotonic() - told > grace:
                ticket.finish(ticket.stop)
                return False


def _died(code: object) -> Failed:
    log.error("a worker died, exit code %s", code)
    return Failed("crash", "the process that restored this picture died; other pictures are not affected")
