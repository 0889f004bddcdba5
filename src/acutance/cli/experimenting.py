"""`acutance experiment NAME`: the papers' experiments, thin, over `acutance.experiments`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import escape, out, progress_bar, say
from acutance.experiments.output import prepare_folder, require_matplotlib
from acutance.experiments.two_pixel import ITERATIONS, run
from acutance.experiments.two_pixel_plot import write_plots
from acutance.experiments.two_pixel_report import two_pixel_table, write_json

app = typer.Typer(help="Run experiments of the papers again.", no_args_is_help=True)


@app.callback()
def experiment() -> None:
    """Run experiments of the papers again."""


@app.command("two-pixel")
def two_pixel(
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How many, one after the other.")] = 10,
    iterations: Annotated[int, typer.Option(min=1, help="Of training.")] = ITERATIONS,
    output: Annotated[Path, typer.Option("--out", help="Folder for the plots and two-pixel.json.")] = Path(
        "out/experiments/two-pixel"
    ),
) -> None:
    """Show why Golf learns the gradient of a prior: pictures of two pixels, three priors (Luo et al. 2019, Fig. 4)."""
    require_matplotlib()
    prepare_folder(output)
    with progress_bar() as bar:
        task = bar.add_task("two-pixel", total=iterations)
        found = run(range(seed, seed + seeds), iterations=iterations, on_iteration=lambda: bar.advance(task))
    out.print(two_pixel_table(found), markup=False)
    for file in (write_json(output, found), *write_plots(output, found)):
        say(f"written: {escape(file)}")
