"""Screenshots of the page and the times that it takes, from a service that runs: `acutance serve --no-browser`.

    python docs/tools/shots.py OUT [--url http://127.0.0.1:8347] [--megapixels 1] [--times] [--axe axe.min.js]

It writes empty, queue, report, guesses, boxes, steps, editor, phone, phone-report, dark and dark-report .png into OUT,
and one line of JSON: the seconds from the drop of a picture, blurred by a disc of 3 pixels, to its first preview,
between a slider's move and the next previews, from "Restore" to the whole, and how many of these the report takes.
With --times it takes no screenshots. With axe-core it also prints its findings.

For large pictures the service needs time: `acutance serve --no-browser --deadline 3600`, then --megapixels 12 --times.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import sync_playwright

from acutance.images import read_image, write_image
from acutance.operators import Blur
from acutance.psf import shapes

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RADIUS = 3
LONG = 3_600_000  # milliseconds; of 12 megapixels a processor takes a quarter of an hour


def blurred(path: Path, megapixels: float) -> None:
    """Write the sharp example, repeated to about this many pixels, blurred by a disc and with 0.5 % noise."""
    sharp = read_image(EXAMPLES / "sharp.png").pixels
    side = round((megapixels * 1e6) ** 0.5)
    times = -(-(side + 2 * RADIUS) // min(sharp.shape[-2:]))
    large = sharp.repeat(1, 1, times, times)[..., : side + 2 * RADIUS, : side + 2 * RADIUS]
    made = Blur(shapes.disc(RADIUS), "valid").forward(large)
    noise = torch.randn(made.shape, generator=torch.Generator().manual_seed(0))
    write_image(path, (made + 0.005 * noise).clamp(0, 1), overwrite=True)


class Shots:
    """Opens the page in several ways, and keeps what axe-core finds.

    Args:
        browser: of Playwright. url: of the service. out: folder. axe: the source of axe-core, or None.
    """

    def __init__(self, browser: Any, url: str, out: Path, axe: str | None) -> None:
        self.browser, self.url, self.out, self.axe = browser, url, out, axe
        self.found: list[str] = []

    def open(self, width: int = 1280, height: int = 820, scheme: str = "light") -> Any:
        """A new page."""
        page = self.browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB")
        page.set_default_timeout(LONG)
        page.goto(self.url)
        page.wait_for_load_state("networkidle")
        return page

    def shot(self, page: Any, name: str, *, whole: bool = False) -> None:
        """Write a screenshot and ask axe-core."""
        page.screenshot(path=self.out / f"{name}.png", full_page=whole)
        if self.axe is not None:
            page.evaluate(self.axe)
            said = page.evaluate(
                "axe.run().then(found => found.violations.map(v => [v.impact, v.id, v.nodes[0].html]))"
            )
            self.found += [f"{name}: {' '.join(map(str, each))}" for each in said]


def take(shots: Shots) -> None:
    """The eight states."""
    page = shots.open()
    shots.shot(page, "empty")
    page.set_input_files("#file", [EXAMPLES / "shaken.jpg", EXAMPLES / "sharp.png"])
    page.select_option("#blur", "file")
    page.set_input_files("#kernel", EXAMPLES / "shaken-kernel.png")
    page.click("#go")
    restored(page)
    shots.shot(page, "queue")
    report(shots, page, "report")
    page.click("#trust-open")
    questions(shots, page)
    page.select_option("#blur", "draw")
    page.locator("#kernel-grid").evaluate("grid => grid.scrollIntoView({ block: 'center' })")
    box = page.locator("#kernel-grid").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 90)
    page.mouse.down()
    for x, y in ((150, 130), (200, 210)):
        page.mouse.move(box["x"] + x, box["y"] + y, steps=5)
    page.mouse.up()
    page.click("#brushes summary")
    page.wait_for_selector("#piece:visible")
    shots.shot(page, "editor")
    page.close()
    for name, width, scheme in (("phone", 390, "light"), ("dark", 1280, "dark")):
        page = shots.open(width=width, scheme=scheme)
        page.set_input_files("#file", [EXAMPLES / "shaken.jpg", EXAMPLES / "sharp.png"])
        page.select_option("#preset", "portrait")
        page.wait_for_selector("#piece:visible")
        shots.shot(page, name, whole=True)
        page.click("#go")
        restored(page)
        report(shots, page, f"{name}-report", whole=True)
        page.close()


def restored(page: Any) -> None:
    """Wait for a result.

    Raises:
        RuntimeError: the page says that there is none.
    """
    page.wait_for_selector("#save:visible, #error:visible")
    if page.locator("#error").is_visible():
        raise RuntimeError(page.locator("#error").text_content())


def report(shots: Shots, page: Any, name: str, *, whole: bool = False) -> None:
    """The report of the result, with its map over the picture."""
    page.click("#trust-open")
    page.check("#veil-on")
    page.locator("#trust-save").scroll_into_view_if_needed()
    shots.shot(page, name, whole=whole)


def questions(shots: Shots, page: Any) -> None:
    """Guesses of the blur, a box around a trail, and the steps under their slider."""
    page.select_option("#blur", "find")
    page.click("#guess")
    page.wait_for_selector("#guess-list button")
    shots.shot(page, "guesses")
    page.click("#guesses-close")
    page.click("#box-trail")
    seen = page.locator("#before").bounding_box()
    page.mouse.move(seen["x"] + 0.55 * seen["width"], seen["y"] + 0.55 * seen["height"])
    page.mouse.down()
    page.mouse.move(seen["x"] + 0.75 * seen["width"], seen["y"] + 0.75 * seen["height"], steps=4)
    page.mouse.up()
    shots.shot(page, "boxes")
    page.click("#box-clear")
    page.check("#keep-steps")
    page.select_option("#blur", "file")
    page.click("#go")
    page.wait_for_selector("#sharpness:visible")
    page.locator("#sharpness").fill("2")
    shots.shot(page, "steps")
    page.uncheck("#keep-steps")


def times(shots: Shots, picture: Path) -> dict[str, float]:
    """Seconds from the drop to the first preview and to the whole picture, and between two previews."""
    page = shots.open()
    page.select_option("#blur", "disc", force=True)
    page.set_input_files("#file", picture)
    begun = time.monotonic()
    page.locator("#radius").fill(str(RADIUS))
    page.wait_for_selector("#piece:visible")
    first = time.monotonic() - begun
    later = []
    for radius in (2.5, 3.5, RADIUS):
        page.wait_for_selector("#preview-note:has-text('by acute')")
        page.locator("#radius").fill(str(radius))
        moved = time.monotonic()
        page.wait_for_selector("#preview-note:has-text('by fd')")
        later.append(time.monotonic() - moved)
    side = page.locator("#piece").evaluate("piece => piece.naturalWidth")
    started = time.monotonic()
    page.click("#go")
    page.wait_for_selector("#phase:text-is('Writing the report'), #error:visible")
    writing = time.monotonic()
    restored(page)
    ended = time.monotonic()
    seconds = {"first_preview": first, "later_previews": sorted(later)[1], "whole": ended - started}
    seconds["of_which_report"] = ended - writing
    page.close()
    return {"preview_side": side} | {name: round(value, 2) for name, value in seconds.items()}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8347")
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--times", action="store_true", help="no screenshots")
    parser.add_argument("--axe", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    picture = given.out / "blurred.png"
    blurred(picture, given.megapixels)
    with sync_playwright() as driver:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"] if os.getuid() == 0 else [])
        shots = Shots(browser, given.url, given.out, given.axe.read_text() if given.axe is not None else None)
        took = times(shots, picture)
        print(json.dumps({"megapixels": given.megapixels} | took), flush=True)
        if not given.times:
            take(shots)
        print("\n".join(shots.found) or ("axe-core finds nothing" if given.axe is not None else ""))
        browser.close()


if __name__ == "__main__":
    main()
