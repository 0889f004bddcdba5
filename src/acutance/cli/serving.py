"""`acutance serve`."""

from __future__ import annotations

import logging
import os
import secrets
import webbrowser
from typing import Annotated

import typer

from acutance import __version__
from acutance.cli.console import say
from acutance.errors import MissingExtra
from acutance.serve.settings import Access, Limits, Settings, cores, default_memory, default_workers

LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8347,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    token: Annotated[
        str | None, typer.Option(envvar="ACUTANCE_TOKEN", help="Ask clients for it; made where others can connect.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host name that clients may use; localhost and IP addresses always may.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per GPU, else per two cores.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, or several: cuda:0,cuda:1.")] = "auto",
    queue: Annotated[int, typer.Option(min=1, help="Pictures that may wait.")] = 16,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = 50,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Refuse larger files.")] = 200,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds that one picture may take.")] = 900,
    memory: Annotated[float | None, typer.Option(min=0.5, help="GB that one worker may take.")] = None,
    rate: Annotated[float | None, typer.Option(min=1, help="Pictures a minute that one client may send.")] = None,
) -> None:
    """Start the page and the HTTP service; it needs no network.

    [dim]acutance serve
    acutance serve --host 0.0.0.0 --allow-host pictures.example.org --no-browser[/]
    """
    try:
        from acutance.serve.server import build
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "starlette", "uvicorn"):
            raise
        raise MissingExtra("acutance serve", "serve") from error
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # workers share the processor with each other
    count = workers or default_workers()
    if token is None and host not in LOCAL:
        token = secrets.token_urlsafe(16)
    settings = Settings(
        workers=count,
        version=__version__,
        threads=max(1, cores() // count),
        devices=tuple(device.split(",")),
        limits=Limits(
            queue=queue,
            max_bytes=max_megabytes * 1_000_000,
            max_pixels=max_megapixels * 1_000_000,
            deadline=deadline,
            memory=default_memory(count) if memory is None else int(memory * 1e9),
        ),
        access=Access(token=token, names=tuple(allow_host or ()), rate=rate),
    )
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")

    def started(at: int) -> None:
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{at}/" + (f"#token={token}" if token else "")
        plural = "s" if count != 1 else ""
        say(f"{address.replace('[', chr(92) + '[')}  ({count} worker{plural}; Ctrl-C ends it)")
        if browser:
            webbrowser.open(address)

    build(settings, host, port, on_start=started).run()
