"""The page in a browser, with workers that copy: what it sends, shows and saves."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from acutance.images import write_image

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import sync_playwright
from serve_live import Live, running, until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; apt-get install chromium")


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with running(queue=3, deadline=30) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.getuid() == 0 else [])
        yield made
        made.close()


@pytest.fixture
def page(live: Live, browser: Any) -> Iterator[Any]:
    """The page, opened; at the end there is no error on its console, and nothing came from elsewhere."""
    until(lambda: live.pool.ready == 1)
    made = browser.new_page(viewport={"width": 1000, "height": 700}, locale="en-GB")
    made.set_default_timeout(60_000)  # a cancelled piece may hold the only worker for `PIECE_GRACE` seconds
    wrong: list[str] = []
    made.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
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


def saved(page: Any, selector: str) -> tuple[str, bytes]:
    """Name and content of the file that a click saves."""
    with page.expect_download() as download:
        page.click(selector)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_restore_compare_zoom_and_save(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.click("#go")
    page.wait_for_selector("#save:visible")
    divider = page.locator("#divider")
    assert divider.get_attribute("aria-valuenow") == "50"
    divider.focus()
    page.keyboard.press("ArrowRight")
    assert divider.get_attribute("aria-valuenow") == "52"
    page.click("#full")
    assert page.locator("#before").bounding_box()["width"] == 64
    assert "it was copied" in page.inner_text("#notes")
    assert saved(page, "#save") == ("photo-restored.png", photos[0].read_bytes())


def test_cancel_frees_the_worker(page: Any, live: Live, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.select_option("#blur", "disc")
    page.locator("#radius").fill("20")
    page.click("#go")
    until(lambda: live.pool.running == 1)
    page.click("#cancel")
    until(lambda: live.pool.running == 0)
    assert page.locator("#go").is_visible()


def test_leaving_the_page_frees_the_worker(page: Any, live: Live, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.select_option("#blur", "disc")
    page.locator("#radius").fill("20")
    page.click("#go")
    page.wait_for_selector("#phase:text-is('Restoring')")  # the page knows its job
    until(lambda: live.pool.running == 1)
    page.reload()
    until(lambda: live.pool.running == 0, seconds=10)


def test_several_pictures_are_restored_and_saved_one_by_one(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos)
    picks = page.locator("#queue .pick")
    assert picks.count() == 3
    picks.nth(1).click()
    assert picks.nth(1).get_attribute("aria-current") == "true"
    assert page.inner_text("#name") == "second.png"
    page.click("#all")
    page.locator("#queue li.done").nth(2).wait_for()
    assert picks.nth(2).get_attribute("aria-label") == "third.png, restored"
    for i, path in enumerate(photos):
        name, content = saved(page, f"#queue li:nth-child({i + 1}) button[aria-label^=Save]")
        assert (name, content) == (f"{path.stem}-restored.png", path.read_bytes())
    page.click("#queue li:nth-child(2) button[aria-label^=Remove]")
    assert picks.count() == 2
    assert page.inner_text("#name") == "third.png"


def test_a_preview_follows_the_settings(page: Any, photos: list[Path]) -> None:
    """The piece that is seen: by the quick method, then by the one for the whole; "restore" takes it away."""
    page.set_input_files("#file", photos[0])
    page.select_option("#blur", "disc")
    page.locator("#radius").fill("0.5")
    for method in ("fd", "acute"):
        page.wait_for_selector(f"#preview-note:has-text('by {method}')")
    assert page.locator("#divider").is_visible()
    box, whole = page.locator("#piece").bounding_box(), page.locator("#before").bounding_box()
    assert box == pytest.approx(whole, abs=1)
    page.click("#go")
    page.wait_for_selector("#save:visible")
    assert page.locator("#piece").is_hidden()
    page.select_option("#blur", "gaussian")
    page.locator("#deviation").fill("1")  # of which the worker dies
    page.wait_for_selector("#preview-note:has-text('died')")


def test_a_preview_is_of_the_piece_that_is_seen(page: Any, tmp_path: Path, generator: torch.Generator) -> None:
    write_image(tmp_path / "large.png", torch.rand(1, 3, 1200, 1500, generator=generator))
    page.set_input_files("#file", tmp_path / "large.png")
    page.click("#full")
    page.select_option("#blur", "disc")
    page.locator("#radius").fill("0.5")
    page.wait_for_selector("#preview-note:has-text('by acute')")
    side = page.locator("#piece").evaluate("piece => piece.naturalWidth")
    assert 100 < side <= 512
    box, stage = page.locator("#piece").bounding_box(), page.locator("#stage").bounding_box()
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
    assert "Draw the blur" in page.inner_text("#error")
    page.select_option("#kernel-side", "9")
    box = page.locator("#kernel-grid").bounding_box()
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
    page.wait_for_selector("#save:visible")
    assert "kernel=9x9 float32 [[2, 4], [4, 2], [4, 3], [4, 4], [4, 5]]" in page.inner_text("#notes")


def test_a_found_kernel_is_the_start_of_a_drawn_one(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.click("#go")
    page.wait_for_selector("#found .use-found:visible")
    page.click("#found .use-found")
    until(lambda: page.input_value("#kernel-side") == "5")
    page.click("#go")
    page.wait_for_selector("#notes:has-text('kernel=5x5 float32 [[2, 1]]')")


def test_keys_and_the_loupe(page: Any, photos: list[Path], tmp_path: Path, generator: torch.Generator) -> None:
    write_image(tmp_path / "large.png", torch.rand(1, 3, 900, 1500, generator=generator))
    page.set_input_files("#file", [tmp_path / "large.png", photos[1]])
    page.focus("#stage")
    page.keyboard.press("l")
    loupe, shown = page.locator("#loupe"), page.locator("#loupe-before")
    assert loupe.is_visible()
    assert shown.bounding_box()["width"] == 1500, "it shows 100 %"
    box = page.locator("#before").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    middle = loupe.bounding_box()["x"] + loupe.bounding_box()["width"] / 2
    assert middle == pytest.approx(box["x"] + box["width"] / 4, abs=2)
    assert shown.bounding_box()["x"] == pytest.approx(middle - 1500 / 4, abs=3)
    page.keyboard.press("ArrowRight")
    assert loupe.bounding_box()["x"] > middle - loupe.bounding_box()["width"] / 2
    page.keyboard.press("1")
    assert loupe.is_hidden()
    assert page.locator("#before").bounding_box()["width"] == 1500
    at = page.locator("#stage").evaluate("stage => stage.scrollLeft")
    page.keyboard.press("ArrowRight")
    until(lambda: page.locator("#stage").evaluate("stage => stage.scrollLeft") > at)
    page.keyboard.press("f")
    assert page.locator("#before").bounding_box()["width"] == pytest.approx(box["width"])
    page.keyboard.press("n")
    assert page.inner_text("#name") == "second.png"
    page.click("#go")
    page.wait_for_selector("#save:visible")
    page.focus("#stage")
    page.keyboard.press(".")
    assert page.locator("#divider").get_attribute("aria-valuenow") == "55"
    page.select_option("#blur", "motion")
    page.focus("#blur")
    page.keyboard.press("n")
    assert page.inner_text("#name") == "second.png", "letters are not taken from fields"
    page.keyboard.press("Control+z")
    assert page.input_value("#blur") == "find"
    page.keyboard.press("Control+Shift+z")
    assert page.input_value("#blur") == "motion"


def fields(page: Any) -> dict[str, str]:
    """The values of the settings that are seen."""
    ids = ("blur", "length", "radius", "deviation", "strength", "noise", "quality")
    return {id: page.input_value(f"#{id}") for id in ids if page.locator(f"#{id}").is_visible()}


@pytest.mark.parametrize(
    ("preset", "task", "sets"),
    [
        ("portrait", "restore", {"blur": "disc", "radius": "3", "strength": "80", "noise": ""}),
        ("document", "restore", {"blur": "gaussian", "deviation": "1.5", "strength": "100", "noise": "0.5%"}),
        ("night", "restore", {"blur": "find", "strength": "90", "noise": ""}),
        ("old", "denoise", {"strength": "70", "noise": ""}),
        ("microscope", "restore", {"blur": "gaussian", "deviation": "2", "strength": "100", "noise": "1%"}),
    ],
)
def test_a_preset_sets_the_fields_and_says_so(
    page: Any, photos: list[Path], preset: str, task: str, sets: dict[str, str]
) -> None:
    page.set_input_files("#file", photos[0])
    before = fields(page)
    page.select_option("#preset", preset)
    assert fields(page) == sets
    assert page.locator(f"input[name=task][value={task}]").is_checked()
    assert page.inner_text("#preset-note").startswith("Set: ")
    page.click("#undo")
    assert fields(page) == before
    page.click("#redo")
    assert fields(page) == sets
    assert page.locator("#redo").is_disabled()


def test_settings_are_saved_beside_the_picture_and_opened_again(page: Any, photos: list[Path], tmp_path: Path) -> None:
    page.set_input_files("#file", photos[0])
    page.click("#go")
    page.click("#found .use-found")
    page.locator("#strength").fill("60")
    name, content = saved(page, "#save-settings")
    told = json.loads(content)
    assert name == "photo.acutance.json"
    assert (told["version"], told["acutance"], told["method"], told["weights"]) == (1, "1.2", "copier", "w-1")
    assert told["settings"]["kernel"]["side"] == 5
    before = fields(page)
    page.reload()
    page.set_input_files("#file", photos[1])
    (tmp_path / name).write_bytes(content)
    page.set_input_files("#settings-file", tmp_path / name)
    page.wait_for_selector("#preset-note:has-text('photo.acutance.json')")
    assert fields(page) == before
    page.click("#go")
    page.wait_for_selector("#notes:has-text('kernel=5x5 float32 [[2, 1]]')")
    page.click("#undo")
    assert page.input_value("#blur") == "find"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("hello", "no file of settings"),
        ("[]", "no file of settings"),
        ("null", "no file of settings"),
        ('{"version": 1}', "no file of settings"),
        ('{"version": 9, "settings": {}}', "another version"),
        ('{"version": 1, "settings": {"task": "x]"}}', "task"),
        ('{"version": 1, "settings": {"blur": "toString"}}', "blur"),
        ('{"version": 1, "settings": {"radius": "1e9"}}', "radius"),
        ('{"version": 1, "settings": {"radius": "31"}}', "radius"),
        ('{"version": 1, "settings": {"strength": [1]}}', "strength"),
        ('{"version": 1, "settings": {"noise": "<img src=x>"}}', "noise"),
        ('{"version": 1, "settings": {"kernel": {"side": 1e9, "values": []}}}', "kernel"),
        ('{"version": 1, "settings": {"kernel": {"side": 3, "values": [0,0,0,0,0,0,0,0,0]}}}', "kernel"),
        ('{"version": 1, "settings": {"kernel": {"side": 3, "values": [1,0,0,0,"1",0,0,0,0]}}}', "kernel"),
    ],
)
def test_settings_from_elsewhere_are_checked(
    page: Any, photos: list[Path], tmp_path: Path, content: str, says: str
) -> None:
    page.set_input_files("#file", photos[0])
    before = fields(page)
    (tmp_path / "x.json").write_text(content)
    page.set_input_files("#settings-file", tmp_path / "x.json")
    page.wait_for_selector(f"#preset-note:has-text('{says}')")
    assert fields(page) == before


def test_masks_are_painted(page: Any, photos: list[Path]) -> None:
    """A bar across the picture for each mask; the first is taken back, and painted again."""
    page.set_input_files("#file", photos[0])
    page.click("#brushes summary")
    page.check("input[name=brush][value=only]", force=True)
    page.locator("#brush").fill("25")
    box = page.locator("#before").bounding_box()

    def bar(kind: str, height: float) -> None:
        page.check(f"input[name=brush][value={kind}]", force=True)
        page.mouse.move(box["x"] + 1, box["y"] + height * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 1, box["y"] + height * box["height"], steps=4)
        page.mouse.up()

    bar("only", 0.5)
    page.click("#stroke-undo")
    assert page.locator("#stroke-undo").is_disabled()
    bar("only", 0.5)
    bar("ignore", 0.0)
    page.click("#go")
    page.wait_for_selector("#save:visible")
    notes = page.inner_text("#notes")
    assert "only=(48, 64) white=0.33 corner=0" in notes
    assert "mask=(48, 64) white=0.8" in notes
    page.click("#stroke-clear")
    page.click("#go")
    page.wait_for_selector("#notes:not(:has-text('only='))")


def test_what_goes_wrong_is_said_beside_its_picture(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[:2])
    page.select_option("#blur", "file")
    page.click("#go")
    assert "Choose the file of the kernel" in page.inner_text("#error")
    page.select_option("#blur", "gaussian")
    page.locator("#deviation").fill("1")
    page.click("#go")
    page.locator("#queue li.failed").wait_for()
    assert "died" in page.inner_text("#error")
    page.locator("#queue .pick").nth(1).click()
    assert page.locator("#error").is_hidden()
    page.select_option("#blur", "find")
    page.click("#all")
    page.locator("#queue li.done").nth(1).wait_for()
