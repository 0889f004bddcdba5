"""`acutance train` and `acutance publish`."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from acutance.cli.console import escape, out, say
from acutance.errors import ConfigError
from acutance.train import ledger
from acutance.train.config import read_config
from acutance.train.loop import Budget
from acutance.train.loop import train as run_training
from acutance.train.publish import publish as run_publish

NOTES = Path("docs/training.md")


def train(
    name: Annotated[str, typer.Argument(help="A configuration (rgdn: configs/rgdn.toml), or `next` in the queue.")],
    data: Annotated[Path, typer.Option(help="Folder of sharp photographs.")],
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Wall-clock budget; the schedule fits itself.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Budget in iterations instead.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration; default configs/NAME.toml.")] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder of the run; default runs/NAME.")] = None,
    init: Annotated[Path | None, typer.Option(help="Weights or a run's checkpoint to start from.")] = None,
    notes: Annotated[Path, typer.Option(help="Queue and ledger.")] = NOTES,
    accelerator: Annotated[str, typer.Option(help="As Lightning Fabric takes it.")] = "auto",
    devices: Annotated[int, typer.Option(min=1)] = 1,
    nodes: Annotated[int, typer.Option(min=1)] = 1,
    compile_networks: Annotated[bool, typer.Option("--compile", help="torch.compile the networks.")] = False,
    seed: Annotated[int | None, typer.Option(help="Another seed than the configuration's.")] = None,
) -> None:
    """Train a method; the same command goes on where a stopped run left off."""
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    if name == "next":
        entry = ledger.next_run(notes)
        say(f"next in the queue: [bold]{escape(entry.name)}[/], {escape(entry.why)}")
        name, config = entry.name, config or entry.config
        minutes = minutes if minutes is not None or iterations is not None else entry.minutes
        init = init or entry.init
    if minutes is None and iterations is None:
        raise ConfigError("say how long to train: --minutes 30")
    settings = read_config(config or Path("configs") / f"{name}.toml")
    if seed is not None:
        settings = replace(settings, seed=seed)
    start = None if init is None else ledger.start_weights(init)
    run = run_training(
        settings, data, folder or Path("runs") / name, Budget(minutes=minutes, iterations=iterations),
        accelerator=accelerator, devices=devices, nodes=nodes, init=start, compile_networks=compile_networks,
        report=_report,
    )  # fmt: skip
    row = ledger.row(name, settings, run)
    spent = run.clock.elapsed / 60
    say(f"[bold]{escape(run.folder)}[/]: {run.clock.iteration} iterations, {spent:.1f} min on {run.device}")
    say(f"{run.images_per_second:.1f} pictures/s, {100 * run.data_share:.1f} % of the time spent on data")
    ledger.append(notes, row)
    out.print(row, markup=False)


def publish(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    name: Annotated[str, typer.Option(help="Name of the shipped weights.")] = "rgdn",
    version: Annotated[str, typer.Option(help="Name in the model card, e.g. rgdn-1.")] = "rgdn-1",
    data: Annotated[Path | None, typer.Option(help="Photographs; scores old and new on the held-out ones.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if the shipped weights score higher.")] = False,
) -> None:
    """Put the weights of a run into the package with a model card, if they score higher than the shipped ones."""
    outcome = run_publish(run, name=name, version=version, data=data, force=force)
    say(escape(outcome))


def _report(line: dict[str, Any]) -> None:
    score = "".join(f"  {step} steps {value:.2f} dB" for step, value in line.get("psnr", {}).items())
    blurred = f" (blurred {line['blurred']:.2f})" if "blurred" in line else ""
    out.print(
        f"{100 * line['progress']:5.1f} %  {line['minutes']:6.1f} min  iteration {line['iteration']:6d}  "
        f"loss {line['loss']:+.4f}  {line['images_per_second']:.1f} pictures/s  data {100 * line['data_share']:.1f} %"
        f"{score}{blurred}"
    )
