"""The program acutance-lab: commands are imported when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from lazy_checks import does_not_wait_for_torch, help_says, the_list_says_what_the_command_says

from acutance.cli.app import MOVED
from acutance_lab.cli.app import COMMANDS, app


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says(name: str) -> None:
    the_list_says_what_the_command_says(name, COMMANDS[name])


def test_every_command_is_in_the_help() -> None:
    help_says(app, [], *COMMANDS)


def test_a_command_has_its_own_help() -> None:
    help_says(app, ["train"], "--branch")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_do_not_wait_for_torch(option: str) -> None:
    does_not_wait_for_torch("acutance_lab.cli.app", option)


def test_what_acutance_sends_here_is_here() -> None:
    assert set(MOVED) <= set(COMMANDS)


def test_errors_are_one_message() -> None:
    script = "import sys; from acutance_lab.cli import main; sys.argv[1:] = ['train', 'rgdn', '--data', '.']; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: say how long to train: --minutes 30\n"
