"""A running service for tests: behind a true socket, with workers that only copy unless others are asked for."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import serve_workers

from acutance.serve import server
from acutance.serve.settings import Limits, Settings
from acutance.serve.worker import Maker


class Live:
    """A running server: where it is, its pool, and the way to end it."""

    def __init__(self, settings: Settings, make: Maker = serve_workers.copier) -> None:
        listening = threading.Event()
        self.port = 0

        def started(port: int) -> None:
            self.port = port
            listening.set()

        self.server = server.build(settings, "127.0.0.1", 0, make=make, on_start=started)
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
    live = Live(Settings(workers=1, version="1.2", limits=Limits(**limits)))
    try:
        yield live
    finally:
        live.end()
        live.thread.join(30)
        assert not live.thread.is_alive()


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
