"""The page: a box around a light trail, and one where the blur is to be found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
from playwright.sync_api import expect
from serve_page import box_of, drag

NAMES = ("x", "y", "width", "height")


def values(page: Any) -> list[str]:
    return [page.input_value(f"#box-{name}") for name in NAMES]


def covers(page: Any, x: float, y: float, width: float, height: float) -> None:
    """The box lies over this part of the picture of 64 x 48 pixels."""
    picture = box_of(page, "#before")
    scale = picture["width"] / 64

    def fits(box: dict[str, float]) -> bool:
        left, top = (box["x"] - picture["x"]) / scale, (box["y"] - picture["y"]) / scale
        sides = box["width"] / scale, box["height"] / scale
        return (left, top, *sides) == pytest.approx((x, y, width, height), abs=0.6)

    box_of(page, "#box", fits)


@pytest.mark.parametrize("kind", ["trail", "window"])
def test_a_box_is_drawn_and_cleared(page: Any, photos: list[Path], kind: str) -> None:
    page.set_input_files("#file", photos[0])
    picture = box_of(page, "#before")
    scale = picture["width"] / 64
    page.click(f"#box-{kind}")
    expect(page.locator(f"#box-{kind}")).to_have_attribute("aria-pressed", "true")
    # from the lower right to the upper left corner, which is beyond the picture
    drag(page, (picture["x"] + 30 * scale, picture["y"] + 20 * scale), (picture["x"] - 9, picture["y"] + 8 * scale))
    expect(page.locator(f"#box-{kind}")).to_have_attribute("aria-pressed", "false")
    x, y, width, height = map(int, values(page))
    assert (x, y) == pytest.approx((0, 8), abs=1)
    assert height == pytest.approx(12, abs=1)
    covers(page, x, y, width, height)
    page.click("#go")
    page.wait_for_selector(f"#notes:has-text('{kind}=({x}, {y}, {width}, {height})')")
    covers(page, x, y, width, height)
    page.click("#box-clear")
    expect(page.locator("#box")).to_be_hidden()
    page.click("#go")
    page.wait_for_selector(f"#notes:not(:has-text('{kind}='))")


def test_a_box_is_typed(page: Any, photos: list[Path]) -> None:
    """It is kept within the picture; it turns into one of the other kind; it is sent with a question for guesses."""
    page.set_input_files("#file", photos[0])
    box_of(page, "#before")
    page.focus("#box-window")
    page.keyboard.press("Enter")
    for name, value in zip(NAMES, ("10", "5", "900", "20"), strict=True):
        page.fill(f"#box-{name}", value)
        page.press(f"#box-{name}", "Tab")
    expect(page.locator("#box-width")).to_have_value("54")
    covers(page, 10, 5, 54, 20)
    page.click("#box-trail")
    expect(page.locator("#box-hint")).to_contain_text("trail")
    page.click("#guess")
    expect(page.locator("#guesses-note")).to_contain_text("trail=(10, 5, 54, 20)")


def test_a_box_belongs_to_its_picture_and_to_a_blur_that_is_found(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[:2])
    picture = box_of(page, "#before")
    page.click("#box-window")
    drag(page, (picture["x"] + 20, picture["y"] + 20), (picture["x"] + 120, picture["y"] + 90))
    expect(page.locator("#box")).to_be_visible()
    page.locator("#queue .pick").nth(1).click()
    expect(page.locator("#box")).to_be_hidden()
    page.locator("#queue .pick").nth(0).click()
    expect(page.locator("#box")).to_be_visible()
    page.select_option("#blur", "disc")
    expect(page.locator("#box")).to_be_hidden()
    page.locator("#radius").fill("0.5")
    page.wait_for_selector("#preview-note:has-text('by acute')")
