"""Moving cameras and objects: paths, extents, margins, alignment with the sharp picture, light summed as light."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError, ImageError
from acutance.images.colour import linear_to_srgb
from acutance.tensors import crop
from acutance_lab.synth import Camera, DynamicBlur, Example
from acutance_lab.synth.camera import Draw
from acutance_lab.synth.degradation import luma
from acutance_lab.synth.motion import (
    MIDDLE,
    MOMENTS,
    antialiased,
    cut_out,
    displacements,
    homographies,
    outlines,
    span,
    walks,
)

NO_EFFECTS = Camera(srgb=1.0, contrast=(1.0, 1.0), lights=0.0, defocus=0.0, noisy=0.0, jpeg=0.0, bits=0)
EVERYTHING = DynamicBlur(extent=(1.0, 10.0), grey=0.3, camera=Camera(lights=0.5, defocus=0.5, jpeg=0.5))
SHAKE = DynamicBlur(extent=(1.0, 10.0), still=0.0, steady=0.0, objects=(1.0,), clipped=0.0, grey=0.0, camera=NO_EFFECTS)
OBJECTS = replace(SHAKE, objects=(0.0, 0.0, 0.0, 1.0))


def source(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photographs(n: int, height: int, width: int, seed: int = 3) -> Tensor:
    coarse = torch.rand(n, 3, height // 4, width // 4, generator=source(seed))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")


def half(height: int, width: int) -> Tensor:
    return torch.tensor([(width - 1) / 2, (height - 1) / 2])


def pixels(example: Example) -> tuple[Tensor, Tensor]:
    return example.problem.observed, example.sharp


@pytest.mark.parametrize("blur", [EVERYTHING, SHAKE, OBJECTS], ids=["everything", "shake", "objects"])
@pytest.mark.parametrize("size", [(24, 24), (17, 30), (2, 9)])
@pytest.mark.parametrize("limit", [None, 5, 80])
def test_sizes_and_ranges(blur: DynamicBlur, size: tuple[int, int], limit: int | None) -> None:
    m = blur.margin(limit)
    example = blur(photographs(5, size[0] + 2 * m, size[1] + 2 * m), source(), span=limit)
    for picture in pixels(example):
        assert picture.shape == (5, 3, *size)
        assert picture.dtype == torch.float32
        assert bool(((picture >= 0) & (picture <= 1)).all()), "no NaN either"
        assert not picture.requires_grad
    assert example.problem.operator is None
    assert example.problem.sigma is None


def test_a_limit_makes_blurs_and_margins_smaller() -> None:
    assert EVERYTHING.margin(5) < EVERYTHING.margin() == EVERYTHING.margin(80)
    assert replace(EVERYTHING, camera=NO_EFFECTS).margin() == EVERYTHING.margin() - Camera().margin
    limited = EVERYTHING.limited(5).draw(500, (30, 30), source())
    assert 4.5 < float(limited.extent[:, 0].max()) <= 5 + 1e-3


def test_everything_comes_from_the_generator() -> None:
    x = photographs(6, 70, 70)
    before = x.clone()
    torch.manual_seed(0)
    first = pixels(EVERYTHING(x, source(1)))
    torch.manual_seed(99)
    again, other = pixels(EVERYTHING(x, source(1))), pixels(EVERYTHING(x, source(2)))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert torch.equal(x, before)


def test_calling_is_drawing_and_exposing() -> None:
    x, g = photographs(4, 60, 66), source()
    m = EVERYTHING.margin()
    movement = EVERYTHING.draw(4, (60 - 2 * m, 66 - 2 * m), g)
    for a, b in zip(pixels(EVERYTHING.expose(x, movement, g)), pixels(EVERYTHING(x, source())), strict=True):
        assert torch.equal(a, b)


def test_where_nothing_moves_nothing_changes() -> None:
    blur = replace(SHAKE, still=1.0, camera=replace(NO_EFFECTS, srgb=0.5, contrast=(1.0, 1.25)))
    x = photographs(8, 60, 60)
    x[:, :, ::3] = x[:, :, ::3].round()
    y, sharp = pixels(blur(x, source()))
    assert torch.equal(y, sharp)
    torch.testing.assert_close(sharp, crop(x, blur.margin(), blur.margin()), rtol=0, atol=1e-5)


def test_the_sharp_picture_is_not_interpolated() -> None:
    x = torch.rand(8, 3, 60, 60, generator=source())
    y, sharp = pixels(SHAKE(x, source()))
    torch.testing.assert_close(sharp, crop(x, SHAKE.margin(), SHAKE.margin()), rtol=0, atol=1e-5)
    assert bool((y.flatten(1).std(1) < 0.95 * sharp.flatten(1).std(1)).all())


def test_pictures_do_not_depend_on_their_neighbours() -> None:
    x = photographs(6, 60, 64)
    m = SHAKE.margin()
    movement = SHAKE.draw(6, (60 - 2 * m, 64 - 2 * m), source())
    together = SHAKE.expose(x, movement, source())
    for i in range(6):
        alone = SHAKE.expose(x[i : i + 1], movement[torch.tensor([i])], source())
        for a, b in zip(pixels(alone), pixels(together), strict=True):
            torch.testing.assert_close(a[0], b[i], rtol=0, atol=1e-5)


def test_nothing_beyond_the_photograph_is_seen() -> None:
    """What is beyond it is black, to the background as to objects."""
    for blur in (SHAKE, replace(OBJECTS, extent=(5.0, 10.0))):
        y, sharp = pixels(blur(torch.full((64, 3, 60, 70), 0.6), source()))
        torch.testing.assert_close(sharp, torch.full_like(sharp, 0.6), rtol=0, atol=1e-4)
        torch.testing.assert_close(y, torch.full_like(y, 0.6), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(128, 128), (20, 90)])
def test_no_path_leaves_the_margin(size: tuple[int, int]) -> None:
    blur = DynamicBlur(extent=(1.0, 40.0))
    movement = blur.draw(300, size, source())
    places = displacements(movement.maps, half(*size))
    assert float(places.abs().amax()) < blur.reach - 1


def test_extents_are_as_drawn() -> None:
    movement = DynamicBlur(extent=(1.0, 16.0), still=0.1, steady=0.2).draw(1000, (64, 64), source())
    severity = movement.severity
    moving = severity > 0
    assert severity.shape == (1000,)
    assert float((~moving).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float(severity[moving].min()) >= 1 - 0.01
    assert float(severity.max()) <= 16 + 0.01
    assert float(severity[moving].median()) == pytest.approx(4, rel=0.15)
    own = movement.extent[:, 1:]
    assert float((own.amax(1) == 0).float().mean()) == pytest.approx(0.1, abs=0.03)
    assert float(own[~moving].median()) > 1, "with a camera at rest objects move"
    counts = torch.bincount(movement.objects, minlength=4) / 1000
    assert counts.tolist() == pytest.approx(DynamicBlur().objects, abs=0.05)


def test_frames_are_odd_and_as_many_as_motion_needs() -> None:
    blur = DynamicBlur(objects=(1.0,), still=0.1, steady=0.0)
    movement = blur.draw(400, (64, 64), source())
    frames = movement.frames
    assert bool((frames % 2 == 1).all())
    still = movement.severity == 0
    assert set(frames[still].tolist()) == {1}
    assert 15 <= int(frames[~still].min()) < int(frames.max()) == MOMENTS
    steps = displacements(movement.maps, half(64, 64)).diff(dim=2).norm(dim=-1).amax((1, 2, 3)) * (MOMENTS - 1)
    fine = frames < MOMENTS
    assert float((steps / (frames - 1).clamp_min(1))[fine].max()) <= 1 + 1e-3


def test_paths_go_through_the_identity() -> None:
    movement = OBJECTS.draw(20, (40, 40), source())
    assert movement.maps.shape == (20, 4, MOMENTS, 3, 3)
    torch.testing.assert_close(
        movement.maps[:, :, MIDDLE], torch.eye(3).expand(20, 4, 3, 3), rtol=0, atol=2e-6 * half(40, 40).max()
    )


@pytest.mark.parametrize("memory", [0.1, 1.0, 10.0])
def test_the_longer_the_memory_the_straighter_the_path(memory: float) -> None:
    paths = walks(Draw(400, source()), 2, torch.full((400,), memory))
    assert paths.shape == (400, 2, MOMENTS)
    assert float(paths[..., MIDDLE].abs().max()) == 0
    arc = paths.diff(dim=2).norm(dim=1).sum(1)
    straightness = (paths[..., -1] - paths[..., 0]).norm(dim=1) / arc
    low, high = {0.1: (0.2, 0.6), 1.0: (0.6, 0.95), 10.0: (0.95, 1.0)}[memory]
    assert low < float(straightness.median()) < high
    velocity = paths.diff(dim=2)
    ends = velocity[..., 0].square().mean() / velocity[..., -1].square().mean()
    assert float(ends) == pytest.approx(1, abs=0.2), "the hand has trembled before the exposure"


@pytest.mark.parametrize("focal", [80.0, math.inf])
def test_homographies_have_their_extent(focal: float) -> None:
    n, wanted = 50, torch.linspace(0, 20, 50)
    draw, size = Draw(n, source()), half(60, 80)
    maps = homographies(
        walks(draw, 4, torch.ones(n)),
        draw.normal(n, 2)[0].abs(),
        centre=10 * draw.normal(2),
        focal=torch.full((n,), focal),
        extent=wanted,
        half=size,
    )
    torch.testing.assert_close(span(displacements(maps[:, None], size))[:, 0], wanted, rtol=0.01, atol=1e-4)
    assert torch.equal(maps[0], torch.eye(3).expand(MOMENTS, 3, 3))
    tilted = maps[1:, :, 2, :2].abs().max()
    assert (float(tilted) > 1e-3) == math.isfinite(focal)


def test_blurred_and_sharp_are_aligned() -> None:
    """The mean of the cross-correlations peaks where nothing is shifted, and is symmetrical around it."""
    n, side = 96, 32
    m = SHAKE.margin()
    y, sharp = pixels(SHAKE(torch.rand(n, 3, side + 2 * m, side + 2 * m, generator=source()), source()))
    window = torch.hann_window(side, periodic=False)
    window = window * window[:, None]
    a, b = (torch.fft.rfft2((z - z.mean((2, 3), keepdim=True)) * window) for z in (y, sharp))
    correlation = torch.fft.irfft2(a.conj() * b, s=(side, side)).mean((0, 1))
    assert int(correlation.argmax()) == 0
    peak = float(correlation[0, 0])
    for k in (1, 2):
        assert float(correlation[0, k] - correlation[0, -k]) == pytest.approx(0, abs=0.1 * peak)
        assert float(correlation[k, 0] - correlation[-k, 0]) == pytest.approx(0, abs=0.1 * peak)


def test_points_stay_where_they_are_on_average() -> None:
    n, m = 200, SHAKE.margin()
    x = torch.zeros(n, 3, 21 + 2 * m, 21 + 2 * m)
    x[..., 10 + m, 10 + m] = 1
    movement = SHAKE.draw(n, (21, 21), source())
    y = (SHAKE.expose(x, movement, source()).problem.observed[:, 0] + 0.055) / 1.055
    light = y**2.4 * (y > 0.055 / 1.055)
    axis = torch.arange(21.0) - 10
    mass = light.sum((1, 2)).clamp_min(1e-6)
    centre = torch.stack(((light * axis).sum((1, 2)) / mass, (light * axis[:, None]).sum((1, 2)) / mass), 1)
    assert float(centre.abs().max()) < 10
    assert float(centre.mean(0).norm()) < 4 * float(centre.std()) / math.sqrt(n)


def test_light_is_summed_not_its_code() -> None:
    """Around lights the blur is brighter than the mean of encoded frames: linear light is convex in the code."""
    m = SHAKE.margin()
    x = torch.full((8, 3, 24 + 2 * m, 24 + 2 * m), 0.05)
    x[..., ::6, ::6] = 1
    movement = SHAKE.draw(8, (24, 24), source())
    linear = SHAKE.expose(x, movement, source()).problem.observed
    flat = replace(SHAKE, camera=replace(NO_EFFECTS, srgb=0.0, gamma=(1.0, 1.0)))
    encoded = flat.expose(x, movement, source()).problem.observed
    assert bool((linear.mean((1, 2, 3)) > 1.2 * encoded.mean((1, 2, 3))).all())
    wanted = linear_to_srgb(flat.expose((x + 0.055).div(1.055).pow(2.4), movement, source()).problem.observed)
    assert float((linear - wanted).abs().mean()) < 1e-3, "0.05 is beyond the straight part of the curve"


def test_encoded_averages_keep_the_mean_and_light_does_not() -> None:
    """Every pixel sees as much of the stripes, so only the tone curve can change the mean."""
    m = SHAKE.margin()
    x = torch.full((6, 3, 48 + 2 * m, 48 + 2 * m), 0.1)
    x[..., ::4] = 0.9
    x[..., 1::4] = 0.9
    movement = SHAKE.draw(6, (48, 48), source())
    light = SHAKE.expose(x, movement, source())
    coded = replace(SHAKE, camera=replace(NO_EFFECTS, encoded=1.0)).expose(x, movement, source())
    gap = [(e.sharp - e.problem.observed).mean((1, 2, 3)) for e in (light, coded)]
    torch.testing.assert_close(coded.sharp, light.sharp, rtol=0, atol=1e-5)
    assert float(gap[0].mean()) < -0.02, "light averaged is brighter than its sharp picture once encoded"
    assert float(gap[1].abs().max()) < 0.01


def test_encoded_frames_are_clipped_one_by_one() -> None:
    camera = replace(NO_EFFECTS, lights=1.0, gain=(8.0, 8.0), encoded=1.0)
    lamps = replace(SHAKE, extent=(8.0, 10.0), camera=camera)
    m = lamps.margin()
    x = torch.full((4, 3, 12 + 2 * m, 12 + 2 * m), 0.1)
    x[..., 5 + m, 5 + m] = 1
    same = replace(lamps, clipped=1.0)
    torch.testing.assert_close(lamps(x, source()).problem.observed, same(x, source()).problem.observed)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_clipped_frames(share: float) -> None:
    lamps = replace(SHAKE, extent=(8.0, 10.0), camera=replace(NO_EFFECTS, lights=1.0, gain=(8.0, 8.0)))
    m = lamps.margin()
    x = torch.full((60, 3, 12 + 2 * m, 12 + 2 * m), 0.1)
    x[..., 5 + m, 5 + m] = 1
    sensor = lamps(x, source()).problem.observed.mean((1, 2, 3))
    y = replace(lamps, clipped=share)(x, source()).problem.observed.mean((1, 2, 3))
    assert float((y < sensor - 1e-3).float().mean()) == pytest.approx(share, abs=0.2)


@pytest.mark.parametrize("n", [1, 4])
def test_objects_are_in_both_pictures(n: int) -> None:
    x = photographs(n, 80, 80)
    m = OBJECTS.margin()
    y, sharp = pixels(OBJECTS(x, source()))
    changed = (sharp - crop(x, m, m)).abs().amax(1) > 1e-3
    assert 0.05 < float(changed.float().mean()) < 0.98
    assert float((y - sharp).abs().mean()) < float((y - crop(x, m, m)).abs().mean())


def test_objects_move_on_their_own() -> None:
    steady = replace(OBJECTS, steady=1.0, extent=(6.0, 10.0))
    x = torch.rand(4, 3, 80, 80, generator=source())
    movement = steady.draw(4, (80 - 2 * steady.margin(),) * 2, source())
    y, sharp = pixels(steady.expose(x, movement, source()))
    changed = ((y - sharp).abs().amax(1) > 0.02).flatten(1).float().mean(1)
    assert float(movement.severity.max()) == 0
    assert bool((movement.extent[:, 1:] > 5).all())
    assert 0.1 < float(changed.mean()) < 0.99


def test_masks_multiply_what_they_let_through() -> None:
    x, movement = photographs(3, 80, 90), OBJECTS.draw(3, (60, 70), source())
    layers = cut_out(x, movement, torch.tensor([2, 0, 1]), Draw(3, source()))
    assert len(layers) == 3
    for layer in layers:
        assert layer.rows.tolist() == [0, 1, 2]
        assert layer.light.shape == (3, 4, 80, 90)
        mask = layer.light[:, 3:]
        assert float(mask.min()) == 0
        assert float(mask.max()) == 1
        assert bool((layer.light[:, :3] <= mask + 1e-6).all())
        soft = ((mask > 0) & (mask < 1)).float().mean()
        assert 0 < float(soft) < 0.2


def test_one_picture_is_its_own_object_mirrored() -> None:
    x, movement = torch.rand(1, 3, 60, 60, generator=source()), OBJECTS.draw(1, (40, 40), source())
    for layer in cut_out(x, movement, torch.tensor([0]), Draw(1, source())):
        solid = layer.light[:, 3:] == 1
        mirrored = [x.flip(-1), x.flip(-2), x.flip((-1, -2))]
        assert any(torch.equal((layer.light[:, :3] * solid), m * solid) for m in mirrored)


@pytest.mark.parametrize("square", [0.0, 1.0])
@pytest.mark.parametrize("width", [1.0, 2.0])
def test_outlines(square: float, width: float) -> None:
    like = torch.zeros(1, 3, 61, 71)
    shape = outlines(
        like, torch.tensor([[5.0, -3.0]]), torch.tensor([[20.0, 12.0]]), torch.zeros(1), torch.full((1,), square)
    )
    mask = antialiased(shape, torch.full((1,), width))
    assert shape.shape == (1, 1, 61, 71)
    assert float(shape[0, 0, 27, 40]) == pytest.approx(1)
    area = 40 * 24 * (1 if square else math.pi / 4)
    assert float(mask.sum()) == pytest.approx(area, rel=0.03)
    along = mask[0, 0, 27, 40:]
    assert float(along[20]) == pytest.approx(0.5, abs=0.05)
    assert int(((along > 0.01) & (along < 0.99)).sum()) <= width + 1


@pytest.mark.parametrize("blur", [EVERYTHING, OBJECTS], ids=["everything", "objects"])
def test_one_channel(blur: DynamicBlur) -> None:
    x = photographs(4, 70, 70)
    three, one = replace(blur, grey=1.0)(x, source()), blur(x, source(), one_channel=True)
    for a, b in zip(pixels(three), pixels(one), strict=True):
        assert b.shape[1] == 1
        torch.testing.assert_close(a[:, :1], b)
        torch.testing.assert_close(a, a[:, :1].expand_as(a), rtol=0, atol=1e-6)
    y = replace(SHAKE, still=1.0)(x, source(), one_channel=True).sharp
    m = SHAKE.margin()
    torch.testing.assert_close(y, luma(crop(x, m, m))[:, :1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"extent": (0.0, 10.0)}, {"extent": (10.0, 1.0)}, {"frames": (0, 9)}, {"frames": (9, 3)}], ids=str
)
def test_impossible_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="give two"):
        DynamicBlur(**settings)


@pytest.mark.parametrize("side", [3, 24])
def test_pictures_smaller_than_the_margin(side: int) -> None:
    with pytest.raises(ImageError, match="give more than 24 a side"):
        SHAKE(torch.rand(1, 3, side, 60, generator=source()), source())
