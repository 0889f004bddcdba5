"""`kill -9` at random moments of a folder run: nothing is lost, nothing is done twice, the results are the same.

KILLS=100 pytest tests/cli/kill_test.py     more of them
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.cli.journal import NAME
from acutance.images import write_image
from acutance.images.mark import read_mark

KILLS = int(os.environ.get("KILLS", "4"))
COMMAND = ["restore", "in", "-o", "out", "--gaussian", "1.2", "--method", "tv:steps=4"]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def start(arguments: list[str]) -> int:
    """The command in a forked process, which has everything loaded."""
    pid = os.fork()
    if pid:
        return pid
    try:
        torch.set_num_threads(1)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        code = CliRunner().invoke(app, arguments).exit_code
    except BaseException:
        code = 70
    os._exit(code)


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_killed_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(1)
    Path("in").mkdir()
    for index in range(8):
        write_image(f"in/{index}.png", torch.rand(1, 3, 90, 80, generator=generator))
    begun = time.monotonic()
    assert os.waitstatus_to_exitcode(os.waitpid(start(COMMAND), 0)[1]) == 0
    whole = time.monotonic() - begun
    expected = results(Path("out"))
    assert len(expected) == 8
    rng = random.Random(7)
    killed = finished = 0
    for _ in range(KILLS):
        for path in Path("out").iterdir():  # now and then from the beginning
            if finished or rng.random() < 0.1:
                path.unlink()
        finished = 0
        before = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
        pid = start(COMMAND)
        time.sleep(rng.uniform(0, whole))
        os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        killed += status == -signal.SIGKILL
        finished = status == 0
        assert status in (0, -signal.SIGKILL)
        for path in Path("out").glob("*.png"):
            assert path.read_bytes() == expected[path.name], "a result is whole, or not there"
            assert read_mark(path) is not None
        for path, moment in before.items():
            assert path.stat().st_mtime_ns == moment, "what was done is not done again"
    time.sleep(1.1)  # temporary files are left alone for a second
    assert os.waitstatus_to_exitcode(os.waitpid(start(COMMAND), 0)[1]) == 0
    assert results(Path("out")) == expected
    assert {p.name for p in Path("out").iterdir()} == {*expected, NAME}
    assert killed
    print(f"{killed} of {KILLS} runs were killed")  # noqa: T201
