"""The application: routes, what errors become, and the life of pool and store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from acutance import errors
from acutance.serve import routes
from acutance.serve.guard import Guard
from acutance.serve.jobs import Store
from acutance.serve.metrics import Metrics
from acutance.serve.orders import Failed, Full
from acutance.serve.pool import Pool
from acutance.serve.settings import Settings
from acutance.serve.worker import Maker, restorations

GRACE = 60.0
"""Seconds that accepted pictures have when the service ends."""
SWEEP = 30.0
"""Seconds between two looks for results that have been kept long enough."""

log = logging.getLogger("acutance.serve")


def create_app(settings: Settings, make: Maker = restorations) -> Guard:
    """The service as an ASGI application; its lifespan starts and ends the workers.

    Args:
        settings: see there. make: of the workers' handler; another one for tests.
    """
    pool, metrics = Pool(settings, make), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.store = Store(pool, settings.limits)
        pool.start()
        sweeping = asyncio.ensure_future(_sweep(app.state.store))
        try:
            yield
        finally:
            sweeping.cancel()
            await asyncio.to_thread(pool.close, GRACE)
            app.state.store.close()

    app = FastAPI(
        title="Acutance",
        version=settings.version,
        summary="Makes blurred pictures sharp again.",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        form_limits={"max_files": 4, "max_fields": 20, "max_part_size": 4096},
    )
    app.state.pool, app.state.metrics = pool, metrics
    app.include_router(routes.router)
    _add_handlers(app)
    return Guard(app, settings, pool, metrics)


async def _sweep(store: Store) -> None:
    while True:
        await asyncio.sleep(SWEEP)
        store.expire()


def _said(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status, headers)


def _add_handlers(app: FastAPI) -> None:
    """Every error is one plain sentence in JSON."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else error.detail.lower()
        return _said(error.status_code, str(detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def wrong_fields(request: Request, error: RequestValidationError) -> JSONResponse:
        told = "; ".join(f"{wrong['loc'][-1]}: {str(wrong['msg']).lower()}" for wrong in error.errors()[:5])
        return _said(400, told)

    @app.exception_handler(errors.AcutanceError)
    async def unusable(request: Request, error: errors.AcutanceError) -> JSONResponse:
        return _said(400, str(error))

    @app.exception_handler(Full)
    async def full(request: Request, error: Full) -> JSONResponse:
        return _said(429, str(error), {"Retry-After": str(error.seconds)})

    @app.exception_handler(Failed)
    async def failed(request: Request, error: Failed) -> JSONResponse:
        status = routes.STATUS[error.kind]
        return _said(status, error.message, {"Retry-After": "10"} if status == 503 else None)

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> JSONResponse:
        return _said(500, "an internal error; the log of the service says more")
