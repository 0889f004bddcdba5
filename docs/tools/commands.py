"""The pages `command-line.md` and `laboratory.md`, made from the help of the programs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click
from typer.cli import get_docs_for_click

from acutance.cli.lazy import Command, loaded

PRODUCT = """# Command line

`acutance COMMAND --help` prints the same. Every command says in one sentence what is wrong, and how to mend it, when it
cannot do what it was asked for.
"""

LABORATORY = """# Command line of the laboratory

`acutance-lab` trains and measures the methods. It needs the extra `lab`: `pip install 'acutance[lab]'`.
"""


def product() -> str:
    """Markdown: all commands of `acutance`."""
    from acutance.cli.app import COMMANDS

    return PRODUCT + "\n" + _commands("acutance", COMMANDS)


def laboratory() -> str:
    """Markdown: all commands of `acutance-lab`."""
    from acutance_lab.cli.app import COMMANDS

    return LABORATORY + "\n" + _commands("acutance-lab", COMMANDS)


def _commands(program: str, commands: Mapping[str, Command]) -> str:
    parts = []
    for name, command in commands.items():
        whole: Any = loaded(name, command)
        context = click.Context(whole, info_name=name)
        parts.append(get_docs_for_click(obj=whole, ctx=context, indent=1, call_prefix=program))
    return re.sub(r"\[dim\](.*?)\[/\]", _examples, "\n".join(parts), flags=re.DOTALL)


def _examples(found: re.Match[str]) -> str:
    """The examples of a help text as a block."""
    lines = [line.strip() for line in found[1].splitlines()]
    return "\n".join(["```console", *(f"$ {line}" for line in lines if line), "```"])
