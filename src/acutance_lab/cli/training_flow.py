"""`acutance-lab train-flow`: thin, over `acutance_lab.experiments.motion_flow_fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from acutance.cli.console import escape, out, say
from acutance.errors import ConfigError
from acutance.weights import embedded, embedded_names, find_weights
from acutance_lab.experiments import motion_flow_fit as flow
from acutance_lab.experiments.motion_flow_fit import Examination
from acutance_lab.train.config import read_config
from acutance_lab.train.publish import SHIPPED

WRITTEN = Path("out/motion-flow.safetensors")


def train_flow(
    data: Annotated[Path, typer.Option("--data", help="Folder of sharp photographs.")],
    config: Annotated[Path, typer.Option(help="Configuration.")] = Path("configs/motion-flow.toml"),
    minutes: Annotated[float, typer.Option(min=0.01, help="Core minutes of training.")] = 60.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed than the configuration's.")] = None,
    init: Annotated[
        Path | None, typer.Option(help="Weights to go on from, shipped (motion-flow) or a file; none: a new network.")
    ] = None,
    output: Annotated[Path, typer.Option("--out", help="Weights file; its card is put beside it.")] = WRITTEN,
    publish: Annotated[
        bool, typer.Option(help="Put the weights into the package, if they are better than the shipped ones.")
    ] = False,
) -> None:
    """Train the network that tells the motion at every place of a picture."""
    settings = read_config(config)
    start = None if init is None else find_weights(init)
    flow.network(settings, start)  # refuses weights of another network before photographs are read
    photographs, others = flow.read(settings, data)
    held, draws = flow.held_out(settings, others), settings.seed if seed is None else seed
    output.parent.mkdir(parents=True, exist_ok=True)

    def note(spent: float, _: dict[str, Tensor], found: Examination) -> None:
        out.print(f"{spent:5.1f} min  {told(found)}", markup=False)

    weights, found, made = flow.fit(
        settings, photographs, held, seed=draws, minutes=minutes, start=start, on_examination=note
    )
    out.print(told(found), markup=False)

    def write(target: Path) -> None:
        flow.write(target, weights, found, config=settings, pictures=made, minutes=minutes, seed=draws, start=start)
        say(f"written: {escape(target)} on {torch.get_num_threads()} threads")

    write(output)
    if publish:
        better_than = found.nothing
        if WRITTEN.stem in embedded_names():
            better_than = flow.examine(embedded(WRITTEN.stem).tensors, held, settings).error
        if found.error >= better_than:
            raise ConfigError(
                f"not shipped: what there is is off by {better_than:.2f} pixels; train on with --init {output}"
            )
        write(SHIPPED / WRITTEN.name)


def told(found: Examination) -> str:
    """An examination in a line."""
    return (
        f"{found.scenes} held-out scenes: motion is off by {found.error:.2f} pixels in the mean; "
        f"{found.nothing:.2f} if none were told"
    )
