"""`acutance-lab experiment night`: thin, over `acutance_lab.experiments.night`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import escape, out, progress_bar, say
from acutance_lab.experiments import night
from acutance_lab.experiments.output import prepare_folder


def at_night(
    data: Annotated[Path, typer.Option("--data", help="Folder of sharp photographs; held-out ones are taken.")],
    scenes: Annotated[int, typer.Option(min=1, help="How many.")] = night.Settings.scenes,
    side: Annotated[int, typer.Option("--window", min=64, help="Side of a scene, pixels.")] = night.Settings.side,
    seed: Annotated[int, typer.Option(min=0, help="Of all draws.")] = night.Settings.seed,
    methods: Annotated[str, typer.Option(help="That take a kernel, with commas.")] = ",".join(night.Settings.methods),
    output: Annotated[Path, typer.Option("--out", help="Folder for night.json.")] = Path("out/experiments/night"),
) -> None:
    """Restore night scenes with a known kernel, with lamps 3 to 30 times white and without them."""
    settings = night.Settings(scenes=scenes, side=side, seed=seed, methods=tuple(methods.split(",")))
    prepare_folder(output)
    with progress_bar() as bar:
        task = bar.add_task("night", total=scenes)
        found = night.run(data, settings, on_scene=lambda _: bar.advance(task))
    out.print(night.night_table(found), markup=False)
    say(f"written: {escape(night.write_json(output, found, settings))}")
