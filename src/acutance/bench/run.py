"""Run methods on a suite and write down what comes out; begun runs are continued."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from acutance.bench.case import Case, Noise, Suite, bench_folder
from acutance.bench.machine import hardware, revision, watch_memory
from acutance.bench.rows import Key, Row, append_rows, read_rows
from acutance.bench.score import aligned, score
from acutance.bench.suites import find_suite
from acutance.errors import ConfigError
from acutance.methods.spec import Iterative, find
from acutance.metrics import psnr
from acutance.problem import Progress
from acutance.restore import Restorer

OnCase = Callable[[Row, bool], None]
"""Told every row as it comes, and whether it was measured now (True) or had been before."""


@dataclass(frozen=True)
class Contender:
    """A method of the catalogue with settings.

    Args:
        name: of the catalogue. settings: keyword arguments of `Restorer.load`.

    Example:
        >>> Contender.parse("rgdm:threshold=0,steps=50").label
        'rgdn:steps=50,threshold=0'
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def parse(text: str) -> Contender:
        """From ``NAME`` or ``NAME:SETTING=VALUE,SETTING=VALUE``; ``weights=FILE`` is a setting like others.

        Raises:
            UnknownMethod: no such name. ConfigError: a setting without a value.
        """
        name, _, rest = text.partition(":")
        settings: dict[str, Any] = {}
        for part in filter(None, rest.split(",")):
            key, equals, value = (s.strip() for s in part.partition("="))
            if not key or not equals or not value:
                raise ConfigError(f"{part!r} in {text!r} is no setting; write METHOD:SETTING=VALUE,SETTING=VALUE")
            settings[key] = Path(value) if key == "weights" else _value(value)
        return Contender(find(name.strip()).name, settings)

    @property
    def label(self) -> str:
        """Name and settings in alphabetical order; without the weights, whose version a row has anyway."""
        shown = [f"{key}={_text(value)}" for key, value in sorted(self.settings.items()) if key != "weights"]
        return f"{self.name}:{','.join(shown)}" if shown else self.name

    def load(self, device: torch.device | str) -> Restorer:
        """The method, ready to run."""
        return Restorer.load(self.name, **{"device": device, **self.settings})


def run(
    suite: Suite | str,
    methods: Sequence[str],
    *,
    data: Path | None = None,
    noises: Sequence[Noise] | None = None,
    limit: int | None = None,
    out: Path | None = None,
    device: torch.device | str = "auto",
    curve: bool = False,
    on_case: OnCase | None = None,
) -> list[Row]:
    """Restore every case of a suite with every method.

    A method that needs the noise level is told the true one, one that needs the kernel gets the true kernel; the others
    are told nothing. Restored values are clipped to [0, 1] and not rounded.

    Args:
        suite: or its name. methods: as "wiener" or "rgdn:steps=50,threshold=0", see `Contender.parse`.
        data: folder of the test sets, see `bench_folder`.
        noises: levels, fractions of the range, None for "as captured"; by default those of the suite.
        limit: at most so many cases of each level.
        out: folder; rows are added to OUT/SUITE.jsonl as they come. What is there already is not measured again (same
            suite, method with settings, picture, kernel, noise and weights, whatever the hardware and revision).
            None: nothing is written.
        device: for methods that do not set it themselves.
        curve: write down the PSNR after each step of methods that have steps, see `Row.curve`.
        on_case: told every row.

    Returns:
        The rows of all cases and methods asked for, old and new.

    Raises:
        DataError, ConfigError, UnknownMethod, WeightsError, MissingExtra, OutputError: with the remedy.
    """
    suite = find_suite(suite) if isinstance(suite, str) else suite
    if limit is not None and limit < 1:
        raise ConfigError(f"limit={limit}: give at least 1, or leave it out")
    folder = bench_folder(data)
    loaded = [(c.label, c.load(device)) for c in map(Contender.parse, methods)]
    file = None if out is None else out / f"{suite.name}.jsonl"
    known: dict[Key, Row] = {} if file is None else {row.key: row for row in read_rows(file)}
    rows = []
    for case in _cases(suite, folder, suite.noises if noises is None else noises, limit):
        blurred: float | None = None
        for label, restorer in loaded:
            key = (case.suite, label, case.picture, case.kernel_name, case.noise, restorer.weights)
            row = known.get(key)
            wants_curve = curve and isinstance(restorer.method, Iterative)
            fresh = row is None or (wants_curve and row.curve is None)
            if row is None or fresh:
                if blurred is None:
                    blurred = _psnr(case, case.observed)
                row = measure(case, label, restorer, psnr_blurred=blurred, curve=wants_curve)
                known[key] = row
                if file is not None:
                    append_rows(file, [row])
            rows.append(row)
            if on_case is not None:
                on_case(row, fresh)
    return rows


