"""The program `acutance` and its commands."""

from __future__ import annotations

from importlib.metadata import version as installed
from typing import Annotated, Any, NoReturn

import typer

from acutance import __version__
from acutance.cli.console import escape, out, say
from acutance.cli.lazy import Command, Settings, add_stubs, lazy_group
from acutance.cli.running import run


def _restore() -> Any:
    from acutance.cli.restoring import restore

    return restore


def _kernel() -> Any:
    from acutance.cli.finding import kernel

    return kernel


def _denoise() -> Any:
    from acutance.cli.tasks import COMMANDS

    return COMMANDS["denoise"]


def _derain() -> Any:
    from acutance.cli.tasks import COMMANDS

    return COMMANDS["derain"]


def _sense() -> Any:
    from acutance.cli.sensing import sense

    return sense


def _serve() -> Any:
    from acutance.cli.serving import serve

    return serve


def _methods() -> Any:
    from acutance.cli.methods import methods

    return methods


COMMANDS = {
    "restore": Command(
        "Make blurred pictures sharp again; without a kernel, whatever the blur is. Or remove noise, or rain.", _restore
    ),
    "kernel": Command("Estimate the blur kernel (PSF) of a photograph.", _kernel),
    "denoise": Command("Remove the noise of pictures; its level need not be known.", _denoise),
    "derain": Command("Remove streaks of rain from pictures.", _derain),
    "sense": Command(
        "Measure a picture by few numbers, compressively; `acutance restore` makes it a picture again.", _sense
    ),
    "serve": Command("Start the page and the HTTP service; it needs no network.", _serve),
    "methods": Command("List the methods that there are.", _methods),
}
"""By name, in the order of the help."""

MOVED = ("bench", "train", "fit", "publish", "experiment", "training-page")
"""Commands of the laboratory, which once were commands of this program."""


def moved(name: str) -> None:
    """Say where a command of the laboratory has gone.

    Raises:
        Exit: 2, if it is one.
    """
    if name in MOVED:
        say(escape(f"acutance {name} is now: acutance-lab {name} (pip install 'acutance[lab]')"))
        raise typer.Exit(2)


app = typer.Typer(
    name="acutance",
    help="Makes blurred pictures sharp again.",
    no_args_is_help=True,
    cls=lazy_group(COMMANDS, moved),
    **Settings,  # type: ignore[arg-type]
)
add_stubs(app, COMMANDS)


def _version(show: bool) -> None:
    if show:
        out.print(f"acutance {__version__}, torch {installed('torch')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Makes blurred pictures sharp again."""


def main() -> NoReturn:
    """Run the program."""
    run(app)
