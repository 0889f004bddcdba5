"""A run: items go to the workers in chunks, their results come back in any order, a lost worker's items go elsewhere.

The scheduler of Dask decides all of it: who gets what, what is repeated, and what is refused because its workers died.
Here are only the chunks, so that a million names do not wait at the scheduler, and the load of a method once a worker.
"""

from __future__ import annotations

import pickle
import signal
import threading
import uuid
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, islice
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from acutance.errors import AcutanceError, ClusterError

CHUNK = 200
"""Items that are submitted together."""

IN_FLIGHT = 3
"""Chunks that are with the scheduler, at most."""

LISTEN = 0.2
"""Seconds between two looks at whether the run is to stop."""

Item = TypeVar("Item", contravariant=True)
Answer = TypeVar("Answer", covariant=True)


class Load(Protocol[Item, Answer]):
    """Makes what a worker does to an item. It travels to the workers by pickle.

    The function that it returns raises nothing: the answer says what went wrong.
    """

    def __call__(self, number: int) -> Callable[[Item], Answer]:
        """Load it. Args: number: of the worker on its machine, from 0; 0 where workers have no numbers."""
        ...


class Refused(Exception):
    """An item ended its worker as often as the scheduler allows."""


def crew(load: Load[Any, Any], *, own: bool) -> Any:
    """The plugin of Dask that keeps, in each worker, what is loaded once.

    Args:
        load: see `Load`. own: the workers are processes of this command, and a Ctrl-C in its terminal reaches them.
    """
    import cloudpickle
    from distributed import WorkerPlugin

    # As bytes, so that what it imports is loaded with the first item, in a thread: a worker that starts has 30 seconds.
    packed = cloudpickle.dumps(load)

    class Crew(WorkerPlugin):  # type: ignore[misc]
        """`work` is loaded when the first item comes."""

        def setup(self, worker: Any) -> None:
            self.number = worker.name if isinstance(worker.name, int) else 0
            self.lock = threading.Lock()
            self.loaded: Callable[[Any], Any] | None = None
            if own and threading.current_thread() is threading.main_thread():
                for name in ("SIGINT", "SIGHUP"):
                    if hasattr(signal, name):
                        signal.signal(getattr(signal, name), signal.SIG_IGN)

        def work(self, item: bytes) -> Any:
            with self.lock:
                if self.loaded is None:
                    self.loaded = pickle.loads(packed)(self.number)
            return self.loaded(pickle.loads(item))

    return Crew()


def perform(name: str, item: bytes) -> Any:
    """Do one item, pickled; runs in a worker. Args: name: of the plugin that holds what is loaded."""
    from distributed import get_worker

    return get_worker().plugins[name].work(item)


LOST = "the connection to the scheduler is lost"


@contextmanager
def asking() -> Iterator[None]:
    """Ask the scheduler something, inside.

    Raises:
        ClusterError: it does not answer, whatever Dask raises then.
    """
    try:
        yield
    except (Exception, CancelledError) as error:
        raise ClusterError(LOST) from error


