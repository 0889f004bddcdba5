"""Rendered pages: the same from the same seed, of many kinds, with letters that fonts of the machine draw."""

from __future__ import annotations

import random

import numpy as np
import pytest

from acutance_lab.synth import fonts
from acutance_lab.synth.graphics import KINDS, SIZE, WEIGHTS, page, pages
from acutance_lab.synth.sheet import Sheet, Theme

SMALL = (240, 320)
PHOTOGRAPH = np.random.default_rng(1).integers(0, 255, (90, 120, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("photographs", [(), (PHOTOGRAPH,)], ids=["none", "one"])
def test_every_kind_draws_something(kind: str, photographs: tuple[np.ndarray, ...]) -> None:
    x = page(3, 1, photographs, size=SMALL, kind=kind)
    assert x.shape == (*SMALL, 3)
    assert x.dtype == np.uint8
    values = x.astype(float).mean(-1)
    assert values.std() > 3
    assert np.abs(np.diff(values, axis=1)).max() > 30, "an edge of graphics is steep"


def test_the_seed_and_the_number_decide() -> None:
    first = page(1, 2, size=SMALL)
    assert np.array_equal(first, page(1, 2, size=SMALL))
    assert np.array_equal(first, pages(3, 1, size=SMALL)[2])
    assert not np.array_equal(first, page(1, 3, size=SMALL))
    assert not np.array_equal(first, page(2, 2, size=SMALL))


def test_a_page_does_not_touch_other_generators() -> None:
    random.seed(5)
    wanted = random.random()
    random.seed(5)
    page(1, 0, size=SMALL)
    assert random.random() == wanted


def test_dark_and_light_pages() -> None:
    themes = [Theme.draw(random.Random(i)) for i in range(300)]
    assert np.mean([t.dark for t in themes]) == pytest.approx(0.4, abs=0.08)
    for t in themes:
        contrast = (sum(t.ink) - sum(t.ground)) / 765
        assert (contrast > 0.3) if t.dark else (contrast < -0.3)


def test_the_default_size_and_the_weights() -> None:
    assert page(1, 1).shape == (*SIZE, 3)
    assert WEIGHTS.keys() == KINDS.keys()


def test_fonts_have_letters() -> None:
    found = fonts.font_files()
    assert set(fonts.font_files(packaged=True)) <= set(found)
    for path in (None, *found):
        face = fonts.font(path, 20)
        assert face.getlength("mmm") > 10
    assert not any("lastresort" in p.name.lower() for p in found)


def test_pages_can_be_drawn_without_any_font_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acutance_lab.synth.sheet.font_files", lambda *, packaged: ())
    x = page(1, 0, size=SMALL, kind="editor")
    assert x.astype(float).std() > 3


def test_text_is_antialiased_and_boxes_are_where_they_belong() -> None:
    sheet = Sheet(random.Random(1), (60, 80), scale=2)
    sheet.box(0, 0, 80, 60, (255, 255, 255))
    sheet.box(10, 20, 30, 10, (0, 0, 0))
    x = sheet.finish()[..., 0]
    assert bool((x[22:28, 12:38] == 0).all())
    assert bool((x[:17] == 255).all())
    sheet = Sheet(random.Random(1), (60, 80), scale=1)
    sheet.box(0, 0, 80, 60, (255, 255, 255))
    sheet.text(5, 5, "Sphinx", fonts.font(None, 20), (0, 0, 0))
    values = np.unique(sheet.finish())
    assert len(values) > 10


@pytest.mark.parametrize("make", [fonts.word, fonts.number, fonts.title, fonts.serial])
def test_text_without_meaning_is_varied(make: object) -> None:
    assert callable(make)
    rng = random.Random(2)
    found = {make(rng) for _ in range(200)}
    assert len(found) > 60
    assert all(found)
