"""Noise alone: its level where it is white, its shape where a camera made it, grey pictures."""

from __future__ import annotations

from dataclasses import replace

import torch

from acutance_lab.synth import Noisy

WHITE = Noisy(camera=0.0, clipped=0.0, grey=0.0)
CAMERA = Noisy(camera=1.0, grey=0.0, jpeg=0.0, reduced=0.0)


def source(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_white_noise_has_levels_of_the_range() -> None:
    x = torch.full((64, 3, 32, 32), 0.5)
    d = WHITE(x, source()).problem.observed - x
    levels = d.std((1, 2, 3))
    assert float(levels.max()) < 1.05 * 55 / 255
    assert float(levels.min()) < 0.03
    assert abs(float(levels.mean()) - 27.5 / 255) < 0.02


def test_grey_pictures_have_one_field() -> None:
    x = torch.rand(4, 3, 24, 24, generator=source(2))
    y = replace(WHITE, grey=1.0)(x, source())
    assert float((y.problem.observed - y.problem.observed[:, :1]).abs().max()) < 1e-6
    alone = Noisy()(x, source(), one_channel=True)
    assert alone.problem.observed.shape == alone.sharp.shape == (4, 1, 24, 24)


def test_a_camera_leaves_the_answer_alone_and_its_noise_has_neighbours() -> None:
    x = torch.full((16, 3, 64, 64), 0.3)
    example = CAMERA(x, source())
    assert torch.equal(example.sharp, x)
    d = example.problem.observed - x
    d = d - d.mean((2, 3), keepdim=True)
    assert float(example.problem.observed.min()) >= 0
    near = (d[..., 1:] * d[..., :-1]).mean((2, 3)) / d.square().mean((2, 3))
    loud = d.square().mean((2, 3)).sqrt() > 0.02
    assert float(near[loud].mean()) > 0.3, "demosaicing correlates neighbours"
    levels = d.square().mean((2, 3)).sqrt().mean(0)
    assert float(levels[0]) > float(levels[1]) < float(levels[2]), "red and blue are amplified"


def test_photon_noise_grows_with_light() -> None:
    x = torch.cat((torch.full((32, 3, 32, 32), 0.02), torch.full((32, 3, 32, 32), 0.5)))
    tone = replace(CAMERA.tone, srgb=1.0, contrast=(1.0, 1.0))
    linear = replace(CAMERA, shot=(1e-2, 1.0001e-2), tone=tone)(x, source()).problem.observed
    light = torch.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    spread = light.std((2, 3)).mean(1)
    assert float(spread[32:].mean()) > 1.5 * float(spread[:32].mean())


def test_noise_reduction_smooths_the_noise_and_leaves_the_scene() -> None:
    x = (torch.arange(96) // 6 % 2 * 0.2 + 0.4).expand(24, 3, 96, 96)
    loud = replace(CAMERA, shot=(1e-2, 1.0001e-2))
    rough, smooth = (
        (replace(loud, reduced=reduced, colour=(2.0, 2.0001))(x, source()).problem.observed - x) for reduced in (0, 1)
    )
    assert 0.2 < float(smooth.std() / rough.std()) < 0.9
    edges = smooth.mean((0, 2))[:, 5:89:6] - smooth.mean((0, 2))[:, 6:90:6]
    assert float(edges.abs().max()) < 0.02, "stripes stay as they were"

    def coarse(d: torch.Tensor) -> float:
        d = d - d.mean((2, 3), keepdim=True)
        return float((d[..., 3:] * d[..., :-3]).mean() / d.square().mean())

    assert coarse(smooth) > coarse(rough) + 0.05
    assert coarse(smooth - smooth.mean(1, keepdim=True)) > coarse(smooth.mean(1, keepdim=True)), "colours more"
