"""Pairs of files of one scene: frames of fast videos (Nah et al. 2017, 2019), camera noise, rain; nothing is added.

The blur of the videos is a mean of frames in which camera and objects move. It varies over the picture, so there is no
kernel; the sharp picture is the frame in the middle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from acutance.errors import DataError
from acutance.images import read_image
from acutance_lab.bench.case import Case, Content, Noise, Suite, files_in
from acutance_lab.bench.score import LUMA, WHOLE, Scoring

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
PICTURES = tuple(f"*{ending}" for ending in ENDINGS)


@dataclass(frozen=True)
class Pair:
    """Files of one moment, spoilt and sharp, and its name: that of its scene, if it has one, and of its frame."""

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


def twins(folder: Path, spoilt: str) -> list[Pair]:
    """FOLDER/SPOILT/NAME with FOLDER/clean/NAME, whatever their endings.

    Raises:
        DataError: there are none, or one has no partner.
    """
    clean = {p.stem: p for p in files_in(folder / "clean", *PICTURES)}
    found = files_in(folder / spoilt, *PICTURES)
    alone = [p for p in found if p.stem not in clean]
    if alone:
        raise DataError(f"{alone[0]} has no partner; its clean picture is expected in {folder / 'clean'}")
    return [Pair(p, clean[p.stem], p.stem) for p in found]


def content(pair: Pair, scoring: Scoring = WHOLE) -> Content:
    """A pair as a case: no kernel, no noise level.

    Raises:
        DataError: pictures of different sizes. ImageError: a file that cannot be used, by name.
    """
    observed, truth = read_image(pair.blurred), read_image(pair.sharp)
    if observed.pixels.shape != truth.pixels.shape:
        raise DataError(
            f"{pair.blurred} is of {tuple(observed.pixels.shape)}, {pair.sharp} of {tuple(truth.pixels.shape)}"
        )
    return Content(observed.pixels, kernel=None, truth=truth.pixels, scoring=scoring, info=observed.info)


def _suite(
    name: str, summary: str, size: int, protocol: str, find: Callable[[Path], list[Pair]] = pairs, *,
    within: str = "", kernel: str = "none", scoring: Scoring = WHOLE,
) -> Suite:  # fmt: skip
    def make(folder: Path, _: Noise) -> list[Case]:
        found = find(folder / (within or name))
        return [Case(name, p.name, kernel, None, partial(content, p, scoring)) for p in found]

    return Suite(name, summary, protocol, (None,), make, size=size)


VIDEO = "Means of sharp frames of a video, colour, no kernel; whole picture, not aligned, no noise is added."
REDS = _suite("reds", "8 pairs of two scenes of REDS, 1280 x 720", 8, VIDEO, kernel="unknown")
GOPRO_SCENE = _suite("gopro_scene", "5 pairs of one scene of GoPro, 1280 x 720", 5, VIDEO, kernel="unknown")
REAL_NOISE = _suite(
    "real-noise", "16 photographs with the noise of cameras, 512 x 512", 16,
    "Camera files and the means of many exposures; colour, whole picture; no level is known.",
    partial(twins, spoilt="noisy"), within="real_noise",
)  # fmt: skip
RAINY = partial(twins, spoilt="rainy")
RAIN = _suite("rain", "15 photographs with heavy synthetic rain", 15, "Colour, whole picture.", RAINY)
RAIN_LUMA = _suite(
    "rain-luma", "the same, scored on luma alone, as is usual", 15,
    "On Y of YCbCr as in digital video, which spans 219 of 255 (that alone makes 1.3 dB); whole picture.", RAINY,
    within="rain", scoring=LUMA,
)  # fmt: skip
