"""Commands are imported when they are asked for; help and version need no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from acutance.cli.app import COMMANDS, MOVED, app
from acutance.cli.lazy import loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says(name: str) -> None:
    found = COMMANDS[name].load()
    text = found.info.help if isinstance(found, typer.Typer) else found.__doc__
    assert text is not None
    assert text.strip().splitlines()[0] == COMMANDS[name].does
    assert loaded(name, COMMANDS[name]).name == name


def test_every_command_is_in_the_help() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)


def test_a_command_has_its_own_help() -> None:
    result = CliRunner().invoke(app, ["restore", "--help"])
    assert result.exit_code == 0
    assert "--kernel" in result.output


def test_a_slip_of_the_finger_is_answered() -> None:
    result = CliRunner().invoke(app, ["restor", "a.png"])
    assert result.exit_code == 2
    assert "restore" in result.output


@pytest.mark.parametrize("name", MOVED)
def test_a_command_that_moved_says_where(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--out", "there"])
    assert result.exit_code == 2
    assert result.stderr.strip() == f"acutance {name} is now: acutance-lab {name} (pip install 'acutance[lab]')"


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_do_not_wait_for_torch(option: str) -> None:
    script = (
        "import sys; from acutance.cli.app import app\n"
        f"try: app(['{option}'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'PIL', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
