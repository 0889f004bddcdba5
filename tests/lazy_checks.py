"""What holds for a program whose commands are imported when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import typer
from typer.testing import CliRunner

from acutance.cli.lazy import Command, loaded


def the_list_says_what_the_command_says(name: str, command: Command) -> None:
    """Its line of help is the first of its docstring."""
    found = command.load()
    text = found.info.help if isinstance(found, typer.Typer) else found.__doc__
    assert text is not None
    assert text.strip().splitlines()[0] == command.does
    assert loaded(name, command).name == name


def help_says(app: typer.Typer, asked: list[str], *words: str) -> None:
    """The help that is asked for has these words."""
    result = CliRunner().invoke(app, [*asked, "--help"])
    assert result.exit_code == 0
    assert all(word in result.output for word in words)


def does_not_wait_for_torch(module: str, option: str) -> None:
    """The option --help or --version of the program of a module loads no heavy library."""
    script = (
        f"import sys; from {module} import app\n"
        f"try: app(['{option}'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'PIL', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
