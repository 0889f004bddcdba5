"""The service behind a true socket: slow senders, more clients than it can serve, a graceful end, and a browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serve_workers
import torch

from acutance.images import write_image
from acutance.images.kernel_file import write_kernel
from acutance.serve.settings import Limits, Settings

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
import httpx

from acutance.serve import guard, server


class Live:
    """A running server: where it is, its pool, and the way to end it."""

    def __init__(self, settings: Settings) -> None:
        listening = threading.Event()
        self.port = 0

        def started(port: int) -> None:
            self.port = port
            listening.set()

        self.server = server.build(settings, "127.0.0.1", 0, make=serve_workers.copier, on_start=started)
        self.pool = self.server.guard.pool
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        assert listening.wait(20)
        self.url = f"http://127.0.0.1:{self.port}"
        until(lambda: self.pool.ready == settings.workers)

    def end(self) -> None:
        self.server.handle_exit(signal.SIGTERM, None)

    def post(self, picture: bytes, path: str = "/v1/restore", **data: str) -> Any:
        return httpx.post(self.url + path, files={"image": ("p.png", picture)}, data=data, timeout=60)


@contextmanager
def running(**limits: Any) -> Iterator[Live]:
    live = Live(Settings(workers=1, limits=Limits(**limits)))
    try:
        yield live
    finally:
        live.end()
        live.thread.join(30)
        assert not live.thread.is_alive()


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with running(queue=3, deadline=30) as made:
        yield made


@pytest.fixture
def photo(tmp_path: Path, generator: torch.Generator) -> Path:
    write_image(tmp_path / "photo.png", torch.rand(1, 3, 48, 64, generator=generator))
    return tmp_path / "photo.png"


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


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


PAGE = (Path(__file__).parents[2] / "docs" / "server.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["bash", "python"])
def test_the_examples_of_the_documentation_run_as_printed(
    live: Live, photo: Path, tmp_path: Path, language: str
) -> None:
    if language == "bash" and shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    (example,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    shutil.copy(photo, tmp_path / "photo.jpg")
    shutil.copy(photo, tmp_path / "psf.png")
    command = ["bash", "-ec"] if language == "bash" else [sys.executable, "-c"]
    example = example.replace("http://127.0.0.1:8347", live.url).replace('"disc": "4"', '"disc": "0.1"')
    run = subprocess.run([*command, example], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "restored.jpg").read_bytes() == photo.read_bytes()
    assert ("done" in run.stdout) if language == "python" else ('"state":"done"' in run.stdout)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; apt-get install chromium")
def test_the_page_in_a_browser(live: Live, photo: Path, tmp_path: Path) -> None:
    """Open a picture, restore it, move the divider, zoom, save; then cancel a long one. No error on the console."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.getuid() == 0 else [])
        page = browser.new_page(viewport={"width": 1000, "height": 700})
        wrong: list[str] = []
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((live.url, "blob:")) else wrong.append(r.url))
        page.goto(live.url)
        page.set_input_files("#file", photo)
        page.click("#go")
        page.wait_for_selector("#save:visible", timeout=20_000)
        divider = page.locator("#divider")
        assert divider.get_attribute("aria-valuenow") == "50"
        divider.focus()
        page.keyboard.press("ArrowRight")
        assert divider.get_attribute("aria-valuenow") == "52"
        page.click("#full")
        assert page.locator("#before").bounding_box()["width"] == 64
        assert "it was copied" in page.inner_text("#notes")
        with page.expect_download() as download:
            page.click("#save")
        assert download.value.suggested_filename == "photo-restored.png"
        assert Path(download.value.path()).read_bytes() == photo.read_bytes()
        page.select_option("#blur", "disc")
        page.locator("#radius").fill("20")
        page.click("#go")
        until(lambda: live.pool.running == 1)
        page.click("#cancel")
        until(lambda: live.pool.running == 0)
        assert page.locator("#go").is_visible()
        unnamed = "button:not(:has-text('')), input:not([id]):not([name])"
        assert page.locator(unnamed).count() == 0
        browser.close()
    assert wrong == []
