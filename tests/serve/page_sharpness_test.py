"""The page: a slider over the steps of a restoration."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
from playwright.sync_api import expect
from serve_live import until
from serve_page import saved

BRIGHTNESS = "image => { const c = new OffscreenCanvas(1, 1).getContext('2d'); c.drawImage(image, 0, 0, 1, 1);\
 return c.getImageData(0, 0, 1, 1).data[0]; }"
"""Of an image that the page shows; the copier makes those of the first two steps darker."""


def test_a_step_is_shown_and_saved(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.check("#keep-steps")
    page.click("#go")
    step, after = page.locator("#sharpness-step"), page.locator("#after")
    expect(step).to_have_text("step 4 of 4")
    expect(after).to_be_visible()
    full = after.evaluate(BRIGHTNESS)
    page.focus("#sharpness")
    page.keyboard.press("Home")
    expect(step).to_have_text("step 1 of 4")
    expect(page.locator("#sharpness")).to_have_attribute("aria-valuetext", "step 1 of 4")
    until(lambda: after.evaluate(BRIGHTNESS) == pytest.approx(full / 3, abs=3))
    name, content = saved(page, "#save")
    assert name == "photo-restored.png"
    with Image.open(photos[0]) as sent, Image.open(io.BytesIO(content)) as got:
        assert np.array_equal(np.asarray(got), np.asarray(sent) // 3)
    page.focus("#sharpness")
    page.keyboard.press("End")
    until(lambda: after.evaluate(BRIGHTNESS) == pytest.approx(full, abs=3))
    assert saved(page, "#save")[1] != content


def test_the_whole_goes_as_far_as_the_piece(page: Any, photos: list[Path]) -> None:
    """Of a step that was chosen for the piece that is seen, also where it was chosen before the piece came again."""
    page.set_input_files("#file", photos[0])
    page.check("#keep-steps")
    page.select_option("#blur", "disc")
    page.locator("#radius").fill("0.5")
    step, slider, piece = page.locator("#sharpness-step"), page.locator("#sharpness"), page.locator("#piece")
    expect(step).to_have_text("step 4 of 4")
    full = piece.evaluate(BRIGHTNESS)
    slider.fill("2")
    expect(step).to_have_text("step 2 of 4")
    until(lambda: piece.evaluate(BRIGHTNESS) == pytest.approx(2 * full / 3, abs=3))
    page.locator("#radius").fill("0.75")
    expect(slider).to_be_hidden()
    expect(step).to_have_text("step 2 of 4")
    until(lambda: piece.evaluate(BRIGHTNESS) == pytest.approx(2 * full / 3, abs=3))
    page.click("#go")
    page.wait_for_selector("#notes:has-text('step=2')")
    expect(slider).to_have_value("2")


def test_without_being_asked_no_steps_are_kept(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.click("#go")
    expect(page.locator("#notes")).to_contain_text("it was copied")
    expect(page.locator("#sharpness-row")).to_be_hidden()
    assert "iterates" not in page.inner_text("#notes")
