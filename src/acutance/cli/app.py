"""The program `acutance` and its commands."""

from __future__ import annotations

from typing import Any, NoReturn

import typer

from acutance.cli.console import escape, say
from acutance.cli.lazy import commands_of, program
from acutance.cli.running import run


def _load(name: str) -> Any:
    """The function of a command, imported."""
    match name:
        case "restore":
            from acutance.cli.restoring import restore

            return restore
        case "repeat":
            from acutance.cli.repeating import repeat

            return repeat
        case "calibrate":
            from acutance.cli.calibrating import calibrate

            return calibrate
        case "kernel":
            from acutance.cli.finding import kernel

            return kernel
        case "psf":
            from acutance.cli.psf import app as psf

            return psf
        case "sense":
            from acutance.cli.sensing import sense

            return sense
        case "serve":
            from acutance.cli.serving import serve

            return serve
        case "export":
            from acutance.cli.exporting import export

            return export
        case "methods":
            from acutance.cli.methods import methods

            return methods
        case _:
            from acutance.cli.tasks import COMMANDS

            return COMMANDS[name]


COMMANDS = commands_of(
    _load,
    {
        "restore": (
            "Make blurred pictures sharp again; without a kernel, whatever the blur is. Or remove noise, or rain."
        ),
        "repeat": "Restore a picture again from its side-car, and say whether the result is the same, bit for bit.",
        "calibrate": "Measure the noise of a camera by ISO and the blur of its lens, for `acutance restore --profile`.",
        "kernel": "Estimate the blur kernel (PSF) of a photograph.",
        "psf": "Make, check and measure point-spread functions (PSF).",
        "denoise": "Remove the noise of pictures; its level need not be known.",
        "derain": "Remove streaks of rain from pictures.",
        "sense": "Measure a picture by few numbers, compressively; `acutance restore` makes it a picture again.",
        "serve": "Start the page and the HTTP service; it needs no network.",
        "export": "Write the network of a method as an ONNX file, for programs without torch.",
        "methods": "List the methods that there are.",
    },
)

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


app = program("acutance", "Makes blurred pictures sharp again.", COMMANDS, moved)


def main() -> NoReturn:
    """Run the program."""
    run(app)
