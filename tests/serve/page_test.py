"""The page: pictures in, restored, compared and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from acutance.images import write_image

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
from playwright.sync_api import expect
from serve_live import Live, until
from serve_page import box_of, saved, wide


def test_restore_compare_zoom_and_save(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.click("#go")
    divider = page.locator("#divider")
    expect(divider).to_be_visible()
    expect(divider).to_have_attribute("aria-valuenow", "50")
    divider.focus()
    page.keyboard.press("ArrowRight")
    expect(divider).to_have_attribute("aria-valuenow", "52")
    page.click("#full")
    box_of(page, "#before", wide(64, 0))
    expect(page.locator("#notes")).to_contain_text("it was copied")
    assert saved(page, "#save") == ("photo-restored.png", photos[0].read_bytes())


def test_a_search_is_told_and_cancelled(page: Any, live: Live, photos: list[Path]) -> None:
    restarts = live.pool.restarts
    page.set_input_files("#file", photos[0])
    page.locator("#strength").fill("30")
    page.click("#go")
    page.wait_for_selector("#phase:has-text('Finding the blur: kernel 2 of 5, up to 45 pixels')")
    page.wait_for_selector("#left:has-text('at most about')")
    assert page.locator("#bar").evaluate("bar => bar.value") > 0
    page.click("#cancel")
    until(lambda: not live.pool.running)
    assert live.pool.restarts == restarts


def test_cancel_frees_the_worker(page: Any, live: Live, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.select_option("#blur", "disc")
    page.locator("#radius").fill("20")
    page.click("#go")
    page.wait_for_selector("#phase:text-is('Restoring')")
    page.click("#cancel")
    until(lambda: live.pool.running == 0)
    expect(page.locator("#go")).to_be_visible()


def test_several_pictures_are_restored_and_saved_one_by_one(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos)
    picks = page.locator("#queue .pick")
    expect(picks).to_have_count(3)
    picks.nth(1).click()
    expect(picks.nth(1)).to_have_attribute("aria-current", "true")
    expect(page.locator("#name")).to_have_text("second.png")
    page.click("#all")
    expect(page.locator("#queue li.done")).to_have_count(3)
    expect(picks.nth(2)).to_have_attribute("aria-label", "third.png, restored")
    for i, path in enumerate(photos):
        name, content = saved(page, f"#queue li:nth-child({i + 1}) button[aria-label^=Save]")
        assert (name, content) == (f"{path.stem}-restored.png", path.read_bytes())
    page.click("#queue li:nth-child(2) button[aria-label^=Remove]")
    expect(picks).to_have_count(2)
    expect(page.locator("#name")).to_have_text("third.png")


def test_keys_and_the_loupe(page: Any, photos: list[Path], tmp_path: Path, generator: torch.Generator) -> None:
    write_image(tmp_path / "large.png", torch.rand(1, 3, 900, 1500, generator=generator))
    page.set_input_files("#file", [tmp_path / "large.png", photos[1]])
    box = box_of(page, "#before")
    page.focus("#stage")
    page.keyboard.press("l")
    box_of(page, "#loupe-before", wide(1500))  # it shows 100 %
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)

    def middle(at: dict[str, float]) -> float:
        return at["x"] + at["width"] / 2

    quarter = box_of(page, "#loupe", lambda at: middle(at) == pytest.approx(box["x"] + box["width"] / 4, abs=2))
    box_of(page, "#loupe-before", lambda at: at["x"] == pytest.approx(middle(quarter) - 1500 / 4, abs=3))
    page.keyboard.press("ArrowRight")
    box_of(page, "#loupe", lambda at: at["x"] > quarter["x"])
    page.keyboard.press("1")
    expect(page.locator("#loupe")).to_be_hidden()
    box_of(page, "#before", wide(1500))
    at = page.locator("#stage").evaluate("stage => stage.scrollLeft")
    page.keyboard.press("ArrowRight")
    until(lambda: page.locator("#stage").evaluate("stage => stage.scrollLeft") > at)
    page.keyboard.press("f")
    box_of(page, "#before", wide(box["width"]))
    page.keyboard.press("n")
    name = page.locator("#name")
    expect(name).to_have_text("second.png")
    page.click("#go")
    divider = page.locator("#divider")
    expect(divider).to_be_visible()
    page.focus("#stage")
    page.keyboard.press(".")
    expect(divider).to_have_attribute("aria-valuenow", "55")
    page.select_option("#blur", "motion")
    page.focus("#blur")
    page.keyboard.press("n")
    expect(name).to_have_text("second.png")  # letters are not taken from fields
    page.keyboard.press("Control+z")
    expect(page.locator("#blur")).to_have_value("find")
    page.keyboard.press("Control+Shift+z")
    expect(page.locator("#blur")).to_have_value("motion")


def test_what_goes_wrong_is_said_beside_its_picture(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[:2])
    page.select_option("#blur", "file")
    page.click("#go")
    error = page.locator("#error")
    expect(error).to_contain_text("Choose the file of the kernel")
    page.select_option("#blur", "gaussian")
    page.locator("#deviation").fill("1")  # of which the worker dies
    page.click("#go")
    page.locator("#queue li.failed").wait_for()
    expect(error).to_contain_text("died")
    page.locator("#queue .pick").nth(1).click()
    expect(error).to_be_hidden()
    page.select_option("#blur", "find")
    page.click("#all")
    expect(page.locator("#queue li.done")).to_have_count(2)
