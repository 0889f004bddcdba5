"""The Dockerfile and the systemd unit: as far as they can be checked without Docker and without being root."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from acutance.cli.app import COMMANDS
from acutance.cli.lazy import loaded

ROOT = Path(__file__).resolve().parents[2]
UNIT = (ROOT / "deploy/acutance.service").read_text(encoding="utf-8")
DOCKER = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")


def entry() -> list[str]:
    """The command of the image."""
    command: list[str] = json.loads(re.findall(r"^ENTRYPOINT (.*)$", DOCKER, re.MULTILINE)[0])
    return command


def in_comment() -> list[str]:
    """The same with the options that the comment gives."""
    options = re.findall(r"^#     docker run .* acutance (--.*)$", DOCKER, re.MULTILINE)[0]
    return entry() + shlex.split(options)


def in_unit() -> list[str]:
    """The command of the unit."""
    return shlex.split(re.findall(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)[0])


@pytest.mark.parametrize("command", [entry(), in_comment(), in_unit()], ids=["image", "comment", "unit"])
def test_the_command_takes_these_options(command: list[str]) -> None:
    serve: Any = loaded("serve", COMMANDS["serve"])
    assert [Path(command[0]).name, command[1]] == ["acutance", "serve"]
    context = serve.make_context("serve", command[2:])
    assert context.params["browser"] is False


def test_what_the_image_copies_is_there() -> None:
    """And the file of what is ignored lets it through."""
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / "deploy/Dockerfile.dockerignore").read_text(), re.MULTILINE))
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (?!--)(.*)$", DOCKER, re.MULTILINE)]
    assert copied
    for name in (name for names in copied for name in names):
        assert (ROOT / name).exists()
        assert name in allowed


def test_torch_is_pinned_where_the_image_looks_for_it() -> None:
    assert re.search(r"^torch==[0-9.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert "grep '^torch=='" in DOCKER


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """With a program that is there; every line that it does not know is said."""
    unit = tmp_path / "acutance.service"
    unit.write_text(UNIT.replace("/opt/acutance/bin/acutance", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
