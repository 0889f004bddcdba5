"""How exactly does a calibration find the noise and the lens of cameras that are known?

Two cameras photograph charts, half-sharp scenes (each place is sharp in half of them) and, where there are some,
held-out photographs; each set of pictures is calibrated as `acutance calibrate` does it, and gain, read noise and
deviations are compared with the true ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from acutance.camera.calibration import Calibration
from acutance.camera.profile import Profile
from acutance.errors import DataError
from acutance.images import read_image
from acutance_lab.data.photographs import find
from acutance_lab.experiments.output import Report
from acutance_lab.synth.known_cameras import CAMERAS, KnownCamera, chart, half_sharp, scene_of


@dataclass(frozen=True)
class Settings:
    """Of the experiment.

    Args:
        pictures: for each ISO of each camera and each kind of scene. height, width: of a picture, pixels.
        grid: of the profile. seed: of all draws.
    """

    pictures: int = 6
    height: int = 480
    width: int = 720
    grid: tuple[int, int] = (5, 7)
    seed: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width


@dataclass(frozen=True)
class Found:
    """A parameter, true and recovered. Args: edges: that a node of the lens had of its own; None: of the noise."""

    camera: str
    scenes: str
    parameter: str
    true: float
    recovered: float
    edges: int | None = None

    @property
    def off(self) -> float:
        """Deviation from the true one, per cent."""
        return 100 * (self.recovered / self.true - 1)


def run(data: Path | None, settings: Settings, on_picture: Callable[[str], None] | None = None) -> list[Found]:
    """Calibrate both cameras on each kind of scene.

    Args:
        data: folder of photographs, of which held-out ones are scenes as well; None: rendered scenes only.

    Raises:
        DataError: no held-out photograph is large enough.
    """
    photographs = [] if data is None else list(_scenes(data, settings))
    if data is not None and not photographs:
        raise DataError(f"{data}: no held-out photograph has twice {settings.width} x {settings.height} pixels")
    found: list[Found] = []
    for camera in CAMERAS:
        for kind in ("chart", "half sharp", *(["photographs"] if photographs else [])):
            generator = torch.Generator().manual_seed(settings.seed)
            calibration = Calibration(chart=kind == "chart", grid=settings.grid)
            for iso in camera.noise:
                for number in range(settings.pictures):
                    scene = _scene(kind, settings, generator, photographs, number)
                    calibration.add(camera.photograph(scene, iso, generator))
                    if on_picture is not None:
                        on_picture(f"{camera.name}, {kind}, ISO {iso}")
            found += compared(camera, kind, calibration.finish().profile, settings)
    return found


def compared(camera: KnownCamera, kind: str, profile: Profile, settings: Settings) -> list[Found]:
    """Each parameter of a profile beside the true one."""
    found = []
    for each in profile.noise:
        assert each.iso is not None
        gain, read = camera.noise[each.iso]
        found.append(Found(camera.name, kind, f"gain at ISO {each.iso}", gain, each.gain[0]))
        found.append(Found(camera.name, kind, f"read at ISO {each.iso}", read, each.read[0]))
    if profile.blur is not None:
        true, deviations = camera.deviations(settings.grid, settings.size), profile.blur.deviations()
        for axis, name in enumerate(("radial", "tangential")):
            for i, j in ((i, j) for i in range(settings.grid[0]) for j in range(settings.grid[1])):
                values = float(true[axis, i, j]), float(deviations[axis, i, j])
                place = f"{name} blur at {i + 1}, {j + 1}"
                found.append(Found(camera.name, kind, place, *values, profile.blur.edges[i][j]))
    return found


def _scene(
    kind: str, settings: Settings, generator: torch.Generator, photographs: Sequence[Tensor], number: int
) -> Tensor:
    if kind == "photographs":
        return photographs[number % len(photographs)]
    if kind == "chart":
        return chart(settings.size, generator)
    return half_sharp(settings.size, generator, number / settings.pictures)


def _scenes(data: Path, settings: Settings) -> Iterator[Tensor]:
    """As many held-out photographs as there are pictures of an ISO, as scenes."""
    count = 0
    for path in find(data, validation=True):
        scene = scene_of(read_image(path).pixels.expand(-1, 3, -1, -1), settings.size)
        if scene is not None:
            yield scene
            count += 1
        if count == settings.pictures:
            return


def report(found: Sequence[Found], settings: Settings) -> Report:
    """All parameters of the noise, and the lens by its mean, its worst node and all nodes."""
    head = ["camera", "scenes", "parameter", "true", "recovered", "off, %"]
    noise = [f for f in found if f.edges is None]
    lines = [[f.camera, f.scenes, f.parameter, f"{f.true:.3g}", f"{f.recovered:.3g}", f"{f.off:+.1f}"] for f in noise]
    lens_head = ["camera", "scenes", "blur", "nodes", "mean true", "mean recovered", "mean |off|, %", "worst, %",
                 "within 5 %"]  # fmt: skip
    lens = []
    for key in dict.fromkeys((f.camera, f.scenes, f.parameter.split()[0]) for f in found if f.edges is not None):
        nodes = [f for f in found if f.edges is not None and (f.camera, f.scenes, f.parameter.split()[0]) == key]
        off = [abs(f.off) for f in nodes]
        lens.append([
            *key, str(len(nodes)), f"{fmean(f.true for f in nodes):.3f}", f"{fmean(f.recovered for f in nodes):.3f}",
            f"{fmean(off):.1f}", f"{max(off):.1f}", f"{sum(o <= 5 for o in off)} of {len(off)}",
        ])  # fmt: skip
    note = (
        f"{settings.pictures} of {settings.width} x {settings.height} pixels for each ISO, seed {settings.seed}. "
        "Deviations of the blur are in pixels, gain and read in linear light with white 1."
    )
    return Report("cameras", [(head, lines), (lens_head, lens)], [note], {"settings": settings, "found": list(found)})
