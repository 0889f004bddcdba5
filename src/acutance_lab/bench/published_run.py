"""Measure what is published: the suites whose figures are known in the published cut, at the levels of the figures.

One command that goes on where it was stopped, and measures anew what has new weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from acutance.errors import ConfigError
from acutance_lab.bench.case import Noise
from acutance_lab.bench.report_published import in_the_published_cut
from acutance_lab.bench.rows import Row
from acutance_lab.bench.run import OnCase, OnPlan, run
from acutance_lab.bench.suites import SUITES

PUBLISHED_SUITES = tuple(name for name in SUITES if in_the_published_cut(name))


def published_levels(suite: str) -> tuple[Noise, ...]:
    """Levels of the figures that are published in that cut; before them "as captured", where the suite has it."""
    levels = {noise for each in in_the_published_cut(suite) for noise in each.psnr if noise is not None}
    captured: tuple[Noise, ...] = (None,) if None in SUITES[suite].noises else ()
    return (*captured, *sorted(levels))


def measure_published(
    methods: Sequence[str],
    *,
    data: Path | None = None,
    suites: Sequence[str] = PUBLISHED_SUITES,
    limit: int | None = None,
    out: Path | None = None,
    device: torch.device | str = "auto",
    on_plan: OnPlan | None = None,
    on_case: OnCase | None = None,
) -> dict[str, list[Row]]:
    """Run methods on every suite with published figures, in every cut.

    Args:
        methods: as for `run`. data, out, device, on_plan, on_case: as for `run`, suite by suite.
        suites: names, of `PUBLISHED_SUITES`. limit: at most so many cases of each level; means are marked then.

    Returns:
        The rows of each suite, old and new.

    Raises:
        ConfigError: a suite without published figures; and as `run` does.
    """
    for name in suites:
        if name not in PUBLISHED_SUITES:
            raise ConfigError(
                f"no figures are published in a known cut for {name!r}; give {', '.join(PUBLISHED_SUITES)}"
            )
    return {
        name: run(
            name, methods, data=data, noises=published_levels(name), limit=limit, out=out, device=device,
            on_plan=on_plan, on_case=on_case,
        )
        for name in suites
    }  # fmt: skip
