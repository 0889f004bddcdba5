"""What every request passes: who asks, how fast and how much is sent; and what every answer carries.

Plain ASGI, outside the application, so that a request is refused before its body is read.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from acutance.serve.metrics import Metrics
from acutance.serve.pool import Pool
from acutance.serve.settings import Access, Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

PATIENCE = 10.0
"""Seconds that a sender has in any case."""
LEAST_RATE = 32_768.0
"""Bytes a second that a sender must keep up on average; slower ones get 408."""
SEND_SECONDS = 60.0
"""Seconds in which a client must take a piece of an answer, or the connection ends."""
MOST_CLIENTS = 10_000
"""Clients whose rate is remembered."""

OPEN = ("/", "/health", "/ready")
"""Paths without a token; those of the page's files too."""

HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)

log = logging.getLogger("acutance.serve.access")


class Refused(HTTPException):
    """A request that is not served. Args: status, message: of the answer. headers: further ones."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, message, headers)


class Guard:
    """Wraps the application.

    Args:
        app: the application. settings: of the service. pool: whether it takes another picture. metrics: counts.
    """

    def __init__(self, app: App, settings: Settings, pool: Pool, metrics: Metrics) -> None:
        self.app, self.settings, self.pool, self.metrics = app, settings, pool, metrics
        self._buckets: dict[str, tuple[float, float]] = {}
        self._uploads = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status, sent = time.monotonic(), 0, 0

        async def sending(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            sent += len(message.get("body", b""))
            await asyncio.wait_for(send(message), SEND_SECONDS)

        try:
            await self._pass(scope, receive, sending)
        except Refused as refused:
            if not status:
                await refuse(sending, refused)
        finally:
            seconds = time.monotonic() - begun
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.answered(route, status, seconds)
            log.info("%s %s %d, %.3f s, %d bytes", scope["method"], route, status, seconds, sent)

    async def _pass(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        check_host(headers.get("host", ""), self.settings.access)
        if scope["method"] not in ("GET", "HEAD"):
            check_origin(headers)
        path = scope["path"]
        if path not in OPEN and not path.startswith("/page/"):
            check_token(headers, self.settings.access)
        if scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        self._check_room(headers, (scope.get("client") or ("",))[0])
        self._uploads += 1
        body = Body(receive, self.settings.limits.max_bytes, self._uploaded)
        try:
            await self.app(scope, body, send)
        finally:
            body.end()

    def _uploaded(self) -> None:
        self._uploads -= 1

    def _check_room(self, headers: dict[str, str], client: str) -> None:
        """Refuse what would be refused anyway once it is here.

        Raises:
            Refused: 413, 429 or 503.
        """
        limits = self.settings.limits
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > limits.max_bytes:
            raise Refused(413, too_many_bytes(limits.max_bytes))
        if self.pool.closing:
            raise Refused(503, "the service is ending; try again in a moment", {"retry-after": "10"})
        if self.pool.full or self._uploads >= 2 * (limits.queue + self.settings.workers):
            seconds = self.pool.wait
            raise Refused(429, f"the queue is full; try again in about {seconds} s", {"retry-after": str(seconds)})
        rate = self.settings.access.rate
        if rate is not None:
            self._count(client, rate)

    def _count(self, client: str, rate: float) -> None:
        """A bucket of `rate` pictures for each client, filled within a minute.

        Raises:
            Refused: 429 where it is empty.
        """
        now = time.monotonic()
        if len(self._buckets) >= MOST_CLIENTS:
            self._buckets = {c: b for c, b in self._buckets.items() if now - b[1] < 60}
        left, then = self._buckets.get(client, (rate, now))
        left = min(rate, left + (now - then) * rate / 60)
        if left < 1:
            seconds = str(int((1 - left) * 60 / rate) + 1)
            raise Refused(
                429, f"{rate:g} pictures a minute at most; try again in {seconds} s", {"retry-after": seconds}
            )
        self._buckets[client] = (left - 1, now)


class Body:
    """The body of a request, not longer than `most` bytes and not slower than LEAST_RATE; `on_end` is called once."""

    def __init__(self, receive: Receive, most: int, on_end: Callable[[], None]) -> None:
        self._receive, self._most, self._on_end = receive, most, on_end
        self._got, self._begun, self._more = 0, time.monotonic(), True

    async def __call__(self) -> Message:
        """The next piece.

        Raises:
            Refused: 408, 413.
        """
        if not self._more:
            return await self._receive()
        left = PATIENCE + self._got / LEAST_RATE - (time.monotonic() - self._begun)
        try:
            message = await asyncio.wait_for(self._receive(), max(0.01, left))
        except TimeoutError:
            raise Refused(408, "the picture came too slowly; try again", {"connection": "close"}) from None
        self._got += len(message.get("body", b""))
        if self._got > self._most:
            raise Refused(413, too_many_bytes(self._most), {"connection": "close"})
        if not message.get("more_body"):
            self.end()
        return message

    def end(self) -> None:
        """No more is to come."""
        if self._more:
            self._more = False
            self._on_end()


def too_many_bytes(most: int) -> str:
    """The message of 413."""
    return f"more than {most / 1e6:g} MB; send a smaller file"


def check_host(host: str, access: Access) -> None:
    """A name that is not ours was made to point here by another page (DNS rebinding).

    Raises:
        Refused: 421.
    """
    name = urlsplit(f"//{host}").hostname if host else None
    if name in ("localhost", *access.names):
        return
    try:
        ipaddress.ip_address(name or "")
    except ValueError:
        message = f"this service does not answer for the host {str(name)[:80]!r}; start it with that name allowed"
        raise Refused(421, message) from None


def check_origin(headers: dict[str, str]) -> None:
    """Other pages may not make the browser send anything here.

    Raises:
        Refused: 403.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if (origin is not None and urlsplit(origin).netloc != headers.get("host")) or site not in ("same-origin", "none"):
        raise Refused(403, "requests from other pages are not served")


def check_token(headers: dict[str, str], access: Access) -> None:
    """Compare in constant time.

    Raises:
        Refused: 401.
    """
    if access.token is None:
        return
    given = headers.get("authorization", "").removeprefix("Bearer ").encode()
    if not hmac.compare_digest(given, access.token.encode()):
        raise Refused(401, "give the token as: Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})


async def refuse(send: Send, refused: Refused) -> None:
    """Send an answer of one sentence."""
    body = json.dumps({"error": refused.detail}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **(refused.headers or {})}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refused.status_code, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
