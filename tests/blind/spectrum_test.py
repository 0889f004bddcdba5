"""Blur told from the spectrum: sharp, soft in one direction, out of focus."""

from __future__ import annotations

import math

import pytest
import torch
from blind.scenes import town
from torch import Tensor

from acutance.blind.base import Estimate, Unknowable
from acutance.blind.choice import choose
from acutance.blind.hypothesis import Look
from acutance.blind.method import build
from acutance.blind.shapes import Shape, widths
from acutance.blind.spectrum import SHARP, SLOPES, SOFT, Focus, focus, slope, softness
from acutance.metrics import kernel_similarity
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.psf import shapes


def cloud(side: int, slope: float = 2.3, seed: int = 3) -> Tensor:
    """Noise with the spectrum of photographs, in [0, 1]: (1, 1, side, side)."""
    g = torch.Generator().manual_seed(seed)
    down, along = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)
    amplitude = (down.square() + along.square()).sqrt().clamp_min(1 / side) ** (-slope / 2)
    x = torch.fft.irfft2(torch.fft.rfft2(torch.randn(side, side, generator=g)) * amplitude, s=(side, side))
    return (0.5 + 0.15 * x / x.std()).clamp(0, 1)[None, None]


def taken(kernel: Tensor, side: int = 220, level: float = 0.004, slope: float = 2.3) -> Tensor:
    y = Blur(kernel, "valid").forward(cloud(side + kernel.shape[-1] - 1, slope))
    return (y + level * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)


@pytest.mark.parametrize("slope", [2.1, 2.4, 2.7])
def test_a_sharp_picture_is_soft_in_no_direction(slope: float) -> None:
    assert float(softness(taken(torch.ones(1, 1, 1, 1), slope=slope)).max()) <= SHARP


@pytest.mark.parametrize("size", [1.0, 2.0, 3.0])
def test_a_gaussian_is_measured(size: float) -> None:
    found = focus(taken(shapes.gaussian(size)))
    assert found.size == pytest.approx(size, rel=0.1) or found.kind == "disc"
    assert found.misfit < 2.5
    assert softness(taken(shapes.gaussian(size))) == pytest.approx(torch.full((6,), size), rel=0.25)


@pytest.mark.parametrize("radius", [2.0, 4.0, 8.0])
def test_a_disc_is_measured(radius: float) -> None:
    found = focus(taken(shapes.disc(radius)))
    assert (found.kind, found.size) == ("disc", pytest.approx(radius, rel=0.07))
    assert found.kernel.shape[-1] >= 2 * math.floor(radius) + 1
    assert float(found.kernel.sum()) == pytest.approx(1)


def test_a_movement_is_sharp_across_and_soft_elsewhere() -> None:
    k = torch.zeros(1, 1, 9, 9)
    k[..., 4, :] = 1 / 9
    soft = softness(taken(k))
    assert int(soft.argmin()) == 3, "frequencies that go down are the fourth of six"
    assert float(soft.max()) > SOFT
    turned = softness(taken(k.mT.contiguous()))
    assert int(turned.argmin()) == 0, "across is the first"
    assert float(turned.max()) > SOFT


def test_widths_of_a_kernel() -> None:
    k = shapes.gaussian(1.5, 15)
    assert widths(k) == pytest.approx((1.5, 1.5), rel=0.02)
    line = torch.eye(9)[None, None] / 9
    narrow, wide = widths(line)
    assert narrow == pytest.approx(0, abs=1e-6)
    assert wide == pytest.approx(math.sqrt(2 * 60 / 9))


def test_defocus_is_found() -> None:
    disc = shapes.disc(4.0)
    y = Blur(disc, "valid").forward(town(220 + disc.shape[-1] - 1))
    y = y + 0.003 * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    found = choose(Look.of(y))
    assert found.blurred
    assert float(kernel_similarity(found.kernel, disc)) > 0.85
    done = build(method="fd").run(Problem(y))
    assert done.remarks == (found.remark,)
    assert done.confidences == (found.confidence,)


def test_remarks() -> None:
    k = torch.ones(1, 1, 3, 3) / 9
    disc, line = Shape(k, "disc", 1.2, 0.0, 1.0), Shape(k, "line", 9.0, 30.0, 1.0)
    assert "3 x 3" in Estimate(k, 15, {}).remark
    assert "no blur" in Estimate(k, 15, {}, blurred=False).remark
    assert "radius of 1.2" in Estimate(k, 15, {}, shape=disc).remark
    assert "9 pixels at 30 degrees" in Estimate(k, 15, {}, shape=line).remark
    assert "confidence 80 %" in Estimate(k, 15, {}, confidence=0.8).remark
    assert "25 % of the input" in Estimate(k, 15, {}, confidence=0.5, share=0.75).remark


def test_what_cannot_be_told_is_said() -> None:
    done = build(method="fd").run(Problem(torch.full((1, 1, 99, 99), 0.5)))
    assert len(done.remarks) == 1
    assert "left as it is" in done.remarks[0]


def test_the_exponents_that_are_tried() -> None:
    assert SLOPES[0] == pytest.approx(1.4)
    assert SLOPES[-1] == pytest.approx(3.6)


@pytest.mark.parametrize("level", [0.005, 0.1])
def test_nothing_but_noise_is_said(level: float) -> None:
    y = 0.5 + level * torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(4))
    assert slope(y) == pytest.approx(1, rel=0.5)
    assert slope(taken(shapes.disc(3.0), level=0.03)) > 100
    with pytest.raises(Unknowable, match="nothing but noise"):
        choose(Look.of(y))


def test_half_a_pixel_of_a_lens_is_no_blur() -> None:
    assert Focus("disc", 0.9, 0.1).spread == pytest.approx(0.45)
    assert Focus("gaussian", 0.45, 0.1).spread <= SHARP
