"""A group of commands that are imported when they are asked for: `acutance --help` reads this table and no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

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


def lazy_group(commands: dict[str, Command], on_unknown: Callable[[str], None] = lambda name: None) -> type[TyperGroup]:
    """The class of a group that loads these commands; their stubs are added by `add_stubs`.

    Args:
        commands: by name. on_unknown: called with a name that is none of them; may raise, else it is a wrong usage.
    """

    class Lazy(TyperGroup):
        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """The command that was asked for, imported."""
            if args and args[0] not in commands:
                on_unknown(args[0])
            name, command, rest = super().resolve_command(ctx, args)
            if name in commands and command is not None:
                command = loaded(name, commands[name])
            return name, command, rest

    return Lazy


def loaded(name: str, command: Command) -> Any:
    """Import it; as the group runs it."""
    found = command.load()
    if not isinstance(found, typer.Typer):
        app = typer.Typer(**Settings)  # type: ignore[arg-type]
        app.command(name)(found)
        found = app
    whole = get_command(found)
    whole.name = name
    return whole


def add_stubs(app: typer.Typer, commands: dict[str, Command]) -> None:
    """Put a name and a line of help into the application for each command."""
    for name, command in commands.items():
        app.command(name, help=command.does)(_stub)


def _stub() -> None:
    raise AssertionError("a stub was run; resolve_command loads the command")
