"""Pictures that are not blurred: as they are, with white noise, or to be measured compressively.

    sharp                         y = x: nobody tells a method that there is nothing to do
    bsd68-noise, kodak24-noise    y = x + sigma n, n standard normal from Philox as in `acutance_lab.bench.synthetic`
    set11, bsd68-sensing          y = x: who senses measures the picture and brings it back

Nothing is clipped or rounded in the second, as is usual for them: levels are 15, 25 and 50 of 255.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from acutance.errors import DataError
from acutance.images import read_image
from acutance_lab.bench.case import Case, Content, Noise, Suite, files_in
from acutance_lab.bench.pairs import PICTURES
from acutance_lab.bench.synthetic import standard_normal

LEVELS = tuple(level / 255 for level in (15, 25, 50))

SHARP_SOURCES = (
    ("kodak24", "*.png", 24), ("reds", "*/sharp/*.png", 8), ("gopro_scene", "sharp/*.png", 5), ("bsd68", "*.png", 13),
)  # fmt: skip
"""Folder, files, and how many of them: 50 in all."""


def sharp_cases(folder: Path, _: Noise) -> list[Case]:
    """The sharp pictures, by folder and name.

    Raises:
        DataError: a folder that is missing or empty.
    """
    found = []
    for name, pattern, count in SHARP_SOURCES:
        files = sorted((folder / name).glob(pattern), key=lambda p: (str(p.parent), len(p.stem), p.stem))[:count]
        if not files:
            raise DataError(f"{folder / name} is missing or empty; sharp pictures are expected there as {pattern}")
        for file in files:
            picture = "-".join((name, *file.relative_to(folder / name).with_suffix("").parts)).replace("-sharp-", "-")
            found.append(Case("sharp", picture, "none", None, partial(content, file, "sharp", None)))
    return found


def cases(folder: Path, noise: Noise, *, name: str, pictures: str) -> list[Case]:
    """The pictures of a folder."""
    files = files_in(folder / pictures, *PICTURES)
    return [Case(name, f.stem, "none", noise, partial(content, f, name, noise)) for f in files]


def content(file: Path, suite: str, noise: Noise) -> Content:
    """A sharp picture, with white noise if there is a level."""
    image = read_image(file)
    truth = image.pixels
    if noise is None:
        return Content(truth, kernel=None, truth=truth, info=image.info)
    field = standard_normal(f"{suite}/{file.stem}/none/{255 * noise:g}", truth.shape[1:])
    observed = (truth.double() + noise * field).to(torch.float32)
    return Content(observed, kernel=None, truth=truth, sigma=noise)


def _suite(name: str, pictures: str, summary: str, size: int, *, noisy: bool) -> Suite:
    protocol = (
        "White noise of 15, 25 and 50 of 255, neither clipped nor rounded; whole picture."
        if noisy
        else "The method measures the picture, by blocks of 32 x 32, and brings it back; grey, whole picture. The "
        "row of the pictures as they are has no meaning here."
    )
    make = partial(cases, name=name, pictures=pictures)
    return Suite(name, summary, protocol, LEVELS if noisy else (None,), make, size=size)


SHARP = Suite(
    "sharp", "50 sharp pictures, to be left as they are",
    "Sharp pictures as they are, no kernel; PSNR of the result against the picture itself, at most 100 dB.",
    (None,), sharp_cases, size=sum(count for *_, count in SHARP_SOURCES),
)  # fmt: skip
BSD68_NOISE = _suite("bsd68-noise", "bsd68", "68 grey photographs with white noise, no blur", 68, noisy=True)
KODAK24_NOISE = _suite("kodak24-noise", "kodak24", "24 colour photographs with white noise, no blur", 24, noisy=True)
SET11 = _suite("set11", "set11", "11 grey pictures to be measured compressively", 11, noisy=False)
BSD68_SENSING = _suite("bsd68-sensing", "bsd68", "68 grey photographs to be measured compressively", 68, noisy=False)
