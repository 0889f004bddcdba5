"""The workers that a command asks for."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass

from acutance.cluster import connect
from acutance.cluster.run import Cluster


@dataclass(frozen=True)
class Crew:
    """The workers that are asked for.

    Args:
        workers: how many to start on this machine; None: those of a scheduler. address: of the scheduler.
        threads: of the processor for each worker; None: its share of this machine, or what a foreign worker has.
    """

    workers: int | None
    address: str | None = None
    threads: int | None = None

    def connected(self) -> AbstractContextManager[Cluster]:
        """Start them, or connect to them.

        Raises:
            ClusterError: that is not possible.
        """
        return connect.local(self.workers or 1) if self.address is None else connect.at(self.address)

    @property
    def share(self) -> int | None:
        """Threads of a worker."""
        if self.threads is not None or self.workers is None:
            return self.threads
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // self.workers)
