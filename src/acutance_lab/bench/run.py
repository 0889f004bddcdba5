"""The one runner: run methods on a suite and write down what comes out; begun runs are continued."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from acutance.errors import ConfigError
from acutance_lab.bench.case import Case, Noise, Suite, bench_folder
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.rows import Key, Row, read_rows
from acutance_lab.bench.score import require_ssim
from acutance_lab.bench.suites import find_suite
from acutance_lab.bench.work import Bench, Job, Plan, in_turn, work
from acutance_lab.records import append_records

OnPlan = Callable[[int], None]
"""Told, before anything is measured, how many measurements are to be made."""

OnCase = Callable[[Row, bool], None]
"""Told every row as it comes, and whether it was measured now (True) or had been before."""


def run(
    suite: Suite | str,
    methods: Sequence[str | Contender],
    *,
    data: Path | None = None,
    noises: Sequence[Noise] | None = None,
    limit: int | None = None,
    out: Path | None = None,
    device: torch.device | str = "auto",
    curve: bool = False,
    steps: int | None = None,
    rounds: int = 0,
    apart: bool = False,
    count: bool = False,
    jobs: int = 1,
    on_plan: OnPlan | None = None,
    on_case: OnCase | None = None,
) -> list[Row]:
    """Restore every case of a suite with every method.

    A method that needs the noise level is told the true one unless its setting `sigma` says otherwise, one that needs
    the kernel gets the kernel of the case; the others are told nothing. Restored values are clipped to [0, 1] and not
    rounded.

    Args:
        suite: or its name. methods: as "wiener" or "rgdn:steps=50,threshold=0", see `Contender.parse`.
        data: folder of the test sets, see `bench_folder`.
        noises: levels, fractions of the range, None for "as captured"; by default those of the suite.
        limit: at most so many cases of each level.
        out: folder; rows are added to OUT/SUITE.jsonl as they come. What is there already is not measured again (same
            `Row.key`, whatever the hardware and revision), unless there are `rounds`. None: nothing is written. Of a
            few cases of each level the pictures are kept, `acutance_lab.bench.gallery`.
        device: for methods that do not set it themselves.
        curve: write down the PSNR after each step of methods that have steps, see `Row.curve`.
        steps: those with steps take exactly so many.
        rounds: the methods take turns on each case, A B C A B C, once to warm up and then so often; see `Row.rounds`.
        apart: each measurement in a process of its own, with its forecast and without scores, see `Row.forecast`.
        count: count the arithmetic, see `Row.gmac_networks`.
        jobs: processes at work, which share the cores; 1: this one alone. Seconds are then those of a busy machine.
        on_plan: told how much there is to do. on_case: told every row, those known before first.

    Returns:
        The rows of all cases and methods asked for, old and new, case by case.

    Raises:
        DataError, ConfigError, UnknownMethod, WeightsError, MissingExtra, OutputError: with the remedy.
    """
    suite = find_suite(suite) if isinstance(suite, str) else suite
    if limit is not None and limit < 1:
        raise ConfigError(f"limit={limit}: give at least 1, or leave it out")
    if jobs < 1 or rounds < 0:
        raise ConfigError(f"jobs={jobs}, rounds={rounds}: give at least 1 job, and rounds or none")
    ssim = suite.ssim and not (apart or count)
    if ssim:
        require_ssim()
    contenders = tuple(m if isinstance(m, Contender) else Contender.parse(m) for m in methods)
    if steps is not None:
        contenders = tuple(c.with_steps(steps, "cpu" if apart else device) for c in contenders)
    folder = bench_folder(data) if suite.files else Path()
    levels = dict.fromkeys(suite.noises if noises is None else noises)
    cases = [case for noise in levels for case in suite.cases(folder, noise)[:limit]]
    bench = Bench(Plan(contenders, device, jobs, out, apart=apart, count=count, ssim=ssim))
    file = None if out is None else out / f"{suite.name}.jsonl"
    found: dict[Key, Row] = {} if file is None or rounds else {row.key: row for row in read_rows(file)}
    asked = [(_key(case, bench, i), case, i) for case in cases for i in range(len(contenders))]
    fresh: dict[Key, Job] = {}
    for key, case, i in asked:
        wants_curve = curve and bench.runner(i).has_steps
        if key not in found or (wants_curve and found[key].curve is None):
            fresh[key] = Job(case, i, wants_curve)
    if on_plan is not None:
        on_plan(len(fresh))
    if on_case is not None:
        for key in dict.fromkeys(key for key, _, _ in asked if key not in fresh):
            on_case(found[key], False)
    todo = list(fresh.values())
    for _, row in in_turn(bench, todo, rounds) if rounds else work(bench, todo):
        found[row.key] = row
        if file is not None:
            append_records(file, [row])
        if on_case is not None:
            on_case(row, True)
    return [found[key] for key, _, _ in asked]


def _key(case: Case, bench: Bench, number: int) -> Key:
    label, weights = bench.plan.contenders[number].label, bench.runner(number).weights
    return (case.suite, label, case.picture, case.kernel_name, case.noise, weights, case.varied, case.value)
