"""Folders on several workers, measured: seconds, hashes, what was lost and what was done twice, with things killed.

Each run is the command `acutance restore` in a process of its own, on the same small pictures.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from acutance.cluster import connect
from acutance.errors import DataError
from acutance.images import write_image
from acutance_lab.bench.tables import markdown

JOURNAL = ".acutance.jsonl"
RESTORE = ("--gaussian", "1.2", "--exact", "--sigma", "1%", "--threads", "1")


@dataclass(frozen=True)
class Seen:
    """A run of the command.

    Args:
        name: of the run. seconds: from its start to its end. status: exit status. restored, done, failed, left:
            pictures, as its last lines say. results: files that are there. lines: of the journal, each of another
            picture. digest: of the names and the bytes of all results.
    """

    name: str
    seconds: float
    status: int
    restored: int
    done: int
    failed: int
    left: int
    results: int
    lines: int
    digest: str


def make_pictures(folder: Path, count: int, side: int) -> None:
    """Write small colour pictures of noise and edges, the same every time."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(1)
    for number in range(count):
        coarse = torch.rand(1, 3, 4, 4, generator=generator)
        picture = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)
        write_image(folder / f"{number:05d}.png", 0.1 + 0.7 * picture.clamp(0, 1))


class Runs:
    """The runs of one measurement. Args: folder: for all files; replaced. method: of the command. count, side."""

    def __init__(self, folder: Path, method: str, count: int, side: int) -> None:
        if folder.exists():
            raise DataError(f"{folder} is there already; name a folder that is not")
        self.folder, self.method, self.count = folder, method, count
        make_pictures(folder / "in", count, side)

    def command(self, output: str, *options: str) -> list[str]:
        """The command that writes the results to a folder."""
        where = ["restore", str(self.folder / "in"), "-o", str(self.folder / output)]
        return [sys.executable, "-m", "acutance", *where, "--method", self.method, *RESTORE, *options]

    def run(self, name: str, output: str, *options: str, middle: Callable[[], None] | None = None) -> Seen:
        """Run it. Args: middle: called when a third of the results is there."""
        begun = time.monotonic()
        with subprocess.Popen(self.command(output, *options), stderr=subprocess.PIPE, text=True) as process:
            if middle is not None:
                while process.poll() is None and len(self.results(output)) < self.count // 3:
                    time.sleep(0.1)
                middle()
            said = process.communicate()[1]
        seconds = time.monotonic() - begun
        restored, done, failed, left = (
            _count(said, each) for each in ("restored", "done already", "failed", "not begun")
        )
        files = self.results(output)
        return Seen(
            name,
            seconds,
            process.returncode,
            restored,
            done,
            failed,
            left,
            len(files),
            self.journal(output),
            digest(files),
        )

    def results(self, output: str) -> list[Path]:
        """Files of results, by name."""
        return sorted((self.folder / output).glob("*.png"))

    def journal(self, output: str) -> int:
        """Different pictures in the journal.

        Raises:
            DataError: one stands there twice.
        """
        lines = [json.loads(line)["key"] for line in (self.folder / output / JOURNAL).read_text().splitlines()]
        if len(lines) != len(set(lines)):
            raise DataError(f"{len(lines) - len(set(lines))} pictures stand in the journal of {output} twice")
        return len(lines)

    def all(self) -> Iterator[Seen]:
        """One process; two workers; two with one killed; a scheduler that is killed, and the same command again."""
        yield self.run("1 process", "alone")
        yield self.run("2 workers", "two", "--workers", "2")
        with connect.local(2) as cluster:
            victim = next(iter(cluster.client.run(os.getpid).values()))
            at = ("--cluster", str(cluster.client.scheduler.address))
            yield self.run("2 workers, 1 killed", "killed", *at, middle=lambda: os.kill(victim, signal.SIGKILL))
        with own_cluster(self.folder, 2) as (address, scheduler):
            at = ("--cluster", address)
            yield self.run("scheduler killed", "restarted", *at, middle=scheduler.kill)
            self.before = {path: path.stat().st_mtime_ns for path in self.results("restarted")}
        with own_cluster(self.folder, 2) as (address, _):
            yield self.run("the same command again", "restarted", "--cluster", address)

    def touched(self) -> int:
        """Results of the run whose scheduler was killed that the second command wrote once more."""
        return sum(path.stat().st_mtime_ns != moment for path, moment in self.before.items())


