"""`acutance-lab train-critic`: thin, over `acutance_lab.experiments.critic`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from acutance.cli.console import escape, out, say
from acutance_lab.experiments import critic
from acutance_lab.experiments.critic import Examination
from acutance_lab.train.publish import SHIPPED


def train_critic(
    data: Annotated[Path, typer.Option("--data", help="Folder of sharp photographs; held-out ones are not used.")],
    trials: Annotated[Path, typer.Option(help="Folder of the trials.")] = Path("out/critic"),
    make: Annotated[float, typer.Option(min=0, help="Minutes in which trials are made first.")] = 0.0,
    minutes: Annotated[float, typer.Option(min=0, help="Core minutes of training; 0: make trials only.")] = 12.0,
    seed: Annotated[int, typer.Option(min=0, help="Of all draws; trials of several seeds share a folder.")] = 1,
    publish: Annotated[bool, typer.Option(help="Put the weights into the package.")] = False,
) -> None:
    """Train the network that tells what a found kernel will gain."""
    if make:
        count = critic.make(data, trials, seed=seed, minutes=make, on_trial=lambda n: say(f"{n} pictures"))
        say(f"{count} pictures written to {escape(trials)}")
    if not minutes:
        return
    kept = critic.load(trials)

    def note(done: float, _: dict[str, Tensor], found: Examination) -> None:
        out.print(f"{done:5.1f} min  {told(found)}", markup=False)

    weights, found = critic.fit(kept, seed=seed, minutes=minutes, on_examination=note)
    out.print(told(found), markup=False)
    target = Path("out/critic.safetensors")
    if publish:
        target = SHIPPED / "critic.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    critic.write(target, weights, found, pictures=len(kept), minutes=minutes, seed=seed)
    say(f"written: {escape(target)} on {torch.get_num_threads()} threads")


def told(found: Examination) -> str:
    """An examination in a line."""
    return (
        f"{found.pictures} held-out pictures, {found.hypotheses} hypotheses: correlation {found.correlation:.3f}, "
        f"median error {found.median:.2f} dB; a kernel that helps taken for {found.taken} of {found.offered}, one that "
        f"harms for {found.harmed}"
    )
