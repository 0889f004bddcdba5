"""The page: the report of a result, and the side-car that the settings are saved as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
from playwright.sync_api import expect
from serve_page import fields, saved

SIDECAR: dict[str, Any] = {
    "kind": "acutance restoration", "version": 2, "kernel": None,
    "settings": {
        "method": "acute", "task": "deblur", "motion": None, "disc": None, "gaussian": None, "exact": False,
        "strength": None, "quality": None, "sigma": None, "window": None, "trail": None, "steps": None, "linear": None,
        "device": "auto",
    },
}  # fmt: skip


def test_the_report_is_shown_and_saved(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[:2])
    opener, panel, veil = (page.locator(f"#{id}") for id in ("trust-open", "trust", "veil"))
    expect(opener).to_be_hidden()
    page.click("#go")
    expect(opener).to_be_visible()
    expect(opener).to_have_attribute("aria-expanded", "false")
    opener.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    said = (
        "Doubt: It explains too little.", "copier, chosen by blind", "w-1", "1.23 %", "measured in smooth places",
        "5 x 5 pixels, found in the picture", "62 %", "2 %, expected 1 %, 2.00 times (normal: 0.93 to 1.16)",
        "autocorrelation 0.40, normal: up to 0.21", "28 % of the fine detail", "to 5 % of the range",
    )  # fmt: skip
    for each in said:
        expect(panel).to_contain_text(each)
    expect(veil).to_be_hidden()
    page.check("#veil-on")
    expect(veil).to_be_visible()
    assert veil.bounding_box() == page.locator("#after").bounding_box()
    assert saved(page, "#trust-save") == ("photo-report.html", b"<h1>a report</h1>")
    page.locator("#queue .pick").nth(1).click()  # it has none
    expect(panel).to_be_hidden()
    expect(veil).to_be_hidden()


def test_the_report_is_of_the_last_step(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.check("#keep-steps")
    page.click("#go")
    page.click("#trust-open")
    note = page.locator("#trust-of")
    expect(note).to_be_hidden()
    page.locator("#sharpness").fill("2")
    expect(note).to_be_visible()
    page.click("#save-settings")
    expect(page.locator("#preset-note")).to_contain_text("this page only: a step before the last")


def test_settings_of_a_result_are_saved_as_its_side_car(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    note = page.locator("#preset-note")
    page.click("#save-settings")
    expect(note).to_contain_text("this page only: the picture is not restored yet")
    page.click("#go")
    page.locator("#trust-open").wait_for()
    name, content = saved(page, "#save-settings")
    assert name == "photo-restored.acutance.json"
    assert json.loads(content) == {"names": {"picture": "photo.png"}}
    expect(note).to_contain_text('"acutance repeat photo-restored.acutance.json"')
    expect(note).to_contain_text("beside it: photo.png.")
    page.locator("#strength").fill("60")
    assert saved(page, "#save-settings")[0] == "photo.acutance.json"
    expect(note).to_contain_text("no longer those of the result")


def test_a_kernel_that_was_drawn_is_saved_beside_the_side_car(page: Any, photos: list[Path]) -> None:
    page.set_input_files("#file", photos[0])
    page.click("#go")
    page.click("#found .use-found")
    page.click("#go")
    page.wait_for_selector("#notes:has-text('kernel=5x5')")
    files = []
    page.on("download", lambda download: files.append(download.suggested_filename))
    _, content = saved(page, "#save-settings")
    assert json.loads(content)["names"] == {"picture": "photo.png", "kernel": "photo-kernel.npy"}
    expect(page.locator("#preset-note")).to_contain_text("photo.png, photo-kernel.npy")
    page.wait_for_timeout(300)
    assert sorted(files) == ["photo-kernel.npy", "photo-restored.acutance.json"]


@pytest.mark.parametrize(
    ("settings", "sets"),
    [
        ({"motion": "15.0,30.0"}, {"blur": "motion", "length": "15", "strength": "100", "noise": ""}),
        ({"disc": 4.25, "strength": 0.7, "sigma": "0.01"}, {"blur": "disc", "radius": "4.25", "strength": "70"}),
        ({"gaussian": 1.5, "quality": "best", "sigma": "2%"}, {"blur": "gaussian", "noise": "2%"}),
        ({"method": "blind", "window": "3,4,30,20"}, {"blur": "find"}),
    ],
)
def test_a_side_car_is_opened(
    page: Any, photos: list[Path], tmp_path: Path, settings: dict[str, Any], sets: dict[str, str]
) -> None:
    page.set_input_files("#file", photos[0])
    made = SIDECAR | {"settings": SIDECAR["settings"] | settings}
    (tmp_path / "x.acutance.json").write_text(json.dumps(made))
    page.set_input_files("#settings-file", tmp_path / "x.acutance.json")
    page.wait_for_selector("#preset-note:has-text('Set as in x.acutance.json')")
    assert sets.items() <= fields(page).items()
    if "window" in settings:
        expect(page.locator("#box-width")).to_have_value("30")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"steps": 3}, '"steps"'),
        ({"method": "wiener", "disc": 2.0}, '"method"'),
        ({"sigma": "1.7%"}, '"sigma"'),
        ({"disc": 99.0}, "radius"),
        ({"motion": "<b>,1"}, "length"),
        ({"window": "1,2,3"}, "window"),
    ],
)
def test_a_side_car_that_the_page_has_no_fields_for(
    page: Any, photos: list[Path], tmp_path: Path, settings: dict[str, Any], says: str
) -> None:
    page.set_input_files("#file", photos[0])
    before = fields(page)
    made = SIDECAR | {"settings": SIDECAR["settings"] | settings}
    (tmp_path / "x.acutance.json").write_text(json.dumps(made))
    page.set_input_files("#settings-file", tmp_path / "x.acutance.json")
    page.wait_for_selector(f"#preset-note:has-text('{says}')")
    assert fields(page) == before
