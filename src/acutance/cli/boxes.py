"""Boxes in a picture that a person draws: X,Y,W,H in pixels from its upper left corner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from acutance.blind.trail import Region
from acutance.cli.console import parse_numbers
from acutance.errors import ConfigError
from acutance.images.peek import peek_size


def parse_region(text: str | None, option: str) -> Region | None:
    """A box from the words of an option.

    Raises:
        ConfigError: anything but four whole numbers, the first two from 0 on and the last two from 1 on.
    """
    if text is None:
        return None
    form = f"X,Y,W,H in whole pixels from the upper left corner, e.g. {option} 400,300,256,256"
    x, y, w, h = parse_numbers(text, 4, option, form)
    if any(v != int(v) for v in (x, y, w, h)) or x < 0 or y < 0 or w < 1 or h < 1:
        raise ConfigError(f"{option} {text}: give {form}")
    return int(x), int(y), int(w), int(h)


def check_boxes(boxes: Mapping[str, Region | None], picture: Path, *, preview: bool) -> dict[str, Region]:
    """The boxes that were given, by setting; each fits the picture, which may yet be turned, as far as its head tells.

    Args:
        boxes: the setting of `acutance.blind.BlindConfig` -> its box. preview: whether only a piece is restored.

    Raises:
        ConfigError: a box beyond the picture, two of them, or with a preview.
    """
    given = {setting: box for setting, box in boxes.items() if box is not None}
    if len(given) > 1:
        raise ConfigError("--window and --trail together: the trail shows the blur, so leave out the window")
    size = peek_size(picture)
    for setting, (x, y, w, h) in given.items():
        if preview:
            raise ConfigError(f"--{setting} with --preview: restore the whole picture, or leave one of them out")
        if size is not None and (x + w > max(size) or y + h > max(size)):
            raise ConfigError(f"--{setting} {x},{y},{w},{h} reaches beyond the picture of {size[0]} x {size[1]} pixels")
    return given
