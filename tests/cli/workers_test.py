"""`acutance restore` on several workers: the same bytes as by one process, whatever happens to a worker."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cli_restore import refused, run, runner

pytest.importorskip("distributed", reason="the extra cluster is not installed")

from cluster_work import odd

from acutance.cli.app import app
from acutance.cli.journal import NAME
from acutance.cli.workers import Recipe
from acutance.cluster import connect
from acutance.cluster.run import Cluster
from acutance.images import read_image, write_image

WIENER = ("--gaussian", "1.2", "--exact", "--method", "wiener", "--sigma", "1%")
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with connect.local(2) as found:
        yield found


@pytest.fixture
def there(cluster: Cluster) -> tuple[str, str]:
    """The option that uses the workers of the test."""
    cluster.client.wait_for_workers(2, timeout=60)
    return "--cluster", cluster.client.scheduler.address


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    generator = torch.Generator().manual_seed(3)
    for number in range(12):
        write_image(f"in/{number:02d}.png", 0.8 * torch.rand(1, 1, 32, 32, generator=generator))


def results(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).glob("*.png")}


def made(said: str) -> int:
    """Results that the last lines tell of; one whose worker died before it could say so is "done already"."""
    return sum(int(count) for count in re.findall(r"(\d+) (?:restored|done already)", said))


def keys(folder: str) -> list[str]:
    return sorted(json.loads(line)["key"] for line in Path(folder, NAME).read_text().splitlines())


def in_the_middle(pid: int, number: int) -> None:
    """Send a signal to a process when three results are there."""

    def wait() -> None:
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline and len(list(Path("out").glob("*.png"))) < 3:
            time.sleep(0.02)
        os.kill(pid, number)

    threading.Thread(target=wait, daemon=True).start()


def test_the_same_bytes_the_same_journal_and_the_same_errors(there: tuple[str, str]) -> None:
    Path("in/broken.png").write_bytes(Path("in/00.png").read_bytes()[:200])
    alone = run("in", "-o", "alone", *WIENER, status=1).output
    said = run("in", "-o", "shared", *WIENER, *there, status=1).output
    assert results("shared") == results("alone")
    assert keys("shared") == keys("alone")
    for each in (alone, said):
        assert "12 restored, 1 failed" in each
        assert "broken.png: it is cut short" in each
    assert said.count("2 workers; Dask's pages: http://") == 1
    Path("in/broken.png").unlink()
    Path("shared", NAME).unlink()
    Path("shared/03.png").unlink()
    assert "1 restored, 11 done already" in run("in", "-o", "shared", *WIENER, *there).output, "by the results alone"
    assert keys("shared") == keys("alone")
    assert results("shared") == results("alone")


def test_json_and_denoise(there: tuple[str, str]) -> None:
    result = runner.invoke(app, ["denoise", "in", "-o", "out", "--method", "nlm", "--json", *there])
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted(Path(record["picture"]).name for record in records) == [f"{n:02d}.png" for n in range(12)]
    assert {record["status"] for record in records} <= {"restored", "unchanged"}
    assert len(results("out")) == 12


@posix
def test_a_worker_that_is_killed_loses_nothing(
    there: tuple[str, str], cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("in", "-o", "alone", *WIENER)
    monkeypatch.setattr(Recipe, "of", staticmethod(odd(0.15)))
    victim = next(iter(cluster.client.run(os.getpid).values()))

    in_the_middle(victim, signal.SIGKILL)
    said = run("in", "-o", "out", *WIENER, *there).output
    assert victim not in cluster.client.run(os.getpid).values()
    assert results("out") == results("alone")
    assert keys("out") == keys("alone")
    assert made(said) == 12
    assert "failed" not in said


@posix
def test_a_picture_that_kills_its_workers_is_refused_and_the_rest_is_done(
    there: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image("in/poison.png", read_image("in/00.png"))
    monkeypatch.setattr(Recipe, "of", staticmethod(odd(0.02)))
    said = run("in", "-o", "out", *WIENER, *there, status=1).output
    assert ", 1 failed" in said
    assert made(said) == 12
    assert "poison.png: its worker died, 2 times" in said
    assert len(results("out")) == len(keys("out")) == 12


@posix
def test_a_signal_lets_the_pictures_at_work_be_finished(
    there: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recipe, "of", staticmethod(odd(0.2)))
    in_the_middle(os.getpid(), signal.SIGTERM)
    said = run("in", "-o", "out", *WIENER, *there, status=128 + signal.SIGTERM).output
    assert "the same command goes on from there" in said
    found = re.search(r"stopped: (\d+) restored, (\d+) not begun", said)
    assert found
    restored, left = map(int, found.groups())
    assert restored + left == 12
    assert 0 < restored < 12
    assert len(results("out")) >= restored  # one more where a worker began just when the rest was withdrawn
    monkeypatch.undo()


def test_folders_at_addresses(there: tuple[str, str], tmp_path: Path) -> None:
    """file:// stands for s3:// and its like: the same code by another file system of fsspec."""
    Path("in/deep").mkdir()
    Path("in/deep/12.png").write_bytes(Path("in/03.png").read_bytes())
    Path("in/notes.txt").write_text("no picture")
    Path("in/broken.png").write_bytes(Path("in/00.png").read_bytes()[:200])
    run("in", "-o", "alone", "--recursive", *WIENER, status=1)
    command = (f"file://{tmp_path}/in", "-o", f"file://{tmp_path}/out/", "--recursive", *WIENER, *there)
    said = run(*command, status=1).output
    assert "13 restored, 1 skipped, 1 failed" in said
    assert f"file://{tmp_path}/in/broken.png: it is cut short" in said
    Path("out/deep/12.png").unlink()
    files = {path.name: path.read_bytes() for path in Path("out").iterdir() if path.is_file()}
    assert files == results("alone")
    assert "1 restored, 12 done already, 1 skipped, 1 failed" in run(*command, status=1).output
    assert Path("out/deep/12.png").read_bytes() == Path("alone/deep/12.png").read_bytes()
    assert "need --workers" in refused(*command[:3], *WIENER)
    assert "an address for the results" in refused(command[0], "-o", "out", *WIENER, *there)
    assert "not for pictures at addresses" in refused(*command, "--mask", "in/00.png")
    assert "nowhere" in refused("nowhere://a", "-o", "nowhere://b", *WIENER, *there)


def test_what_cannot_be_is_told_before_a_worker_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("workers were started")

    monkeypatch.setattr(connect, "local", never)
    monkeypatch.setattr(connect, "at", never)
    assert "together" in refused("in", "-o", "out", *WIENER, "--workers", 2, "--cluster", "tcp://a:1")
    assert "tcp://host:8786" in refused("in", "-o", "out", *WIENER, "--cluster", "a:1")
    assert "several pictures" in refused("in/00.png", "-o", "out.png", *WIENER, "--workers", 2)
    assert "takes no kernel" in refused("in", "-o", "out", "--gaussian", 1, "--method", "nlm", "--workers", 2)
    run("in", "-o", "out", *WIENER)
    assert "12 done already" in run("in", "-o", "out", *WIENER, "--workers", 2).output
    monkeypatch.setattr("acutance.cluster.connect.find_spec", lambda name: None)
    assert "acutance[cluster]" in refused("in", "-o", "new", *WIENER, "--workers", 2)
    assert not Path("new").exists()
