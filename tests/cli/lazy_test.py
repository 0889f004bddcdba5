"""The program acutance: commands are imported when they are asked for."""

from __future__ import annotations

import pytest
from lazy_checks import does_not_wait_for_torch, help_says, the_list_says_what_the_command_says
from typer.testing import CliRunner

from acutance.cli.app import COMMANDS, MOVED, app


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says(name: str) -> None:
    the_list_says_what_the_command_says(name, COMMANDS[name])


def test_every_command_is_in_the_help() -> None:
    help_says(app, [], *COMMANDS)


def test_a_command_has_its_own_help() -> None:
    help_says(app, ["restore"], "--kernel")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_do_not_wait_for_torch(option: str) -> None:
    does_not_wait_for_torch("acutance.cli.app", option)


def test_a_slip_of_the_finger_is_answered() -> None:
    result = CliRunner().invoke(app, ["restor", "a.png"])
    assert result.exit_code == 2
    assert "restore" in result.output


@pytest.mark.parametrize("name", MOVED)
def test_a_command_that_moved_says_where(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--out", "there"])
    assert result.exit_code == 2
    assert result.stderr.strip() == f"acutance {name} is now: acutance-lab {name} (pip install 'acutance[lab]')"
