"""Doing the measurements of a run: in this process, or in several, each with its own methods in memory."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.metrics import kernel_similarity, psnr
from acutance.operators import Blur
from acutance.tensors import crop
from acutance_lab.bench.arithmetic import counting
from acutance_lab.bench.case import Case, Content
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.cuts import Cut, cut_scores
from acutance_lab.bench.gallery import keep
from acutance_lab.bench.levels import true_level
from acutance_lab.bench.machine import hardware, revision, since_start, watch_memory
from acutance_lab.bench.rows import Row
from acutance_lab.bench.runner import Attempt, Runner
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
        apart, count: see `acutance_lab.bench.run.run`. ssim: see `Suite`.
    """

    contenders: tuple[Contender, ...]
    device: torch.device | str
    jobs: int = 1
    out: Path | None = None
    apart: bool = False
    count: bool = False
    ssim: bool = True


class Bench:
    """One process at work: methods are loaded once, the last contents kept, since they serve several methods."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.runner = lru_cache(maxsize=None)(self._runner)
        self._contents: dict[tuple[object, ...], tuple[Content, float]] = {}

    def measure(self, job: Job) -> Row:
        """Restore, score, describe."""
        attempt, price = self.attempt(job)
        return self.row(job, attempt, price)

    def attempt(self, job: Job) -> tuple[Attempt, dict[str, Any]]:
        """Restore one case; and the fields of its row that are the price of it."""
        content, _ = self._content(job.case)
        contender, runner = self.plan.contenders[job.contender], self.runner(job.contender)
        kernel = content.kernel if runner.needs.kernel else None
        sigma = contender.tell(content.sigma_linear if contender.linear else content.sigma, runner.needs)
        price: dict[str, Any] = {}
        if self.plan.apart and runner.restorer is not None:
            price["forecast"] = runner.restorer.forecast(content.observed, kernel, sigma=sigma)
        points: list[float] = []
        watched = job.curve and content.truth is not None

        def watch(pixels: Tensor) -> None:
            points.append(round(_psnr(content, pixels), 4))

        peak = watch_memory(runner.device)
        begun, worked = time.perf_counter(), time.process_time()
        with ExitStack() as stack:
            counted = stack.enter_context(counting(runner)) if self.plan.count else {}
            attempt = runner(content.given, kernel, sigma, on_pixels=watch if watched else None)
        share = (time.process_time() - worked) / (time.perf_counter() - begun) / torch.get_num_threads()
        peak_mb = peak()
        if self.plan.apart:
            price["processor_share"] = round(share, 3)
            peak_mb = since_start() if peak_mb is None else peak_mb
        price["peak_mb"] = None if peak_mb is None else round(peak_mb, 1)
        return attempt, {**price, **counted, "curve": tuple(points) if job.curve else None}

    def row(self, job: Job, attempt: Attempt, price: Mapping[str, Any]) -> Row:
        """Score and describe an attempt; keep its pictures if it is shown."""
        case, (content, psnr_blurred), plan = job.case, self._content(job.case), self.plan
        contender, runner = plan.contenders[job.contender], self.runner(job.contender)
        if plan.out is not None and case.shown:
            keep(plan.out, case, content, contender.label, attempt.pixels)
        return Row(
            suite=case.suite,
            method=contender.label,
            picture=case.picture,
            kernel=case.kernel_name,
            noise=case.noise,
            psnr_blurred=round(psnr_blurred, 4),
            seconds=round(attempt.seconds, 6),
            steps=attempt.steps,
            outcome=attempt.outcome,
            weights=runner.weights,
            revision=revision(),
            hardware=hardware(runner.device) + (f", {plan.jobs} jobs" if plan.jobs > 1 else ""),
            varied=case.varied,
            value=case.value,
            width=content.observed.shape[-1],
            height=content.observed.shape[-2],
            channels=content.observed.shape[1],
            note=content.note,
            level=attempt.level,
            level_true=None if attempt.level is None else true_level(content),
            **(
                {"psnr": math.nan, "ssim": math.nan}
                if plan.apart or plan.count
                else _quality(content, attempt, ssim=plan.ssim)
            ),
            **price,
        )

    def _content(self, case: Case) -> tuple[Content, float]:
        """What there is to restore, and the PSNR of it as it is."""
        if case.key not in self._contents:
            content = case.load()
            last = list(self._contents.items())[-1:]
            self._contents = dict([*last, (case.key, (content, _psnr(content, content.observed)))])
        return self._contents[case.key]

    def _runner(self, number: int) -> Runner:
        return self.plan.contenders[number].load(self.plan.device)


def in_turn(bench: Bench, jobs: Sequence[Job], rounds: int) -> Iterator[tuple[Job, Row]]:
    """Case by case the methods in turn, so that what else runs falls on all: once to warm up, then `rounds` times.

    Raises:
        ConfigError: two methods are the same.
    """
    begun = datetime.now(UTC).isoformat(timespec="milliseconds")
    by_case: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        by_case.setdefault(job.case.key, []).append(job)
    for here in by_case.values():
        seconds: list[list[float]] = [[] for _ in here]
        for number in range(rounds + 1):
            for i, job in enumerate(here):
                attempt, price = bench.attempt(job)
                if number > 0:
                    seconds[i].append(round(attempt.seconds, 6))
                if number == rounds:
                    row = bench.row(job, attempt, price)
                    yield job, replace(row, rounds=tuple(seconds[i]), seconds=median(seconds[i]), begun=begun)


def work(bench: Bench, jobs: Sequence[Job]) -> Iterator[tuple[Job, Row]]:
    """Do the jobs, in this process or in `Plan.jobs` of them; rows come as they are ready.

    When the caller gives up, as after Ctrl-C, the processes are stopped at once.

    Raises:
        ConfigError: a process was ended from outside, as for its memory.
    """
    if bench.plan.apart:
        for job in jobs:
            yield from _in_processes(replace(bench.plan, jobs=1), [job])
    elif bench.plan.jobs == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, bench.measure(job)
    else:
        yield from _in_processes(bench.plan, jobs)


def _in_processes(plan: Plan, jobs: Sequence[Job]) -> Iterator[tuple[Job, Row]]:
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(plan.jobs, len(jobs)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_enter,
        initargs=(plan, threads_each(plan.jobs)),
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
            raise ConfigError("a process at work was ended, perhaps for its memory; give it less to do") from None
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


def _quality(content: Content, attempt: Attempt, *, ssim: bool) -> dict[str, Any]:
    """The fields of a row that say how good a picture is."""
    pixels, truth = attempt.pixels, content.truth
    if truth is None:
        return {
            "psnr": math.nan,
            "ssim": math.nan,
            "sparsity": round(sparsity(pixels.clamp(0, 1)), 5),
            "sparsity_blurred": round(sparsity(content.observed), 5),
            "fitting_error": _fitting_error(content, attempt),
        }
    scoring = _scoring(content, truth, attempt.kernel)
    quality = score(pixels, truth, scoring, ssim=ssim)
    whole = not content.scoring.shift and not content.scoring.luma
    edge = content.scoring.border
    parts = border_and_interior(crop(pixels, edge, edge), crop(truth, edge, edge)) if whole else None
    return {
        "psnr": round(quality.psnr, 4),
        "ssim": round(quality.ssim, 5),
        "psnr_border": None if parts is None else round(parts[0], 4),
        "psnr_interior": None if parts is None else round(parts[1], 4),
        "kernel_similarity": _likeness(attempt.kernel, content.kernel),
        **_cuts(content, pixels, quality, scoring),
    }


def _fitting_error(content: Content, attempt: Attempt) -> float | None:
    """Of the part of y that x alone decides; None: there is no kernel."""
    kernel = content.kernel if attempt.kernel is None else attempt.kernel
    if kernel is None:
        return None
    blur = Blur(kernel.cpu().float())
    misfit = blur.forward(attempt.pixels.float()) - blur.crop(content.observed)
    return round(float(misfit.square().mean().sqrt()), 5)


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
