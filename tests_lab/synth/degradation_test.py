"""From sharp to observed: sizes, shares, levels, what happens before the clipping."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.operators import Blur
from acutance.problem import Problem
from acutance.quantised import CLIPPED
from acutance_lab.synth import Degradation, Example, kernels
from acutance_lab.synth.degradation import luma

EVERYTHING = Degradation(
    exposure=0.3, saturation=0.3, photon=0.3, correlated=0.3, jpeg=0.3, kernel_error=0.3, level_error=0.1, masked=True
)
CLEAN = Degradation(sigma=(1e-9, 1e-9), grey=0.0, bits=0)


def sharp(n: int, side: int, seed: int = 3) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, side // 6 + 2, side // 6 + 2, generator=g)
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")


def source(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def point(n: int, span: int, generator: torch.Generator, *, size: int) -> Tensor:
    """Kernels that do nothing."""
    return torch.nn.functional.pad(torch.ones(n, 1, 1, 1), (size // 2,) * 4)


def blur_of(problem: Problem) -> Blur:
    assert isinstance(problem.operator, Blur)
    return problem.operator


@pytest.mark.parametrize("boundary", ["valid", "zero", "circular", "replicate"])
@pytest.mark.parametrize("span", [1, 9, 15])
def test_shapes(span: int, boundary: Any) -> None:
    x = sharp(4, 40)
    example = replace(EVERYTHING, boundary=boundary)(x, source(), span=span)
    problem = example.problem
    side = 40 - span + 1 if boundary == "valid" else 40
    assert problem.observed.shape == (4, 3, side, side)
    assert example.sharp.shape == x.shape == problem.start().shape
    assert blur_of(problem).kernel.shape == (4, 1, span, span)
    assert blur_of(problem).boundary == boundary
    assert problem.sigma is not None
    assert problem.sigma.shape == (4,)
    assert not problem.observed.requires_grad


@pytest.mark.parametrize("boundary", ["valid", "zero"])
def test_without_noise_it_is_the_blur(boundary: Any) -> None:
    x = sharp(3, 32)
    example = replace(CLEAN, boundary=boundary)(x, source(), span=9)
    torch.testing.assert_close(example.sharp, x)
    torch.testing.assert_close(example.problem.observed, blur_of(example.problem).forward(x), rtol=0, atol=1e-6)


def test_everything_comes_from_the_generator() -> None:
    def drawn(seed: int) -> Example:
        return EVERYTHING(sharp(12, 40), source(seed), span=11)

    torch.manual_seed(0)
    first = drawn(1)
    torch.manual_seed(99)
    again, other = drawn(1), drawn(2)
    assert torch.equal(first.problem.observed, again.problem.observed)
    assert torch.equal(first.sharp, again.sharp)
    assert torch.equal(blur_of(first.problem).kernel, blur_of(again.problem).kernel)
    for a, b in ((first.problem.mask, again.problem.mask), (first.problem.saturated, again.problem.saturated)):
        assert a is not None
        assert b is not None
        assert torch.equal(a, b)
    assert first.problem.sigma is not None
    assert again.problem.sigma is not None
    assert torch.equal(first.problem.sigma, again.problem.sigma)
    assert not torch.equal(first.problem.observed, other.problem.observed)


def test_the_sharp_picture_is_not_changed() -> None:
    x = sharp(4, 40)
    before = x.clone()
    EVERYTHING(x, source(), span=11)
    assert torch.equal(x, before)


@pytest.mark.parametrize("settings", [{}, {"photon": 1.0}, {"jpeg": 1.0}, {"correlated": 1.0}], ids=str)
def test_grey_pictures_have_three_equal_channels(settings: dict[str, float]) -> None:
    example = Degradation(grey=1.0, **settings)(sharp(4, 40), source(), span=9)  # type: ignore[arg-type]
    for pixels in (example.sharp, example.problem.observed):
        torch.testing.assert_close(pixels, pixels[:, :1].expand_as(pixels), rtol=0, atol=1e-6)
    torch.testing.assert_close(example.sharp, luma(sharp(4, 40)))


def test_the_share_of_grey_pictures() -> None:
    y = Degradation(sampler=point, grey=0.25)(sharp(400, 12), source(), span=5).problem.observed
    grey = (y == y[:, :1]).flatten(1).all(1)
    assert float(grey.float().mean()) == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize("settings", [{}, {"photon": 1.0}], ids=["gaussian", "photon"])
def test_the_noise_has_the_level_that_the_problem_states(settings: dict[str, float]) -> None:
    x = torch.full((8, 3, 100, 100), 0.4)
    degradation = Degradation(sigma=(0.004, 0.04), grey=0.0, bits=0, **settings)  # type: ignore[arg-type]
    problem = degradation(x, source(), span=5).problem
    assert problem.sigma is not None
    noise = problem.residual(x).flatten(1).std(1)
    assert noise.tolist() == pytest.approx(problem.sigma.tolist(), rel=0.02)


def test_noise_levels_are_log_uniform_in_their_range() -> None:
    degradation = Degradation(sampler=point, sigma=(0.002, 0.05))
    sigma = degradation(torch.rand(2000, 3, 3, 3), source(), span=1).problem.sigma
    assert sigma is not None
    assert 0.002 <= float(sigma.min()) < 0.0022
    assert 0.045 < float(sigma.max()) <= 0.05 + 1e-6
    assert float(sigma.median()) == pytest.approx(0.01, rel=0.1)  # the geometric mean of the ends


@pytest.mark.parametrize("bits", [8, 16])
def test_the_observed_picture_is_quantised(bits: int) -> None:
    y = replace(EVERYTHING, bits=bits, jpeg=0.0)(sharp(4, 40), source(), span=9).problem.observed
    top = 2**bits - 1
    torch.testing.assert_close(y * top, (y * top).round(), rtol=0, atol=1e-6 * top)
    assert bool(((y >= 0) & (y <= 1)).all())


def test_highlights_are_blurred_before_they_are_clipped() -> None:
    """A bright point of 3 spreads as 3; clipped first it would spread as 1."""

    def nearly_a_line(n: int, span: int, generator: torch.Generator, *, size: int) -> Tensor:
        return kernels.line(5.0, 0.0, size).expand(n, -1, -1, -1)

    x = torch.zeros(64, 3, 21, 21)
    x[..., 10, 10] = 1
    example = Degradation(sampler=nearly_a_line, saturation=1.0, sigma=(1e-6, 1e-6), grey=0.0)(x, source(), span=9)
    spread = example.problem.observed[:, 0].sum((1, 2))
    assert 1.0 <= float(spread.min()) < 1.1
    assert 3.5 < float(spread.max()) <= 5, "all five pixels of the line are white at most"
    assert float(example.sharp.max()) == 1, "the answer is what a sensor can show"
    assert float(example.problem.observed.max()) <= 1


def test_exposure_darkens_sharp_and_observed_alike() -> None:
    x = torch.full((200, 3, 9, 9), 0.8)
    example = replace(CLEAN, exposure=0.1)(x, source(), span=3)
    level = example.sharp[:, 0, 0, 0] / 0.8
    assert 0.1 <= float(level.min()) < 0.12
    assert 0.9 < float(level.max()) <= 1 + 1e-6
    torch.testing.assert_close(example.problem.observed[:, 0, 0, 0], example.sharp[:, 0, 0, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("boundary", ["valid", "zero"])
@pytest.mark.parametrize("settings", [{}, {"photon": 1.0, "jpeg": 1.0}, {"correlated": 1.0, "exposure": 0.2}], ids=str)
def test_pictures_of_one_channel_are_the_grey_ones_on_one_channel(settings: dict[str, float], boundary: Any) -> None:
    x, common = (2 * sharp(4, 40)).clamp(0, 1), {**settings, "masked": True, "saturation": 0.5, "boundary": boundary}
    three = Degradation(grey=1.0, **common)(x, source(), span=9)  # type: ignore[arg-type]
    one = Degradation(grey=0.0, **common)(x, source(), span=9, one_channel=True)  # type: ignore[arg-type]
    assert one.sharp.shape == (4, 1, 40, 40)
    assert one.problem.start().shape == one.sharp.shape
    assert torch.equal(one.sharp, three.sharp[:, :1])
    assert torch.equal(one.problem.observed, three.problem.observed[:, :1])
    assert one.problem.sigma is not None
    assert three.problem.sigma is not None
    assert torch.equal(one.problem.sigma, three.problem.sigma)
    assert torch.equal(blur_of(one.problem).kernel, blur_of(three.problem).kernel)
    full = (one.problem.observed >= CLIPPED).float()
    saturated = one.problem.saturated
    assert torch.equal(full, torch.zeros_like(full) if saturated is None else saturated)


def test_saturated_pixels_are_heeded() -> None:
    x = 0.4 + 0.6 * sharp(12, 40)
    settings: dict[str, Any] = {"saturation": 1.0, "grey": 0.3, "sigma": (0.01, 0.01)}
    plain = Degradation(**settings)(x, source(), span=9)
    masked = Degradation(**settings, masked=True)(x, source(), span=9)
    mask, full, y = masked.problem.mask, masked.problem.saturated, masked.problem.observed
    assert plain.problem.mask is None
    assert plain.problem.saturated is None
    assert full is not None
    assert mask is not None
    assert mask.shape == (12, 3, 32, 32)
    assert mask.dtype is y.dtype
    assert torch.equal(y, plain.problem.observed), "the same pictures"
    assert torch.equal(full > 0, y > 1 - 1e-3)
    assert torch.equal(torch.where(full > 0, mask, 0) + (1 - full), mask), "only clipped samples are masked"
    assert 0.05 < float(full.mean()) < 0.95
    assert float(plain.sharp.max()) == 1
    assert 2 < float(masked.sharp.max()) <= 8, "what was brighter than a sensor can show may be restored"
    assert torch.equal(masked.sharp.clamp_max(1), plain.sharp)


@pytest.mark.parametrize("sigma", [0.003, 0.03])
def test_what_is_believed_is_what_the_scene_says(sigma: float) -> None:
    """A residual of the true scene is noise, except that noise which would have been clipped is not believed."""
    x = 0.4 + 0.6 * sharp(6, 40)
    example = Degradation(saturation=1.0, masked=True, sigma=(sigma, sigma))(x, source(), span=9)
    problem = example.problem
    assert problem.mask is not None
    r = problem.residual(example.sharp)
    assert float(r.abs().max()) < 6 * sigma
    assert problem.saturated is not None
    seen = problem.saturated == 0
    assert float(r[seen].std()) == pytest.approx(sigma, rel=0.25)
    beyond = blur_of(problem).forward(example.sharp) > 1 + 3 * sigma
    assert float(beyond.float().mean()) > 0.05
    assert float(seen[beyond].float().mean()) < 0.01
    assert float(r[beyond].abs().max()) < 1e-6


def test_without_saturation_nothing_is_masked() -> None:
    problem = Degradation(sampler=point, masked=True, exposure=0.5)(0.7 * sharp(4, 20), source(), span=3).problem
    assert problem.mask is None
    assert problem.saturated is None


def told(degradation: Degradation, n: int = 1500) -> Tensor:
    sigma = degradation(sharp(n, 9), source(), span=1).problem.sigma
    assert sigma is not None
    return sigma


def test_the_level_that_is_told_scatters() -> None:
    common: dict[str, Any] = {"sampler": point, "sigma": (0.004, 0.05)}
    true = told(Degradation(**common))
    ratio = (told(Degradation(**common, level_error=0.2)) / torch.sqrt(true**2 + 2**-16 / 12)).log()
    assert float(ratio.mean()) == pytest.approx(0, abs=0.02)
    assert float(ratio.std()) == pytest.approx(0.2, rel=0.06)
    assert torch.equal(told(Degradation(**common, level_error=0.0)), true)


def test_what_is_rounded_has_the_noise_of_rounding() -> None:
    common: dict[str, Any] = {"sampler": point, "sigma": (1e-6, 1e-6), "level_error": 1e-6}
    assert told(Degradation(**common)).median() == pytest.approx(1 / 256 / 12**0.5, rel=1e-3)
    assert told(Degradation(**common, bits=0)).median() == pytest.approx(1e-6, rel=1e-3)


def test_compression_hides_noise_from_who_tells() -> None:
    common: dict[str, Any] = {"sampler": point, "sigma": (0.02, 0.02)}
    ratio = told(Degradation(**common, level_error=1e-6, jpeg=0.5)) / 0.02
    share = float((ratio < 0.99).float().mean())
    assert share == pytest.approx(0.5, abs=0.05)
    assert 0.3 < float(ratio.min()) < 0.32
    assert float(ratio.max()) < 1.01
    assert float(ratio[ratio < 0.99].mean()) == pytest.approx(0.65, abs=0.03)
    assert torch.equal(told(Degradation(**common, jpeg=0.5)), told(Degradation(**common))), "the truth where asked"


def test_an_error_of_level_or_kernel_changes_what_is_told_and_not_the_picture() -> None:
    x, common = sharp(6, 40), {"saturation": 0.5, "masked": True}
    right = Degradation(**common)(x, source(), span=11)  # type: ignore[arg-type]
    wrong = Degradation(**common, kernel_error=1.0, level_error=0.3)(x, source(), span=11)  # type: ignore[arg-type]
    assert torch.equal(wrong.problem.observed, right.problem.observed)
    assert torch.equal(wrong.sharp, right.sharp)
    kernel, true = blur_of(wrong.problem).kernel, blur_of(right.problem).kernel
    assert kernel.shape == true.shape
    assert bool(((kernel - true).abs().amax((1, 2, 3)) > 1e-3).all())
    torch.testing.assert_close(kernel.sum((1, 2, 3)), torch.ones(6))
    fits = [float(p.residual(right.sharp).square().mean()) for p in (right.problem, wrong.problem)]
    assert fits[0] < fits[1], "the picture was made with the true kernel"


def test_the_share_of_wrong_kernels() -> None:
    x = sharp(300, 12)
    right, wrong = (Degradation(kernel_error=e)(x, source(), span=7) for e in (0.0, 0.4))
    off = (blur_of(wrong.problem).kernel - blur_of(right.problem).kernel).abs().amax((1, 2, 3))
    assert float((off > 1e-6).float().mean()) == pytest.approx(0.4, abs=0.08)


@pytest.mark.parametrize("field", ["photon", "correlated", "jpeg", "saturation"])
def test_shares_are_shares(field: str) -> None:
    """Half the pictures are treated, the others are as without."""
    x = sharp(300, 16)
    settings: dict[str, Any] = {"sampler": point, "grey": 0.0, "sigma": (0.01, 0.01)}
    none = Degradation(**settings)(x, source(), span=3)
    half = Degradation(**settings, **{field: 0.5})(x, source(), span=3)
    if field == "saturation":
        x[..., :2, :2] = 1  # so that half of the treated ones, of which only what is white is brighter, are seen
        none, half = (Degradation(**settings, masked=True, saturation=s)(x, source(), span=3) for s in (0, 0.5))
        treated = (half.sharp - none.sharp).abs().flatten(1).amax(1) > 1e-6
    else:
        treated = (half.problem.observed - none.problem.observed).abs().flatten(1).amax(1) > 1e-6
    assert float(treated.float().mean()) == pytest.approx(0.5, abs=0.1)


def test_luma_is_rec_601() -> None:
    x = torch.eye(3).reshape(3, 3, 1, 1)
    assert luma(x)[:, 0, 0, 0].tolist() == pytest.approx([0.299, 0.587, 0.114])
    assert luma(x).shape == x.shape


def test_problems_say_which_kernels_are_only_about_right() -> None:
    x = torch.rand(64, 3, 24, 24, generator=source())
    exact, wrong = (Degradation(kernel_error=e, linear=0.3, encoded=0.3)(x, source(), span=7) for e in (0.0, 0.5))
    assert exact.problem.approximate is None
    told = wrong.problem.approximate
    assert told is not None
    blurs = [example.problem.operator for example in (exact, wrong)]
    assert all(isinstance(blur, Blur) for blur in blurs)
    differ = (blurs[0].kernel != blurs[1].kernel).flatten(1).any(1)  # type: ignore[union-attr]
    assert bool((told[differ] == 1).all())
    assert 0 < float(told[~differ].mean()) < 0.7, "some right ones are called approximate, and all encoded ones"
