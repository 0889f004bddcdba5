"""The program: its commands, and the one place where errors become messages and exit codes.

Exit codes: 0 done; 1 something could not be done, the message says what; 2 wrong usage; 128 and its number: stopped by
a signal, 130 by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import torch
import typer

from acutance import __version__
from acutance.cli import benching, experimenting, finding, measuring, restoring, sensing, tasks, training, tuning
from acutance.cli.console import discard_output, escape_message, out, say
from acutance.cli.stopping import Stopping
from acutance.errors import AcutanceError
from acutance.methods.spec import catalogue
from acutance.weights import embedded_names

app = typer.Typer(
    name="acutance",
    help="Makes blurred pictures sharp again.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("restore")(restoring.restore)
app.command("kernel")(finding.kernel)
for _name, _task in tasks.COMMANDS.items():
    app.command(_name)(_task)
app.command("sense")(sensing.sense)
app.command("train")(training.train)
app.command("fit")(training.fit)
app.command("training-page")(training.page)
app.command("publish")(training.publish)
for _measure in (
    measuring.speed,
    measuring.size,
    measuring.sheet,
    measuring.operators,
    measuring.border,
    measuring.noise,
    measuring.times,
    measuring.curves,
    measuring.arithmetic,
    measuring.runs,
):
    benching.app.command(_measure.__name__)(_measure)
benching.app.command("tune")(tuning.tune)
app.add_typer(benching.app, name="bench")
app.add_typer(experimenting.app, name="experiment")


@app.command("methods")
def methods() -> None:
    """List the methods that there are."""
    shipped = embedded_names()
    for spec in catalogue().values():
        names = ", ".join((spec.name, *spec.aliases))
        foreign = spec.weights is not None and spec.weights not in shipped
        wanted = (
            ("kernel", spec.needs.kernel), ("noise level", spec.needs.sigma), ("--weights, none are shipped", foreign),
        )  # fmt: skip
        wants = [want for want, yes in wanted if yes]
        out.print(
            f"[bold]{names:<14}[/] {spec.summary}  [dim](needs: {', '.join(wants) or 'nothing'}; {spec.reference})[/]"
        )


def _version(show: bool) -> None:
    if show:
        out.print(f"acutance {__version__}, torch {torch.__version__}")
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
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _end_on_output(error: OSError) -> NoReturn:
    """Standard output is closed or full, as behind `| head`: nothing more can be said there."""
    if not isinstance(error, BrokenPipeError):
        say(f"[bold red]error:[/] {escape_message(error)}")
    discard_output()
    sys.exit(1)
