"""Folders on several workers: each loads the method once, restores what it is sent, and answers in a few lines.

Only this program, not its workers, writes the journals, prints, and keeps the tally. A picture that was restored by a
worker that died before it could say so is recognised by its result.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import torch

from acutance import __version__
from acutance.blind.guess import Guess
from acutance.cli.addresses import staged
from acutance.cli.batch import AlreadyDone, Batch, LeftOut, Settings, check_not_done, explained, make_folder
from acutance.cli.console import escape, say
from acutance.cli.crew import Crew
from acutance.cli.journal import Journals, state_of
from acutance.cli.pace import Pace
from acutance.cli.profiles import ProfileUse
from acutance.cli.reporting import Report, report_done, report_error, report_skipped
from acutance.cli.stopping import Stopping
from acutance.cli.tally import Tally
from acutance.cli.targets import Job
from acutance.cli.watching import Watch
from acutance.cluster import connect
from acutance.cluster.run import Refused
from acutance.cluster.store import address_of, is_address
from acutance.errors import AcutanceError, ClusterError, OutputError
from acutance.images.atomic import remove_old_parts
from acutance.images.kernel_file import KernelFile
from acutance.psf.files import FieldFile
from acutance.restoration.restorer import Restorer


@dataclass(frozen=True)
class Order:
    """A picture for a worker. Args: job: which. judged: tell whether the kernel seems to be turned."""

    job: Job
    judged: bool = False


@dataclass(frozen=True)
class Answer:
    """The outcome of one picture.

    Args:
        what: its place in the tally. state: of its source, as it was read. why: it was skipped, or failed.
        report: what to say of a restored one. remarks: on the kernel.
    """

    what: Literal["restored", "done", "skipped", "failed"]
    state: str
    why: str = ""
    report: Report | None = None
    remarks: tuple[str, ...] = ()

    def at(self, job: Job, copies: Job) -> Answer:
        """The same of the files at addresses. Args: job: theirs. copies: that were worked on."""
        names = {str(copies.source): address_of(job.source), str(copies.target): address_of(job.target)}
        why = self.why
        for local, there in names.items():
            why = why.replace(local, there)
        if self.report is None:
            return replace(self, why=why)
        record = {**self.report.record, "picture": address_of(job.source), "result": address_of(job.target)}
        return replace(self, why=why, report=replace(self.report, job=job, record=record))


@dataclass(frozen=True)
class Recipe:
    """All that a worker needs to restore pictures as this program does.

    Args:
        loading: arguments of `Restorer.load`. psf, settings, guess, profile: see `Batch`. weights: their version here.
        threads: of the processor; None: as they are there. version: of Acutance here.
    """

    loading: Mapping[str, Any]
    psf: KernelFile | FieldFile | None
    settings: Settings
    guess: Guess | None
    weights: str | None
    threads: int | None = None
    version: str = __version__
    profile: ProfileUse | None = None

    @staticmethod
    def of(batch: Batch, threads: int | None) -> Recipe:
        """The recipe of a batch. Its files get their whole path, as a worker may run in another folder."""
        loading, weights = dict(batch.loading), batch.loading.get("weights")
        if weights is not None and os.path.lexists(weights):
            loading["weights"] = weights.absolute()
        settings = replace(batch.settings, journal=False, check_orientation=False)
        return Recipe(loading, batch.psf, settings, batch.guess, batch.restorer.weights, threads, profile=batch.profile)

    def __call__(self, number: int) -> Callable[[Order], Answer]:
        """Load the method, in a worker. Args: number: of the worker; on a machine with several GPUs it says which.

        Raises:
            ClusterError: the worker has another version of Acutance, or of the weights.
        """
        if self.version != __version__:
            raise ClusterError(f"a worker has acutance {__version__}, and this is {self.version}; install the same")
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        loading, gpus = dict(self.loading), torch.cuda.device_count()
        if loading.get("device") == "auto" and gpus > 1:
            loading["device"] = f"cuda:{number % gpus}"
        restorer = Restorer.load(**loading)
        if restorer.weights != self.weights:
            raise ClusterError(f"a worker has the weights {restorer.weights}, and here they are {self.weights}")
        return lambda order: self.restored(restorer, order)

    def restored(self, restorer: Restorer, order: Order) -> Answer:
        """Restore a picture; whatever happens is in the answer."""
        if not is_address(order.job.source):
            return self.local(restorer, order, order.job)
        try:
            with staged(order.job) as job:
                answer = self.local(restorer, order, job)
        except AcutanceError as error:  # the store
            return Answer("failed", "", str(error))
        return answer.at(order.job, job)

    def local(self, restorer: Restorer, order: Order, job: Job) -> Answer:
        """The same for files of this machine. Args: job: that of the order, or copies."""
        remarks = list[str]()
        settings = replace(self.settings, check_orientation=order.judged)
        batch = Batch(restorer, self.psf, settings, self.guess, tell=remarks.append, profile=self.profile)
        state = state_of(job.source)
        try:
            make_folder(job.target.parent)
            check_not_done(job, state, None, settings)
            try:
                report = batch.make(job, _Deaf(1))
            except OutputError:
                check_not_done(job, state, None, settings)  # a worker that was given up may have finished it meanwhile
                raise
            return Answer("restored", state, report=report, remarks=tuple(remarks))
        except AlreadyDone:
            return Answer("done", state)
        except LeftOut as why:
            return Answer("skipped", state, str(why))
        except Exception as error:  # whatever one picture does, the others are restored
            return Answer("failed", state, explained(error, job))


class _Deaf(Watch):
    """A watch that prints nothing."""

    def announce(self, what: str) -> None:
        pass


def run_on_workers(jobs: Sequence[Job], batch: Batch, tally: Tally, crew: Crew) -> None:
    """Restore the pictures on workers, and note in `tally` what became of each.

    A signal lets the pictures at work be finished; the rest is noted as left.

    Raises:
        ClusterError: there are no workers, or the connection to them was lost; what was finished is in `tally`.
    """
    jobs = jobs if crew.address is None else [job if is_address(job.source) else _absolute(job) for job in jobs]
    run, folders = _Run(batch, tally), list(dict.fromkeys(job.target.parent for job in jobs))
    _remove_parts(folders)
    orders = run.orders(jobs)
    first = next(orders, None)
    if first is None:
        return
    with Stopping(graceful=True) as stopping, crew.connected() as cluster:
        workers = cluster.workers
        plural = "s" if workers != 1 else ""
        say(f"{workers} worker{plural}; Dask's pages: {escape(connect.dashboard(cluster))}")
        with Pace(len(jobs), lambda: cluster.workers) as run.pace:
            run.pace.skip(len(run.known))
            try:
                recipe = Recipe.of(batch, crew.share)
                left = cluster.run(recipe, chain([first], orders), run.on_answer, lambda: stopping.requested)
                tally.left.extend(order.job.source for order in left)
            except ClusterError as error:
                tally.left.extend(job.source for job in jobs if job not in run.known)
                tally.tell()
                raise ClusterError(f"{error}; what was finished is kept, and the same command goes on") from error
        tally.signal = stopping.number
    _remove_parts(folders)


class _Run:
    """The client's side of a run: it takes the answers, prints, and keeps journals and tally."""

    def __init__(self, batch: Batch, tally: Tally) -> None:
        self.settings, self.tally = batch.settings, tally
        self.journals = Journals(batch.settings.digest, kept=batch.settings.journal)
        self.known: set[Job] = set()
        self.pace: Pace | None = None
        self.hinted = False

    def orders(self, jobs: Sequence[Job]) -> Iterator[Order]:
        """The pictures that the journals do not know, as they are asked for."""
        judged = self.settings.check_orientation
        for job in jobs:
            journal = self.journals.of(job.target.parent)
            if (
                journal is not None
                and not self.settings.overwrite
                and journal.is_done(state_of(job.source), job.target)
            ):
                self._done(job)
                if self.pace is not None:
                    self.pace.skip(1)
                continue
            yield Order(job, judged)
            judged = False

    def on_answer(self, order: Order, answer: Answer | Refused) -> None:
        """Note and say what became of a picture."""
        job, as_json = order.job, self.settings.as_json
        if isinstance(answer, Refused):
            why = f"{answer}; it may be damaged, or too large for the memory of a worker: restore it by itself"
            answer = Answer("failed", "", f"{job.source}: {why}")
        for remark in answer.remarks:
            say(remark)
        match answer.what:
            case "restored":
                self._note(job, answer.state)
                self.tally.restored.append(job.source)
                if answer.report is not None:
                    answer.report.tell(as_json=as_json, hint=not self.hinted, brief=True)
                    self.hinted = self.hinted or answer.report.hint is not None
            case "done":
                self._note(job, answer.state)
                self._done(job)
            case "skipped":
                self.tally.skipped.append((job.source, answer.why))
                report_skipped(job.source, answer.why, as_json=as_json)
            case "failed":
                self.tally.failed.append((job.source, answer.why))
                report_error(job, answer.why, as_json=as_json)
        self.known.add(job)
        if self.pace is not None:
            self.pace.step()

    def _note(self, job: Job, state: str) -> None:
        journal = self.journals.of(job.target.parent)
        if journal is not None and not journal.is_done(state, job.target):
            journal.add(state, job.source, job.target)

    def _done(self, job: Job) -> None:
        self.known.add(job)
        self.tally.done.append(job.source)
        if self.settings.as_json:
            report_done(job, as_json=True)


def _absolute(job: Job) -> Job:
    """The same with whole paths: a worker elsewhere runs in another folder."""
    return replace(job, source=job.source.absolute(), target=job.target.absolute())


def _remove_parts(folders: Sequence[Path]) -> None:
    for folder in folders:
        remove_old_parts(folder)
