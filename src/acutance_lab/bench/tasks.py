"""Pictures that are not blurred: with noise, with rain, or measured compressively.

    bsd68-noise, kodak24-noise    y = x + sigma n, n standard normal from Philox as in `acutance_lab.bench.synthetic`
    real-noise                    photographs of a camera and the means of many
    rain, rain-luma               streaks drawn over photographs
    set11, bsd68-sensing          y = x: who senses measures the picture and brings it back

Nothing is clipped or rounded in the first two, as is usual for them: levels are 15, 25 and 50 of 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from acutance.errors import ConfigError, DataError
from acutance.images import read_image
from acutance_lab.bench.case import Case, Content, Noise, Suite, with_shown
from acutance_lab.bench.dynamic import ENDINGS
from acutance_lab.bench.score import LUMA, WHOLE, Scoring
from acutance_lab.bench.synthetic import standard_normal, synthetic_levels

LEVELS = tuple(level / 255 for level in (15, 25, 50))


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a folder by name, numbers as numbers.

    Raises:
        DataError: there are none.
    """
    found = [p for p in folder.glob("*") if p.suffix.lower() in ENDINGS] if folder.is_dir() else []
    if not found:
        raise DataError(f"{folder} is missing or empty; pictures are expected there ({', '.join(ENDINGS)})")
    return sorted(found, key=lambda p: (len(p.stem), p.stem))


def noisy(file: Path, suite: str, noise: float) -> Content:
    """A sharp picture with white noise."""
    truth = read_image(file).pixels
    field = standard_normal(f"{suite}/{file.stem}/none/{255 * noise:g}", truth.shape[1:])
    observed = (truth.double() + noise * field).to(torch.float32)
    return Content(observed, kernel=None, truth=truth, sigma=noise)


def noisy_cases(folder: Path, noises: Sequence[Noise], *, name: str, pictures: str) -> list[Case]:
    """Every picture at every level.

    Raises:
        DataError: there are none. ConfigError: a level that is none.
    """
    levels, files = synthetic_levels(name, noises), _pictures(folder / pictures)
    return [
        case
        for noise in levels
        for case in with_shown([Case(name, f.stem, "none", noise, partial(noisy, f, name, noise)) for f in files])
    ]


def pair(spoilt: Path, clean: Path, scoring: Scoring) -> Content:
    """Two files of one scene.

    Raises:
        DataError: of different sizes.
    """
    observed, truth = read_image(spoilt), read_image(clean)
    if observed.pixels.shape != truth.pixels.shape:
        raise DataError(f"{spoilt} is of {tuple(observed.pixels.shape)}, {clean} of {tuple(truth.pixels.shape)}")
    return Content(observed.pixels, kernel=None, truth=truth.pixels, scoring=scoring, info=observed.info)


def paired_cases(
    folder: Path, noises: Sequence[Noise], *, name: str, within: str, spoilt: str, scoring: Scoring
) -> list[Case]:
    """WITHIN/SPOILT/NAME with WITHIN/clean/NAME, whatever their endings.

    Raises:
        DataError: there are none, or one has no partner. ConfigError: another level than "as captured".
    """
    _as_captured(name, noises)
    clean = {p.stem: p for p in _pictures(folder / within / "clean")}
    found = []
    for file in _pictures(folder / within / spoilt):
        if file.stem not in clean:
            raise DataError(f"{file} has no partner; its clean picture is expected in {folder / within / 'clean'}")
        found.append(Case(name, file.stem, "none", None, partial(pair, file, clean[file.stem], scoring)))
    return with_shown(found)


def sensed(file: Path) -> Content:
    """A picture to be measured."""
    image = read_image(file)
    return Content(image.pixels, kernel=None, truth=image.pixels)


def sensed_cases(folder: Path, noises: Sequence[Noise], *, name: str, pictures: str) -> list[Case]:
    """The pictures.

    Raises:
        DataError: there are none. ConfigError: another level than "as captured".
    """
    _as_captured(name, noises)
    files = _pictures(folder / pictures)
    return with_shown([Case(name, f.stem, "none", None, partial(sensed, f)) for f in files])


def _as_captured(name: str, noises: Sequence[Noise]) -> None:
    if any(noise is not None for noise in noises):
        raise ConfigError(f"{name} has pictures as they are, to which no noise is added; leave out --noise")


def _noise(pictures: str, summary: str, size: int) -> Suite:
    name = f"{pictures}-noise"
    return Suite(
        name=name,
        summary=summary,
        protocol="White noise of 15, 25 and 50 of 255, neither clipped nor rounded; whole picture.",
        noises=LEVELS,
        cases=partial(noisy_cases, name=name, pictures=pictures),
        size=size,
    )


def _paired(
    name: str, within: str, spoilt: str, summary: str, size: int, protocol: str, scoring: Scoring = WHOLE
) -> Suite:
    found = partial(paired_cases, name=name, within=within, spoilt=spoilt, scoring=scoring)
    return Suite(name=name, summary=summary, protocol=protocol, noises=(None,), cases=found, size=size)


def _sensing(name: str, pictures: str, summary: str, size: int) -> Suite:
    return Suite(
        name=name,
        summary=summary,
        protocol="The method measures the picture, by blocks of 32 x 32, and brings it back; grey, whole picture. The "
        "row of the pictures as they are has no meaning here.",
        noises=(None,),
        cases=partial(sensed_cases, name=name, pictures=pictures),
        size=size,
    )


BSD68_NOISE = _noise("bsd68", "68 grey photographs with white noise, no blur", 68)
KODAK24_NOISE = _noise("kodak24", "24 colour photographs with white noise, no blur", 24)
REAL_NOISE = _paired(
    "real-noise", "real_noise", "noisy", "16 photographs with the noise of cameras, 512 x 512", 16,
    "Camera files and the means of many exposures; colour, whole picture; no level is known.",
)  # fmt: skip
RAIN = _paired("rain", "rain", "rainy", "15 photographs with heavy synthetic rain", 15, "Colour, whole picture.")
RAIN_LUMA = _paired(
    "rain-luma", "rain", "rainy", "the same, scored on luma alone, as is usual", 15,
    "On Y of YCbCr as in digital video, which spans 219 of 255 (that alone makes 1.3 dB); whole picture.", LUMA,
)  # fmt: skip
SET11 = _sensing("set11", "set11", "11 grey pictures to be measured compressively", 11)
BSD68_SENSING = _sensing("bsd68-sensing", "bsd68", "68 grey photographs to be measured compressively", 68)
