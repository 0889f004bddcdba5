"""A client that goes away leaves no job running, whatever it was doing at the time."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
import httpx
from serve_live import Live, until

from acutance.serve import jobs


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LEASE", 1.0)


def restoring(live: Live) -> bool:
    """Whether a picture is being restored; a look at it does not count."""
    return any(ticket.order.task == "restore" for ticket in list(live.pool._running.values()))


def begin(page: Any, photo: Path, what: str) -> None:
    """A picture or a preview that takes 20 seconds."""
    page.set_input_files("#file", photo)
    page.select_option("#blur", "disc")
    page.locator("#radius").fill("20")
    if what == "whole":
        page.click("#go")


@contextmanager
def mute(live: Live, until_then: threading.Event) -> Iterator[None]:
    """A service that accepts pictures and does not answer until the event."""
    guard, app = live.server.guard, live.server.guard.app

    async def answerless(scope: Any, receive: Any, send: Any) -> None:
        async def late(message: Any) -> None:
            while scope["method"] == "POST" and not until_then.is_set():
                await asyncio.sleep(0.02)
            await send(message)

        await app(scope, receive, late)

    guard.app = answerless
    try:
        yield
    finally:
        guard.app = app
        until_then.set()


def test_leaving_the_page_frees_the_worker(page: Any, live: Live, photos: list[Path]) -> None:
    begin(page, photos[0], "whole")
    page.wait_for_selector("#phase:text-is('Restoring')")  # the page knows its job
    page.reload()
    until(lambda: live.pool.running == 0, seconds=10)


@pytest.mark.parametrize("what", ["whole", "preview"])
def test_leaving_before_the_job_has_a_name(page: Any, live: Live, photos: list[Path], short: None, what: str) -> None:
    """The service has accepted the picture, and its answer never reaches the page."""
    store, reloaded = live.server.guard.app.state.store, threading.Event()
    with mute(live, reloaded):
        begin(page, photos[0], what)
        until(lambda: restoring(live))
        page.reload()
        until(lambda: live.pool.running == 0 and store.kept == 0, seconds=18)
        reloaded.set()


def test_leaving_in_the_middle_of_the_picture(live: Live) -> None:
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: localhost:{live.port}\r\nContent-Length: 99999\r\n"
    part = '--x\r\nContent-Disposition: form-data; name="image"; filename="p.png"\r\n\r\nhalf of it'
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as leaving:
        leaving.sendall((head + f"Content-Type: multipart/form-data; boundary=x\r\n\r\n{part}").encode())
        until(lambda: live.server.guard._uploads == 1)
    until(lambda: live.server.guard._uploads == 0)
    assert live.pool.running == live.pool.queued == live.server.guard.app.state.store.kept == 0


@pytest.mark.parametrize(("attended", "stays"), [("true", False), ("false", True)])
def test_a_job_that_nobody_hears_of(live: Live, photos: list[Path], short: None, attended: str, stays: bool) -> None:
    """It stops where the client asked for that, and only then; hearing of it once begins the time anew."""
    files = {"image": ("p.png", photos[0].read_bytes())}
    job = httpx.post(live.url + "/v1/jobs", files=files, data={"disc": "4", "attended": attended}).json()
    with httpx.stream("GET", live.url + job["events"]) as events:
        next(events.iter_lines())
    until(lambda: httpx.get(f"{live.url}/v1/jobs/{job['id']}").json().get("state") in (None, "done"), seconds=30)
    assert (httpx.get(f"{live.url}/v1/jobs/{job['id']}").status_code == 200) == stays
    httpx.delete(f"{live.url}/v1/jobs/{job['id']}")