@dataclass(frozen=True, eq=False)
class Cluster:
    """A connection to workers. Args: client: of Dask. own: the workers are processes of this command."""

    client: Any
    own: bool = False

    @property
    def workers(self) -> int:
        """Number of workers now; 0 where the scheduler does not answer."""
        try:
            return len(self.client.nthreads())
        except Exception:  # whatever a closing connection raises: this is only told
            return 0

    def run(
        self,
        load: Load[Item, Answer],
        items: Iterable[Item],
        on_answer: Callable[[Item, Answer | Refused], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> list[Item]:
        """Do all items; returns those that were not begun because the run was stopped.

        Args:
            load: makes what is done to an item, once in each worker. items: asked for as they are needed.
            on_answer: hears of each item, in any order, in this thread. stop: whether to begin no further item;
                those at work are finished.

        Raises:
            ClusterError: the connection is lost, or the workers cannot load the work.
        """
        name = f"acutance-{uuid.uuid4().hex[:12]}"
        try:
            self.client.register_plugin(crew(load, own=self.own), name=name)
        except AcutanceError:
            raise
        except Exception as error:
            raise ClusterError(
                f"the workers cannot run this: {type(error).__name__}: {error}; install the same acutance there"
            ) from error
        try:
            return _Run(self.client, name, iter(items), on_answer, stop).all()
        finally:
            with suppress(Exception):
                self.client.unregister_worker_plugin(name)


@dataclass(eq=False)
class _Run(Generic[Item, Answer]):
    """One call of `Cluster.run`."""

    client: Any
    name: str
    waiting: Iterator[Any]
    on_answer: Callable[[Any, Any], None]
    stop: Callable[[], bool]
    flight: dict[Any, Any] = field(default_factory=dict)
    done: SimpleQueue[Any] = field(default_factory=SimpleQueue)
    numbers: Iterator[int] = field(default_factory=count)

    def all(self) -> list[Any]:
        """Submit, listen, until nothing is left."""
        left: list[Any] = []
        stopped = False
        while True:
            if not stopped and self.stop():
                stopped = True
                left = self.withdraw()
            while not stopped and len(self.flight) <= (IN_FLIGHT - 1) * CHUNK and self.submit():
                pass
            if not self.flight:
                return [*left, *self.waiting] if stopped else left
            for future, answer in self.listen():
                if future in self.flight:
                    self.on_answer(self.flight.pop(future), answer)

    def submit(self) -> bool:
        """Send the next chunk; False: there is none."""
        from dask.task_spec import Task

        chunk = list(islice(self.waiting, CHUNK))
        keys = [(self.name, next(self.numbers)) for _ in chunk]
        tasks = {  # a data producer waits at the scheduler until a worker is free
            key: Task(key, perform, self.name, pickle.dumps(item), _data_producer=True)
            for key, item in zip(keys, chunk, strict=True)
        }
        if not tasks:
            return False
        with asking():
            futures = self.client.get(tasks, keys, sync=False)
        for future, item in zip(futures, chunk, strict=True):
            self.flight[future] = item
            future.add_done_callback(self.done.put)
        return True

    def withdraw(self) -> list[Any]:
        """Take back what no worker is at; returns it.

        A worker may begin one of them meanwhile, and finish it unheard: its result is there when the command goes on.
        """
        with asking():
            at_work = {key for keys in self.client.processing().values() for key in keys}
        free = [future for future in self.flight if not future.done() and future.key not in at_work]
        left = [self.flight.pop(future) for future in free]
        self.client.cancel(free)
        return left

    def listen(self) -> list[tuple[Any, Any]]:
        """Return all tasks that have ended; wait a moment for the first.

        Raises:
            ClusterError: the scheduler is lost, or a worker could not load the work.
        """
        ended: list[Any] = []
        with suppress(Empty):
            ended.append(self.done.get(timeout=LISTEN))
            while True:
                ended.append(self.done.get_nowait())
        ended = [future for future in ended if future in self.flight]
        finished = {number: future for number, future in enumerate(ended) if future.status == "finished"}
        with asking():
            answers = self.client.gather(finished, errors="skip") if finished else {}
        for number in finished.keys() - answers.keys():  # lost with its worker, and repeated meanwhile
            finished[number].add_done_callback(self.done.put)
        found = [(finished[number], answer) for number, answer in answers.items()]
        others = (future for number, future in enumerate(ended) if number not in finished)
        return found + [(future, self.trouble(future)) for future in others]

    def trouble(self, future: Any) -> Refused:
        """The reason why a future has no answer.

        Raises:
            ClusterError: it is no fault of the item.
        """
        from distributed import KilledWorker

        if future.status != "error":
            raise ClusterError(LOST)
        with asking():
            error = future.exception()
        if isinstance(error, KilledWorker):
            return Refused(f"its worker died, {error.allowed_failures + 1} times")
        if isinstance(error, AcutanceError):
            raise error
        raise ClusterError(f"a worker cannot do its work: {type(error).__name__}: {error}") from error
