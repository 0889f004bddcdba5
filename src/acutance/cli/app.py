"""The program: its commands, and the one place where errors become messages and exit codes.

Exit codes: 0 done; 1 something could not be done, the message says what; 2 wrong usage; 128 and its number: stopped by
a signal, 130 by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as installed
from typing import Annotated, Any, NoReturn

import typer

from acutance import __version__
from acutance.cli.console import discard_output, escape_message, out, say
from acutance.cli.lazy import Command, Settings, add_stubs, lazy_group
from acutance.cli.stopping import Stopping
from acutance.errors import AcutanceError


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


def _train() -> Any:
    from acutance.cli.training import train

    return train


def _fit() -> Any:
    from acutance.cli.training import fit

    return fit


def _training_page() -> Any:
    from acutance.cli.training import page

    return page


def _publish() -> Any:
    from acutance.cli.training import publish

    return publish


def _bench() -> Any:
    from acutance.cli.benching import app

    return app


def _experiment() -> Any:
    from acutance.cli.experimenting import app

    return app


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
    "train": Command("Train a method; the same command goes on where a stopped run left off.", _train),
    "fit": Command("Fit the mixture of Gaussians that EPLL knows patches by; some ten minutes.", _fit),
    "training-page": Command("Put the tables of queue, trunks and ledger into a page.", _training_page),
    "publish": Command(
        "Put the weights of a run into the package with a model card, if they score higher than the shipped ones.",
        _publish,
    ),
    "methods": Command("List the methods that there are.", _methods),
    "bench": Command("Measure methods on public test sets.", _bench),
    "experiment": Command("Run experiments of the papers again.", _experiment),
}
"""By name, in the order of the help."""

app = typer.Typer(
    name="acutance",
    help="Makes blurred pictures sharp again.",
    no_args_is_help=True,
    cls=lazy_group(COMMANDS),
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
    """Run the program; what goes wrong on purpose is one message, not a traceback (ACUTANCE_DEBUG=1 shows it)."""
    if os.environ.get("ACUTANCE_DEBUG"):
        app()
    try:
        with Stopping(graceful=False):
            app(standalone_mode=True)
    except AcutanceError as error:
        say(f"[bold red]error:[/] {escape_message(str(error) or type(error).__name__)}")
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as end:  # typer makes an exit of an interrupt
        if isinstance(end, SystemExit) and (end.code != 130 or Stopping.last is None):
            raise
        say("stopped; what was finished is kept, and the same command goes on from there")
        sys.exit(128 + (Stopping.last or 2))
    except (MemoryError, RuntimeError) as error:
        if not _is_about_memory(error):
            raise
        reason = escape_message(error)
        say(f"[bold red]error:[/] not enough memory ({reason}); try --preview, a smaller --tile, or --device cpu")
        sys.exit(1)
    except OSError as error:
        _end_on_output(error)
    sys.exit(0)


def _is_about_memory(error: BaseException) -> bool:
    """On a CPU torch says so in words only."""
    is_torch = type(error).__name__ == "OutOfMemoryError"
    return isinstance(error, MemoryError) or is_torch or "can't allocate memory" in str(error)


def _end_on_output(error: OSError) -> NoReturn:
    """Standard output is closed or full, as behind `| head`: nothing more can be said there."""
    if not isinstance(error, BrokenPipeError):
        say(f"[bold red]error:[/] {escape_message(error)}")
    discard_output()
    sys.exit(1)
