"""`acutance-lab experiment NAME`: the papers' experiments, thin, over `acutance_lab.experiments`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import escape, out, progress_bar, say
from acutance_lab.cli import experimenting_golf, experimenting_night, experimenting_use
from acutance_lab.experiments import motion as dynamic
from acutance_lab.experiments import motion_plot, motion_report, robustness, robustness_report
from acutance_lab.experiments.output import prepare_folder, require_matplotlib
from acutance_lab.experiments.robustness_conditions import CONDITIONS
from acutance_lab.experiments.two_pixel import ITERATIONS, run
from acutance_lab.experiments.two_pixel_plot import write_plots
from acutance_lab.experiments.two_pixel_report import two_pixel_table, write_json

app = typer.Typer(help="Run experiments of the papers again.", no_args_is_help=True)
app.command("golf-size")(experimenting_golf.size)
app.command("dgunet-size")(experimenting_golf.dgunet)
app.command("forgetting")(experimenting_golf.forget)
app.command("balance")(experimenting_golf.weigh)
app.command("convergence")(experimenting_golf.converge)
app.command("brightness")(experimenting_golf.brighten)
app.command("use")(experimenting_use.use)
app.command("night")(experimenting_night.at_night)


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


@app.command("motion")
def motion(
    data: Annotated[Path, typer.Option("--data", help="Folder of sharp photographs.")],
    pairs: Annotated[
        list[Path],
        typer.Option("--pairs", help="Folder of real pairs, [SCENE/]blurred/NAME.png and [SCENE/]sharp/NAME.png."),
    ],
    windows: Annotated[int, typer.Option(min=1, help="Of each picture.")] = dynamic.Settings.windows,
    side: Annotated[int, typer.Option("--window", help="Side of a window, pixels.")] = dynamic.Settings.side,
    seed: Annotated[int, typer.Option(min=0, help="Of all draws.")] = dynamic.Settings.seed,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each network.")] = dynamic.Settings.seeds,
    iterations: Annotated[int, typer.Option(min=1, help="Of a training.")] = dynamic.Settings.iterations,
    output: Annotated[Path, typer.Option("--out", help="Folder for sheets, plots and motion.json.")] = Path(
        "out/experiments/motion"
    ),
) -> None:
    """Tell how real synthetic motion blur looks: beside real pairs, by statistics and by a network that tells apart."""
    settings = dynamic.Settings(windows=windows, side=side, seed=seed, seeds=seeds, iterations=iterations)
    require_matplotlib()
    prepare_folder(output)
    with progress_bar() as bar:
        task = bar.add_task("motion", total=None)
        found = dynamic.run(
            data, pairs, settings, on_step=lambda text: bar.update(task, advance=1, description=escape(text))
        )
    out.print(motion_report.motion_table(found), markup=False)
    sheets = motion_plot.write_sheets(output, found)
    for file in (motion_report.write_json(output, found), *sheets, *motion_plot.write_plots(output, found)):
        say(f"written: {escape(file)}")


@app.command("blind")
def blind(
    data: Annotated[
        Path, typer.Option("--data", help="Folder of sharp photographs; one in 25 is held out to judge by.")
    ],
    pictures: Annotated[int, typer.Option(min=1, help="For each condition.")] = robustness.Settings.pictures,
    side: Annotated[int, typer.Option(min=robustness.LEAST_SIDE, help="Of a picture, pixels.")] = (
        robustness.Settings.side
    ),
    seed: Annotated[int, typer.Option(min=0, help="Of all draws.")] = robustness.Settings.seed,
    method: Annotated[str, typer.Option(help="That restores with the kernels.")] = robustness.Settings.method,
    estimator: Annotated[str, typer.Option(help="That finds them.")] = robustness.Settings.estimator,
    output: Annotated[Path, typer.Option("--out", help="Folder for the plot and blind.json.")] = Path(
        "out/experiments/blind"
    ),
) -> None:
    """Tell how robust blind estimation is: noise, JPEG, saturation, kernels of all sizes, lenses, no blur at all."""
    settings = robustness.Settings(pictures=pictures, side=side, seed=seed, method=method, estimator=estimator)
    require_matplotlib()
    prepare_folder(output)
    with progress_bar() as bar:
        task = bar.add_task("blind", total=pictures * len(CONDITIONS))
        found = robustness.run(data, settings, on_trial=lambda _: bar.advance(task))
    out.print(robustness_report.robustness_table(found), markup=False)
    for file in (robustness_report.write_json(output, found), *robustness_report.write_plots(output, found)):
        say(f"written: {escape(file)}")
