"""Clipped samples: bounds for those who can use bounds, equations or nothing for the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from degraded import shake

from acutance.metrics import psnr
from acutance.noise.level import level_of
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.quantised import CLIPPED, clipped
from acutance.restoration.restorer import Restorer
from acutance.saturation import deep, heeding


def scene(lamps: float = 0.0, gain: float = 1.0) -> tuple[torch.Tensor, Problem]:
    """A scene of light and shade, (1, 3, 72, 72), and what a shaken sensor that clips makes of it."""
    g = torch.Generator().manual_seed(4)
    coarse = torch.rand(1, 3, 12, 12, generator=g)
    x = gain * torch.nn.functional.interpolate(coarse, size=(72, 72), mode="nearest")
    if lamps:
        for row, col in ((20, 20), (30, 52), (50, 33)):
            x[..., row : row + 3, col : col + 3] = lamps
    blur = Blur(shake(1, 9, g), "valid")
    y = blur.forward(x)
    return x, Problem((y + 0.005 * torch.randn(y.shape, generator=g)).clamp(0, 1), blur, torch.tensor([0.005]))


def test_clipped_samples_are_found_by_channel_and_picture() -> None:
    y = torch.full((3, 3, 6, 6), 0.5)
    y[0, 1, 2, 3] = 1
    y[1, :, 4, 4] = CLIPPED
    y[2, 0, 0, :2] = torch.tensor([1.0, 1.5])  # values above 1: no file clipped this picture
    found = clipped(y)
    assert found.nonzero().tolist() == [[0, 1, 2, 3], [1, 0, 4, 4], [1, 1, 4, 4], [1, 2, 4, 4]]


def test_deep_inside_a_white_area_clipped_means_white() -> None:
    full = torch.zeros(1, 1, 40, 40)
    full[..., 8:32, 8:32] = 1  # an area
    full[..., 2, 2:14] = 1  # a streak
    white = deep(full, Blur(torch.full((1, 1, 7, 7), 1 / 49), "valid"))
    assert bool((white[..., 15:25, 15:25] == 1).all())
    assert bool((white[..., :8, :] == 0).all())
    assert bool((white <= full).all())
    assert torch.equal(deep(full, None), full)


def test_a_saturated_residual_is_one_sided() -> None:
    x, problem = scene(lamps=6.0)
    heeded = heeding(problem)
    assert heeded.saturated is not None
    full = heeded.saturated > 0
    assert torch.equal(full, problem.observed >= CLIPPED)
    plain = problem.residual(x)
    expected = torch.where(full, plain.clamp_max(0), plain)
    assert torch.equal(heeded.residual(x), expected)
    assert float(plain[full].max()) > 0.5  # the truth is far brighter than what was seen
    assert float(heeded.fitting_error(x)) < 0.01 * float(problem.fitting_error(x))


def test_the_gradient_is_that_of_the_one_sided_error() -> None:
    x, problem = scene(lamps=3.0)
    heeded = replace(heeding(problem), observed=problem.observed)
    z = (0.8 * x).requires_grad_()
    (expected,) = torch.autograd.grad(heeded.fitting_error(z).sum(), z)
    torch.testing.assert_close(heeded.gradient(z.detach()), expected, rtol=1e-4, atol=1e-6)


def test_nothing_clipped_changes_nothing() -> None:
    _, problem = scene(gain=0.8)
    assert heeding(problem) is problem
    assert heeding(replace(problem, observed=3 * problem.observed)).mask is None


def test_the_mask_of_the_user_stays() -> None:
    _, problem = scene(lamps=6.0)
    mask = torch.ones(1, 1, 64, 64)
    mask[..., :32, :] = 0
    heeded = heeding(replace(problem, mask=mask))
    assert heeded.mask is not None
    assert heeded.saturated is not None
    assert not bool((heeded.saturated[..., :32, :] > 0).any())
    assert not bool((heeded.mask[..., :32, :] > 0).any())
    assert bool((heeded.saturated > 0).any())


def test_the_noise_is_measured_where_nothing_is_clipped() -> None:
    _, problem = scene(lamps=6.0)
    heeded = heeding(replace(problem, sigma=None))
    assert heeded.mask is not None
    believing = replace(heeded, mask=torch.ones_like(heeded.mask))
    assert torch.equal(level_of(heeded), level_of(believing))


def test_a_channel_keeps_its_own_bounds() -> None:
    _, problem = scene(lamps=6.0)
    heeded = heeding(problem)
    for c in range(3):
        one = heeded.channel(c)
        assert heeded.saturated is not None
        assert one.saturated is not None
        assert torch.equal(one.saturated, heeded.saturated[:, c : c + 1])
        assert one.mask is not None
        assert one.mask.shape == (1, 1, 64, 64)


@pytest.mark.parametrize("name", ["fd", "acute"])
@pytest.mark.parametrize(("gain", "lamps", "than", "by"), [(1.0, 20.0, "believing", 0.0), (2.5, 0.0, "masking", 3.0)])
def test_better_than_what_is_done_elsewhere(name: str, gain: float, lamps: float, than: str, by: float) -> None:
    """Lamps ring when they are believed; white areas are lost when they are masked."""
    x, problem = scene(lamps=lamps, gain=gain)
    full = (problem.observed >= CLIPPED).float()
    other = problem if than == "believing" else replace(problem, mask=1 - full)
    method = Restorer.load(name, precision="float32").method

    def score(p: Problem) -> float:
        return float(psnr(p.crop(method.run(p).x).clamp(0, 1), p.crop(x).clamp(0, 1)))

    assert score(heeding(problem)) > score(other) + by
