r"""The profile of a camera: the noise by sensitivity, and the blur of the lens over the field, in a small JSON file.

    noise level of a picture = sqrt(mean of gain s + read over its samples s, and what rounding adds)

in linear light; of encoded values each variance is multiplied by the square of the slope of the curve. Between two
sensitivities gain and read are interpolated along the logarithm, beyond them those of the nearest hold.

A profile may come from anybody: `read_profile` checks every field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.images.atomic import write_atomically
from acutance.images.shot import MOST_ISO
from acutance.noise.curve import NoiseLine
from acutance.settings import from_table, read_json, to_json

KIND, VERSION = "acutance camera", 1

LARGEST = 1 << 18
"""Bytes of a profile, at most."""

MOST_LINES, MOST_CELLS, MOST_SIDE, LONGEST = 64, 32, 1 << 20, 200
MOST_VARIANCE, MOST_BLUR = 0.25, 50.0


@dataclass(frozen=True)
class NoiseAt:
    """The noise at one sensitivity.

    Args:
        iso: sensitivity; None: the pictures did not tell. gain, read: see `acutance.noise.curve.NoiseLine`.
        pictures: that it was measured on.
    """

    iso: int | None
    gain: tuple[float, ...]
    read: tuple[float, ...]
    pictures: int = 1

    @property
    def line(self) -> NoiseLine:
        """The line of each channel."""
        return NoiseLine(self.gain, self.read)


@dataclass(frozen=True)
class BlurGrid:
    """The blur of the lens.

    Args:
        radial, tangential: deviations in pixels, rows of cells, see `acutance.camera.lens.LensBlur`.
        edges: that each cell has of its own. source: what the edges are of.
    """

    radial: tuple[tuple[float, ...], ...]
    tangential: tuple[tuple[float, ...], ...]
    edges: tuple[tuple[int, ...], ...]
    source: Literal["chart", "photographs"] = "photographs"

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.radial), len(self.radial[0])

    def deviations(self) -> Tensor:
        """(2, rows, columns), radial and tangential, double."""
        return torch.tensor((self.radial, self.tangential), dtype=torch.float64)


@dataclass(frozen=True)
class Profile:
    """A camera and its lens.

    Args:
        width, height: of the pictures as stored, pixels. camera, lens, aperture, focal_length: of the pictures, see
            `acutance.images.shot.Shot`. lossy: they were JPEG, or of another lossy kind. pictures: that were read.
        noise: by sensitivity, rising. blur: None: it was not measured. made_by: version of Acutance.
    """

    width: int
    height: int
    pictures: int
    lossy: bool
    camera: str = ""
    lens: str = ""
    aperture: float | None = None
    focal_length: float | None = None
    noise: tuple[NoiseAt, ...] = ()
    blur: BlurGrid | None = None
    made_by: str = ""
    kind: Literal["acutance camera"] = "acutance camera"
    version: Literal[1] = 1

    def noise_at(self, iso: int | None) -> tuple[NoiseLine, str]:
        """The noise at a sensitivity.

        Args:
            iso: None: the picture does not tell.

        Returns:
            The lines, and which they are, for people: "at ISO 800".

        Raises:
            ConfigError: the profile holds no noise.
        """
        if not self.noise:
            raise ConfigError("the profile holds no noise; calibrate again, with photographs that have even places")
        known = [each for each in self.noise if each.iso is not None]
        if not known:
            return self.noise[0].line, "of pictures whose ISO is not known"
        if iso is None:
            middle = known[len(known) // 2]
            return middle.line, f"at ISO {middle.iso}, as the picture does not tell its own"
        low = max((each for each in known if _iso(each) <= iso), key=_iso, default=known[0])
        high = min((each for each in known if _iso(each) >= iso), key=_iso, default=known[-1])
        if low is high or low.iso == high.iso:
            beyond = "" if low.iso == iso else f", the nearest to its ISO {iso}; calibrate with pictures of that"
            return low.line, f"at ISO {low.iso}{beyond}"
        share = math.log(iso / _iso(low)) / math.log(_iso(high) / _iso(low))
        lines = (_between(getattr(low, n), getattr(high, n), share) for n in ("gain", "read"))
        return NoiseLine(*lines), f"at ISO {iso}, between {low.iso} and {high.iso}"


def _iso(each: NoiseAt) -> int:
    return each.iso or 0


def _between(low: tuple[float, ...], high: tuple[float, ...], share: float) -> tuple[float, ...]:
    """Numbers on the way from low to high, along the logarithm; along the numbers where one of them is 0."""
    return tuple(
        math.exp((1 - share) * math.log(a) + share * math.log(b)) if a > 0 and b > 0 else (1 - share) * a + share * b
        for a, b in zip(low, high, strict=True)
    )


def write_profile(path: Path, profile: Profile, *, overwrite: bool = False) -> None:
    """Write a profile, whole or not at all.

    Raises:
        OutputError: it exists and `overwrite` is False, or it cannot be written.
    """
    write_atomically(path, to_json(profile), overwrite=overwrite)


def read_profile(path: Path) -> Profile:
    """Read a profile and check every field of it.

    Raises:
        ConfigError: no such file, no profile, or one with a field that cannot be.
    """
    table = read_json(path, called="profile", most=LARGEST, give="give a profile, as `acutance calibrate` writes it")
    return parse_profile(table, str(path))


def parse_profile(table: Any, where: str) -> Profile:
    """A profile from a table of JSON.

    Args:
        table: anything. where: what to call it in messages.

    Raises:
        ConfigError: see `read_profile`.
    """
    if not isinstance(table, dict) or table.get("kind") != KIND:
        raise ConfigError(f"{where} is no profile of a camera; make one with `acutance calibrate`")
    if table.get("version") != VERSION or isinstance(table.get("version"), bool):
        raise ConfigError(f"{where} is a profile of another version; this program reads version {VERSION}")
    try:
        found = from_table(Profile, table, where=where)
    except ConfigError:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:  # whatever values of odd types do
        raise ConfigError(f"{where}: {type(error).__name__} in a field; it is damaged, calibrate again") from None
    wrong = _wrong(found)
    if wrong is not None:
        raise ConfigError(f"{where}: {wrong}; it is damaged, calibrate again")
    return found


def _wrong(found: Profile) -> str | None:
    """Name the first field that cannot be; None: all can."""
    for name in ("camera", "lens", "made_by"):
        text = getattr(found, name)
        if len(text) > LONGEST or not text.isprintable():
            return f"{name} is no plain text of at most {LONGEST} characters"
    for name, most in (("width", MOST_SIDE), ("height", MOST_SIDE), ("pictures", MOST_SIDE)):
        if not 1 <= getattr(found, name) <= most:
            return f"{name}={getattr(found, name)} is not between 1 and {most}"
    for name in ("aperture", "focal_length"):
        value = getattr(found, name)
        if not (value is None or (_is_number(value) and 0 < value <= 1e5)):
            return f"{name}={value!r} is no number above 0"
    return _wrong_noise(found.noise) or (None if found.blur is None else _wrong_blur(found.blur))


def _wrong_noise(noise: tuple[NoiseAt, ...]) -> str | None:
    isos = [each.iso for each in noise]
    if len(noise) > MOST_LINES:
        return f"noise has {len(noise)} sensitivities, and {MOST_LINES} are the most"
    for iso in isos:
        if iso is not None and not (type(iso) is int and 1 <= iso <= MOST_ISO):
            return f"iso={iso!r} is no whole number from 1 to {MOST_ISO}"
    known = [iso for iso in isos if iso is not None]
    if known != sorted(set(known)) or (len(isos) - len(known)) > 1:
        return "the sensitivities do not rise"
    for each in noise:
        if len(each.gain) not in (1, 3) or len(each.read) != len(each.gain) or len(each.gain) != len(noise[0].gain):
            return "gain and read have neither one number nor three"
        if not all(0 <= v <= MOST_VARIANCE for v in (*each.gain, *each.read)):
            return f"gain and read are not between 0 and {MOST_VARIANCE}"
    return None


def _wrong_blur(blur: BlurGrid) -> str | None:
    rows = len(blur.radial)
    columns = len(blur.radial[0]) if rows else 0
    if not (1 <= rows <= MOST_CELLS and 1 <= columns <= MOST_CELLS):
        return f"blur has {rows} x {columns} cells; 1 to {MOST_CELLS} along a side are possible"
    for name in ("radial", "tangential", "edges"):
        table = getattr(blur, name)
        if len(table) != rows or any(len(row) != columns for row in table):
            return f"{name} of blur has not {rows} x {columns} numbers"
    if not all(0 <= v <= MOST_BLUR for table in (blur.radial, blur.tangential) for row in table for v in row):
        return f"deviations of blur are not between 0 and {MOST_BLUR:g} pixels"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
