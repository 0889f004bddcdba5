"""`acutance-lab experiment NAME`: the papers' experiments, thin, over `acutance_lab.experiments`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from torch import Tensor

from acutance.cli.console import escape, out, progress_bar, say
from acutance.errors import ConfigError
from acutance.images import Image
from acutance.methods.golf import Golf
from acutance_lab.experiments import (
    balance,
    brightness,
    cameras,
    convergence,
    coverage,
    forgetting,
    guesses,
    motion,
    night,
    robustness,
    trust,
    two_pixel,
)
from acutance_lab.experiments import use as usage
from acutance_lab.experiments.convergence import from_pairs
from acutance_lab.experiments.output import Report, prepare_folder, write_report
from acutance_lab.experiments.robustness import CONDITIONS
from acutance_lab.experiments.use_cases import KINDS, Case
from acutance_lab.plots import require_matplotlib
from acutance_lab.synth import DynamicBlur
from acutance_lab.train.perceptual import TORCHVISION

app = typer.Typer(help="Run experiments of the papers again.", no_args_is_help=True, add_completion=False)

OUT = Path("out/experiments")
Output = Annotated[Path, typer.Option("--out", help="Folder for the plots and the JSON.")]
Data = Annotated[Path, typer.Option("--data", help="Folder of sharp photographs; one in 25 is held out to judge by.")]
Seed = Annotated[int, typer.Option(min=0, help="Of all draws.")]
Features = Annotated[int, typer.Option(min=1, max=64, help="Of the network; the paper's F has 32.")]
GolfWeights = Annotated[
    Path | None, typer.Option("--weights", help="Weights file, or a run's folder or checkpoint; default: the shipped.")
]


@app.callback()
def experiment() -> None:
    """Run experiments of the papers again."""


@contextmanager
def going_on(output: Path, name: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """A progress bar behind what is called after each step, once plots can be drawn and the folder is there."""
    require_matplotlib()
    prepare_folder(output)
    with progress_bar() as bar:
        task = bar.add_task(name, total=total)
        yield lambda text=None: bar.update(task, advance=1, description=escape(text if isinstance(text, str) else name))


def finish(output: Path, report: Report) -> None:
    """Print and write what an experiment has to say."""
    out.print(report.text, markup=False)
    for file in write_report(output, report):
        say(f"written: {escape(file)}")


@app.command("two-pixel")
def two_pixels(
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How many, one after the other.")] = 10,
    iterations: Annotated[int, typer.Option(min=1, help="Of training.")] = two_pixel.ITERATIONS,
    output: Output = OUT / "two-pixel",
) -> None:
    """Show why Golf learns the gradient of a prior: pictures of two pixels, three priors (Luo et al. 2019, Fig. 4)."""
    with going_on(output, "two-pixel", iterations) as step:
        found = two_pixel.run(range(seed, seed + seeds), iterations=iterations, on_iteration=step)
    finish(output, two_pixel.report(found))


@app.command("motion")
def moving(
    data: Data,
    pairs: Annotated[
        list[Path],
        typer.Option("--pairs", help="Folder of real pairs, [SCENE/]blurred/NAME.png and [SCENE/]sharp/NAME.png."),
    ],
    windows: Annotated[int, typer.Option(min=1, help="Of each picture.")] = motion.Settings.windows,
    side: Annotated[int, typer.Option("--window", help="Side of a window, pixels.")] = motion.Settings.side,
    seed: Seed = motion.Settings.seed,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each network.")] = motion.Settings.seeds,
    iterations: Annotated[int, typer.Option(min=1, help="Of a training.")] = motion.Settings.iterations,
    output: Output = OUT / "motion",
) -> None:
    """Tell how real synthetic motion blur looks: beside real pairs, by statistics and by a network that tells apart."""
    settings = motion.Settings(windows=windows, side=side, seed=seed, seeds=seeds, iterations=iterations)
    with going_on(output, "motion") as step:
        found = motion.run(data, pairs, settings, on_step=step)
    finish(output, motion.report(found))


@app.command("blind")
def blind(
    data: Data,
    pictures: Annotated[int, typer.Option(min=1, help="For each condition.")] = robustness.Settings.pictures,
    side: Annotated[int, typer.Option(min=robustness.LEAST_SIDE, help="Of a picture, pixels.")] = (
        robustness.Settings.side
    ),
    seed: Seed = robustness.Settings.seed,
    method: Annotated[str, typer.Option(help="That restores with the kernels.")] = robustness.Settings.method,
    estimator: Annotated[str, typer.Option(help="That finds them.")] = robustness.Settings.estimator,
    output: Output = OUT / "blind",
) -> None:
    """Tell how robust blind estimation is: noise, JPEG, saturation, kernels of all sizes, lenses, no blur at all."""
    settings = robustness.Settings(pictures=pictures, side=side, seed=seed, method=method, estimator=estimator)
    with going_on(output, "blind", pictures * len(CONDITIONS)) as step:
        found = robustness.run(data, settings, on_trial=lambda _: step())
    finish(output, robustness.report(found))


@app.command("night")
def at_night(
    data: Data,
    scenes: Annotated[int, typer.Option(min=1, help="How many.")] = night.Settings.scenes,
    side: Annotated[int, typer.Option("--window", min=64, help="Side of a scene, pixels.")] = night.Settings.side,
    seed: Seed = night.Settings.seed,
    methods: Annotated[str, typer.Option(help="That take a kernel, with commas.")] = ",".join(night.Settings.methods),
    output: Output = OUT / "night",
) -> None:
    """Restore night scenes with a known kernel, with lamps 3 to 30 times white and without them."""
    settings = night.Settings(scenes=scenes, side=side, seed=seed, methods=tuple(methods.split(",")))
    with going_on(output, "night", scenes) as step:
        found = night.run(data, settings, on_scene=lambda _: step())
    finish(output, night.report(found, settings))


@app.command("coverage")
def coverage_command(
    kinds: Annotated[str, typer.Option(help=f"Some of photographs, {', '.join(coverage.DRAWN)}.")] = ",".join(
        coverage.Settings.kinds
    ),
    data: Annotated[Path | None, typer.Option(help="Folder of sharp photographs, for their kind.")] = None,
    method: Annotated[str, typer.Option(help="That restores.")] = coverage.Settings.method,
    count: Annotated[int, typer.Option(min=1, help="Crops of each kind at each level.")] = coverage.Settings.count,
    side: Annotated[int, typer.Option("--window", min=64, help="Side of a crop, pixels.")] = coverage.Settings.side,
    seed: Seed = coverage.Settings.seed,
    output: Output = OUT / "coverage",
) -> None:
    """Tell how many errors lie within the intervals of `--uncertainty`, by kind of picture."""
    wanted = tuple(kind.strip() for kind in kinds.split(",") if kind.strip())
    settings = coverage.Settings(kinds=wanted, method=method, count=count, side=side, seed=seed)
    with going_on(output, "coverage", count * len(settings.levels) * len(wanted)) as step:
        found = coverage.measure(settings, data, on_crop=step)
    finish(output, coverage.report(settings, found))


@app.command("trust")
def believe(
    data: Annotated[Path | None, typer.Option(help="Folder of sharp photographs; one in 25 is held out.")] = None,
    samples: Annotated[Path | None, typer.Option(help="Or samples.pt of an earlier run, to judge anew.")] = None,
    method: Annotated[str, typer.Option(help="That restores.")] = trust.Settings.method,
    fitted: Annotated[int, typer.Option(min=1, help="Crops at each level to fit to.")] = trust.Settings.fitted,
    held_out: Annotated[int, typer.Option(min=1, help="Crops at each level to judge by.")] = trust.Settings.held_out,
    side: Annotated[int, typer.Option("--window", min=64, help="Side of a crop, pixels.")] = trust.Settings.side,
    seed: Seed = trust.Settings.seed,
    output: Output = OUT / "trust",
) -> None:
    """Tell how far to believe a result: the unsupported map against the true error, and intervals that hold."""
    settings = trust.Settings(method=method, fitted=fitted, held_out=held_out, side=side, seed=seed)
    with going_on(output, "trust", (fitted + held_out) * len(settings.levels)) as step:
        found = trust.run(data, settings, output=output, samples=samples, on_crop=step)
    finish(output, trust.report(found))


@app.command("forgetting")
def forget(
    data: Data,
    seed: Seed = 0,
    iterations: Annotated[int, typer.Option(min=1, help="Of each of the two phases.")] = forgetting.ITERATIONS,
    features: Features = forgetting.FEATURES,
    output: Output = OUT / "forgetting",
) -> None:
    """Show that one network forgets: it learns to keep sharp pictures and to deblur (Luo et al. 2019, Fig. 5)."""
    with going_on(output, "forgetting", 2 * iterations * len(forgetting.RUNS)) as step:
        found = forgetting.run(data, seed=seed, iterations=iterations, features=features, on_iteration=step)
    finish(output, forgetting.report(found))


@app.command("balance")
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
    output: Output = OUT / "balance",
) -> None:
    """Train with perceptual terms of different weight (Luo et al. 2019, Fig. 8)."""
    weights = tuple(weight or balance.WEIGHTS)
    with going_on(output, "balance", iterations * len(weights)) as step:
        found = balance.run(
            data, judge, weights=weights, seed=seed, iterations=iterations, features=features, on_iteration=step
        )
    finish(output, balance.report(found))


@app.command("convergence")
def converge(
    pairs: Annotated[
        Path | None, typer.Option(help="Folder of pairs [SCENE/]blurred/NAME.png and [SCENE/]sharp/NAME.png.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Or of sharp photographs; held-out ones are taken.")] = None,
    weights: GolfWeights = None,
    putts: Annotated[int, typer.Option(min=1, max=1000, help="The largest N.")] = convergence.PUTTS,
    pictures: Annotated[int, typer.Option(min=1, help="At most.")] = convergence.PICTURES,
    output: Output = OUT / "convergence",
) -> None:
    """Follow the PSNR over the iterates of G, picture by picture (Luo et al. 2019, section 6.1)."""
    folder = pairs or data
    if folder is None or (pairs is not None and data is not None):
        raise ConfigError("give either --pairs FOLDER or --data PHOTOGRAPHS")
    restorer, trained = convergence.load_golf(weights, putts)
    cases = (convergence.from_photographs if pairs is None else from_pairs)(folder, pictures)
    with going_on(output, "convergence", pictures) as step:
        found = convergence.run(cases, restorer, source=folder.name, trained_putts=trained, on_picture=step)
    finish(output, convergence.report(found))


@app.command("brightness")
def brighten(
    data: Annotated[
        Path | None, typer.Option(help="Folder of sharp photographs; held-out ones are blurred in two ways.")
    ] = None,
    pairs: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of real pairs [SCENE/]blurred/NAME.png and [SCENE/]sharp/NAME.png."),
    ] = None,
    sharp: Annotated[Path | None, typer.Option(help="Folder of sharp pictures, restored as they are.")] = None,
    weights: GolfWeights = None,
    pictures: Annotated[int, typer.Option(min=1, help="Of each source, at most.")] = 20,
    side: Annotated[
        int, typer.Option("--window", min=64, help="Side of crops of photographs and sharp pictures.")
    ] = 256,
    rounding: Annotated[bool, typer.Option(help="Whether bfloat16 is measured as well; takes twice as long.")] = True,
    output: Output = OUT / "brightness",
) -> None:
    """Measure how Golf changes the brightness, and the gain of its residual that does no harm."""
    if data is None and not pairs and sharp is None:
        raise ConfigError("nothing to measure; give --data, --pairs or --sharp")
    restorer, _ = convergence.load_golf(weights, 0)
    assert isinstance(restorer.method, Golf)
    blur = DynamicBlur(extent=(1.5, 40.0), memory=(0.4, 16.0), still=0.0)
    cases = [] if data is None else [brightness.from_photographs(data, blur, count=pictures, side=side)]
    cases += [from_pairs(folder, pictures) for folder in pairs or []]
    cases += [] if sharp is None else [brightness.from_folder(sharp, pictures, side)]
    with going_on(output, "brightness") as step:
        found = brightness.run(chain.from_iterable(cases), restorer.method, rounding=rounding, on_picture=step)
    finish(output, brightness.report(found, restorer.weights))


@app.command("use")
def use(
    data: Data,
    portion: Annotated[float, typer.Option(min=0.01, help="Of 30 pictures; 4 makes 120.")] = usage.Settings.portion,
    side: Annotated[int, typer.Option(min=192, help="Of a picture, pixels.")] = usage.Settings.side,
    seed: Seed = usage.Settings.seed,
    kinds: Annotated[str, typer.Option(help=f"Only these, with commas: {', '.join(KINDS)}.")] = "",
    output: Output = OUT / "use",
) -> None:
    """Tell what the default command makes of users' pictures: better, worse, or left as they were."""
    chosen = tuple(kind.strip() for kind in kinds.split(",") if kind.strip())
    unknown = [kind for kind in chosen if kind not in KINDS]
    if unknown:
        raise ConfigError(f"--kinds {unknown[0]}: there are {', '.join(KINDS)}")
    settings = usage.Settings(side=side, seed=seed, portion=portion, kinds=chosen)
    with going_on(output, "use") as step:

        def note(trial: usage.Trial, case: Case, image: Image, result: Tensor) -> None:
            step(trial.name)
            out.print(
                f"{trial.name:14} {trial.before:6.2f} -> {trial.after:6.2f} dB {trial.verdict:7} {trial.seconds:.0f} s "
                f"{'' if trial.confidence is None else f'{trial.confidence:.2f} '}{'; '.join(trial.remarks)}",
                markup=False,
                soft_wrap=True,
            )
            usage.write_pictures(output, case, image, result)

        found = usage.run(data, settings, usage.default(), on_trial=note)
    finish(output, usage.report(found, settings))


