"""A group of commands that are imported when they are asked for: `acutance --help` reads this table and no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version as installed
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from acutance import __version__
from acutance.cli.console import out

Settings = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": "rich"}
"""What every `Typer` of the program is made with."""


@dataclass(frozen=True)
class Command:
    """A command or a group of commands.

    Args:
        does: one line for the list of commands, the first of its docstring.
        load: imports it and returns its function, or its `Typer`.
    """

    does: str
    load: Callable[[], Callable[..., Any] | typer.Typer]


Commands = Mapping[str, Command]
"""By name, in the order of the help."""


def commands_of(load: Callable[[str], Any], does: Mapping[str, str]) -> Commands:
    """Commands by name, of what each does and of a function that imports the one of a name."""
    return {name: Command(text, partial(load, name)) for name, text in does.items()}


def program(
    name: str, does: str, commands: Commands, on_unknown: Callable[[str], None] = lambda name: None
) -> typer.Typer:
    """A program of commands that are imported when they are asked for, with the option --version.

    Args:
        does: its help. on_unknown: called with a name that is no command; may raise, else it is a wrong usage.
    """
    app = typer.Typer(name=name, no_args_is_help=True, cls=_lazy_group(commands, on_unknown), **Settings)  # type: ignore[arg-type]
    for each, command in commands.items():
        app.command(each, help=command.does)(_stub)

    def print_version(show: bool) -> None:
        if show:
            out.print(f"{name} {__version__}, torch {installed('torch')}")
            raise typer.Exit

    @app.callback(help=does)
    def root(
        version: bool = typer.Option(
            False, "--version", help="Print the version.", callback=print_version, is_eager=True
        ),
    ) -> None:
        """Only the options that come before a command."""

    return app


def _lazy_group(commands: Commands, on_unknown: Callable[[str], None]) -> type[TyperGroup]:
    """The class of a group that loads these commands, of which it has stubs."""

    class Lazy(TyperGroup):
        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """The command that was asked for, imported."""
            if args and args[0] not in commands:
                on_unknown(args[0])
            name, command, rest = super().resolve_command(ctx, args)
            if name is not None and name in commands and command is not None:
                command = loaded(name, commands[name])
            return name, command, rest

    return Lazy


def loaded(name: str, command: Command) -> Any:
    """Import it; as the group runs it."""
    return _built(name, command.load())


@cache
def _built(name: str, found: Callable[..., Any] | typer.Typer) -> Any:
    """The command of click, made once: reading the annotations of `restore` takes 10 ms each time."""
    if not isinstance(found, typer.Typer):
        app = typer.Typer(**Settings)  # type: ignore[arg-type]
        app.command(name)(found)
        found = app
    whole = get_command(found)
    whole.name = name
    return whole


def _stub() -> None:
    raise AssertionError("a stub was run; resolve_command loads the command")
