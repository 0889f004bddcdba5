"""`acutance bench`: thin commands over `acutance.bench`."""

from __future__ import annotations

import typer

app = typer.Typer(help="Measure methods on public test sets.", no_args_is_help=True)
