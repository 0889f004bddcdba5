"""Cameras that are known: their pictures, and the report of a calibration."""

from __future__ import annotations

import pytest
import torch

from acutance.images import srgb_to_linear
from acutance.images.shot import shot_of
from acutance_lab.experiments.cameras import Found, Settings, report, run
from acutance_lab.synth.known_cameras import CAMERAS, REACH, KnownCamera, chart, half_sharp, scene_of

SIZE = (120, 160)


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.name)
def test_a_picture_has_the_noise_of_the_camera(camera: KnownCamera) -> None:
    generator = torch.Generator().manual_seed(0)
    flat = torch.full((1, 1, SIZE[0] + 2 * REACH, SIZE[1] + 2 * REACH), 0.4)
    iso, (gain, read) = next(iter(camera.noise.items()))
    image = camera.photograph(flat, iso, generator)
    assert image.size == SIZE
    assert shot_of(image.info.exif).iso == iso
    assert float(srgb_to_linear(image.pixels).var()) == pytest.approx(0.4 * gain + read, rel=0.1)


def test_the_lens_is_softest_in_the_corners() -> None:
    for camera in CAMERAS:
        deviations = camera.deviations((3, 3), SIZE)
        assert bool((deviations[:, 0, 0] > deviations[:, 1, 1]).all())
        assert deviations[:, 1, 1].tolist() == pytest.approx([camera.middle] * 2)


def test_scenes_have_room_for_the_blur() -> None:
    generator = torch.Generator().manual_seed(0)
    wanted = (1, 1, SIZE[0] + 2 * REACH, SIZE[1] + 2 * REACH)
    assert chart(SIZE, generator).shape == wanted
    assert half_sharp(SIZE, generator, 0.3).shape == wanted
    scene = scene_of(torch.rand(1, 3, 400, 500), SIZE)
    assert scene is not None
    assert scene.shape == wanted
    assert scene_of(torch.rand(1, 3, 200, 500), SIZE) is None


def test_each_parameter_is_compared() -> None:
    settings = Settings(pictures=2, height=200, width=280, grid=(2, 2))
    found = run(None, settings)
    assert {f.camera for f in found} == {"A", "B"}
    of_chart = [f for f in found if f.scenes == "chart"]
    gains = [f for f in of_chart if f.parameter.startswith("gain")]
    assert len(gains) == 6
    assert all(abs(f.off) < 10 for f in gains)
    text = report(found, settings).text
    assert "| A | chart | gain at ISO 100 |" in text
    assert "| B | half sharp | radial |" in text


def test_the_deviation_is_in_per_cent() -> None:
    assert Found("A", "chart", "gain at ISO 100", 2.0, 2.1).off == pytest.approx(5.0)
