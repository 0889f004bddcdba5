"""The program `acutance-lab` and its commands."""

from __future__ import annotations

from importlib.metadata import version as installed
from typing import Annotated, Any, NoReturn

import typer

from acutance import __version__
from acutance.cli.console import out
from acutance.cli.lazy import Command, Settings, add_stubs, lazy_group
from acutance.cli.running import run


def _bench() -> Any:
    from acutance_lab.cli.benching import app

    return app


def _train() -> Any:
    from acutance_lab.cli.training import train

    return train


def _fit() -> Any:
    from acutance_lab.cli.training import fit

    return fit


def _publish() -> Any:
    from acutance_lab.cli.training import publish

    return publish


def _training_page() -> Any:
    from acutance_lab.cli.training import page

    return page


def _train_critic() -> Any:
    from acutance_lab.cli.training_critic import train_critic

    return train_critic


def _train_estimator() -> Any:
    from acutance_lab.cli.training_estimator import train_estimator

    return train_estimator


def _experiment() -> Any:
    from acutance_lab.cli.experimenting import app

    return app


COMMANDS = {
    "bench": Command("Measure methods on public test sets.", _bench),
    "train": Command("Train a method; the same command goes on where a stopped run left off.", _train),
    "fit": Command("Fit the mixture of Gaussians that EPLL knows patches by; some ten minutes.", _fit),
    "publish": Command(
        "Put the weights of a run into the package with a model card, if they score higher than the shipped ones.",
        _publish,
    ),
    "train-critic": Command("Train the network that tells what a found kernel will gain.", _train_critic),
    "train-estimator": Command("Train the network of the learned estimator of kernels.", _train_estimator),
    "training-page": Command("Put the tables of queue, trunks and ledger into a page.", _training_page),
    "experiment": Command("Run experiments of the papers again.", _experiment),
}
"""By name, in the order of the help."""

HELP = "Trains and measures the methods of acutance."

app = typer.Typer(
    name="acutance-lab",
    help=HELP,
    no_args_is_help=True,
    cls=lazy_group(COMMANDS),
    **Settings,  # type: ignore[arg-type]
)
add_stubs(app, COMMANDS)


def _version(show: bool) -> None:
    if show:
        out.print(f"acutance-lab {__version__}, torch {installed('torch')}")
        raise typer.Exit


@app.callback(help=HELP)
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Only the options that come before a command."""


def main() -> NoReturn:
    """Run the program."""
    run(app)
