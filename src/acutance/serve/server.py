"""The server around the application: sockets, patience with clients, and a graceful end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from acutance.serve.app import GRACE, create_app
from acutance.serve.guard import Guard
from acutance.serve.settings import Settings
from acutance.serve.worker import Maker, restorations

HEADER_SECONDS = 15.0
"""Seconds in which a new connection must have sent the head of its first request."""
CONNECTIONS = 1000
"""Connections at once; further ones get 503."""
SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class PatientProtocol(H11Protocol):
    """HTTP/1.1, with an end to the patience for the first head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        super().connection_made(transport)
        self.loop.call_later(HEADER_SECONDS, self._check_head)

    def _check_head(self) -> None:
        if not self.cycle and not self.transport.is_closing():
            self.transport.write(SLOW)
            self.transport.close()


class Server(uvicorn.Server):
    """Refuses new pictures as soon as it is told to end, finishes the accepted ones, then ends."""

    def __init__(self, config: uvicorn.Config, guard: Guard, on_start: Callable[[int], None] | None = None) -> None:
        super().__init__(config)
        self.guard, self._on_start = guard, on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        if self._on_start is not None and self.servers:
            self._on_start(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGINT or SIGTERM: the first ends gracefully, a second SIGINT at once."""
        self.guard.pool.closing = True
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True  # uvicorn's own would raise the signal once more at the end, after which no end is good


def build(
    settings: Settings,
    host: str,
    port: int,
    *,
    make: Maker = restorations,
    on_start: Callable[[int], None] | None = None,
) -> Server:
    """A server, ready to run.

    Args:
        settings: of the service. host, port: where it listens; port 0 takes any free one.
        make: see `create_app`. on_start: called with the port when it listens.
    """
    logging.getLogger("acutance.serve").setLevel(logging.INFO)
    guard = create_app(settings, make)
    options: dict[str, Any] = {
        "host": host, "port": port, "http": PatientProtocol, "ws": "none", "access_log": False, "log_level": "warning",
        "server_header": False, "limit_concurrency": CONNECTIONS, "timeout_keep_alive": 15,
        "timeout_graceful_shutdown": int(GRACE), "h11_max_incomplete_event_size": 32_768,
    }  # fmt: skip
    return Server(uvicorn.Config(guard, **options), guard, on_start)