def _count(said: str, word: str) -> int:
    found = re.findall(rf"(\d+) {word}", said)
    return int(found[-1]) if found else 0


def digest(files: Sequence[Path]) -> str:
    """Sixteen digits for the names and the bytes of files."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.name.encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()[:16]


@contextmanager
def own_cluster(folder: Path, workers: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler and workers, each started by its own command, as on several machines; gives the address too."""
    environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    address_file = folder / "scheduler.json"
    address_file.unlink(missing_ok=True)
    module = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(address_file)]
    scheduler = subprocess.Popen([*module, *options], **quiet)  # type: ignore[call-overload]
    others = []
    try:
        deadline = time.monotonic() + 120
        while not address_file.exists():
            if scheduler.poll() is not None or time.monotonic() > deadline:
                raise DataError("the scheduler does not start; is distributed installed?")
            time.sleep(0.1)
        time.sleep(0.2)
        address = str(json.loads(address_file.read_text())["address"])
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
        others = [subprocess.Popen(worker, **quiet) for _ in range(workers)]  # type: ignore[call-overload]
        yield address, scheduler
    finally:
        for process in (*others, scheduler):
            process.terminate()
        for process in (*others, scheduler):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder / "dask-scratch-space", ignore_errors=True)


def runs_table(seen: Sequence[Seen]) -> str:
    """A line for each run."""
    first = seen[0]
    head = ["run", "seconds", "pictures/s", "status", "restored", "done before", "not begun", "failed", "results",
            "journal", "bytes"]  # fmt: skip
    return markdown(
        head,
        [
            [each.name, f"{each.seconds:.1f}", f"{(each.restored) / each.seconds:.1f}", str(each.status),
             *map(str, (each.restored, each.done, each.left, each.failed, each.results, each.lines)),
             "the same" if each.digest == first.digest else each.digest]
            for each in seen
        ],
    )  # fmt: skip


@dataclass(frozen=True)
class Sleep:
    """Work that only waits. Args: seconds: for each item."""

    seconds: float

    def __call__(self, number: int) -> Callable[[int], None]:
        """See `acutance.cluster.run.Load`."""
        return lambda item: time.sleep(self.seconds)


@dataclass(frozen=True)
class Overhead:
    """Cost of a cluster. Args: workers: simulated. items: done. seconds: all of it. ideal: without any cost."""

    workers: int
    items: int
    seconds: float
    ideal: float

    @property
    def each(self) -> float:
        """Seconds of cost for each item."""
        return (self.seconds - self.ideal) / self.items


def overheads(sizes: Sequence[int], seconds: float, each: int) -> Iterator[Overhead]:
    """Measure the cost of handing out items, with workers that are threads of this process and only sleep.

    Args:
        sizes: numbers of workers. seconds: that an item sleeps. each: items for each worker.
    """
    for workers in sizes:
        with connect.local(workers, processes=False) as cluster:
            cluster.run(Sleep(0.0), range(2 * workers), lambda *_: None)
            begun = time.monotonic()
            cluster.run(Sleep(seconds), range(workers * each), lambda *_: None)
            yield Overhead(workers, workers * each, time.monotonic() - begun, each * seconds)


def overhead_table(found: Sequence[Overhead]) -> str:
    """A line for each number of workers."""
    head = ["workers", "items", "seconds", "without cost", "cost, ms/item", "items/s", "at work"]
    return markdown(
        head,
        [
            [str(o.workers), str(o.items), f"{o.seconds:.2f}", f"{o.ideal:.2f}", f"{1000 * o.each:.2f}",
             f"{o.items / o.seconds:.0f}", f"{100 * o.ideal / o.seconds:.0f} %"]
            for o in found
        ],
    )  # fmt: skip
