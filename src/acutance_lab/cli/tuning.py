"""`acutance-lab bench tune`: a thin command over `acutance_lab.bench.tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import out, parse_level, progress_bar
from acutance.errors import ConfigError
from acutance_lab.bench.tune import tune as search
from acutance_lab.bench.tune import tuned_table


def tune(
    method: Annotated[str, typer.Argument(help="A method or peer, settings that stay after a colon.")],
    settings: Annotated[list[str], typer.Argument(help="SETTING=VALUE,VALUE,... of the grid.")],
    photographs: Annotated[Path, typer.Option(help="Folder of photographs; never a test set.")],
    noise: Annotated[str, typer.Option(help="Levels in percent.")] = "0.6,1,3,5",
    cases: Annotated[int, typer.Option(min=1, help="Crops, each of another photograph.")] = 12,
    device: Annotated[str, typer.Option()] = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Processes at work, which share the cores.")] = 1,
) -> None:
    """Search settings of a method over a grid, on crops of photographs behind random camera shake."""
    grid: dict[str, list[str]] = {}
    for text in settings:
        name, equals, values = text.partition("=")
        if not name or not equals or not values:
            raise ConfigError(f"{text!r} is no line of a grid; write SETTING=VALUE,VALUE,...")
        grid[name] = values.split(",")
    levels = [parse_level(part if "/" in part or "%" in part else f"{part}%") or 0.0 for part in noise.split(",")]
    with progress_bar() as bar:
        bar.speed_estimate_period = 24 * 3600.0
        task = bar.add_task(method, total=None)
        found = search(
            method, grid, photographs, noises=levels, count=cases, device=device, jobs=jobs,
            on_plan=lambda count: bar.update(task, total=count), on_row=lambda _: bar.advance(task),
        )  # fmt: skip
    out.print(tuned_table(found), markup=False)
