"""From photographs of one camera to its profile: one picture after the other, grouped by sensitivity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from acutance.camera.applied import TURNED, step_of
from acutance.camera.edges import Edges, find_edges, joined
from acutance.camera.lens import lens_blur
from acutance.camera.profile import MOST_CELLS, MOST_LINES, BlurGrid, NoiseAt, Profile
from acutance.errors import ConfigError, ImageError
from acutance.images import Image, srgb_to_linear
from acutance.images.exif import orient
from acutance.images.shot import Shot, shot_of
from acutance.images.source import is_lossy, is_measured
from acutance.noise.curve import Blocks, blocks_of, fit_line
from acutance.version import VERSION

BACK = {6: 8, 8: 6}
"""EXIF orientations by which an upright picture is turned back; the others undo themselves."""

MOST_PICTURES = 24
"""Pictures of a sensitivity whose noise is looked at: 80 MB, and more tell nothing new."""

GRID = (5, 7)
"""Rows and columns of cells of the blur, by default."""


@dataclass(frozen=True)
class Kind:
    """Pictures that belong together.

    Args:
        height, width: as stored. channels: 1 or 3. lossy: JPEG and the like. step: between two values of the file.
    """

    height: int
    width: int
    channels: int
    lossy: bool
    step: float


@dataclass
class Measured:
    """Measurements on the pictures of a kind."""

    shots: list[Shot] = field(default_factory=list)
    blocks: dict[int | None, list[Blocks]] = field(default_factory=dict)
    edges: list[Edges] = field(default_factory=list)


@dataclass(frozen=True)
class Calibrated:
    """A profile, and what there is to say of it. Args: profile. notes: one sentence each."""

    profile: Profile
    notes: tuple[str, ...] = ()


@dataclass
class Calibration:
    """Takes pictures one by one and makes a profile of them.

    Args:
        chart: the pictures are of a printed chart, and all of their edges sharp. grid: rows and columns of cells.

    Raises:
        ConfigError: a grid that cannot be.
    """

    chart: bool = False
    grid: tuple[int, int] = GRID
    _kinds: dict[Kind, Measured] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if not all(1 <= n <= MOST_CELLS for n in self.grid):
            raise ConfigError(f"a grid of {self.grid[0]} x {self.grid[1]} cells; give 1 to {MOST_CELLS} along a side")

    @torch.no_grad()
    def add(self, image: Image) -> None:
        """Measure a picture.

        Raises:
            ImageError: a measurement (FITS), or a picture that is too small.
        """
        if is_measured(image):
            raise ImageError(
                "FITS has no tone curve, and a camera for it is calibrated by other programs; leave it out"
            )
        pixels = _as_stored(image)
        shot = shot_of(image.info.exif)
        blocks = blocks_of(pixels, step_of(image))
        kind = Kind(pixels.shape[-2], pixels.shape[-1], pixels.shape[1], is_lossy(image), step_of(image))
        found = self._kinds.setdefault(kind, Measured())
        found.shots.append(shot)
        group = found.blocks.setdefault(shot.iso, [])
        if len(group) < MOST_PICTURES:
            group.append(blocks)
        channel = pixels[0, pixels.shape[1] // 2]  # green, the finest of a camera's colours
        found.edges.append(find_edges(srgb_to_linear(channel)))

    def finish(self) -> Calibrated:
        """Make the profile, of the kind of pictures that there are most of.

        Raises:
            ImageError: no picture, or neither noise nor blur can be told from them.
        """
        if not self._kinds:
            raise ImageError("no picture to calibrate by; give photographs of one camera")
        kind, found = max(self._kinds.items(), key=lambda item: len(item[1].shots))
        notes = self._other_kinds(kind) + _mixed(found.shots)
        noise, said = _noise(found.blocks)
        notes += said
        blur: BlurGrid | None = None
        try:
            blur = self._blur(kind, joined(found.edges))
        except ImageError as error:
            notes.append(f"blur of the lens: {error}")
            if not noise:
                raise ImageError("; ".join(notes)) from None
        first = found.shots[0]
        profile = Profile(
            kind.width, kind.height, len(found.shots), kind.lossy, first.camera, first.lens,
            _same([s.aperture for s in found.shots]), _same([s.focal_length for s in found.shots]),
            tuple(noise), blur, VERSION,
        )  # fmt: skip
        return Calibrated(profile, tuple(notes))

    def _blur(self, kind: Kind, edges: Edges) -> BlurGrid:
        lens = lens_blur(edges, (kind.height, kind.width), self.grid, chart=self.chart)
        source: Literal["chart", "photographs"] = "chart" if self.chart else "photographs"
        return BlurGrid(_rounded(lens.radial), _rounded(lens.tangential), _counts(lens.edges), source)

    def _other_kinds(self, used: Kind) -> list[str]:
        """Say which pictures are not used, as they differ from most."""
        notes = []
        for kind, found in self._kinds.items():
            if kind != used:
                what = f"{kind.width} x {kind.height} pixels, {kind.channels} channels, step {kind.step:.2g}"
                lossy = "lossy" if kind.lossy else "lossless"
                notes.append(f"{len(found.shots)} of the pictures differ from most ({what}, {lossy}) and are not used")
        return notes


def _as_stored(image: Image) -> Tensor:
    """The pixels as the sensor has them, lying: those of most cameras."""
    height, width = image.size
    turn = image.info.orientation
    turn = TURNED if turn == 1 and height > width else turn
    if turn == 1:
        return image.pixels
    turned = orient(image.pixels[0].permute(1, 2, 0).numpy(), BACK.get(turn, turn))
    return torch.from_numpy(np.ascontiguousarray(turned)).permute(2, 0, 1)[None]


def _noise(blocks: Mapping[int | None, list[Blocks]]) -> tuple[list[NoiseAt], list[str]]:
    """The noise of each sensitivity, rising, and why some have none."""
    noise, notes = [], []
    groups = sorted(blocks.items(), key=lambda item: item[0] or 0)
    if len(groups) > MOST_LINES:
        notes.append(f"{len(groups)} sensitivities were found; the profile takes the lowest {MOST_LINES}")
    for iso, group in groups[:MOST_LINES]:
        try:
            line = fit_line(group)
        except ImageError as error:
            notes.append(f"noise {_words(iso)}: {error}")
            continue
        gain, read = (tuple(float(f"{v:.6g}") for v in values) for values in (line.gain, line.read))
        noise.append(NoiseAt(iso, gain, read, len(group)))
    return noise, notes


def _words(iso: int | None) -> str:
    return "of pictures without an ISO" if iso is None else f"at ISO {iso}"


def _mixed(shots: list[Shot]) -> list[str]:
    """Warn of pictures of several cameras, lenses or settings, which one profile cannot describe."""
    notes = []
    for name, what in (
        ("camera", "cameras: their noise differs; calibrate each by itself"),
        ("lens", "lenses: their blur differs; calibrate each by itself"),
        ("focal_length", "focal lengths: the blur is that of the sharpest in each place"),
        ("aperture", "apertures: the blur is that of the sharpest in each place"),
    ):
        values = Counter(getattr(shot, name) for shot in shots)
        if len(values) > 1:
            notes.append(f"the pictures are of {len(values)} {what}")
    return notes


def _same(values: list[float | None]) -> float | None:
    """The one value that all have; None: they differ."""
    return values[0] if len(set(values)) == 1 else None


def _rounded(table: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(v), 4) for v in row) for row in table)


def _counts(table: Tensor) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(v) for v in row) for row in table)
