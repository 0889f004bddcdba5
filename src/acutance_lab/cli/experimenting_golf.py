"""`acutance-lab experiment golf-size`, `forgetting`, `balance`, `convergence`, `brightness`, `dgunet-size`: thin."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import escape, out, progress_bar, say
from acutance.errors import ConfigError
from acutance.methods.golf import Golf
from acutance_lab.experiments import (
    balance,
    balance_report,
    brightness,
    brightness_report,
    convergence,
    convergence_report,
    dgunet_size,
    forgetting,
    forgetting_report,
    golf_size,
    golf_size_report,
)
from acutance_lab.experiments.output import prepare_folder, require_matplotlib
from acutance_lab.synth import DynamicBlur
from acutance_lab.train.perceptual import TORCHVISION

Output = Annotated[Path, typer.Option("--out", help="Folder for the plot and the JSON.")]
Data = Annotated[Path, typer.Option("--data", help="Folder of sharp photographs; one in 25 is held out to judge by.")]
Seed = Annotated[int, typer.Option(min=0, help="Of start and pictures.")]
Features = Annotated[int, typer.Option(min=1, max=64, help="Of the network; the paper's F has 32.")]


def size(output: Output = Path("out/experiments/golf-size")) -> None:
    """Count Golf's weights layer by layer, and compare its size (Luo et al. 2019, Tables 1 and 3)."""
    require_matplotlib()
    prepare_folder(output)
    networks = golf_size.run()
    out.print(golf_size_report.size_table(networks), markup=False)
    written(golf_size_report.write_json(output, networks), *golf_size_report.write_plots(output, networks))


def dgunet(output: Output = Path("out/experiments/dgunet-size")) -> None:
    """Count the weights of DGUNet and DGUNet+ for each task, beside the authors' state dicts (Mou et al. 2022)."""
    prepare_folder(output)
    rows = dgunet_size.run()
    out.print(dgunet_size.size_table(rows), markup=False)
    written(dgunet_size.write_json(output, rows))


def forget(
    data: Data,
    seed: Seed = 0,
    iterations: Annotated[int, typer.Option(min=1, help="Of each of the two phases.")] = forgetting.ITERATIONS,
    features: Features = forgetting.FEATURES,
    output: Output = Path("out/experiments/forgetting"),
) -> None:
    """Show that one network forgets: it learns to keep sharp pictures and to deblur (Luo et al. 2019, Fig. 5)."""
    require_matplotlib()
    prepare_folder(output)
    with progress_bar() as bar:
        task = bar.add_task("forgetting", total=2 * iterations * len(forgetting.RUNS))
        found = forgetting.run(
            data, seed=seed, iterations=iterations, features=features, on_iteration=lambda: bar.advance(task)
        )
    out.print(forgetting_report.forgetting_table(found), markup=False)
    written(forgetting_report.write_json(output, found), *forgetting_report.write_plots(output, found))


def weigh(
    data: Data,
    judge: Annotated[
        str, typer.Option(help="File of weights, of VGG-11-bn as in the paper or of SqueezeNet 1.1, or `torchvision`.")
    ] = TORCHVISION,
    weight: Annotated[
        list[float] | None, typer.Option(help="Of the perceptual term; may be given again. Default: the paper's.")
    ] = None,
    seed: Seed = 0,
    iterations: Annotated[int, typer.Option(min=1, help="With each weight.")] = balance.ITERATIONS,
    features: Features = balance.FEATURES,
    output: Output = Path("out/experiments/balance"),
) -> None:
    """Train with perceptual terms of different weight (Luo et al. 2019, Fig. 8)."""
    require_matplotlib()
    prepare_folder(output)
    weights = tuple(weight or balance.WEIGHTS)
    with progress_bar() as bar:
        task = bar.add_task("balance", total=iterations * len(weights))
        found = balance.run(
            data, judge, weights=weights, seed=seed, iterations=iterations, features=features,
            on_iteration=lambda: bar.advance(task),
        )  # fmt: skip
    out.print(balance_report.balance_table(found), markup=False)
    written(balance_report.write_json(output, found), *balance_report.write_plots(output, found))


def converge(
    pairs: Annotated[
        Path | None, typer.Option(help="Folder of pairs [SCENE/]blurred/NAME.png and [SCENE/]sharp/NAME.png.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Or of sharp photographs; held-out ones are taken.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights file, or a run's folder or checkpoint; default: the shipped ones.")
    ] = None,
    putts: Annotated[int, typer.Option(min=1, max=1000, help="The largest N.")] = convergence.PUTTS,
    pictures: Annotated[int, typer.Option(min=1, help="At most.")] = convergence.PICTURES,
    output: Output = Path("out/experiments/convergence"),
) -> None:
    """Follow the PSNR over the iterates of G, picture by picture (Luo et al. 2019, section 6.1)."""
    if (pairs is None) == (data is None):
        raise ConfigError("give either --pairs FOLDER or --data PHOTOGRAPHS")
    require_matplotlib()
    restorer, trained = convergence.load_golf(weights, putts)
    prepare_folder(output)
    folder = pairs or data
    assert folder is not None
    cases = (convergence.from_photographs if pairs is None else convergence.from_pairs)(folder, pictures)
    with progress_bar() as bar:
        task = bar.add_task("convergence", total=pictures)
        found = convergence.run(
            cases, restorer, source=folder.name, trained_putts=trained, on_picture=lambda: bar.advance(task)
        )
    out.print(convergence_report.convergence_table(found), markup=False)
    written(convergence_report.write_json(output, found), *convergence_report.write_plots(output, found))


def brighten(
    data: Annotated[
        Path | None, typer.Option(help="Folder of sharp photographs; held-out ones are blurred in two ways.")
    ] = None,
    pairs: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of real pairs [SCENE/]blurred/NAME.png and [SCENE/]sharp/NAME.png."),
    ] = None,
    sharp: Annotated[Path | None, typer.Option(help="Folder of sharp pictures, restored as they are.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights file, or a run's folder or checkpoint; default: the shipped ones.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="Of each source, at most.")] = 20,
    side: Annotated[
        int, typer.Option("--window", min=64, help="Side of crops of photographs and sharp pictures.")
    ] = 256,
    rounding: Annotated[bool, typer.Option(help="Whether bfloat16 is measured as well; takes twice as long.")] = True,
    output: Output = Path("out/experiments/brightness"),
) -> None:
    """Measure how Golf changes the brightness, and the gain of its residual that does no harm."""
    if data is None and not pairs and sharp is None:
        raise ConfigError("nothing to measure; give --data, --pairs or --sharp")
    restorer, _ = convergence.load_golf(weights, 0)
    assert isinstance(restorer.method, Golf)
    prepare_folder(output)
    blur = DynamicBlur(extent=(1.5, 40.0), memory=(0.4, 16.0), still=0.0)
    cases = [] if data is None else [brightness.from_photographs(data, blur, count=pictures, side=side)]
    cases += [brightness.from_pairs(folder, pictures) for folder in pairs or []]
    cases += [] if sharp is None else [brightness.from_folder(sharp, pictures, side)]
    with progress_bar() as bar:
        task = bar.add_task("brightness", total=None)
        found = brightness.run(
            chain.from_iterable(cases), restorer.method, rounding=rounding, on_picture=lambda: bar.advance(task)
        )
    out.print(brightness_report.brightness_tables(found), markup=False)
    written(brightness_report.write_json(output, found, restorer.weights))


def written(*files: Path) -> None:
    """Say where the results are."""
    for file in files:
        say(f"written: {escape(file)}")
