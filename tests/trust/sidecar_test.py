"""Side-cars: what is written is read again, and nothing that could harm is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from acutance.errors import ConfigError, OutputError
from acutance.trust import sidecar
from acutance.trust.machine import Machine
from acutance.trust.sidecar import File, Made, Run, Settings, Sidecar, changes, parse, path_of, read, write

A, B = "a" * 64, "b" * 64
MACHINE = Machine("0.1.0", "2.6", "2.0", "11.0", "3.12", 4, "float32", "cpu", "a processor")
RUN = Run("acute", "acute-3-aaaa", {"acute-3": A}, B, 0.01, "given", 5, "completed")
ONE = Sidecar(File("in.png", A), Settings(sigma="1%"), RUN, MACHINE, Made("out.png", A, B), kernel=File("k.npy", B))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = path_of(tmp_path / "out.fits.gz")
    assert path.name == "out.acutance.json"
    write(path, ONE)
    assert read(path) == ONE
    with pytest.raises(OutputError, match="exists"):
        write(path, ONE)


def deep(table: dict[str, Any]) -> None:
    table["settings"]["method"] = [[[[[["acute"]]]]]]


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "a path": lambda t: t["input"].update(name="../secret.png"),
    "an absolute path": lambda t: t["kernel"].update(name="/etc/passwd"),
    "a path of Windows": lambda t: t["output"].update(name="C:\\out.png"),
    "no name": lambda t: t["input"].update(name=".."),
    "an extension that is a path": lambda t: t["input"].update(where="[/etc/passwd]"),
    "no hash": lambda t: t["input"].update(sha256="A" * 64),
    "a hash of another type": lambda t: t["run"]["weights_sha256"].update({"acute-3": 5}),
    "another type": lambda t: t["settings"].update(sigma=0.01),
    "a truth for a number": lambda t: t["settings"].update(steps=True),
    "too many threads": lambda t: t["machine"].update(threads=10**6),
    "a huge number": lambda t: t["settings"].update(steps=10**300),
    "too many steps": lambda t: t["settings"].update(steps=10**6),
    "an unknown setting": lambda t: t["settings"].update(output="/tmp/x"),
    "a long text": lambda t: t["run"].update(noise_reason="x" * 10_000),
    "depth": deep,
    "a zero byte": lambda t: t["input"].update(name="a\0.png"),
    "a list for a table": lambda t: t.update(input=["in.png"]),
    "nothing in the place of a table": lambda t: t.update(machine=None),
    "another kind": lambda t: t.update(kind="something"),
    "another version": lambda t: t.update(version=1),
    "a missing field": lambda t: t.pop("input"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_side_car_is_refused(what: str) -> None:
    table = json.loads(json.dumps(asdict(ONE)))
    assert parse(copy.deepcopy(table), "x") == ONE
    HOSTILE[what](table)
    with pytest.raises(ConfigError):
        parse(table, "x")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff\xfe", b"[" * 5000, b'{"kind": NaN}', b"3", b" " * (sidecar.LARGEST + 1)]
)
def test_what_is_no_side_car_is_refused(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.acutance.json"
    path.write_bytes(raw)
    with pytest.raises(ConfigError):
        read(path)
    with pytest.raises(ConfigError, match="not a file"):
        read(tmp_path)


def test_settings_of_the_page_are_told_apart() -> None:
    with pytest.raises(ConfigError, match="the page saved"):
        parse({"version": 1, "settings": {"task": "restore"}}, "x")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(ONE, input=File("in.png", B)), "the input is another file"),
        (replace(ONE, kernel=None), "the kernel is missing"),
        (replace(ONE, weights=File("w", A)), "the weights was not there"),
        (replace(ONE, machine=replace(MACHINE, threads=1)), "threads: 1 instead of 4"),
        (replace(ONE, machine=replace(MACHINE, torch="2.7")), "torch: 2.7 instead of 2.6"),
        (replace(ONE, run=replace(RUN, weights_sha256={"acute-3": B})), "other weights: acute-3"),
        (replace(ONE, run=replace(RUN, kernel_sha256=A)), "another kernel was found"),
        (replace(ONE, run=replace(RUN, steps=4)), "steps: 4 instead of 5"),
    ],
)
def test_what_changed_is_said(other: Sidecar, said: str) -> None:
    assert changes(ONE, ONE) == []
    assert changes(ONE, other) == [said]


def test_a_run_that_was_given_a_time_may_differ() -> None:
    timed = replace(ONE, settings=replace(ONE.settings, seconds=1.0))
    assert any("given a time" in text for text in changes(timed, timed))
