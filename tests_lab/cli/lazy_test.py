"""The program acutance-lab: commands are imported when they are asked for; help and version need no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from acutance.cli.app import MOVED
from acutance.cli.lazy import loaded
from acutance_lab.cli.app import COMMANDS, app


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
    result = CliRunner().invoke(app, ["train", "--help"])
    assert result.exit_code == 0
    assert "--branch" in result.output


def test_what_acutance_sends_here_is_here() -> None:
    assert set(MOVED) <= set(COMMANDS)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_do_not_wait_for_torch(option: str) -> None:
    script = (
        "import sys; from acutance_lab.cli.app import app\n"
        f"try: app(['{option}'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'PIL', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_errors_are_one_message() -> None:
    script = "import sys; from acutance_lab.cli import main; sys.argv[1:] = ['train', 'rgdn', '--data', '.']; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: say how long to train: --minutes 30\n"
