"""Running a program of commands: the one place where errors become messages and exit codes.

Exit codes: 0 done; 1 something could not be done, the message says what; 2 wrong usage; 128 and its number: stopped by
a signal, 130 by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from acutance.cli.console import discard_output, escape_message, say
from acutance.cli.stopping import Stopping
from acutance.errors import AcutanceError


def run(app: typer.Typer) -> NoReturn:
    """Run it; what goes wrong on purpose is one message, not a traceback (ACUTANCE_DEBUG=1 shows it)."""
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
