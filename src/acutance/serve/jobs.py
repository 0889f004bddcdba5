"""Jobs: accepted pictures, their progress, and their results for as long as these are kept.

Everything here runs in the thread of the event loop; only `Job.from_keeper` is called from others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acutance.serve.orders import Event, Failed, Full, Order, Report
from acutance.serve.pool import Pool, Ticket
from acutance.serve.settings import Limits

PREFIX = "acutance-serve-"
LEASE = 10.0
"""Seconds that a job with `attended` runs while nobody listens to it."""


class Job:
    """One accepted picture.

    Args:
        id: cannot be guessed. order: what is done. attended: it stops where nobody listens to its events.
    """

    def __init__(self, id: str, order: Order, *, attended: bool = False) -> None:
        self.id, self.order, self.attended = id, order, attended
        self.listeners, self.heard = 0, False
        self.state, self.event = "queued", Event()
        self.report: Report | None = None
        self.failure: Failed | None = None
        self.ticket: Ticket | None = None
        self.loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        self.changed = asyncio.Event()
        self.finished_at = 0.0
        self._phase_began, self._phase_step = time.monotonic(), 0

    def from_keeper(self, event: Event) -> None:
        """Progress, from the thread of a worker's keeper."""
        self.loop.call_soon_threadsafe(self._progress, event)

    def _progress(self, event: Event) -> None:
        if event.get("phase") != self.event.get("phase"):
            self._phase_began, self._phase_step = time.monotonic(), event.get("step", 0)
        self.state, self.event = "running", event
        self._announce()

    def settle(self) -> None:
        """Take over what became of the order."""
        assert self.ticket is not None
        error = self.ticket.future.exception()
        if error is None:
            self.state, self.report = "done", self.ticket.future.result()
        else:
            self.failure = error if isinstance(error, Failed) else Failed("bug", "an internal error")
            self.state = "cancelled" if self.failure.kind == "cancelled" else "failed"
        self.finished_at = time.monotonic()
        self.ended.set()
        self._announce()

    def _announce(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def description(self) -> dict[str, Any]:
        """As the client sees it."""
        told: dict[str, Any] = {"id": self.id, "task": self.order.task, "state": self.state}
        if self.state == "running":
            told |= self.event
            step, steps = self.event.get("step", 0), self.event.get("steps", 0)
            gone = step - self._phase_step
            if gone > 0:
                told["seconds_left"] = round((time.monotonic() - self._phase_began) / gone * (steps - step), 1)
        if self.failure is not None:
            told |= {"error": self.failure.message, "kind": self.failure.kind}
        if self.report is not None:
            told |= {"report": public(self.report), "links": links(self.id, self.report)}
        return told


FILES = {
    "picture": "picture", "shown": "shown", "shown_before": "before", "kernel": "kernel.npy",
    "kernel_picture": "kernel.png", "candidates_before": "candidate-0.png",
    "report": "report", "unsupported": "unsupported.png", "sidecar": "sidecar",
    **{f"iterate_{n}": f"iterate-{n}" for n in range(1, 13)},
    **{f"iterate_{n}_shown": f"iterate-{n}-shown" for n in range(1, 13)},
    **{f"candidate_{n}": f"candidate-{n}.npy" for n in range(1, 5)},
    **{f"candidate_{n}_kernel": f"candidate-{n}-kernel.png" for n in range(1, 5)},
    **{f"candidate_{n}_picture": f"candidate-{n}.png" for n in range(1, 5)},
}  # fmt: skip
"""Entries of a report that name files, and the last part of their address."""


def public(report: Report) -> Report:
    """A report without the names of files."""
    return {key: value for key, value in report.items() if key not in FILES}


def links(id: str, report: Report) -> dict[str, str]:
    """Where the files of a job are."""
    return {key: f"/v1/jobs/{id}/{FILES[key]}" for key in FILES if key in report}


class Store:
    """The jobs that are kept, in a private folder that is removed at the end.

    Args:
        pool: carries them out. limits: of the service.
    """

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self.pool, self.limits = pool, limits
        self._jobs: dict[str, Job] = {}
        remove_left_over()
        self.root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))

    def folder(self) -> Path:
        """A new private folder for one order."""
        folder = self.root / secrets.token_urlsafe(16)
        folder.mkdir(mode=0o700)
        return folder

    def add(self, order: Order, *, attended: bool = False) -> Job:
        """Queue an order, whose folder now belongs to the job. `attended`: see `Job`.

        Raises:
            Full, Failed: see `Pool.submit`.
        """
        self.expire()
        if len(self._jobs) >= self.limits.kept + self.limits.queue + self.pool.settings.workers:
            raise Full(self.pool.wait)
        job = Job(order.folder.name, order, attended=attended)
        job.ticket = self.pool.submit(order, job.from_keeper)
        job.ticket.future.add_done_callback(lambda _: self._settled(job))
        self._jobs[job.id] = job
        self._left_alone(job)
        return job

    @contextlib.contextmanager
    def listening(self, job: Job) -> Iterator[None]:
        """Somebody hears of the job meanwhile."""
        job.listeners, job.heard = job.listeners + 1, True
        try:
            yield
        finally:
            job.listeners -= 1
            self._left_alone(job)

    def _left_alone(self, job: Job) -> None:
        """Stop the job, and forget one that ended, where nobody comes to hear of it though it is to be attended."""

        def check() -> None:
            if not job.listeners and not (job.heard and job.ended.is_set()):
                self.remove(job)

        if job.attended and not job.listeners:
            job.loop.call_later(LEASE, check)

    @staticmethod
    def _settled(job: Job) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed already: nobody is left to be told
            job.loop.call_soon_threadsafe(job.settle)

    def get(self, id: str) -> Job | None:
        """A job that is kept."""
        self.expire()
        return self._jobs.get(id)

    def remove(self, job: Job) -> None:
        """Stop a job if it still runs, and forget it and its files."""
        self._jobs.pop(job.id, None)
        if job.ticket is not None and not job.ticket.future.done():
            job.ticket.cancel()
            job.ticket.future.add_done_callback(lambda _: shutil.rmtree(job.order.folder, ignore_errors=True))
        else:
            shutil.rmtree(job.order.folder, ignore_errors=True)

    def expire(self) -> None:
        """Forget jobs that ended long ago, and the oldest where there are too many."""
        ended = sorted((j for j in self._jobs.values() if j.ended.is_set()), key=lambda j: j.finished_at)
        old = [j for j in ended if time.monotonic() - j.finished_at > self.limits.keep]
        too_many = ended[: max(0, len(ended) - self.limits.kept)]
        for job in {*old, *too_many}:
            self.remove(job)

    @property
    def kept(self) -> int:
        """How many jobs there are."""
        return len(self._jobs)

    def close(self) -> None:
        """Remove every file."""
        shutil.rmtree(self.root, ignore_errors=True)


def remove_left_over() -> None:
    """Remove the folders of services of this user that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        match = re.fullmatch(rf"{PREFIX}(\d+)-.*", folder.name)
        with contextlib.suppress(OSError):
            if match and folder.stat().st_uid == os.getuid() and not _alive(int(match[1])):
                shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
