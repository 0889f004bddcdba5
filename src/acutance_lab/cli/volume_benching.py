"""`acutance-lab bench volumes`."""

from __future__ import annotations

from typing import Annotated

import typer

from acutance.cli.console import out, parse_numbers
from acutance.errors import ConfigError
from acutance_lab.bench import volumes as runs
from acutance_lab.cli.measuring import Data, Methods, split_methods

TIMED = (
    "richardson-lucy:steps=20,accelerated=false", f"{runs.PLAIN}:20", f"{runs.SKIMAGE}:20",
)  # fmt: skip


def volumes(
    methods: Methods = ",".join(runs.DEFAULT),
    timed: Annotated[str, typer.Option(help="Methods that take turns on a made volume; empty: none.")] = ",".join(
        TIMED
    ),
    data: Data = None,
    size: Annotated[str, typer.Option(help="Z,Y,X of the made volume, voxels.")] = "64,256,256",
    rounds: Annotated[int, typer.Option("--runs", min=1, help="Rounds of timing.")] = 1,
) -> None:
    """Measure volumes: the microscopy bars beside plain Richardson-Lucy and scikit-image, seconds in turn, memory."""
    z, y, x = map(int, parse_numbers(size, 3, "--size", "three whole numbers Z,Y,X"))
    if min(z, y, x) < 16:
        raise ConfigError(f"--size {size}: give sides of 16 voxels or more")
    chosen, turns = split_methods(methods), split_methods(timed)
    for text in (*chosen, *turns):
        runs.solver(text)
    if chosen:
        out.print(runs.bars_table(runs.measure_bars(chosen, data)), markup=False, soft_wrap=True)
    if turns:
        out.print(f"\n{runs.times_table(runs.measure_times(turns, (z, y, x), rounds))}", markup=False, soft_wrap=True)
