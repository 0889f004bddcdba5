"""`acutance-lab train`, `acutance-lab fit` and `acutance-lab publish`."""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import torch
import typer

from acutance.cli.console import escape, out, progress_bar, say
from acutance.errors import ConfigError, DataError
from acutance.images.atomic import write_atomically
from acutance.weights import write_weights
from acutance_lab.cli.training_critic import train_critic
from acutance_lab.cli.training_estimator import train_estimator
from acutance_lab.cli.training_finetune import draw, finetune
from acutance_lab.cli.training_flow import train_flow
from acutance_lab.data.photographs import Photographs
from acutance_lab.train import ledger
from acutance_lab.train.config import read_config
from acutance_lab.train.foreign import convert_file
from acutance_lab.train.loop import Budget
from acutance_lab.train.loop import train as run_training
from acutance_lab.train.mixture import Fitted, MixtureFit, fit_mixture, held_out_likelihood
from acutance_lab.train.publish import DATA
from acutance_lab.train.publish import publish as run_publish
from acutance_lab.train.trunk import branched, no_trunk, read_trunk

PAGE = Path("docs/training.md")


def train(
    name: Annotated[str, typer.Argument(help="A configuration (rgdn: configs/rgdn.toml), or `next` in the queue.")],
    data: Annotated[Path, typer.Option(help="Folder of sharp photographs.")],
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Wall-clock budget; the schedule fits itself.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Budget in iterations instead.")] = None,
    cores: Annotated[bool, typer.Option("--cores", help="The minutes are those of processor cores.")] = False,
    branch: Annotated[bool, typer.Option("--branch", help="Cool a branch of the trunk down.")] = False,
    config: Annotated[Path | None, typer.Option(help="Configuration; default configs/NAME.toml.")] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder of the run; default runs/NAME.")] = None,
    init: Annotated[Path | None, typer.Option(help="Start from weights, shipped ones by name, or a run.")] = None,
    book: Annotated[Path, typer.Option("--ledger", help="Folder of queue, ledger and trunks.")] = ledger.FOLDER,
    accelerator: Annotated[str, typer.Option(help="As Lightning Fabric takes it.")] = "auto",
    devices: Annotated[int, typer.Option(min=1)] = 1,
    nodes: Annotated[int, typer.Option(min=1)] = 1,
    compile_networks: Annotated[bool, typer.Option("--compile", help="torch.compile the networks.")] = False,
    seed: Annotated[int | None, typer.Option(help="Another seed than the configuration's.")] = None,
    note: Annotated[str, typer.Option(help="What the ledger says of the run.")] = "",
) -> None:
    """Train a method; the same command goes on where a stopped run left off.

    A configuration with a constant learning rate grows the trunk NAME, which goes on from training/trunks anywhere.
    """
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    if name == "next":
        entry = ledger.next_run(book, book / "trunks")
        say(f"next in the queue: [bold]{escape(entry.name)}[/]. {escape(entry.why)}")
        name = entry.name
        minutes = minutes if minutes is not None or iterations is not None else entry.minutes
        init = init or (Path(entry.init) if entry.init else None)
    if minutes is None and iterations is None:
        raise ConfigError("say how long to train: --minutes 30")
    settings = read_config(config or Path("configs") / f"{name}.toml")
    if seed is not None:
        settings = replace(settings, seed=seed)
    file = book / "trunks" / f"{name}.safetensors"
    endless = settings.optimiser.schedule == "constant"
    if branch and not endless:
        raise ConfigError(f"{name} is no trunk (its learning rate is not constant), so it has no branches")
    trunk = read_trunk(file) if endless and file.is_file() else None
    if branch:
        settings, trunk = branched(settings), trunk or no_trunk(file)
    label = f"{name}-branch" if branch else name
    start = None if init is None or trunk is not None else ledger.start_weights(init)
    run = run_training(
        settings, data, folder or Path("runs") / label, Budget(minutes=minutes, iterations=iterations, cores=cores),
        accelerator=accelerator, devices=devices, nodes=nodes, init=start, compile_networks=compile_networks,
        trunk=trunk, trunk_file=file if endless and not branch and book.is_dir() else None, report=_report,
    )  # fmt: skip
    if not run.leader:
        _leave()
    row = ledger.row(label, settings, run, note=note)
    say(f"[bold]{escape(run.folder)}[/]: {row.updates} updates, {row.minutes:g} core minutes on {run.device}")
    say(f"{row.speed:g} pictures a core second, {100 * run.data_share:.1f} % of the time spent on data")
    ledger.append(book, row)
    out.print(json.dumps(asdict(row), ensure_ascii=False), markup=False)
    if run.processes > 1:
        _leave()


