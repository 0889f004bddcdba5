"""Pictures that are blurred in linear light, those without noise, and that none of it changes what was there before."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.images.colour import linear_to_srgb, srgb_to_linear
from acutance.noise.blocks import FLOOR
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.saturation import heeding
from acutance_lab.synth import Degradation, Example, noise
from acutance_lab.synth.camera import extended, lit
from acutance_lab.synth.degradation import luma
from acutance_lab.synth.kernel_error import misestimated

EVERYTHING = Degradation(
    exposure=0.3, saturation=0.3, photon=0.3, correlated=0.3, jpeg=0.3, kernel_error=0.3, level_error=0.1, masked=True
)


def sharp(n: int, side: int, seed: int = 3) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, side // 6 + 2, side // 6 + 2, generator=g)
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")


def source(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def forward(problem: Problem, x: Tensor) -> Tensor:
    assert isinstance(problem.operator, Blur)
    return problem.operator.forward(x)


def levels(problem: Problem) -> Tensor:
    assert problem.sigma is not None
    return problem.sigma


def point(n: int, span: int, generator: torch.Generator, *, size: int) -> Tensor:
    """Kernels that do nothing."""
    return torch.nn.functional.pad(torch.ones(n, 1, 1, 1), (size // 2,) * 4)


def as_before(d: Degradation, x: Tensor, g: torch.Generator, span: int, one: bool) -> tuple[Tensor, Problem]:
    """The degradation as it was before there was linear light: acute-1 to acute-2 were trained on it."""
    n = x.shape[0]

    def pick(share: float) -> Tensor:
        return torch.rand(n, generator=g) < share

    def where(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
        return torch.where(mask[:, None, None, None], new, old)

    grey = pick(1.0 if one else d.grey)
    x = where(grey, luma(x), x)
    gain = torch.exp(math.log(d.exposure) * torch.rand(n, generator=g))
    bright, share = pick(d.saturation), torch.rand(n, generator=g)
    if d.saturation:
        lamps, share = share < 0.5, 2 * share % 1
        gain = torch.where(bright & ~lamps, torch.exp(math.log(3.0) * share), gain)
        x = extended(x, torch.where(bright & lamps, torch.exp(math.log(8.0) * share), 1.0))
    x = x * gain[:, None, None, None]
    blur = Blur(d.sampler(n, span, g, size=span), d.boundary)
    clean = blur.forward(x)
    low, high = (math.log(s) for s in d.sigma)
    sigma = torch.exp(low + (high - low) * torch.rand(n, generator=g))
    y = noise.gaussian(clean, sigma, g, shared=grey)
    if d.photon:
        peak = clean.mean((1, 2, 3)).clamp_min(0.02) / sigma**2
        y = where(pick(d.photon), noise.poisson(clean, peak, g, shared=grey), y)
    if d.correlated:
        y = where(pick(d.correlated) & ~grey, noise.demosaiced(clean, sigma, g), y)
    told = sigma
    if d.level_error:
        scatter = torch.randn(n, generator=g)
        told = torch.sqrt(sigma**2 + (2**-d.bits) ** 2 / 12) * torch.exp(d.level_error * scatter)
    if d.jpeg:
        compressed = pick(d.jpeg)
        y = where(compressed, noise.jpeg(y, 70 + 28 * torch.rand(n, generator=g)), y)
        if d.level_error:
            told = torch.where(compressed, told * (0.3 + 0.7 * torch.rand(n, generator=g)), told)
    y = noise.quantise(y, d.bits)
    if d.kernel_error:
        blur = Blur(where(pick(d.kernel_error), misestimated(blur.kernel, g), blur.kernel), d.boundary)
    if one:
        x, y = x[:, :1].contiguous(), y[:, :1].contiguous()
    if d.saturation and not d.masked:
        x = x.clamp_max(1)
    problem = Problem(y, blur, told)
    return x, heeding(problem) if d.masked else problem


@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize(
    "degradation",
    [Degradation(), EVERYTHING, replace(EVERYTHING, masked=False), Degradation(jpeg=0.5), Degradation(level_error=0.1)],
    ids=["plain", "everything", "not masked", "jpeg", "level"],
)
def test_a_share_of_nothing_changes_nothing(degradation: Degradation, one: bool) -> None:
    x = (1.3 * sharp(6, 40)).clamp(0, 1)
    wanted, problem = as_before(degradation, x, source(7), 9, one)
    found = degradation(x, source(7), span=9, one_channel=one)
    assert found.linear is None
    assert torch.equal(found.sharp, wanted)
    assert torch.equal(found.problem.observed, problem.observed)
    assert torch.equal(levels(found.problem), levels(problem))
    assert isinstance(found.problem.operator, Blur)
    assert isinstance(problem.operator, Blur)
    assert torch.equal(found.problem.operator.kernel, problem.operator.kernel)
    for a, b in ((found.problem.mask, problem.mask), (found.problem.saturated, problem.saturated)):
        assert (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))


def test_the_blur_is_one_of_light() -> None:
    """Without noise, the decoded file is the blurred light; in encoded values the same blur does not fit."""
    x, settings = sharp(6, 40), {"sigma": (1e-6, 1e-6), "bits": 16}
    light = Degradation(linear=1.0, **settings)(x, source(), span=11)  # type: ignore[arg-type]
    file = Degradation(encoded=1.0, **settings)(x, source(), span=11)  # type: ignore[arg-type]
    torch.testing.assert_close(forward(light.problem, light.sharp), light.problem.observed, rtol=0, atol=1e-4)
    torch.testing.assert_close(file.problem.observed, linear_to_srgb(light.problem.observed), rtol=0, atol=1e-4)
    torch.testing.assert_close(linear_to_srgb(light.sharp), file.sharp, rtol=0, atol=1e-5)
    assert float(file.problem.residual(file.sharp).abs().max()) > 0.02, "an encoded picture is no convolution"
    assert light.linear is not None
    assert file.linear is not None
    assert bool(light.linear.all())
    assert not bool(file.linear.any())


def test_the_file_has_eight_bits() -> None:
    light = Degradation(linear=1.0, jpeg=0.5)(sharp(6, 40), source(), span=11).problem.observed
    levels = 255 * linear_to_srgb(light)
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("sigma", [0.004, 0.01, 0.04])
@pytest.mark.parametrize("kind", ["linear", "encoded"])
def test_the_level_is_that_of_the_values_that_are_solved(kind: str, sigma: float) -> None:
    settings: dict[str, Any] = {"sampler": point, "sigma": (sigma, sigma), kind: 1.0}
    example = Degradation(**settings)(0.1 + 0.7 * sharp(12, 60), source(), span=1)
    found = (example.problem.observed - example.sharp).square().mean((1, 2, 3)).sqrt()
    assert levels(example.problem).tolist() == pytest.approx(found.tolist(), rel=1e-3)
    assert float(found.median()) == pytest.approx(sigma, rel=0.1)


@pytest.mark.parametrize("settings", [{}, {"correlated": 1.0}], ids=str)
def test_noise_depends_on_the_signal(settings: dict[str, float]) -> None:
    x = torch.cat((torch.full((8, 3, 60, 30), 0.35), torch.full((8, 3, 60, 30), 0.9)), -1)
    d = Degradation(sampler=point, sigma=(0.02, 0.02), linear=1.0, grey=0.0, **settings)  # type: ignore[arg-type]
    example = d(x, source(), span=1)
    error = example.problem.observed - example.sharp
    dark, bright = (error[..., part].square().mean((1, 2, 3)).sqrt() for part in (slice(5, 25), slice(35, 55)))
    ratio = bright / dark
    light = float(srgb_to_linear(torch.tensor(0.9)) / srgb_to_linear(torch.tensor(0.35)))
    assert float(ratio.min()) > 1.15
    assert float(ratio.max()) < 1.1 * math.sqrt(light), "photons alone: the square root of the light"


def test_grey_pictures_stay_grey() -> None:
    example = Degradation(grey=1.0, linear=0.5, encoded=0.5, jpeg=0.3)(sharp(8, 40), source(), span=9)
    for pixels in (example.sharp, example.problem.observed):
        torch.testing.assert_close(pixels, pixels[:, :1].expand_as(pixels), rtol=0, atol=1e-5)
    one = Degradation(grey=0.0, linear=0.5, encoded=0.5)(sharp(8, 40), source(), span=9, one_channel=True)
    assert one.sharp.shape == (8, 1, 40, 40)
    assert one.problem.observed.shape == (8, 1, 32, 32)


def test_the_shares() -> None:
    x, settings = sharp(400, 12), {"sampler": point, "sigma": (1e-4, 1e-4), "grey": 0.0}
    example = Degradation(linear=0.5, encoded=0.25, **settings)(x, source(), span=3)  # type: ignore[arg-type]
    assert example.linear is not None
    assert float(example.linear.float().mean()) == pytest.approx(0.5, abs=0.07)
    torch.testing.assert_close(example.sharp[example.linear], srgb_to_linear(x[example.linear]))
    torch.testing.assert_close(example.sharp[~example.linear], x[~example.linear], rtol=0, atol=1e-6)
    plain = Degradation(**settings)(x, source(), span=3)  # type: ignore[arg-type]
    assert plain.linear is None


@pytest.mark.parametrize("masked", [False, True])
def test_lamps_are_much_brighter_than_white(masked: bool) -> None:
    x = 0.5 * sharp(200, 36)
    x[..., 17:19, 17:19] = 1
    d = Degradation(saturation=1.0, linear=1.0, masked=masked, sigma=(0.005, 0.005), grey=0.0)
    example = d(x, source(), span=9)
    top = example.sharp.amax((1, 2, 3))
    assert float(example.problem.observed.max()) == 1
    if not masked:
        assert float(top.max()) == 1
        return
    assert 15 < float(top.max()) <= 30
    assert float((top > 3).float().mean()) == pytest.approx(0.5, abs=0.15), "the other half is brighter as a whole"
    problem = example.problem
    assert problem.saturated is not None
    r = problem.residual(example.sharp)
    assert float(r.abs().max()) < 0.06, "the true scene fits what is believed, lamps being bounds"


@pytest.mark.parametrize("top", [0.3, 0.8, 1.0])
def test_the_brightest_places_shine(top: float) -> None:
    x = 0.2 * sharp(3, 64)
    x[:, :, 30:33, 30:33] = top
    y = lit(x, torch.tensor([1.0, 3.0, 30.0]))
    assert torch.equal(y[0], x[0]), "a gain of 1 is none"
    for picture, gain in zip(y[1:], (3.0, 30.0), strict=True):
        assert 0.85 * gain < float(picture.max()) <= gain * (1 + 1e-6)
        assert float((picture > 1).any(0).float().mean()) < 0.02
    assert torch.equal(y[2] > 1.5, (x == top)[2])


def test_a_sky_does_not_shine() -> None:
    x = 0.2 * sharp(1, 64)
    x[..., :32, :] = 1
    assert float(lit(x, torch.tensor([10.0])).max()) < 1.3


def test_pictures_without_noise() -> None:
    x = sharp(300, 12)
    d = replace(EVERYTHING, clean=0.3, linear=0.4, encoded=0.3, saturation=0.0, kernel_error=0.0, exposure=1.0)
    example = d(x, source(), span=3)
    clean = levels(example.problem) == FLOOR
    assert float(clean.float().mean()) == pytest.approx(0.3, abs=0.08)
    assert example.linear is not None
    error = example.problem.residual(example.sharp).abs().amax((1, 2, 3))
    assert float(error[clean & example.linear].max()) < 1e-5
    assert float(error[~clean & example.linear].min()) > 1e-4
    values = 255 * example.problem.observed
    rounded = ((values - values.round()).abs() < 1e-3).flatten(1).all(1)
    assert not bool(rounded[clean].any())


def test_levels_that_are_uniform() -> None:
    d = Degradation(sampler=point, sigma=(0.002, 0.06), uniform=0.5)
    found = levels(d(torch.rand(4000, 3, 3, 3), source(), span=1).problem)
    within = ((found > 0.005) & (found < 0.055)).float().mean()
    log_uniform = math.log(0.055 / 0.005) / math.log(0.06 / 0.002)
    assert float(within) == pytest.approx(0.5 + 0.5 * log_uniform, abs=0.03)
    above = (found > 0.03).float().mean()
    assert float(above) == pytest.approx(0.25 + 0.5 * math.log(2) / math.log(30), abs=0.03)


@pytest.mark.parametrize(("linear", "encoded"), [(0.7, 0.4), (-0.1, 0.2), (0.1, -0.2), (1.5, 0.0)])
def test_impossible_shares_are_refused(linear: float, encoded: float) -> None:
    with pytest.raises(ConfigError, match="linear="):
        Degradation(linear=linear, encoded=encoded)


def test_everything_together_comes_from_the_generator() -> None:
    d = replace(EVERYTHING, linear=0.5, encoded=0.25, clean=0.1, uniform=0.5)

    def drawn(seed: int) -> Example:
        return d(sharp(12, 40), source(seed), span=11)

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert torch.equal(first.problem.observed, again.problem.observed)
    assert torch.equal(first.sharp, again.sharp)
    assert not torch.equal(first.problem.observed, other.problem.observed)
    assert bool(torch.isfinite(first.problem.observed).all())
    assert float(first.problem.observed.min()) >= 0
    assert float(first.problem.observed.max()) <= 1
