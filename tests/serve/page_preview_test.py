"""The page: the piece that is seen is restored while settings move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from acutance.images import write_image

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
from playwright.sync_api import expect
from serve_page import box_of


def test_a_preview_follows_the_settings(page: Any, photos: list[Path]) -> None:
    """The piece that is seen: by the quick method, then by the one for the whole; "restore" takes it away."""
    page.set_input_files("#file", photos[0])
    page.select_option("#blur", "disc")
    page.locator("#radius").fill("0.5")
    for method in ("fd", "acute"):
        page.wait_for_selector(f"#preview-note:has-text('by {method}')")
    expect(page.locator("#divider")).to_be_visible()
    whole = box_of(page, "#before")
    box_of(page, "#piece", lambda box: box == pytest.approx(whole, abs=1))
    page.click("#go")
    page.wait_for_selector("#save:visible")
    expect(page.locator("#piece")).to_be_hidden()
    page.select_option("#blur", "gaussian")
    page.locator("#deviation").fill("1")  # of which the worker dies
    page.wait_for_selector("#preview-note:has-text('died')")


SLOW_IMAGES = """
const own = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, 'src');
const late = function (url) { setTimeout(() => own.set.call(this, url), this.id === 'before' ? 1000 : 0); };
Object.defineProperty(HTMLImageElement.prototype, 'src', { ...own, set: late });
"""


def test_a_preview_waits_for_a_picture_that_is_still_read(page: Any, photos: list[Path]) -> None:
    page.add_init_script(SLOW_IMAGES)
    page.reload()
    page.select_option("#blur", "disc", force=True)
    page.set_input_files("#file", photos[0])
    page.locator("#radius").fill("0.5")
    page.wait_for_selector("#preview-note:has-text('by fd')")


def test_a_preview_is_of_the_piece_that_is_seen(page: Any, tmp_path: Path, generator: torch.Generator) -> None:
    write_image(tmp_path / "large.png", torch.rand(1, 3, 1200, 1500, generator=generator))
    page.set_input_files("#file", tmp_path / "large.png")
    page.click("#full")
    page.select_option("#blur", "disc")
    page.locator("#radius").fill("0.5")
    page.wait_for_selector("#preview-note:has-text('by acute')")
    side = page.locator("#piece").evaluate("piece => piece.naturalWidth")
    assert 100 < side <= 512
    stage = box_of(page, "#stage")
    box = box_of(page, "#piece")
    assert box["width"] == pytest.approx(side, abs=1), "it is shown at 100 %"
    assert box["x"] + box["width"] / 2 == pytest.approx(stage["x"] + stage["width"] / 2, abs=12)


def test_no_preview_before_the_blur_is_found(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.select_option("#noise", "1%")
    page.wait_for_selector("#preview-note:has-text('find the blur')")


def test_a_kernel_is_drawn(page: Any, photos: list[Path]) -> None:
    """By mouse a line of five cells, of which the eraser takes one; by keyboard one cell more."""
    page.set_input_files("#file", photos[0])
    page.select_option("#blur", "draw")
    page.click("#go")
    expect(page.locator("#error")).to_contain_text("Draw the blur")
    page.select_option("#kernel-side", "9")
    page.locator("#kernel-grid").evaluate("grid => grid.scrollIntoView({ block: 'center' })")
    box = box_of(page, "#kernel-grid")
    cell = box["width"] / 9

    def at(column: int, row: int) -> tuple[float, float]:
        return box["x"] + (column + 0.5) * cell, box["y"] + (row + 0.5) * cell

    page.mouse.move(*at(2, 4))
    page.mouse.down()
    page.mouse.move(*at(6, 4))
    page.mouse.up()
    page.check("#kernel-erase")
    page.mouse.click(*at(6, 4))
    page.focus("#kernel-grid")
    for key in ("ArrowUp", "ArrowUp", "Space"):
        page.keyboard.press(key)
    page.click("#go")
    page.wait_for_selector("#notes:has-text('kernel=9x9 float32 [[2, 4], [4, 2], [4, 3], [4, 4], [4, 5]]')")


def test_a_found_kernel_is_the_start_of_a_drawn_one(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.click("#go")
    page.click("#found .use-found")
    expect(page.locator("#kernel-side")).to_have_value("5")
    page.click("#go")
    page.wait_for_selector("#notes:has-text('kernel=5x5 float32 [[2, 1]]')")


def test_masks_are_painted(page: Any, photos: list[Path]) -> None:
    """A bar across the picture for each mask; the first is taken back, and painted again."""
    page.set_input_files("#file", photos[0])
    page.click("#brushes summary")
    page.check("input[name=brush][value=only]", force=True)
    page.locator("#brush").fill("25")
    box = box_of(page, "#before")
    undo = page.locator("#stroke-undo")

    def bar(kind: str, height: float) -> None:
        page.check(f"input[name=brush][value={kind}]", force=True)
        page.mouse.move(box["x"] + 1, box["y"] + height * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 1, box["y"] + height * box["height"], steps=4)
        page.mouse.up()
        expect(undo).to_be_enabled()

    bar("only", 0.5)
    undo.click()
    expect(undo).to_be_disabled()
    bar("only", 0.5)
    bar("ignore", 0.0)
    page.click("#go")
    notes = page.locator("#notes")
    expect(notes).to_contain_text("only=(48, 64) white=0.33 corner=0")
    expect(notes).to_contain_text("mask=(48, 64) white=0.8")
    page.click("#stroke-clear")
    page.click("#go")
    page.wait_for_selector("#notes:not(:has-text('only='))")
