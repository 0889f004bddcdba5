"""Rendered pages, screens, signs, plots and line art: what photographs teach too little of.

Everything is drawn from a seed; the same seed, size and fonts give the same page.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from acutance_lab.synth import documents, drawings
from acutance_lab.synth.sheet import Picture, Sheet

SIZE = (960, 1280)
"""Height and width of a page, pixels."""

SHARP_SHARE = 0.25
"""Share of pages whose lines are drawn without antialiasing; text has it always."""

Kind = Callable[[Sheet], None]


def page(
    seed: int,
    number: int,
    photographs: Sequence[Picture] = (),
    *,
    size: tuple[int, int] = SIZE,
    kind: str | None = None,
    packaged: bool = False,
    dark: bool | None = None,
) -> Picture:
    """Page `number` of a seed.

    Args:
        seed, number: decide everything.
        photographs: (H, W, 3) uint8 each, to be pasted in; none: gradients stand for them.
        size: height and width, pixels.
        kind: of `KINDS`; None: drawn.
        dark: the theme; None: drawn.
        packaged: only fonts that matplotlib and Pillow bring, so that it is the same page on every machine.

    Returns:
        (H, W, 3) uint8.
    """
    rng = random.Random(f"{seed}/{number}")
    scale = 1 if rng.random() < SHARP_SHARE else 2
    drawn = rng.choices(tuple(KINDS), tuple(WEIGHTS.values()))[0]
    sheet = Sheet(rng, size, photographs, scale=scale, packaged=packaged, dark=dark)
    KINDS[kind or drawn](sheet)
    return sheet.finish()


def pages(count: int, seed: int, photographs: Sequence[Picture] = (), *, size: tuple[int, int] = SIZE) -> list[Picture]:
    """The first `count` pages of a seed."""
    return [page(seed, i, photographs, size=size) for i in range(count)]


KINDS: dict[str, Kind] = {
    "article": documents.article,
    "editor": documents.editor,
    "screen": documents.screen,
    "signs": drawings.signs,
    "plots": drawings.plots,
    "table": documents.table,
    "line art": drawings.line_art,
    "handwriting": documents.handwriting,
    "codes": drawings.codes,
    "captioned": drawings.captioned,
}
"""What is drawn, by name."""

WEIGHTS = {
    "article": 5, "editor": 3, "screen": 4, "signs": 3, "plots": 3, "table": 2, "line art": 2, "handwriting": 1,
    "codes": 1, "captioned": 2,
}  # fmt: skip
"""How often each is, among pages whose kind is drawn."""