@app.command("guesses")
def guessed(
    data: Data,
    side: Annotated[int, typer.Option(min=192, help="Of a picture, pixels.")] = guesses.Settings.side,
    seed: Seed = guesses.Settings.seed,
    method: Annotated[str, typer.Option(help="That restores with the kernel.")] = guesses.Settings.method,
    output: Output = OUT / "guesses",
) -> None:
    """Tell what a guess of the blur that is off by a third does, as it is and refined."""
    settings = guesses.Settings(side=side, seed=seed, method=method)
    with going_on(output, "guesses", 2 * len(guesses.TRUE)) as step:
        found = guesses.run(data, settings, lambda trial: step(trial.guess))
    finish(output, guesses.report(found, settings))


@app.command("cameras")
def known_cameras(
    data: Annotated[
        Path | None, typer.Option(help="Folder of sharp photographs; held-out ones are scenes too. Else rendered ones.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="For each ISO.")] = cameras.Settings.pictures,
    height: Annotated[int, typer.Option(min=120, help="Of a picture, pixels.")] = cameras.Settings.height,
    width: Annotated[int, typer.Option(min=120, help="Of a picture, pixels.")] = cameras.Settings.width,
    seed: Seed = cameras.Settings.seed,
    output: Output = OUT / "cameras",
) -> None:
    """Calibrate two cameras whose noise and lens are known: true and recovered parameters."""
    settings = cameras.Settings(pictures=pictures, height=height, width=width, seed=seed)
    with going_on(output, "cameras") as step:
        found = cameras.run(data, settings, on_picture=step)
    finish(output, cameras.report(found, settings))
