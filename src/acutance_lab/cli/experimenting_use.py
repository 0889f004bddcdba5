"""`acutance-lab experiment use`: the default command on pictures as users have them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from torch import Tensor

from acutance.cli.console import escape, out, progress_bar, say
from acutance.errors import ConfigError
from acutance.images import Image
from acutance_lab.experiments import use as usage
from acutance_lab.experiments import use_report
from acutance_lab.experiments.output import prepare_folder
from acutance_lab.experiments.use_cases import KINDS, Case


def use(
    data: Annotated[Path, typer.Option("--data", help="Folder of sharp photographs; one in 25 is held out.")],
    portion: Annotated[float, typer.Option(min=0.01, help="Of 30 pictures; 4 makes 120.")] = usage.Settings.portion,
    side: Annotated[int, typer.Option(min=192, help="Of a picture, pixels.")] = usage.Settings.side,
    seed: Annotated[int, typer.Option(min=0, help="Of all draws.")] = usage.Settings.seed,
    kinds: Annotated[str, typer.Option(help=f"Only these, with commas: {', '.join(KINDS)}.")] = "",
    output: Annotated[Path, typer.Option("--out", help="Folder for use.json and the pictures.")] = Path(
        "out/experiments/use"
    ),
) -> None:
    """Tell what the default command makes of users' pictures: better, worse, or left as they were."""
    chosen = tuple(kind.strip() for kind in kinds.split(",") if kind.strip())
    unknown = [kind for kind in chosen if kind not in KINDS]
    if unknown:
        raise ConfigError(f"--kinds {unknown[0]}: there are {', '.join(KINDS)}")
    settings = usage.Settings(side=side, seed=seed, portion=portion, kinds=chosen)
    prepare_folder(output)
    with progress_bar() as bar:
        task = bar.add_task("use", total=None)

        def note(trial: usage.Trial, case: Case, image: Image, result: Tensor) -> None:
            bar.update(task, advance=1, description=escape(trial.name))
            out.print(
                f"{trial.name:14} {trial.before:6.2f} -> {trial.after:6.2f} dB {trial.verdict:7} {trial.seconds:.0f} s "
                f"{'' if trial.confidence is None else f'{trial.confidence:.2f} '}{'; '.join(trial.remarks)}",
                markup=False,
                soft_wrap=True,
            )
            use_report.write_pictures(output, case, image, result)

        found = usage.run(data, settings, usage.default(), on_trial=note)
    out.print(use_report.table(found), markup=False)
    say(f"written: {escape(use_report.write_json(output, found, settings))}")
