"""From sharp to observed: sizes, shares, levels, what happens before the clipping."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.operators import Blur
from acutance.problem import Problem
from acutance.synth import Degradation, Example, kernels
from acutance.synth.degradation import luma

EVERYTHING = Degradation(exposure=0.3, saturation=0.3, photon=0.3, correlated=0.3, jpeg=0.3)
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
    assert isinstance(problem.blur, Blur)
    return problem.blur


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
        return EVERYTHING(sharp(6, 40), source(seed), span=11)

    torch.manual_seed(0)
    first = drawn(1)
    torch.manual_seed(99)
    again, other = drawn(1), drawn(2)
    assert torch.equal(first.problem.observed, again.problem.observed)
    assert torch.equal(first.sharp, again.sharp)
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
    """A bright point of 1.6 spreads as 1.6; clipped first it would spread as 1."""

    def nearly_a_line(n: int, span: int, generator: torch.Generator, *, size: int) -> Tensor:
        return kernels.line(5.0, 0.0, size).expand(n, -1, -1, -1)

    x = torch.zeros(64, 3, 21, 21)
    x[..., 10, 10] = 1
    example = Degradation(sampler=nearly_a_line, saturation=1.0, sigma=(1e-6, 1e-6), grey=0.0)(x, source(), span=9)
    spread = example.problem.observed[:, 0].sum((1, 2))
    assert 1.0 <= float(spread.min()) < 1.1
    assert 1.5 < float(spread.max()) <= 1.62
    assert float(example.sharp.max()) == 1, "the answer is what a sensor can show"
    assert float(example.problem.observed.max()) <= 1


def test_exposure_darkens_sharp_and_observed_alike() -> None:
    x = torch.full((200, 3, 9, 9), 0.8)
    example = replace(CLEAN, exposure=0.1)(x, source(), span=3)
    level = example.sharp[:, 0, 0, 0] / 0.8
    assert 0.1 <= float(level.min()) < 0.12
    assert 0.9 < float(level.max()) <= 1 + 1e-6
    torch.testing.assert_close(example.problem.observed[:, 0, 0, 0], example.sharp[:, 0, 0, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("field", ["photon", "correlated", "jpeg", "saturation"])
def test_shares_are_shares(field: str) -> None:
    """Half the pictures are treated, the others are as without."""
    x = sharp(300, 16)
    settings: dict[str, Any] = {"sampler": point, "grey": 0.0, "sigma": (0.01, 0.01)}
    none = Degradation(**settings)(x, source(), span=3)
    half = Degradation(**settings, **{field: 0.5})(x, source(), span=3)
    if field == "saturation":
        treated = (half.sharp - none.sharp).abs().flatten(1).amax(1) > 1e-6
    else:
        treated = (half.problem.observed - none.problem.observed).abs().flatten(1).amax(1) > 1e-6
    assert float(treated.float().mean()) == pytest.approx(0.5, abs=0.1)


def test_luma_is_rec_601() -> None:
    x = torch.eye(3).reshape(3, 3, 1, 1)
    assert luma(x)[:, 0, 0, 0].tolist() == pytest.approx([0.299, 0.587, 0.114])
    assert luma(x).shape == x.shape
