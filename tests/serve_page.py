"""What tests do with the page. Every read waits for its state: what the page does may take its time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serve_live import until

SETTINGS = ("blur", "length", "radius", "deviation", "strength", "noise", "quality")


def saved(page: Any, selector: str) -> tuple[str, bytes]:
    """Name and content of the file that a click saves."""
    with page.expect_download() as download:
        page.click(selector)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def fields(page: Any) -> dict[str, str]:
    """The values of the settings that are seen."""
    return {id: page.input_value(f"#{id}") for id in SETTINGS if page.locator(f"#{id}").is_visible()}


def box_of(page: Any, selector: str, fits: Callable[[dict[str, float]], bool] = lambda box: True) -> dict[str, float]:
    """Where an element is, as soon as it is seen and where it `fits`, in pixels of the window."""
    found: dict[str, float] = {}

    def there() -> bool:
        found.update(page.locator(selector).bounding_box() or {})
        return bool(found) and found["width"] > 0 and fits(found)

    until(there)
    return found


def wide(pixels: float, within: float = 1) -> Callable[[dict[str, float]], bool]:
    """A condition of `box_of`."""
    return lambda box: box["width"] == pytest.approx(pixels, abs=within)


def drag(page: Any, *places: tuple[float, float]) -> None:
    """Press the mouse at the first place, go through the others, and let go at the last."""
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
