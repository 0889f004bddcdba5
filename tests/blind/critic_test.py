"""The critic, its panel, trust, and guesses that are made better."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from blind.scenes import shaken, town
from torch import Tensor

from acutance.blind import guess as guesses
from acutance.blind.critic import CELL, SIDE, Critic, Panel, expected, restored, trust
from acutance.blind.guess import Guess, fitted, refined
from acutance.blind.hypothesis import Look
from acutance.images import Image, ImageInfo, linear_to_srgb, srgb_to_linear
from acutance.operators import Blur
from acutance.psf import shapes
from acutance.texture import quarters


def photograph(kernel: Tensor, side: int = 160) -> Image:
    """A town that was blurred in linear light, as a camera's file."""
    room = kernel.shape[-1] // 2
    light = Blur(kernel).forward(srgb_to_linear(town(side + 2 * room)))
    noise = 0.004 * torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(3))
    pixels = ((linear_to_srgb(light) + noise).clamp(0, 1) * 255).round() / 255
    return Image(pixels, info=ImageInfo(format="JPEG"))


def test_an_untrained_critic_expects_nothing() -> None:
    y = torch.rand(2, 1, 64, 48)
    told = Critic()(y, y.flip(-1))
    assert told.shape == (2, 2, 64 // CELL, 48 // CELL)
    assert expected(told).abs().max() < 1e-4


def test_the_expected_gain_is_that_of_the_summed_errors() -> None:
    before, ratio = torch.tensor([[0.01, 0.04]]), torch.tensor([[1.0, 0.25]])
    told = torch.stack((before, ratio), 1).log()[:, :, None]
    assert float(expected(told)) == pytest.approx(10 * torch.log10(torch.tensor(0.05 / 0.02)).item(), abs=1e-4)
    only = torch.tensor([[[[0.0, 1.0]]]])
    assert float(expected(told, only)) == pytest.approx(6.02, abs=0.01)


def test_a_panel_shows_both_lights_alike() -> None:
    y = town(96)
    light = Look.of(srgb_to_linear(y), linear=True, seen=y)
    assert torch.allclose(Panel.of(light).seen, Panel.of(light.encoded()).seen)
    assert torch.allclose(linear_to_srgb(Panel.of(light).values), Panel.of(light).seen, atol=1e-4)
    assert Panel.of(Look.of(y[..., :61, :75])).seen.shape[-2:] == (56, 72)


def test_the_right_kernel_is_expected_to_gain_more_than_wrong_ones() -> None:
    _, y, k = shaken()
    panel = Panel.of(Look.of(y))
    right = panel.gain(k)
    assert right > 0.5
    wide = F.interpolate(k, scale_factor=1.6, mode="bilinear").clamp_min(0)
    for wrong in (k.flip(-1, -2), wide / wide.sum(), shapes.disc(5.0), shapes.line(25.0, 10.0)):
        assert panel.gain(wrong) < right - 0.3


def test_a_large_picture_has_a_window_in_every_quarter() -> None:
    y = town(500)
    panel, places = Panel.of(Look.of(y)), quarters(y, SIDE)
    assert panel.values.shape == panel.seen.shape == (4, 1, SIDE, SIDE)
    for part, (rows, cols) in zip(panel.values, places, strict=True):
        assert torch.equal(part, y[0, :, rows, cols])
    assert {rows.start < 250 for rows, _ in places} == {True, False}


def test_clipped_places_do_not_count() -> None:
    _, y, k = shaken()
    full = torch.zeros_like(y, dtype=torch.bool)
    full[..., 40:88, 40:88] = True
    panel = Panel.of(Look.of(y, full=full))
    assert not bool(panel.weight[..., 5:11, 5:11].any())
    assert float(panel.weight.sum()) == panel.weight.numel() - 36
    assert panel.gain(k) > 0.5


def test_a_picture_smaller_than_a_cell_promises_nothing() -> None:
    assert Panel.of(Look.of(torch.rand(1, 1, 5, 90))).gain(shapes.disc(1.0)) == 0


def test_a_good_result_is_trusted_more_than_a_ringed_one() -> None:
    _, y, k = shaken()
    y = y.clamp(0, 1)
    good, bad = (restored(y, kernel, linear=False) for kernel in (k, shapes.disc(6.0)))
    shares = [trust(y, x) for x in (good, bad)]
    assert all(share.shape == y.shape and 0 <= float(share.min()) <= float(share.max()) <= 1 for share in shares)
    assert float(shares[0].mean()) > float(shares[1].mean()) + 0.2


@pytest.mark.parametrize("size", [(70, 45), (9, 200)])
def test_trust_takes_any_size(size: tuple[int, int]) -> None:
    y = torch.rand(1, 1, *size)
    assert trust(y, y).shape == y.shape


def test_large_pictures_are_trusted_in_bands_as_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    from acutance.blind import critic

    y = town(320)
    x = restored(y, shapes.gaussian(1.2), linear=False)
    whole = trust(y, x)
    monkeypatch.setattr(critic, "BAND", 96)
    assert float((trust(y, x) - whole).abs().max()) < 1e-3


@pytest.mark.parametrize(
    ("true", "given"),
    [(Guess("disc", 4.0), Guess("disc", 5.2)), (Guess("disc", 4.0), Guess("disc", 3.0)),
     (Guess("line", 15.0, 30.0), Guess("line", 12.0, 42.0))],
)  # fmt: skip
def test_a_guess_that_is_off_becomes_better(true: Guess, given: Guess) -> None:
    best, remark = fitted(photograph(true.kernel), given)
    assert remark is not None
    assert str(given) in remark
    assert abs(best.size - true.size) < 0.7 * abs(given.size - true.size)
    assert abs(best.angle - true.angle) <= abs(given.angle - true.angle)


def test_a_right_guess_stays_near_and_a_measurement_is_not_touched() -> None:
    true = Guess("disc", 4.0)
    best, _ = fitted(photograph(true.kernel), true)
    assert best.size == pytest.approx(4.0, rel=0.12)
    deep = photograph(true.kernel)
    other = Image(deep.pixels, info=ImageInfo(format="TIFF", bits=16))
    assert fitted(other, Guess("disc", 5.0)) == (Guess("disc", 5.0), None)


def test_a_guess_never_leaves_its_neighbourhood(monkeypatch: pytest.MonkeyPatch) -> None:
    class Longer:
        def gain(self, kernel: Tensor) -> float:
            return float(kernel.shape[-1])

    best, after, before = refined(Longer(), Guess("line", 10.0, 0.0))  # type: ignore[arg-type]
    assert best.size <= guesses.SPAN * 10.0
    assert after > before
