"""Lens, shutter, sensor and file: what each does to light, and that each is drawn as often as was asked for."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.images.colour import linear_to_srgb
from acutance.tensors import crop
from acutance_lab.synth import kernels
from acutance_lab.synth.camera import LENS, WHITE, Camera, Draw, Layer, Tone, exposed, extended, over, through, warped

PLAIN = Camera(lights=0.0, defocus=0.0, noisy=0.0, jpeg=0.0, bits=0)
MOMENTS = 61


def source(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tone(n: int, gamma: float = 1.0, *, srgb: bool = False, contrast: float = 1.0) -> Tone:
    return Tone(torch.full((n,), gamma), torch.full((n,), srgb), torch.full((n,), contrast))


def noise_of(camera: Camera, level: float, n: int = 4) -> Tensor:
    light = torch.full((n, 3, 64, 64), level)
    return camera.record(light, tone(n), source()) - level


def straight(length: float, degrees: float = 0.0, n: int = 1) -> Tensor:
    """Maps of a uniform motion, no objects: (n, 1, MOMENTS, 3, 3)."""
    maps = torch.eye(3).repeat(n, 1, MOMENTS, 1, 1)
    along = torch.linspace(-length / 2, length / 2, MOMENTS)
    maps[..., 0, 2] = along * math.cos(math.radians(degrees))
    maps[..., 1, 2] = along * math.sin(math.radians(degrees))
    return maps


def infinite(n: int = 1) -> Tensor:
    return torch.full((n,), math.inf)


@pytest.mark.parametrize("bounds", [(0.5, 0.5), (1e-3, 10.0)])
def test_draws_stay_in_their_range(bounds: tuple[float, float]) -> None:
    draw = Draw(4000, source())
    for values in (draw.uniform(bounds), draw.log_uniform(bounds)):
        assert values.shape == (4000,)
        assert bounds[0] * (1 - 1e-5) <= float(values.min())
        assert float(values.max()) <= bounds[1] * (1 + 1e-5)
    assert float(draw.log_uniform(bounds).median()) == pytest.approx(math.sqrt(bounds[0] * bounds[1]), rel=0.2)
    assert float(draw.pick(0.3).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert draw.normal(2, 3).shape == (4000, 2, 3)


def test_a_tone_curve_is_taken_back_exactly() -> None:
    curves = Camera().tone(64, source())
    e = torch.linspace(0, 1, 256).reshape(1, 1, 16, 16).expand(64, 3, 16, 16)
    light = curves.decode(e)
    assert float(light.min()) == 0
    assert float(light.max()) == 1
    assert bool((light.flatten(2).diff(dim=2) > 0).all()), "more light is brighter"
    torch.testing.assert_close(curves.encode(light), e, rtol=0, atol=1e-6)


def test_tone_curves_are_those_that_they_say() -> None:
    x = torch.linspace(0, 1, 48).reshape(1, 3, 4, 4)
    torch.testing.assert_close(tone(1, srgb=True).encode(x), linear_to_srgb(x))
    torch.testing.assert_close(tone(1, 2.2).encode(x), x ** (1 / 2.2))
    steep = tone(1, contrast=1.2).encode(x)
    assert bool((steep[(x > 0) & (x < 0.5)] < x[(x > 0) & (x < 0.5)]).all())
    assert bool((steep[(x > 0.5) & (x < 1)] > x[(x > 0.5) & (x < 1)]).all())
    torch.testing.assert_close(tone(1, 2.2).encode(x + 1), torch.ones_like(x))  # white is the end


def test_the_shares_of_curves() -> None:
    curves = Camera(srgb=0.25, gamma=(1.8, 2.4), contrast=(1.0, 1.3)).tone(2000, source())
    assert float(curves.srgb.float().mean()) == pytest.approx(0.25, abs=0.03)
    assert 1.8 <= float(curves.gamma.min()) < 1.82
    assert 2.38 < float(curves.gamma.max()) <= 2.4 + 1e-6
    assert 1 <= float(curves.contrast.min()) < float(curves.contrast.max()) <= 1.3 + 1e-6


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_encoded_averages(share: float) -> None:
    curves = Camera(encoded=share).tone(400, source())
    assert float(curves.none.float().mean()) == pytest.approx(share, abs=0.08)
    e = torch.rand(400, 3, 2, 2, generator=source(2))
    same = (curves.decode(e) - e).abs().flatten(1).amax(1) < 1e-6
    assert torch.equal(same, curves.none)
    torch.testing.assert_close(curves.encode(curves.decode(e)), e, rtol=0, atol=1e-5)


def test_the_share_of_encoded_averages_changes_no_other_draw() -> None:
    before, mixed = Camera().tone(40, source()), Camera(encoded=0.5).tone(40, source())
    assert 0 < int(mixed.none.sum()) < 40
    for name in ("gamma", "srgb", "contrast"):
        assert torch.equal(getattr(mixed, name)[~mixed.none], getattr(before, name)[~mixed.none])
    generators = source(), source()
    for camera, generator in zip((Camera(), Camera(encoded=0.5)), generators, strict=True):
        camera.tone(40, generator)
    assert torch.equal(torch.rand(1, generator=generators[0]), torch.rand(1, generator=generators[1]))


def test_lamps_are_brighter_than_white_and_skies_are_not() -> None:
    light = torch.full((1, 3, 128, 128), 0.2)
    light[..., 20:23, 20:23] = 1  # a lamp
    light[..., 64:, :] = 1  # a sky
    out = extended(light, torch.tensor([8.0]))
    assert 7 < float(out[0, 0, 21, 21]) <= 8
    assert float(out[..., 96:, :].max()) == pytest.approx(1)
    torch.testing.assert_close(out[light < WHITE], light[light < WHITE])
    torch.testing.assert_close(extended(light, torch.ones(1)), light)


def test_a_wall_in_the_sun_is_no_light() -> None:
    wall = torch.tensor([1.0, 0.5, 0.4])[None, :, None, None].repeat(1, 1, 32, 32)
    torch.testing.assert_close(extended(wall, torch.tensor([8.0])), wall)
    wall[:, 1, 3, 3] = 1  # one warm pixel
    out = extended(wall, torch.tensor([8.0]))[0, :, 3, 3]
    torch.testing.assert_close(out / out[0], wall[0, :, 3, 3])  # its colour stays
    assert float(out[0]) > 7


def test_the_lens_takes_nothing_from_beyond_the_border() -> None:
    light = torch.rand(3, 3, 20, 24, generator=source())
    lens = torch.cat((kernels.disc(1.5, 7), kernels.gaussian(0.7, 7), kernels.disc(0.1, 7)))
    soft = through(light, lens)
    assert soft.shape == (3, 3, 14, 18)
    torch.testing.assert_close(soft[2], light[2, :, 3:-3, 3:-3])
    one = through(light[1:2], lens[1:2])
    torch.testing.assert_close(soft[1:2], one)
    torch.testing.assert_close(through(torch.ones_like(light), lens), torch.ones(3, 3, 14, 18))
    assert through(light[:0], lens[:0]).shape == (0, 3, 14, 18)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_soft_pictures(share: float) -> None:
    camera = replace(PLAIN, defocus=share)
    x = torch.rand(100, 3, 14, 14, generator=source())
    light = camera.scene(x, tone(100), source())
    m = camera.margin
    assert m == (LENS if share else 0)
    assert light.shape[-1] == 14 - 2 * m
    soft = (light - crop(x, m, m)).abs().flatten(1).amax(1) > 1e-3
    assert float(soft.float().mean()) == pytest.approx(share, abs=0.12)


def test_a_camera_without_effects_records_light() -> None:
    light = 1.4 * torch.rand(3, 3, 9, 11, generator=source())
    curves = Camera().tone(3, source())
    torch.testing.assert_close(PLAIN.record(light, curves, source()), curves.encode(light), rtol=0, atol=0)


@pytest.mark.parametrize("level", [0.0, 0.2, 0.7])
@pytest.mark.parametrize("correlated", [0.0, 1.0])
def test_noise_grows_with_light(level: float, correlated: float) -> None:
    shot, read = 4e-4, 0.004
    camera = replace(PLAIN, noisy=1.0, shot=(shot, shot), read=(read, read), correlated=correlated)
    n = noise_of(camera, level)
    if level == 0:
        assert float(n.min()) == 0, "below black there is nothing"
        return
    wanted = math.sqrt(shot * level + read**2)
    if correlated:
        assert 0.3 * wanted < float(n.std()) < 1.1 * wanted
        beside = torch.corrcoef(torch.stack((n[..., 1:].flatten(), n[..., :-1].flatten())))[0, 1]
        assert float(beside) > 0.2
    else:
        assert float(n.std()) == pytest.approx(wanted, rel=0.03)
    assert float(n.mean()) == pytest.approx(0, abs=0.02 * wanted)


def test_grey_pictures_have_one_noise_field() -> None:
    camera = replace(PLAIN, noisy=1.0, correlated=1.0, bits=8)
    light, grey = torch.full((2, 3, 16, 16), 0.3), torch.tensor([True, False])
    y = camera.record(light, tone(2), source(), grey=grey)
    assert torch.equal(y[0, 0], y[0, 1])
    assert not torch.equal(y[1, 0], y[1, 1])


@pytest.mark.parametrize(("name", "settings"), [("noisy", {"shot": (1e-2, 1e-2)}), ("jpeg", {"quality": (60.0, 70.0)})])
def test_shares_are_shares(name: str, settings: dict[str, Any]) -> None:
    light = torch.rand(200, 3, 16, 16, generator=source())
    camera = replace(PLAIN, **{name: 0.4}, **settings)
    y = camera.record(light, tone(200), source())
    treated = (y - light).abs().flatten(1).amax(1) > 1e-4
    assert float(treated.float().mean()) == pytest.approx(0.4, abs=0.1)


@pytest.mark.parametrize("jpeg", [0.0, 1.0])
def test_files_have_eight_bits(jpeg: float) -> None:
    light = 3 * torch.rand(4, 3, 17, 19, generator=source()) - 0.5
    y = replace(Camera(), jpeg=jpeg).record(light, Camera().tone(4, source()), source())
    torch.testing.assert_close(255 * y, (255 * y).round(), rtol=0, atol=1e-4)
    assert bool(((y >= 0) & (y <= 1)).all())


@pytest.mark.parametrize("shift", [(0, 0), (3, -2)])
def test_whole_pixels_are_not_interpolated(shift: tuple[int, int]) -> None:
    scene, maps = torch.rand(2, 4, 24, 31, generator=source()), torch.eye(3).repeat(2, 1, 1)
    maps[:, 0, 2], maps[:, 1, 2] = float(shift[0]), float(shift[1])
    out = warped(scene, maps, (14, 21))
    wanted = scene[..., 5 + shift[1] : 19 + shift[1], 5 + shift[0] : 26 + shift[0]]
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-5)


def test_a_turn_turns() -> None:
    scene = torch.rand(1, 3, 21, 21, generator=source())
    quarter = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    torch.testing.assert_close(warped(scene, quarter, (21, 21)), scene.rot90(1, (2, 3)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0])
@pytest.mark.parametrize("length", [4.0, 15.0])
def test_a_point_becomes_a_line_of_its_light(length: float, degrees: float) -> None:
    scene = torch.zeros(1, 3, 61, 61)
    scene[..., 30, 30] = 5.0
    total, middle = exposed(scene, straight(length, degrees), torch.tensor([61]), [], infinite(), 10)
    assert torch.equal(middle, crop(scene, 10, 10))
    light = total[0, 0].double()
    assert float(light.sum()) == pytest.approx(5.0, rel=1e-4)
    axis = torch.arange(41).double() - 20
    x, y = axis.expand(41, 41), axis[:, None].expand(41, 41)
    assert float((light * x).sum()) == pytest.approx(0, abs=1e-3)
    assert float((light * y).sum()) == pytest.approx(0, abs=1e-3)
    moments = torch.stack([(light * a * b).sum() / light.sum() for a, b in ((x, x), (x, y), (y, y))])
    small, large = torch.linalg.eigvalsh(torch.stack((moments[:2], moments[1:])))
    uniform = length**2 / 12 * (61 + 1) / (61 - 1)  # of 61 points, the ends among them
    assert uniform <= float(large) <= uniform + 0.3, "bilinear interpolation adds at most 1/4"
    assert 0 <= float(small) + 1e-6 <= 0.3


@pytest.mark.parametrize("frames", [1, 3, 15])
def test_pictures_of_different_length_are_as_alone(frames: int) -> None:
    scene = torch.rand(2, 3, 40, 44, generator=source())
    maps = torch.cat((straight(9, 20), straight(6, 70)))
    counts = torch.tensor([31, frames])
    both, _ = exposed(scene, maps, counts, [], infinite(2), 6)
    for i in range(2):
        alone, _ = exposed(scene[i : i + 1], maps[i : i + 1], counts[i : i + 1], [], infinite(), 6)
        torch.testing.assert_close(both[i : i + 1], alone)


def test_one_frame_is_the_middle() -> None:
    scene = torch.rand(1, 3, 30, 30, generator=source())
    total, middle = exposed(scene, straight(8), torch.tensor([1]), [], infinite(), 5)
    assert torch.equal(total, middle)
    assert torch.equal(middle, crop(scene, 5, 5))


def test_nothing_beyond_the_margin_is_seen() -> None:
    """Half of 12 pixels, and one for interpolation."""
    scene = torch.full((2, 3, 40, 50), math.nan)
    scene[..., 3:-3, 3:-3] = torch.rand(2, 3, 34, 44, generator=source())
    for degrees in (0.0, 45.0, 90.0):
        total, _ = exposed(scene, straight(12, degrees, 2), torch.tensor([21, 15]), [], infinite(2), 10)
        assert bool(torch.isfinite(total).all())
    total, _ = exposed(scene, straight(24, 0.0, 2), torch.tensor([21, 15]), [], infinite(2), 10)
    assert not bool(torch.isfinite(total).all()), "the trap works"


def layer(rows: list[int], light: Tensor, mask: Tensor) -> Layer:
    return Layer(torch.tensor(rows), torch.cat((light * mask, mask), 1))


def test_what_is_in_front_hides_what_is_behind() -> None:
    g = source()
    scene, near, far = (torch.rand(2, 3, 40, 40, generator=g) for _ in range(3))
    maps = torch.cat((straight(12, 0, 2), straight(7, 50, 2), straight(9, 120, 2)), 1)
    counts, everywhere = torch.tensor([25, 15]), torch.ones(1, 1, 40, 40)
    objects = [layer([0, 1], far, everywhere.repeat(2, 1, 1, 1)), layer([1], near[:1], everywhere)]
    total, middle = exposed(scene, maps, counts, objects, infinite(2), 8)
    only_far, _ = exposed(far, maps[:, 1:2], counts, [], infinite(2), 8)
    only_near, _ = exposed(near[:1], maps[1:, 2:], counts[1:], [], infinite(), 8)
    torch.testing.assert_close(total[0], only_far[0])
    torch.testing.assert_close(total[1], only_near[0])
    assert torch.equal(middle, torch.stack((crop(far[0], 8, 8), crop(near[0], 8, 8))))
    nowhere = [layer([0, 1], far, torch.zeros(2, 1, 40, 40))]
    background, _ = exposed(scene, maps, counts, [], infinite(2), 8)
    seen, _ = exposed(scene, maps, counts, nowhere, infinite(2), 8)
    torch.testing.assert_close(seen, background)


def test_the_border_of_an_object_mixes_by_the_time_that_it_is_there() -> None:
    """A black object that moves by 8 pixels over white ground: a ramp of 8 pixels."""
    mask = torch.zeros(1, 1, 40, 60)
    mask[..., :30] = 1
    maps = torch.cat((straight(0), straight(8)), 1)
    total, middle = exposed(
        torch.ones(1, 3, 40, 60), maps, torch.tensor([61]), [layer([0], torch.zeros(1, 3, 40, 60), mask)], infinite(), 8
    )
    ramp = total[0, 0, 12]  # the outline is at 22 in the middle
    assert float(ramp[:17].max()) < 1e-4
    assert float(ramp[27:].min()) > 1 - 1e-4
    torch.testing.assert_close(ramp[18:26], (torch.arange(8) + 0.5) / 8, rtol=0, atol=0.02)
    assert set(middle.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(over(torch.ones(1, 4, 2, 2), torch.zeros(1, 3, 2, 2)), torch.ones(1, 3, 2, 2))


def test_clipping_frames_dims_a_streak() -> None:
    scene = torch.full((2, 3, 50, 50), 0.1)
    scene[..., 24:27, 24:27] = 6
    white = torch.tensor([math.inf, 1.0])
    total, _ = exposed(scene, straight(16, 0, 2), torch.tensor([33, 33]), [], white, 10)
    streak = total[:, 0, 15, 12:18]
    assert float(streak[0].min()) > 1, "a sensor's streak is saturated"
    assert float(streak[1].max()) < 0.5, "that of averaged frames is not"
