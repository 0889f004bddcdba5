"""Kernels from pictures: the parts, the estimator, the choice of the size, the method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from blind.scenes import likeness, shaken, town
from torch import Tensor
from typer.testing import CliRunner

from acutance.blind import Unknowable, cleaning, pyramid
from acutance.blind.base import estimate
from acutance.blind.choice import choose
from acutance.blind.hypothesis import Look
from acutance.blind.kernel_step import differences, enough, estimated
from acutance.blind.latent import few_gradients
from acutance.blind.method import build
from acutance.blind.xu_l0 import XuL0
from acutance.cli.app import app
from acutance.errors import ConfigError
from acutance.images import write_image
from acutance.metrics import psnr
from acutance.problem import Observer, Problem, Result, direct_result
from acutance.psf import shapes
from acutance.quantised import clipped
from acutance.saturation import heeding


@pytest.mark.parametrize("size", [3, 5, 15, 31, 91])
def test_sides_of_the_pyramid(size: int) -> None:
    found = pyramid.sides(size)
    assert found[0] == size
    assert all(side % 2 == 1 for side in found)
    assert sorted(found, reverse=True) == list(found)
    assert found[-1] <= 7
    with pytest.raises(ConfigError, match="odd number"):
        pyramid.sides(size + 1)


def test_a_kernel_goes_up_in_place() -> None:
    k = shapes.gaussian(1.5, 9)
    up = pyramid.raised(k, 15)
    assert up.shape == (1, 1, 15, 15)
    assert float(up.sum()) == pytest.approx(1)
    assert torch.equal(up.flatten().argmax(), torch.tensor(15 * 7 + 7))
    assert pyramid.raised(k, 9).shape == (1, 1, 9, 9)


def test_cleaning() -> None:
    k = torch.zeros(1, 1, 11, 11)
    k[..., 2, 2:6] = 1
    k[..., 9, 9] = 0.2  # a speck
    k[..., 5, 9] = -1
    assert cleaning.pieces(k).unique().numel() == 3
    clean = cleaning.without_specks(cleaning.summed(k))
    assert float(clean[..., 9, 9].max()) == 0
    assert float(clean[..., 2, 2:6].min()) > 0
    done = cleaning.finished(k)
    assert float(done.sum()) == pytest.approx(1)
    assert done.shape == (1, 1, 5, 5)
    assert float(done[..., 2, :].sum()) == pytest.approx(1), "the row went to the centre"
    assert torch.equal(cleaning.summed(torch.zeros(1, 1, 3, 3)).flatten().nonzero().flatten(), torch.tensor([4]))


def test_centring_loses_nothing() -> None:
    k = torch.zeros(1, 1, 9, 9)
    k[..., 0, 0], k[..., 8, 8] = 0.9, 0.1
    moved = cleaning.centred(k)
    assert float(moved.sum()) == pytest.approx(1)
    assert float(moved.max()) == pytest.approx(0.9)


def test_the_kernel_of_a_known_latent_picture() -> None:
    x, y, k = shaken(level=0.0)
    start = torch.full((1, 1, 15, 15), 1 / 225)
    found = estimated(differences(x), differences(y), start, weight=0.0, rounds=1500)
    assert float(found.min()) >= 0
    assert likeness(cleaning.summed(found), k) > 0.95
    assert int(cleaning.summed(found).flatten().argmax()) in (F.pad(k, (2, 2, 2, 2)) > 0).flatten().nonzero()


def test_enough_gradients_of_every_direction() -> None:
    g = differences(town(60))
    threshold = enough(g, 9)
    used = g.square().sum(1) >= threshold
    assert threshold > 0
    assert int(used.sum()) >= 4 * 2 * 9 / 2
    assert enough(torch.zeros(1, 2, 9, 9), 5) == 0


def test_the_latent_picture_has_few_gradients() -> None:
    x, y, k = shaken()
    latent = few_gradients(y, k, 4e-3)

    def share(z: Tensor) -> float:
        return float((differences(z).square().sum(1) > 1e-4).float().mean())

    assert latent.shape == y.shape
    assert share(latent) < 0.5 * share(y)
    assert float(psnr(latent, x)) > float(psnr(y, x)) + 2


def test_the_kernel_is_found() -> None:
    _, y, k = shaken()
    found = estimate(y, XuL0(size=15))
    assert float(found.sum()) == pytest.approx(1)
    assert likeness(found, k) > 0.8


def test_the_size_is_found_and_the_picture_restored() -> None:
    x, y, k = shaken()
    tried: list[int | None] = []
    found = choose(Look.of(y), on_stage=lambda stage: tried.append(stage.size))
    tried = list(dict.fromkeys(size for size in tried if size))
    assert tried[:2] == [31, 45]
    assert found.size in tried
    assert found.blurred
    assert likeness(found.kernel, k) > 0.8
    done = build(method="fd").run(Problem(y))
    assert done.kernel is not None
    assert torch.equal(done.kernel, found.kernel)
    inner = [(dy, dx) for dy in range(-3, 4) for dx in range(-3, 4)]
    best = max(float(psnr(torch.roll(done.x, s, (-2, -1)), x, border=12)) for s in inner)
    assert best > float(psnr(y, x, border=12)) + 3


def test_a_sharp_picture_is_left_as_it_is() -> None:
    x = town(150) + 0.003 * torch.randn(1, 1, 150, 150, generator=torch.Generator().manual_seed(2))
    done = build(method="fd").run(Problem(x))
    assert done.kernel is not None
    assert done.kernel.shape[-2:] == (1, 1)
    assert torch.equal(done.x, x)


def test_a_sharp_picture_with_burnt_out_places_is_left_as_it_is() -> None:
    """Its spectrum may not tell that it is sharp; a kernel that does nothing does."""
    noise = 0.003 * torch.randn(1, 1, 150, 150, generator=torch.Generator().manual_seed(2))
    x = (1.5 * (town(150) - 0.1) + noise).clamp(0, 1)
    problem = heeding(Problem(x), clipped(x))
    assert problem.saturated is not None
    assert 0.02 < float(problem.saturated.mean()) < 0.5
    assert torch.equal(build(method="fd").run(problem).x, x)


def test_where_nothing_can_be_told() -> None:
    with pytest.raises(Unknowable, match="too small"):
        choose(Look.of(torch.rand(1, 1, 16, 16)))
    with pytest.raises(Unknowable, match="not enough"):
        choose(Look.of(torch.full((1, 1, 99, 99), 0.5)))
    with pytest.raises(Unknowable, match="no numbers"):
        choose(Look.of(torch.full((1, 1, 99, 99), torch.nan)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"estimator": "magic"}, "xu-l0"), ({"size": 8}, "odd"), ({"method": "bm3d"}, "takes no kernel")],
)
def test_wrong_settings(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(**settings)  # type: ignore[arg-type]


def test_the_command(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from acutance.cli.app import app
    from acutance.images import Image, write_image
    from acutance.images.kernel_file import read_kernel

    _, y, k = shaken()
    write_image(tmp_path / "photo.png", Image(y))
    runner = CliRunner()
    words = ["kernel", str(tmp_path / "photo.png"), "--kernel-size", "15"]
    result = runner.invoke(app, words)
    assert result.exit_code == 0, result.output
    exact = read_kernel(tmp_path / "photo-kernel.npy").kernel
    assert likeness(exact, k) > 0.8
    assert (tmp_path / "photo-kernel.png").is_file()
    assert runner.invoke(app, words).exit_code == 1  # not overwritten unasked
    assert runner.invoke(app, [*words, "--overwrite"]).exit_code == 0
    assert runner.invoke(app, ["kernel", str(tmp_path / "photo.png"), "-o", str(tmp_path / "k.tif")]).exit_code == 1


def test_what_is_not_to_be_believed_has_no_say() -> None:
    _, y, k = shaken()
    spoilt = y.clone()
    spoilt[..., 30:70, 40:100] = 1.0  # as if burnt out: edges that no kernel has gone over
    usable = torch.ones_like(y, dtype=torch.bool)
    usable[..., 30:70, 40:100] = False
    heeded = choose(Look.of(spoilt, usable=usable), lambda side: XuL0(size=side), 15).kernel
    unheeded = choose(Look.of(spoilt), lambda side: XuL0(size=side), 15).kernel
    assert likeness(heeded, k) > 0.8
    assert likeness(heeded, k) > likeness(unheeded, k)
    with pytest.raises(Unknowable, match="missing or saturated"):
        choose(Look.of(y, usable=torch.zeros_like(usable)))


def test_a_mask_reaches_the_estimate() -> None:
    _, y, _ = shaken()
    mask = torch.ones_like(y)
    mask[..., :40, :40] = 0
    hole = torch.where(mask > 0, y, torch.nan)
    blind = build(method="fd", size=15)
    a, b = (blind.estimate(Problem(picture, mask=mask)).kernel for picture in (hole, y))
    assert torch.equal(a, b)


def test_every_scale_can_be_looked_at(tmp_path: Path) -> None:
    _, picture, _ = shaken()
    blind = build(size=13, method="fd", estimator="xu-l0")
    pictures = list(blind.explanation(Problem(picture)))
    sides = [p["latent"].shape[-1] for p in pictures]
    assert sides == sorted(sides)
    assert len(set(sides)) == len(sides) > 1, "one for each scale"
    assert sides[-1] == picture.shape[-1]
    assert all(float(p["kernel"].max()) == 1 for p in pictures)
    write_image(tmp_path / "y.png", picture)
    arguments = ["--method", "blind:size=13,method=fd", "--explain", str(tmp_path / "in")]
    done = CliRunner().invoke(app, ["restore", str(tmp_path / "y.png"), *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    assert len(list((tmp_path / "in").glob("step-*-latent.png"))) == len(sides)
    assert len(list((tmp_path / "in").glob("step-*-kernel.png"))) == len(sides)


class Marker:
    """A method that needs no kernel: everything becomes 0.25."""

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        assert problem.operator is None
        assert problem.observed.shape[1] == 3
        return direct_result(problem, torch.full_like(problem.observed, 0.25))


def scrambled(side: int = 200) -> Tensor:
    """Four parts, each moved another way."""
    _, picture, _ = shaken(2 * side)
    y = F.avg_pool2d(picture, 2)
    out, h = y.clone(), side // 2
    for (i, j), angle in zip(((0, 0), (0, 1), (1, 0), (1, 1)), (0.0, 90.0, 45.0, 135.0), strict=True):
        moved = F.conv2d(y, shapes.line(11.0, angle).to(y), padding="same")
        out[..., i * h : (i + 1) * h, j * h : (j + 1) * h] = moved[..., i * h : (i + 1) * h, j * h : (j + 1) * h]
    return out


def test_where_no_kernel_explains_the_blur_another_method_is_asked() -> None:
    blind = build(size=13, method="fd", estimator="xu-l0")
    _, picture, _ = shaken()
    assert blind.estimate(Problem(picture)).doubt < 0.7
    torn = scrambled()
    doubt = blind.estimate(Problem(torn)).doubt
    assert doubt > blind.estimate(Problem(picture)).doubt + 0.1
    asked = replace(blind, otherwise=Marker())
    asked_of = replace(asked, config=replace(asked.config, otherwise="golf"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("acutance.blind.method.DOUBTFUL", doubt - 0.01)
        result = asked_of.run(Problem(torn))
        both = asked_of.run(Problem(torch.cat((torn[..., :150, :150], picture))))
        insisting = replace(blind, otherwise=None).run(Problem(torn))
    assert float((result.x - 0.25).abs().max()) == 0
    assert result.x.shape == torn.shape
    assert "golf" in result.remarks[0]
    assert result.kernel is None
    assert float((both.x[1] - 0.25).abs().max()) > 0.1, "of a batch only the doubtful ones"
    assert "expect little" in insisting.remarks[0]
    with pytest.raises(ConfigError, match="without a kernel"):
        build(otherwise="fd")
    with pytest.raises(ConfigError, match="without a kernel"):
        build(otherwise="dgunet-derain")
