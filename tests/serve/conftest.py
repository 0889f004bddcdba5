"""The page in a browser, with workers that copy (`serve_workers.Copier`)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from acutance.images import write_image

PATIENCE = 60
"""Seconds that a state may take to come: a cancelled piece may hold the only worker for `PIECE_GRACE` seconds, and the
machine may be busy."""


@pytest.fixture(scope="module")
def live() -> Iterator[Any]:
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    pytest.importorskip("httpx", reason="httpx is not installed")
    from serve_live import running

    with running(queue=3, deadline=30) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. Its scope is a module, since other tests must not find its event loop running."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium here; apt-get install chromium")
    playwright.expect.set_options(timeout=1000 * PATIENCE)
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"] if os.getuid() == 0 else [])
        yield made
        made.close()


@pytest.fixture
def page(live: Any, browser: Any) -> Iterator[Any]:
    """The page, opened; at the end there is no error on its console, and nothing came from elsewhere."""
    from serve_live import until

    until(lambda: live.pool.ready == 1 and not live.pool.running)
    made = browser.new_page(viewport={"width": 1000, "height": 700}, locale="en-GB")
    made.set_default_timeout(1000 * PATIENCE)
    wrong: list[str] = []
    made.on("console", lambda m: wrong.append(m.text) if m.type == "error" and " 429 " not in m.text else None)
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("request", lambda r: None if r.url.startswith((live.url, "blob:")) else wrong.append(r.url))
    made.goto(live.url)
    yield made
    unnamed = "button:not(:has-text('')), input:not([id]):not([name])"
    assert made.locator(unnamed).count() == 0
    made.close()
    assert wrong == []


@pytest.fixture
def photos(tmp_path: Path, generator: torch.Generator) -> list[Path]:
    """Three pictures, the first of 64 x 48 pixels."""
    paths = [tmp_path / f"{name}.png" for name in ("photo", "second", "third")]
    for i, path in enumerate(paths):
        write_image(path, torch.rand(1, 3, 48 + 8 * i, 64, generator=generator))
    return paths
