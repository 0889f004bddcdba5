"""The page: what it thinks is wrong before anything is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from acutance.images import write_image

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
from playwright.sync_api import expect
from serve_live import until
from serve_page import fields


@pytest.mark.parametrize(
    ("height", "says", "task", "sets"),
    [
        (48, "No blur is seen (88 % sure). Noise: 3.1 %.", "", {}),
        (56, "out of focus by 3.5 pixels (97 % sure)", "restore", {"blur": "disc", "radius": "3.5"}),
        (
            64,
            "along a line of 3.5 pixels (97 % sure). Noise: 3.1 %, much",
            "restore",
            {"blur": "motion", "length": "3.5"},
        ),
        (40, "It seems noisy: 3.1 %.", "denoise", {}),
    ],
    ids=["nothing", "focus", "line", "noise"],
)
def test_a_picture_is_looked_at(
    page: Any, tmp_path: Path, generator: torch.Generator, height: int, says: str, task: str, sets: dict[str, str]
) -> None:
    write_image(tmp_path / "p.png", torch.rand(1, 3, height, 64, generator=generator))
    page.set_input_files("#file", tmp_path / "p.png")
    expect(page.locator("#seems-is")).to_contain_text(says)
    expect(page.locator("#seems-apply")).to_be_visible(visible=task != "")
    if not task:
        return
    before = fields(page)
    page.click("#seems-apply")
    expect(page.locator(f"input[name=task][value={task}]")).to_be_checked()
    until(lambda: sets.items() <= fields(page).items())
    page.click("#undo")
    until(lambda: fields(page) == before)


def test_what_seems_wrong_belongs_to_its_picture(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[:2])
    said = page.locator("#seems-is")
    expect(said).to_contain_text("No blur")
    page.locator("#queue .pick").nth(1).click()
    expect(said).to_contain_text("out of focus")
    page.locator("#queue .pick").nth(0).click()
    expect(said).to_contain_text("No blur")
