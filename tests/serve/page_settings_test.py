"""The page: presets, undo, and settings in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
from playwright.sync_api import expect
from serve_live import until
from serve_page import fields, saved


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
    until(lambda: fields(page) == sets)
    expect(page.locator(f"input[name=task][value={task}]")).to_be_checked()
    expect(page.locator("#preset-note")).to_contain_text("Set: ")
    page.click("#undo")
    until(lambda: fields(page) == before)
    page.click("#redo")
    until(lambda: fields(page) == sets)
    expect(page.locator("#redo")).to_be_disabled()


def test_settings_are_saved_beside_the_picture_and_opened_again(page: Any, photos: list[Path], tmp_path: Path) -> None:
    page.set_input_files("#file", photos[0])
    page.click("#go")
    page.click("#found .use-found")
    expect(page.locator("#kernel-side")).to_have_value("5")
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
    until(lambda: fields(page) == before)
    page.click("#go")
    page.wait_for_selector("#notes:has-text('kernel=5x5 float32 [[2, 1]]')")
    page.click("#undo")
    expect(page.locator("#blur")).to_have_value("find")


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
        ('{"version": 1, "settings": {"step": "2"}}', "step"),
        ('{"version": 1, "settings": {"step": 0}}', "step"),
        ('{"version": 1, "settings": {"keep": 1}}', "keep"),
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
