"""`acutance-lab train-estimator`: thin, over `acutance_lab.experiments.salience`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from acutance.cli.console import escape, out, say
from acutance.errors import ConfigError
from acutance.weights import embedded, find_weights
from acutance_lab.experiments import salience
from acutance_lab.experiments.salience import GOOD, Examination
from acutance_lab.train.publish import SHIPPED

WRITTEN = Path("out/salience.safetensors")


def train_estimator(
    data: Annotated[Path, typer.Option("--data", help="Folder of sharp photographs.")],
    samples: Annotated[Path, typer.Option(help="Folder of the samples.")] = Path("out/salience"),
    make: Annotated[float, typer.Option(min=0, help="Minutes in which samples are made first.")] = 0.0,
    minutes: Annotated[float, typer.Option(min=0, help="Core minutes of training; 0: make samples only.")] = 45.0,
    seed: Annotated[int, typer.Option(min=0, help="Of all draws; samples of several seeds share a folder.")] = 1,
    init: Annotated[
        Path | None, typer.Option(help="Weights to go on from, shipped (salience) or a file; none: a new network.")
    ] = None,
    publish: Annotated[
        bool, typer.Option(help="Put the weights into the package, if they are better than the shipped ones.")
    ] = False,
) -> None:
    """Train the network of the learned estimator of kernels."""
    start = None if init is None else find_weights(init)
    salience.network(start)  # refuses weights of another network before samples are made
    if make:
        count = salience.make(data, samples, seed=seed, minutes=make, on_sample=lambda n: say(f"{n} samples"))
        say(f"{count} samples written to {escape(samples)}")
    if not minutes:
        return
    kept, held = salience.load(samples), salience.load(samples / salience.HELD)
    WRITTEN.parent.mkdir(parents=True, exist_ok=True)

    def write(path: Path, weights: dict[str, Tensor], found: Examination, spent: float) -> None:
        salience.write(path, weights, found, pictures=len(kept), minutes=spent, seed=seed, start=start)

    def note(spent: float, weights: dict[str, Tensor], found: Examination) -> None:
        write(WRITTEN, weights, found, spent)
        out.print(f"{spent:5.1f} min  {told(found)}", markup=False)

    weights, found = salience.fit(kept, held, seed=seed, minutes=minutes, start=start, on_examination=note)
    out.print(told(found), markup=False)
    write(WRITTEN, weights, found, minutes)
    say(f"written: {escape(WRITTEN)} on {torch.get_num_threads()} threads")
    if publish:
        shipped = salience.examine(embedded("salience").tensors, held)
        if found.mean <= shipped.mean:
            raise ConfigError(
                f"not shipped: what is shipped is better or as good ({told(shipped)}); train on with --init {WRITTEN}"
            )
        write(SHIPPED / WRITTEN.name, weights, found, minutes)
        say(f"shipped in place of: {told(shipped)}")


def told(found: Examination) -> str:
    """An examination in a line."""
    return (
        f"{found.samples} held-out samples: mean similarity of kernels {found.mean:.3f}, "
        f"{found.good} of at least {GOOD:g}"
    )
