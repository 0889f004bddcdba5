"""What ends a batch early: signals, and a standard output that takes nothing more."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from acutance.cli import console
from acutance.cli.app import app
from acutance.cli.batch import message_of
from acutance.cli.stopping import Stopped, Stopping
from acutance.cli.targets import Job
from acutance.images import read_image, write_image

runner = CliRunner()
COMMAND = ["restore", "in", "-o", "out", "--gaussian", "1.2", "--method", "wiener"]
posix = pytest.mark.skipif(os.name != "posix", reason="signals and devices of POSIX")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in "abcd":
        write_image(f"in/{name}.png", torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(ord(name))))


def signalling(monkeypatch: pytest.MonkeyPatch, number: int, times: int) -> None:
    """A signal arrives while the second picture is read."""

    def read(path: Path, **options: int) -> object:
        if path.name == "b.png":
            for _ in range(times):
                signal.raise_signal(number)
        return read_image(path, **options)

    monkeypatch.setattr("acutance.cli.batch.read_image", read)


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_lets_the_current_picture_be_finished(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    signalling(monkeypatch, number, 1)
    result = runner.invoke(app, COMMAND)
    assert result.exit_code == 128 + number
    assert "stopped: 2 restored, 2 not begun; the same command goes on from there" in result.output
    assert signal.getsignal(number) == before
    monkeypatch.undo()


@posix
def test_a_second_signal_ends_at_once_and_the_same_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path.cwd()
    signalling(monkeypatch, signal.SIGTERM, 2)
    result = runner.invoke(app, COMMAND)
    assert result.exit_code == 130  # the program itself makes 143 of it
    assert Stopping.last == signal.SIGTERM
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert [p.name for p in Path("out").glob("*.png")] == ["a.png"]
    assert not list(Path("out").glob("*.part"))
    assert "3 restored, 1 done already" in runner.invoke(app, COMMAND).output


@posix
def test_the_first_signal_ends_a_single_picture() -> None:
    with pytest.raises(Stopped), Stopping(graceful=False):
        signal.raise_signal(signal.SIGTERM)


@posix
def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopping(graceful=False):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@posix
def test_the_program_goes_on_without_its_output_and_says_so() -> None:
    """Output on a full disk, and a name that no terminal should obey."""
    Path("in/a.png").rename("in/\x1b[31m:100:\udcff.png")
    command = [sys.executable, "-m", "acutance", *COMMAND, "--json"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=120, check=False)
    said = result.stderr.decode()
    assert result.returncode == 1
    assert said.count("cannot write to standard output (No space left on device)") == 1
    assert "4 restored" in said
    assert "Traceback" not in said
    assert "\x1b" not in said
    assert len(list(Path("out").glob("*.png"))) == 4


def test_a_closed_output_is_told_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(console, "_lost", [])
    monkeypatch.setattr(sys, "stdout", Broken())
    console.emit("one")
    console.emit("two")
    monkeypatch.undo()
    assert capsys.readouterr().err.count("Broken pipe") == 1


def test_an_error_that_is_ours_has_no_message() -> None:
    job = Job(Path("a.png"), Path("b.png"))
    assert message_of(KeyError("x"), job) is None
    assert message_of(OSError(5, "Input/output error", "a.png"), job) == "a.png: Input/output error: a.png"


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert console.escape("a\x1b]0;x\x07\u202e\n[b]") == r"a\x1b]0;x\x07\u202e\n\[b]"
    assert console.escape_message("one\ntwo") == "one\n  two"
