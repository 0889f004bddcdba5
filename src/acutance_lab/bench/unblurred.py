"""Sharp pictures of which nothing is to be taken away: the PSNR is that of the result against the picture itself.

A method that is told no kernel has to see for itself when there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from acutance.errors import ConfigError, DataError
from acutance.images import read_image
from acutance_lab.bench.case import Case, Content, Noise, Suite, with_shown

SOURCES = (
    ("kodak24", "*.png", 24), ("reds", "*/sharp/*.png", 8), ("gopro_scene", "sharp/*.png", 5), ("bsd68", "*.png", 13),
)  # fmt: skip
"""Folder, files, and how many of them: 50 in all."""


def content(file: Path) -> Content:
    """A sharp picture as a case: nobody tells that it is sharp."""
    image = read_image(file)
    return Content(image.pixels, kernel=None, truth=image.pixels, info=image.info)


def cases(folder: Path, noises: Sequence[Noise]) -> list[Case]:
    """The pictures, by folder and name.

    Raises:
        DataError: a folder that is missing or empty. ConfigError: another level than "as captured".
    """
    if any(noise is not None for noise in noises):
        raise ConfigError("sharp has pictures as they are, to which no noise is added; leave out --noise")
    found = []
    for name, pattern, count in SOURCES:
        files = sorted((folder / name).glob(pattern), key=lambda p: (str(p.parent), len(p.stem), p.stem))[:count]
        if not files:
            raise DataError(f"{folder / name} is missing or empty; sharp pictures are expected there as {pattern}")
        for file in files:
            picture = "-".join((name, *file.relative_to(folder / name).with_suffix("").parts)).replace("-sharp-", "-")
            found.append(Case("sharp", picture, "none", None, partial(content, file)))
    return with_shown(found)


SHARP = Suite(
    name="sharp",
    summary="50 sharp pictures, to be left as they are",
    protocol="Sharp pictures as they are, no kernel; PSNR of the result against the picture itself, at most 100 dB.",
    noises=(None,),
    cases=cases,
    size=sum(count for *_, count in SOURCES),
)
