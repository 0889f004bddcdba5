r"""What not knowing the scene beyond the frame costs: the same pixels restored with and without what lies around them.

A case's picture is cut to a window, `MARGIN` pixels smaller on every side. A method restores the window alone, and the
whole picture, of which the window is cut afterwards. In the outer `BAND` pixels of the window the first met an unknown
border and the second did not; the difference of their PSNR there is the price of the border, whatever the picture shows
(some pictures have their detail at the edge: a border that is worse than the middle tells little by itself).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.tensors import crop
from acutance_lab.bench.case import Noise, Suite, bench_folder, describe_noise
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.score import WHOLE
from acutance_lab.bench.suites import find_suite

BAND = 20
"""Pixels of the border that are looked at, as in `acutance_lab.bench.rows.Row.psnr_border`."""

MARGIN = 64
"""Pixels around the window: more than a kernel reaches, so that the whole picture's border is far away."""


@dataclass(frozen=True)
class BorderCost:
    """PSNR in dB of one method at one level, means over the cases.

    Args:
        alone, within: of the outer `BAND` pixels of the window, restored alone and within the whole picture.
        inside: of the rest of the window, restored alone.
    """

    method: str
    noise: Noise
    alone: float
    within: float
    inside: float
    cases: int

    @property
    def cost(self) -> float:
        """dB lost at the border because nothing is known beyond it."""
        return self.within - self.alone


def border_cost(
    suite: Suite | str,
    methods: Sequence[str],
    *,
    data: Path | None = None,
    noises: Sequence[Noise] | None = None,
    limit: int | None = None,
    device: torch.device | str = "auto",
    on_case: Callable[[str], None] | None = None,
) -> list[BorderCost]:
    """Restore windows of a suite's pictures alone and within them.

    Args:
        suite: of whole pictures that are scored without alignment. methods: see `Contender.parse`. data, noises,
            limit, device: as in `acutance_lab.bench.run.run`. on_case: told what is being restored.

    Raises:
        ConfigError: pictures too small for a window, or scored otherwise.
    """
    suite = find_suite(suite) if isinstance(suite, str) else suite
    runners = [(c.label, c, c.load(device)) for c in map(Contender.parse, methods)]
    found = []
    for noise in suite.noises if noises is None else noises:
        errors: dict[str, list[tuple[float, float, float]]] = {label: [] for label, *_ in runners}
        for case in islice(suite.cases(bench_folder(data), [noise]), limit):
            content = case.load()
            if content.truth is None or content.scoring != WHOLE:
                raise ConfigError(f"{suite.name}: a window needs a truth that is scored without alignment")
            if min(content.truth.shape[-2:]) < 2 * (MARGIN + BAND) + 1:
                raise ConfigError(f"{case.picture}: {tuple(content.truth.shape[-2:])} pixels are too few for a window")
            truth, window = crop(content.truth, MARGIN, MARGIN), crop(content.observed, MARGIN, MARGIN)
            for label, contender, runner in runners:
                if on_case is not None:
                    on_case(f"{label} {case.picture} {case.kernel_name}")
                kernel, sigma = (
                    content.kernel if runner.needs.kernel else None,
                    contender.tell(content.sigma, runner.needs),
                )
                alone = runner(window, kernel, sigma).pixels
                whole = runner(content.observed, kernel, sigma).pixels
                within = crop(whole, MARGIN, MARGIN)
                errors[label].append((*_parts(alone, truth), _parts(within, truth)[0]))
        for label, each in errors.items():
            border, inside, within_border = (
                fmean(-10 * math.log10(e) for e in part) for part in zip(*each, strict=True)
            )
            found.append(BorderCost(label, noise, border, within_border, inside, len(each)))
    return found


def border_table(found: Sequence[BorderCost]) -> str:
    """Markdown."""
    lines = [
        "| method | noise | border, alone | border, within | cost | inside, alone | cases |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {f.method} | {describe_noise(f.noise)} | {f.alone:.2f} | {f.within:.2f} | {f.cost:.2f} | {f.inside:.2f} | "
        f"{f.cases} |"
        for f in found
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"PSNR in dB of the outer {BAND} pixels of a window, {MARGIN} pixels from the edge of the picture: "
            "restored alone, and as a part of the whole picture. Their difference is what the unknown border costs.",
        ]
    )


def _parts(estimate: Tensor, truth: Tensor) -> tuple[float, float]:
    """Mean square error of the outer `BAND` pixels and of the rest, clipped to [0, 1]."""
    error = (estimate.double().clamp(0, 1) - truth.double()).square()
    inner = crop(error, BAND, BAND)
    border = (error.sum() - inner.sum()) / (error.numel() - inner.numel())
    return float(border), float(inner.mean())
