"""The program `acutance-lab` and its commands."""

from __future__ import annotations

from typing import Any, NoReturn

from acutance.cli.lazy import commands_of, program
from acutance.cli.running import run


def _load(name: str) -> Any:
    """The function or the group of a command, imported."""
    if name == "bench":
        from acutance_lab.cli.benching import app

        return app
    if name == "experiment":
        from acutance_lab.cli.experimenting import app

        return app
    from acutance_lab.cli.training import COMMANDS

    return COMMANDS[name]


COMMANDS = commands_of(
    _load,
    {
        "bench": "Measure methods on public test sets.",
        "train": "Train a method; the same command goes on where a stopped run left off.",
        "finetune": (
            "Train the shipped weights of acute on your own sharp pictures, and examine both on pictures held out."
        ),
        "draw": "Render sharp pictures of a kind, TIFF of 16 bits or PNG, to train and measure on.",
        "fit": "Fit the mixture of Gaussians that EPLL knows patches by; some ten minutes.",
        "convert": "Write weights of a method's authors as a file that every command takes as weights.",
        "publish": (
            "Put the weights of a run into the package with a model card, if they score higher than the shipped ones."
        ),
        "train-critic": "Train the network that tells what a found kernel will gain.",
        "train-estimator": "Train the network of the learned estimator of kernels.",
        "train-flow": "Train the network that tells the motion at every place of a picture.",
        "training-page": "Put the tables of queue, trunks and ledger into a page.",
        "experiment": "Run experiments of the papers again.",
    },
)

app = program("acutance-lab", "Trains and measures the methods of acutance.", COMMANDS)


def main() -> NoReturn:
    """Run the program."""
    run(app)