def page(
    into: Annotated[Path, typer.Option(help="Page with lines <!-- training queue|trunks|ledger -->.")] = PAGE,
    book: Annotated[Path, typer.Option("--ledger", help="Folder of queue, ledger and trunks.")] = ledger.FOLDER,
) -> None:
    """Put the tables of queue, trunks and ledger into a page."""
    try:
        before = into.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--into {into}: it cannot be read ({type(error).__name__}); give a page of text") from None
    write_atomically(into, ledger.put_into(before, book, book / "trunks").encode(), overwrite=True)
    say(f"{escape(into)}: tables renewed")


def fit(
    data: Annotated[Path, typer.Option(help="Folder of sharp photographs.")],
    output: Annotated[Path, typer.Option("--out", help="Weights file; its card NAME.json is put beside it.")],
    components: Annotated[int, typer.Option(min=1, help="Gaussians of the mixture.")] = 200,
    version: Annotated[str, typer.Option(help="Name in the card.")] = "epll-1",
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Fit the mixture of Gaussians that EPLL knows patches by; some ten minutes."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = MixtureFit(components=components, seed=seed)
    photographs = Photographs.load(data, device=device)
    minutes = 0.0
    with progress_bar() as bar:
        task = bar.add_task("patches", total=sum(settings.patches))

        def on_iteration(fitted: Fitted) -> None:
            nonlocal minutes
            minutes = fitted.minutes
            bar.advance(task, settings.patches[fitted.iteration - 1])
            say(f"iteration {fitted.iteration}: {fitted.likelihood:.2f} nats a patch, {minutes:.1f} min")

        mixture = fit_mixture(photographs, settings, on_iteration=on_iteration)
    held_out = held_out_likelihood(mixture, Photographs.load(data, device=device, validation=True))
    card = {
        "name": version,
        "method": "epll",
        "model": {},
        "licence": "Apache-2.0",
        "data": DATA,
        "data_hash": photographs.digest,
        "minutes": round(minutes, 1),
        "iterations": len(settings.patches),
        "scores": [{"nats_per_held_out_patch": round(held_out, 2)}],
    }
    digest = write_weights(output, mixture.tensors(), card, dtype=torch.float16)
    say(f"{escape(output)}: {version}-{digest[:8]}, {held_out:.2f} nats a held-out patch")


def publish(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    name: Annotated[str, typer.Option(help="Name of the shipped weights.")] = "rgdn",
    version: Annotated[str, typer.Option(help="Name in the model card, e.g. rgdn-1.")] = "rgdn-1",
    data: Annotated[Path | None, typer.Option(help="Photographs; scores old and new on the held-out ones.")] = None,
    share: Annotated[
        float, typer.Option(help="Of the run in the weights, above 0 to 1; the rest is what is shipped so far.")
    ] = 1.0,
    steps: Annotated[int | None, typer.Option(min=1, help="That the method takes by default.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if the shipped weights score higher.")] = False,
) -> None:
    """Put the weights of a run into the package with a model card, if they score higher than the shipped ones."""
    outcome = run_publish(run, name=name, version=version, data=data, share=share, steps=steps, force=force)
    say(escape(outcome))


def convert(
    method: Annotated[str, typer.Argument(help="fdn (their HDF5) or csf (their MAT file).")],
    file: Annotated[Path, typer.Argument(help="The authors' weights.")],
    output: Annotated[Path, typer.Option("--out", help="Weights file; its card NAME.json is put beside it.")],
) -> None:
    """Write weights of a method's authors as a file that every command takes as weights."""
    digest = convert_file(method, file, output)
    say(f"{escape(output)}: {method}, {digest[:8]}")


COMMANDS = {
    "train": train, "finetune": finetune, "draw": draw, "fit": fit, "convert": convert, "publish": publish,
    "training-page": page,
    "train-critic": train_critic, "train-estimator": train_estimator, "train-flow": train_flow,
}  # fmt: skip
"""By name."""


def _leave() -> NoReturn:
    """End one of several processes without the interpreter's farewell, in which Gloo's threads may wait for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _report(line: dict[str, Any]) -> None:
    score = "".join(f"  {step} steps {value:.2f} dB" for step, value in line.get("psnr", {}).items())
    blurred = f" (blurred {line['blurred']:.2f})" if "blurred" in line else ""
    out.print(
        f"{100 * line['progress']:5.1f} %  {line['minutes']:6.1f} min  iteration {line['iteration']:6d}  "
        f"loss {line['loss']:+.4f}  {line['images_per_second']:.1f} pictures/s  data {100 * line['data_share']:.1f} %"
        f"{score}{blurred}"
    )
