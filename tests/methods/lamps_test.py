"""Lamps beyond white are found, become points again, and do not spoil the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from degraded import shake
from torch import Tensor

from acutance.methods.fd import Fd, FdConfig
from acutance.methods.lamps import find_lamps, in_two_parts, without
from acutance.metrics import psnr
from acutance.operators import Blur, BlurField
from acutance.problem import Problem
from acutance.restoration.restorer import Restorer
from acutance.saturation import heeding

SIDE = 80
FD = Fd(FdConfig())


def night(power: float = 12.0, gain: float = 0.4) -> tuple[Tensor, Tensor, Problem]:
    """A dark scene, its lamps, both (1, 3, H', W'), and what a shaken sensor that clips makes of them."""
    g = torch.Generator().manual_seed(11)
    blur = Blur(shake(1, 13, g))
    size = blur.domain_size(SIDE, SIDE)
    coarse = torch.rand(1, 3, 14, 14, generator=g)
    dark = gain * torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
    lamps = torch.zeros(1, 3, *size)
    for row, col in ((30, 25), (55, 60), (24, 66)):
        lamps[..., row : row + 2, col : col + 2] = power
    y = blur.forward(dark + lamps)
    y = (y + 0.004 * torch.randn(y.shape, generator=g)).clamp(0, 1)
    return dark, lamps, heeding(Problem(y, blur, torch.tensor([0.004])))


def clipped_psnr(problem: Problem, x: Tensor, truth: Tensor) -> float:
    return float(psnr(problem.crop(x).clamp(0, 1), problem.crop(truth).clamp(0, 1)))


def test_lamps_are_found_where_they_are() -> None:
    _, lamps, problem = night()
    found = find_lamps(problem)
    assert found is not None
    inside = torch.nn.functional.max_pool2d(lamps, 5, 1, 2) > 0
    assert float(torch.where(inside, 0.0, found).sum()) < 0.02 * float(found.sum())
    assert 0.7 < float(found.sum() / lamps.sum()) < 1.3


@pytest.mark.parametrize("name", ["fd", "acute"])
def test_the_rest_is_restored_too(name: str) -> None:
    dark, lamps, problem = night()
    assert problem.operator is not None
    method = Restorer.load(name, precision="float32").method
    light = problem.operator.forward(dark)
    g = torch.Generator().manual_seed(11)
    plain = replace(problem, observed=light + 0.004 * torch.randn(light.shape, generator=g), mask=None, saturated=None)
    best = clipped_psnr(problem, method.run(plain).x, dark)
    together = clipped_psnr(problem, method.run(problem).x, dark + lamps)
    apart = clipped_psnr(problem, in_two_parts(problem, method.run).x, dark + lamps)
    blurred = clipped_psnr(problem, problem.start(), dark + lamps)
    assert apart > together + 5
    assert apart > blurred + 0.4 * (best - blurred)


def test_a_restorer_does_it() -> None:
    dark, lamps, problem = night()
    assert isinstance(problem.operator, Blur)
    restorer = Restorer.load("fd")
    restored = restorer(problem.observed, problem.operator.kernel, sigma=0.004).image.pixels
    truth = problem.crop(dark + lamps).clamp(0, 1)
    plain = problem.crop(FD.run(problem).x).clamp(0, 1)
    assert float(psnr(restored.clamp(0, 1), truth)) > float(psnr(plain, truth)) + 2


def test_it_is_true_to_the_units_of_the_picture() -> None:
    _, _, problem = night()
    found, scaled = find_lamps(problem), find_lamps(replace(problem, observed=3 * problem.observed, sigma=0.012))
    assert found is not None
    assert scaled is not None
    torch.testing.assert_close(scaled, 3 * found, rtol=1e-3, atol=1e-3)


def test_lamps_under_a_blur_field() -> None:
    _, lamps, problem = night()
    assert isinstance(problem.operator, Blur)
    field = BlurField(problem.operator.kernel[None].expand(1, 2, -1, -1, -1))
    found = find_lamps(replace(problem, operator=field))
    assert found is not None
    assert 0.7 < float(found.sum() / lamps.sum()) < 1.3


def test_what_has_no_lamps_is_left_to_the_method() -> None:
    _, _, problem = night(power=0.0, gain=1.0)
    assert find_lamps(problem) is None
    assert find_lamps(replace(problem, saturated=None)) is None
    broad = replace(problem, observed=(2.2 * problem.observed).clamp(0, 1), mask=None, saturated=None)
    white = heeding(broad)  # bright walls, no lamps
    assert white.saturated is not None
    assert find_lamps(white) is None
    assert torch.equal(FD.run(white).x, in_two_parts(white, FD.run).x)


def test_missing_pixels_have_no_say() -> None:
    _, _, problem = night()
    assert problem.mask is not None
    hole = problem.mask.clone().expand(1, 3, -1, -1).clone()
    hole[..., 60:70, 5:15] = 0
    seen = torch.ones_like(hole)
    seen[..., 60:70, 5:15] = 0
    bound = problem.saturated * seen if problem.saturated is not None else None
    spoilt = torch.where(seen > 0, problem.observed, 0.5)
    a = find_lamps(replace(problem, mask=hole, saturated=bound))
    b = find_lamps(replace(problem, observed=spoilt, mask=hole, saturated=bound))
    assert a is not None
    assert b is not None
    torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-2)


def test_clipped_samples_in_the_light_of_lamps_are_not_believed() -> None:
    _, lamps, problem = night()
    assert problem.mask is not None
    believing = replace(problem, mask=torch.ones_like(problem.mask))
    rest = without(believing, lamps)
    assert problem.saturated is not None
    assert rest.mask is not None
    assert problem.operator is not None
    lit = (problem.saturated > 0) & (problem.operator.forward(lamps) > 0.1)
    assert bool(lit.any())
    assert bool((rest.mask[lit] == 0).all())
    torch.testing.assert_close(rest.observed, problem.observed - problem.operator.forward(lamps))
