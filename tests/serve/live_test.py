"""The service behind a true socket: slow senders, more clients than it can serve, and a graceful end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from acutance.images import write_image
from acutance.images.kernel_file import write_kernel

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
import httpx
from serve_live import Live, running, until

from acutance.serve import guard, server


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with running(queue=3, deadline=30) as made:
        yield made


@pytest.fixture
def photo(tmp_path: Path, generator: torch.Generator) -> Path:
    write_image(tmp_path / "photo.png", torch.rand(1, 3, 48, 64, generator=generator))
    return tmp_path / "photo.png"


PAGE = (Path(__file__).resolve().parents[2] / "docs/server.md").read_text(encoding="utf-8")
BASH, PYTHON = (
    re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for language in ("bash", "python")
)


@pytest.fixture(scope="module")
def of_the_page() -> Iterator[Live]:
    """A server for what the page shows, some of whose results are kept for a while."""
    with running() as made:
        yield made


@pytest.mark.docs
@pytest.mark.parametrize("block", PYTHON)
def test_python_of_the_page_runs(of_the_page: Live, photo: Path, monkeypatch: pytest.MonkeyPatch, block: str) -> None:
    photo = photo.rename(photo.with_suffix(".jpg"))
    monkeypatch.chdir(photo.parent)
    exec(block.replace(":8347", f":{of_the_page.port}").replace('"disc": "4"', '"disc": "0.1"'), {})
    assert (photo.parent / "restored.jpg").read_bytes() == photo.read_bytes()


@pytest.mark.docs
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("command", [line for block in BASH for line in block.splitlines()])
def test_commands_of_the_page_run(of_the_page: Live, photo: Path, command: str) -> None:
    photo.rename(photo.with_suffix(".jpg"))
    write_kernel(photo.with_name("psf.png"), torch.full((1, 1, 3, 3), 1 / 9))
    ours = command.replace(":8347", f":{of_the_page.port}")
    done = subprocess.run(ours, shell=True, cwd=photo.parent, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    if " -o " in command:
        written = photo.parent / re.findall(r" -o (\S+)", command)[0]
        assert written.read_bytes() == photo.with_suffix(".jpg").read_bytes()
    else:
        assert b'"method"' in done.stdout


def test_a_slow_sender_is_told_so(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.3)
    head = f"POST /v1/restore HTTP/1.1\r\nHost: localhost:{live.port}\r\nContent-Length: 9999\r\n"
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as slow:
        slow.sendall((head + "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x").encode())
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
    assert httpx.get(live.url + "/health").status_code == 200


def test_a_slow_head_is_told_so(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as slow:
        slow.sendall(b"GET / HT")
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_goes_away_frees_its_worker(live: Live, photo: Path) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(live.url + "/v1/restore", files={"image": photo.read_bytes()}, data={"disc": "20"}, timeout=0.5)
    begun = time.monotonic()
    assert live.post(photo.read_bytes()).status_code == 200
    assert time.monotonic() - begun < 10


def test_more_clients_than_it_can_serve(live: Live, photo: Path) -> None:
    """20 clients for 2 seconds, a crash and a kill in between: each gets an answer, and one of those that are right."""
    picture, end = photo.read_bytes(), time.monotonic() + 2

    def client(number: int) -> Counter[int]:
        got: Counter[int] = Counter()
        while time.monotonic() < end:
            answer = live.post(picture, disc="0.02", **({"gaussian": "1"} if number == 0 else {}))
            got[answer.status_code] += 1
            if answer.status_code == 200:
                assert answer.content == picture
            if answer.status_code == 429:
                assert 1 <= int(answer.headers["retry-after"]) <= 120
                time.sleep(0.05)
        return got

    with ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(client, range(20)))
    total = sum(answers, Counter[int]())
    assert set(total) <= {200, 429, 500}
    assert total[200] > 0
    assert total[429] > 0
    assert sum((a for a in answers[1:]), Counter[int]())[500] == 0, "a crash is that of its own picture alone"
    assert live.post(picture).status_code == 200
    until(lambda: list(live.server.guard.app.state.store.root.iterdir()) == [])


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_with_success(tmp_path: Path, sent: signal.Signals) -> None:
    """As an administrator, or Ctrl-C, ends it: nothing is said of pictures, and nothing is left behind."""
    command = [sys.executable, "-m", "acutance", "serve", "--no-browser", "--port", "0", "--workers", "1"]
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "TMPDIR": str(tmp_path)})
        until(lambda: "http://" in (tmp_path / "log").read_text())
        process.send_signal(sent)
        assert process.wait(60) == 0
    assert "stopped" not in (tmp_path / "log").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_the_end_is_graceful(photo: Path) -> None:
    """The accepted picture is finished; new ones are refused; nothing is left behind."""
    with running(queue=3) as live, ThreadPoolExecutor(1) as clients:
        accepted = clients.submit(live.post, photo.read_bytes(), disc="1")
        until(lambda: live.pool.running == 1)
        root, pids = live.server.guard.app.state.store.root, live.pool.pids()
        live.end()
        with pytest.raises((httpx.TransportError, AssertionError)):
            assert live.post(photo.read_bytes()).status_code != 503
        assert accepted.result(20).status_code == 200
        live.thread.join(20)
        assert not root.exists()
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