def steps_curve(
    suite: Suite | str,
    method: str,
    *,
    steps: int,
    data: Path | None = None,
    noises: Sequence[Noise] | None = None,
    limit: int | None = None,
    out: Path | None = None,
    device: torch.device | str = "auto",
    on_case: OnCase | None = None,
) -> list[Row]:
    """Run an iterative method for exactly `steps` steps, with threshold 0, and write down the PSNR after each.

    The rest as in `run`; `acutance.bench.report.mean_curve` averages the curves of the rows.

    Raises:
        ConfigError: besides the reasons of `run`, a method without steps or threshold.
    """
    given = Contender.parse(method)
    settings = {**given.settings, "steps": steps, "threshold": 0}
    text = ",".join(f"{key}={value}" for key, value in settings.items())
    return run(
        suite,
        [f"{given.name}:{text}"],
        data=data,
        noises=noises,
        limit=limit,
        out=out,
        device=device,
        curve=True,
        on_case=on_case,
    )


def measure(case: Case, label: str, restorer: Restorer, *, psnr_blurred: float, curve: bool = False) -> Row:
    """Restore one case and score it; the time that scoring a curve takes does not count."""
    needs = restorer.needs
    kernel = case.kernel if needs.kernel else None
    sigma = case.sigma if needs.sigma else None
    points: list[float] = []
    away = 0.0
    prepared = restorer.prepare(case.observed, kernel, sigma=sigma) if curve else None

    def watch(progress: Progress) -> None:
        nonlocal away
        begun = time.perf_counter()
        assert prepared is not None
        points.append(round(_psnr(case, prepared.finish(progress.state.x).cpu()), 4))
        away += time.perf_counter() - begun

    peak = watch_memory(restorer.device)
    restoration = restorer(case.observed, kernel, sigma=sigma, on_step=watch if curve else None)
    peak_mb = peak()
    quality = score(restoration.image.pixels, case.truth, case.scoring)
    return Row(
        suite=case.suite,
        method=label,
        picture=case.picture,
        kernel=case.kernel_name,
        noise=case.noise,
        psnr=round(quality.psnr, 4),
        ssim=round(quality.ssim, 5),
        psnr_blurred=round(psnr_blurred, 4),
        seconds=round(restoration.seconds - away, 4),
        steps=restoration.steps,
        outcome=restoration.outcome.name,
        peak_mb=None if peak_mb is None else round(peak_mb, 1),
        weights=restorer.weights,
        revision=revision(),
        hardware=hardware(restorer.device),
        curve=tuple(points) if curve else None,
    )


def _cases(suite: Suite, folder: Path, noises: Sequence[Noise], limit: int | None) -> Iterable[Case]:
    for noise in dict.fromkeys(noises):
        yield from islice(suite.cases(folder, [noise]), limit)


def _psnr(case: Case, estimate: torch.Tensor) -> float:
    """PSNR alone under the protocol of the case; SSIM costs more."""
    best, truth, _ = aligned(estimate, case.truth, case.scoring)
    return float(psnr(best, truth))


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _value(text: str) -> bool | int | float | str | None:
    words: dict[str, bool | None] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
