"""Doing the measurements of a run: in this process, or in several, each with its own methods in memory."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.metrics import kernel_similarity, psnr
from acutance_lab.bench.case import Case, Content
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.cuts import Cut, cut_scores
from acutance_lab.bench.gallery import keep
from acutance_lab.bench.machine import hardware, revision, watch_memory
from acutance_lab.bench.rows import Row
from acutance_lab.bench.runner import Runner
from acutance_lab.bench.score import (
    BLIND,
    PERFECT,
    WHOLE,
    Score,
    Scoring,
    aligned,
    border_and_interior,
    score,
    sparsity,
)


@dataclass(frozen=True)
class Job:
    """One case to be restored by one contender. curve: with the PSNR after each step."""

    case: Case
    contender: int
    curve: bool = False


@dataclass(frozen=True)
class Plan:
    """What every process has to know.

    Args:
        contenders: whom `Job.contender` counts. device: for those that do not set it themselves.
        jobs: processes at work. out: folder for the pictures that are shown; None: none is kept.
    """

    contenders: tuple[Contender, ...]
    device: torch.device | str
    jobs: int = 1
    out: Path | None = None


class Bench:
    """One process at work: methods are loaded once, the last contents kept, since they serve several methods."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.runner = lru_cache(maxsize=None)(self._runner)
        self._contents: dict[tuple[object, ...], tuple[Content, float]] = {}

    def measure(self, job: Job) -> Row:
        """Restore, score, describe."""
        content, blurred = self._content(job.case)
        return measure(
            job.case,
            content,
            self.plan.contenders[job.contender],
            self.runner(job.contender),
            psnr_blurred=blurred,
            curve=job.curve,
            jobs=self.plan.jobs,
            out=self.plan.out,
        )

    def _content(self, case: Case) -> tuple[Content, float]:
        """What there is to restore, and the PSNR of it as it is."""
        name = (case.suite, case.picture, case.kernel_name, case.noise)
        if name not in self._contents:
            content = case.load()
            last = list(self._contents.items())[-1:]
            self._contents = dict([*last, (name, (content, _psnr(content, content.observed)))])
        return self._contents[name]

    def _runner(self, number: int) -> Runner:
        return self.plan.contenders[number].load(self.plan.device)


def measure(
    case: Case,
    content: Content,
    contender: Contender,
    runner: Runner,
    *,
    psnr_blurred: float,
    curve: bool = False,
    jobs: int = 1,
    out: Path | None = None,
) -> Row:
    """Restore one case, score it, keep its pictures if it is shown; only restoring counts as time."""
    needs = runner.needs
    kernel = content.kernel if needs.kernel else None
    sigma = contender.tell(content.sigma_linear if contender.linear else content.sigma, needs)
    points: list[float] = []

    def watch(pixels: Tensor) -> None:
        points.append(round(_psnr(content, pixels), 4))

    watched = curve and content.truth is not None
    peak = watch_memory(runner.device)
    attempt = runner(content.given, kernel, sigma, on_pixels=watch if watched else None)
    peak_mb = peak()
    if out is not None and case.shown:
        keep(out, case, content, contender.label, attempt.pixels)
    quality, parts, sparse = None, None, None
    cuts: Mapping[str, float | None] = {}
    if content.truth is None:
        sparse = sparsity(attempt.pixels.clamp(0, 1)), sparsity(content.observed)
    else:
        scoring = _scoring(content, content.truth, attempt.kernel)
        quality = score(attempt.pixels, content.truth, scoring)
        cuts = _cuts(content, attempt.pixels, quality, scoring)
        parts = border_and_interior(attempt.pixels, content.truth) if content.scoring == WHOLE else None
    return Row(
        suite=case.suite,
        method=contender.label,
        picture=case.picture,
        kernel=case.kernel_name,
        noise=case.noise,
        psnr=math.nan if quality is None else round(quality.psnr, 4),
        ssim=math.nan if quality is None else round(quality.ssim, 5),
        psnr_blurred=round(psnr_blurred, 4),
        seconds=round(attempt.seconds, 4),
        steps=attempt.steps,
        outcome=attempt.outcome,
        peak_mb=None if peak_mb is None else round(peak_mb, 1),
        weights=runner.weights,
        revision=revision(),
        hardware=hardware(runner.device) + (f", {jobs} jobs" if jobs > 1 else ""),
        curve=tuple(points) if curve else None,
        psnr_border=None if parts is None else round(parts[0], 4),
        psnr_interior=None if parts is None else round(parts[1], 4),
        sparsity=None if sparse is None else round(sparse[0], 5),
        sparsity_blurred=None if sparse is None else round(sparse[1], 5),
        kernel_similarity=_likeness(attempt.kernel, content.kernel),
        **cuts,
    )


def work(bench: Bench, jobs: Sequence[Job]) -> Iterator[tuple[Job, Row]]:
    """Do the jobs, in this process or in `Plan.jobs` of them; rows come as they are ready.

    When the caller gives up, as after Ctrl-C, the processes are stopped at once.

    Raises:
        ConfigError: a process was ended from outside, as for its memory.
    """
    if bench.plan.jobs == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, bench.measure(job)
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(bench.plan.jobs, len(jobs)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_enter,
        initargs=(bench.plan, threads_each(bench.plan.jobs)),
    )
    try:
        futures = {pool.submit(_measure, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        if isinstance(error, BrokenProcessPool):
            raise ConfigError("a process at work was ended, perhaps for its memory; give fewer --jobs") from None
        raise
    pool.shutdown()


def threads_each(jobs: int) -> int:
    """Threads of torch in each of so many processes: the cores shared out, no more than this process has itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(torch.get_num_threads(), cores // jobs))


_here: list[Bench] = []
"""What a process of a pool works with; the pool itself gives its tasks no other place to keep anything."""


def _enter(plan: Plan, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to every process; the parent decides
    torch.set_num_threads(threads)
    _here.append(Bench(plan))


def _measure(job: Job) -> Row:
    return _here[0].measure(job)


def _likeness(found: Tensor | None, true: Tensor | None) -> float | None:
    if found is None or true is None:
        return None
    return round(float(kernel_similarity(found.cpu(), true.cpu())), 5)


def _scoring(content: Content, truth: Tensor, found: Tensor | None) -> Scoring:
    """The scoring of the case, aligned for a method that finds the kernel: its result may lie anywhere."""
    lost = found is not None and content.scoring == WHOLE and found.shape[-1] > 1
    return BLIND if lost and min(truth.shape[-2:]) > 4 * BLIND.border else content.scoring


def _cuts(content: Content, restored: Tensor, quality: Score, scoring: Scoring) -> Mapping[str, float | None]:
    """The fields of a row that hold its cuts, where they are to be recorded and leave a pixel."""
    if content.truth is None or content.radius is None:
        return {}
    found = cut_scores(restored, content.truth, content.radius, quality, scoring)
    fields = {"psnr_whole": Cut.WHOLE, "psnr_margin": Cut.MARGIN, "psnr_published": Cut.PUBLISHED}
    values = {field: found.get(cut, math.nan) for field, cut in fields.items()}
    return {field: round(value, 4) if math.isfinite(value) else None for field, value in values.items()}


def _psnr(content: Content, estimate: Tensor) -> float:
    """PSNR alone under the protocol of the case; SSIM costs more. Not a number where nobody knows the truth."""
    if content.truth is None:
        return math.nan
    best, truth, _ = aligned(estimate, content.truth, content.scoring)
    return min(PERFECT, float(psnr(best, truth)))
