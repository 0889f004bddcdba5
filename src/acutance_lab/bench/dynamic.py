"""REDS and GoPro: means of the frames of fast videos, in which camera and objects move (Nah et al. 2017, 2019).

Nobody knows a kernel, there is none: the blur varies over the picture. The sharp picture is the frame in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from acutance.errors import ConfigError, DataError
from acutance.images import read_image
from acutance_lab.bench.case import Case, Content, Noise, Suite, with_shown

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True)
class Pair:
    """Files of one moment, blurred and sharp, and its name: that of its scene, if it has one, and of its frame."""

    blurred: Path
    sharp: Path
    name: str


def pairs(folder: Path) -> list[Pair]:
    """FOLDER/[SCENE/]blurred/NAME.png with FOLDER/[SCENE/]sharp/NAME.png, in the order of scenes and names.

    Raises:
        DataError: there are none, or a picture has no partner.
    """
    found = []
    for blurred in sorted(p for p in (*folder.glob("blurred/*"), *folder.glob("*/blurred/*"))):
        if blurred.suffix.lower() not in ENDINGS:
            continue
        scene = blurred.parents[1]
        sharp = scene / "sharp" / blurred.name
        if not sharp.is_file():
            raise DataError(f"{blurred} has no partner; its sharp picture is expected at {sharp}")
        found.append(Pair(blurred, sharp, blurred.stem if scene == folder else f"{scene.name}-{blurred.stem}"))
    if not found:
        raise DataError(
            f"{folder} is missing or has no pairs; expected are [SCENE/]blurred/NAME.png and [SCENE/]sharp/NAME.png"
        )
    return found


def content(pair: Pair) -> Content:
    """A pair as a case: no kernel, no noise level.

    Raises:
        DataError: pictures of different sizes. ImageError: a file that cannot be used, by name.
    """
    observed, truth = read_image(pair.blurred), read_image(pair.sharp)
    if observed.pixels.shape != truth.pixels.shape:
        raise DataError(
            f"{pair.blurred} is of {tuple(observed.pixels.shape)}, {pair.sharp} of {tuple(truth.pixels.shape)}"
        )
    return Content(observed.pixels, kernel=None, truth=truth.pixels, info=observed.info)


def cases(folder: Path, noises: Sequence[Noise], *, name: str) -> list[Case]:
    """The pairs of a set.

    Raises:
        DataError: there are none. ConfigError: another level than "as captured".
    """
    if any(noise is not None for noise in noises):
        raise ConfigError(f"{name} has pictures as captured, to which no noise is added; leave out --noise")
    return with_shown([Case(name, p.name, "unknown", None, partial(content, p)) for p in pairs(folder / name)])


def _suite(name: str, summary: str, size: int) -> Suite:
    return Suite(
        name=name,
        summary=summary,
        protocol="Means of sharp frames of a video, colour, no kernel; whole picture, not aligned, no noise is added.",
        noises=(None,),
        cases=partial(cases, name=name),
        size=size,
    )


REDS = _suite("reds", "8 pairs of two scenes of REDS, 1280 x 720", 8)
GOPRO_SCENE = _suite("gopro_scene", "5 pairs of one scene of GoPro, 1280 x 720", 5)
