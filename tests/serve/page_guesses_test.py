"""The page: guesses of the blur side by side, of which one is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
from playwright.sync_api import expect
from serve_live import Live, until


def test_a_guess_is_taken(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.click("#guess")
    cards = page.locator("#guess-list button")
    expect(cards).to_have_text(["1: shaken, 5 x 5 pixels, confidence 62 %",
                                "2: straight motion, 3.5 pixels at 90°, confidence 31 %"])  # fmt: skip
    for image in page.locator("#guess-list img").all():
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("image => image.naturalWidth") > 0
    cards.nth(1).click()
    expect(cards.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#blur")).to_have_value("draw")
    page.wait_for_selector("#preview-note:has-text('by fd')")
    page.click("#go")
    page.wait_for_selector("#notes:has-text('kernel=5x5 float32 [[3, 2]]')")
    expect(cards).to_have_count(2)
    page.click("#guesses-close")
    expect(page.locator("#guesses")).to_be_hidden()


@pytest.mark.parametrize(("noise", "asks"), [("5%", True), ("2%", False), ("10%", False), ("", False)])
def test_guesses_come_by_themselves_where_the_service_is_unsure(
    page: Any, photos: list[Path], noise: str, asks: bool
) -> None:
    """The copier is as sure as ten times the noise level."""
    page.set_input_files("#file", photos[0])
    page.select_option("#noise", noise)
    page.click("#go")
    page.wait_for_selector("#save:visible")
    expect(page.locator("#guesses")).to_be_visible(visible=asks)
    if asks:
        expect(page.locator("#guess-list button")).to_have_count(2)


def test_guesses_belong_to_their_picture(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[:2])
    page.click("#guess")
    cards = page.locator("#guess-list button")
    expect(cards).to_have_count(2)
    page.locator("#queue .pick").nth(1).click()
    expect(page.locator("#guesses")).to_be_hidden()
    page.locator("#queue .pick").nth(0).click()
    expect(cards).to_have_count(2)


def test_the_search_for_guesses_is_told_and_ends_with_them(page: Any, live: Live, photos: list[Path]) -> None:
    restarts = live.pool.restarts
    page.set_input_files("#file", photos[0])
    page.select_option("#noise", "0.2%")
    page.click("#guess")
    phase = page.locator("#guesses-phase")
    expect(phase).to_have_text("Finding the blur: kernel 2 of 5, up to 45 pixels, in windows of 256")
    page.click("#guesses-close")
    expect(phase).to_be_hidden()
    until(lambda: not live.pool.running)
    assert live.pool.restarts == restarts
