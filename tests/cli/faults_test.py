"""Every call to the file system fails once, one after the other: nothing is lost, and the same command finishes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.errors import AcutanceError
from acutance.images.measurement_file import read_measurements

runner = CliRunner()

MOST = 200
"""Calls that a command of this test has at most."""


class Torn:
    """An open file of which a write may break off in the middle."""

    def __init__(self, file: Any, call: Callable[[], None]) -> None:
        self._file, self._call = file, call

    def write(self, data: bytes) -> int:
        try:
            self._call()
        except OSError:
            self._file.write(data[: len(data) // 2])
            raise
        return int(self._file.write(data))

    def __enter__(self) -> Torn:
        self._file.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Faults:
    """Counts calls that reach the folder, and makes the n-th fail. Args: folder, at: n; 0: none."""

    def __init__(self, folder: Path, at: int) -> None:
        self.folder, self.at, self.count = str(folder), at, 0

    def call(self, place: object = None) -> None:
        if place is not None and not str(place).startswith(self.folder):
            return
        self.count += 1
        if self.count == self.at:
            raise OSError(errno.EIO if self.at % 2 else errno.ENOSPC, os.strerror(errno.EIO))

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opened, fsync, link, replace, write, low = Path.open, os.fsync, os.link, os.replace, os.write, os.open

        def path_open(path: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
            self.call(path)
            file = opened(path, mode, *rest, **named)
            return Torn(file, self.call) if "x" in mode and str(path).startswith(self.folder) else file

        def each(function: Callable[..., Any], *, looks: bool) -> Callable[..., Any]:
            def wrapped(place: Any, *rest: Any, **named: Any) -> Any:
                self.call(os.fsdecode(place) if looks else None)
                return function(place, *rest, **named)

            return wrapped

        monkeypatch.setattr(Path, "open", path_open)
        monkeypatch.setattr(os, "fsync", each(fsync, looks=False))
        monkeypatch.setattr(os, "link", each(link, looks=True))
        monkeypatch.setattr(os, "replace", each(replace, looks=True))
        monkeypatch.setattr(os, "write", each(write, looks=False))
        monkeypatch.setattr(os, "open", each(low, looks=True))


def pictures(folder: Path) -> None:
    """Two pictures to be restored, in a folder, and an older result that is to be replaced."""
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    rows, cols = np.mgrid[:40, :44]
    for name, side in (("a.png", 5), ("b.png", 7)):
        values = ((rows // side + cols // side) % 2 * 120 + 60).astype(np.uint8)
        PillowImage.fromarray(values).save(folder / "in" / name)
    PillowImage.fromarray(np.full((40, 44), 7, np.uint8)).save(folder / "out" / "old.png")


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the journal, which holds times."""
    files = (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".acutance"))
    return {str(p.relative_to(folder)): _bytes(p) for p in files}


def _bytes(file: Path) -> bytes:
    """What a file holds; of measurements the numbers, as the order of their header is by chance."""
    if file.suffix != ".cs":
        return file.read_bytes()
    measured = read_measurements(file)
    return measured.numbers.numpy().tobytes() + repr((measured.size, measured.scale, measured.matrix)).encode()


HOW = "--disc 2 --method richardson-lucy:steps=1 --sigma 1%"
COMMANDS = {
    "folder": f"restore {{0}}/in {HOW} -o {{0}}/out",
    "overwrite": f"restore {{0}}/in/a.png {HOW} -o {{0}}/out/old.png --overwrite",
    "in place": f"restore {{0}}/in {HOW} --in-place",
    "sense": "sense {0}/in/a.png -o {0}/out/y.cs --overwrite",
    "kernel": "kernel {0}/in/a.png --estimator xu-l0 --kernel-size 9 -o {0}/out/k.png --overwrite",
}


def run(command: str, folder: Path) -> int:
    result = runner.invoke(app, command.format(folder).split())
    assert result.exception is None or isinstance(result.exception, AcutanceError | SystemExit), result.exception
    return result.exit_code


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_whatever_fails_nothing_is_lost(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path / "whole")
    before = content(tmp_path / "whole")
    assert run(command, tmp_path / "whole") == 0
    after = content(tmp_path / "whole")
    at = 0
    while True:
        at += 1
        assert at < MOST
        folder = tmp_path / str(at)
        pictures(folder)
        faults = Faults(folder, at)
        with monkeypatch.context() as patched:
            faults.install(patched)
            run(command, folder)
        for name, data in content(folder).items():
            assert data in (before.get(name), after.get(name)), f"{name} is torn after call {at}"
        assert content(folder).keys() >= before.keys(), f"a file is gone after call {at}"
        assert run(command, folder) == 0, f"the command does not finish after call {at}"
        assert content(folder) == after, f"another result after call {at}"
        if faults.count < at:
            break
    assert at > 5, "the faults reach the command"
