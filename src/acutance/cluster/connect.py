"""The cluster: workers on this machine, or a scheduler that runs already."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from acutance.cluster.run import Cluster
from acutance.errors import ClusterError, MissingExtra

TRIES = 2
"""Workers that a picture may end before it is refused."""

PATIENCE = 30.0
"""Seconds to wait for a scheduler, and for its first worker."""

LOCAL: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": TRIES - 1,
    # A worker holds one picture at a time. If it held the next one as well, that one would be blamed for its end, too.
    "distributed.scheduler.worker-saturation": 1.0,
    # Results are a few lines. What fills the memory is a picture at work, and a worker that pauses never ends it.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.admin.event-loop-monitor-interval": "1s",
}
"""Settings of Dask for the workers of this machine."""


def require() -> None:
    """See that Dask is installed.

    Raises:
        MissingExtra: it is not.
    """
    if find_spec("distributed") is None:
        raise MissingExtra("work on several workers", "cluster")


@contextmanager
def local(workers: int, *, processes: bool = True) -> Iterator[Cluster]:
    """Start workers on this machine, each a process with one thread of Dask's.

    Args:
        workers: how many, 1 or more. processes: False makes them threads of this process, for simulations.

    Raises:
        MissingExtra: Dask is not installed. ClusterError: the workers do not start.
    """
    require()
    import dask
    from distributed import Client, LocalCluster

    with dask.config.set(LOCAL), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the dashboard's usual port may be taken; the address is told anyway
        try:
            machine = LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=processes, dashboard_address="localhost:8787",
                silence_logs=logging.CRITICAL,
            )  # fmt: skip
        except (OSError, RuntimeError, TimeoutError) as error:
            raise ClusterError(f"the workers cannot be started: {error or type(error).__name__}") from error
    try:
        with Client(machine, set_as_default=False) as client:
            yield Cluster(client, own=processes)
    finally:
        machine.close(timeout=5)


@contextmanager
def at(address: str, *, patience: float = PATIENCE) -> Iterator[Cluster]:
    """Connect to a scheduler.

    Args:
        address: of the scheduler, as tcp://host:8786. patience: seconds to wait for it, and for its first worker.

    Raises:
        MissingExtra: Dask is not installed. ClusterError: nobody answers there, or the scheduler has no worker.
    """
    require()
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=math.ceil(patience), set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(f"no scheduler answers at {address}; start one with: dask scheduler") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=math.ceil(patience))
        except (OSError, TimeoutError):
            raise ClusterError(
                f"the scheduler at {address} has no worker; start one with: dask worker {address} --nthreads 1"
            ) from None
        yield Cluster(client)


def dashboard(cluster: Cluster) -> str:
    """The address of Dask's pages: plots where bokeh is installed, else tables."""
    link = str(cluster.client.dashboard_link)
    return link if find_spec("bokeh") is not None else link.removesuffix("status") + "info/main/workers.html"
