"""Blur kernels: non-negative, sum 1, centred, of the length, angle, radius and width that was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from acutance.errors import KernelError
from acutance_lab.synth import kernels
from acutance_lab.synth.kernels import disc, gaussian, line, mixture, shake, spline

Sampler = Callable[..., Tensor]
RANDOM: dict[str, Sampler] = {"spline": spline, "shake": shake, "mixture": mixture}


def moments(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Centroid (n, 2) relative to the centre and covariance (n, 2, 2), rows first, in pixels."""
    k = kernel[:, 0].double()
    h, w = k.shape[-2:]
    places = torch.stack(torch.meshgrid(torch.arange(h) - h // 2, torch.arange(w) - w // 2, indexing="ij"), -1).double()
    mean = torch.einsum("nhw,hwd->nd", k, places)
    return mean, torch.einsum("nhw,hwd,hwe->nde", k, places, places) - mean[:, :, None] * mean[:, None, :]


def is_kernel(kernel: Tensor, centred: float) -> None:
    assert kernel.ndim == 4
    assert kernel.shape[1] == 1
    assert kernel.shape[-1] % 2 == kernel.shape[-2] % 2 == 1
    assert float(kernel.min()) >= 0
    torch.testing.assert_close(kernel.sum((1, 2, 3)), torch.ones(len(kernel)), rtol=0, atol=1e-6)
    assert float(moments(kernel)[0].abs().max()) <= centred


@pytest.mark.parametrize("span", [1, 3, 16, 31])
@pytest.mark.parametrize("name", RANDOM)
def test_random_kernels_are_kernels(name: str, span: int, generator: torch.Generator) -> None:
    k = RANDOM[name](200, span, generator)
    assert k.shape[0] == 200
    assert k.shape[-1] in (span, span + 1)
    is_kernel(k, centred=0.5)


@pytest.mark.parametrize("name", ["spline", "shake"])
def test_paths_are_centred_exactly_and_pile_up_nowhere(name: str, generator: torch.Generator) -> None:
    k = RANDOM[name](300, 21, generator)
    is_kernel(k, centred=1e-4)
    inside = k[..., 1:-1, 1:-1].amax((1, 2, 3))
    assert float((k.amax((1, 2, 3)) > 1.5 * inside).float().mean()) < 0.02, "hardly ever is the border the brightest"


@pytest.mark.parametrize("name", RANDOM)
def test_random_kernels_come_from_the_generator_alone(name: str) -> None:
    def drawn(seed: int) -> Tensor:
        return RANDOM[name](8, 15, torch.Generator().manual_seed(seed))

    torch.manual_seed(0)
    first = drawn(1)
    torch.manual_seed(99)
    assert torch.equal(drawn(1), first)
    assert not torch.equal(drawn(2), first)
    assert len({tuple(k.flatten().tolist()) for k in first}) == 8, "kernels of a batch differ"


@pytest.mark.parametrize("name", RANDOM)
def test_a_kernel_can_lie_in_a_larger_one(name: str, generator: torch.Generator) -> None:
    k = RANDOM[name](100, 9, generator, size=25)
    assert k.shape[-2:] == (25, 25)
    is_kernel(k, centred=0.5)
    if name != "mixture":  # whose discs and Gaussians fill the size
        assert float(k[..., 12 - 8 : 12 + 9, 12 - 8 : 12 + 9].sum((1, 2, 3)).min()) > 1 - 1e-6


@pytest.mark.parametrize("span", [11, 21, 31])
def test_splines_use_their_span(span: int, generator: torch.Generator) -> None:
    used = spline(200, span, generator)[:, 0] > 1e-4
    extent = torch.maximum(used.any(2).sum(1), used.any(1).sum(1)).float()
    assert float(extent.median()) > 0.6 * span
    assert float(extent.max()) <= span


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 137.0])
@pytest.mark.parametrize("length", [1.0, 4.0, 7.5, 30.0])
def test_a_line_has_its_length_and_angle(length: float, angle: float) -> None:
    """The path of length - 1 between the centres of its end pixels; drawing it bilinearly adds about 1/6 pixel^2."""
    k = line(length, angle)
    is_kernel(k, centred=1e-4)
    assert k.shape[-1] <= length + 5
    _, covariance = moments(k)
    values, vectors = torch.linalg.eigh(covariance[0])
    assert math.sqrt(max(0.0, 12 * (float(values[1]) - 1 / 6))) == pytest.approx(length - 1, abs=0.75)
    assert float(values[0]) < 0.26, "thin"
    if length >= 7:
        row, column = vectors[:, 1].tolist()
        found = math.degrees(math.atan2(-row, column)) % 180  # rows grow downwards, angles upwards
        assert min(abs(found - angle), 180 - abs(found - angle)) < 1.0


def test_a_line_goes_up_to_the_right_at_45_degrees() -> None:
    k = line(9, 45)[0, 0]
    assert float(k.diagonal().sum()) < 0.3
    assert float(k.flip(-1).diagonal().sum()) > 0.6


@pytest.mark.parametrize("radius", [2.0, 3.5, 5.0, 9.0])
def test_a_disc_has_its_area_and_radius(radius: float) -> None:
    k = disc(radius)
    is_kernel(k, centred=1e-5)
    assert 1 / float(k.max()) == pytest.approx(math.pi * radius**2, rel=0.02)  # full pixels hold 1 / area
    _, covariance = moments(k)
    assert covariance[0].diagonal().tolist() == pytest.approx([radius**2 / 4 + 1 / 12] * 2, rel=0.05)  # and a pixel's
    h = k.shape[-1]
    away = (torch.arange(h) - h // 2).square()
    outside = (away[:, None] + away[None, :]).sqrt() > radius + 0.75
    assert float(k[0, 0][outside].sum()) == 0
    assert torch.equal(k, k.flip(-1))
    torch.testing.assert_close(k, k.transpose(-1, -2))


@pytest.mark.parametrize("angle", [0.0, 25.0, 140.0])
@pytest.mark.parametrize(("sigma", "ratio"), [(1.0, 1.0), (2.5, 1.0), (4.0, 0.5)])
def test_a_gaussian_has_its_width(sigma: float, ratio: float, angle: float) -> None:
    k = gaussian(sigma, size=2 * math.ceil(5 * sigma) + 1, ratio=ratio, angle=angle)
    is_kernel(k, centred=1e-4)
    values, vectors = torch.linalg.eigh(moments(k)[1][0])
    assert values.sqrt().tolist() == pytest.approx([ratio * sigma, sigma], rel=0.01)
    if ratio < 1:
        row, column = vectors[:, 1].tolist()
        found = math.degrees(math.atan2(-row, column)) % 180
        assert min(abs(found - angle), 180 - abs(found - angle)) < 0.5


def test_a_gaussian_is_cut_at_three_sigma() -> None:
    k = gaussian(2.0)
    assert k.shape[-2:] == (13, 13)
    assert moments(k)[1][0].diagonal().sqrt().tolist() == pytest.approx([2.0, 2.0], rel=0.03)


def test_a_batch_of_shapes_is_its_members() -> None:
    lengths, angles = torch.tensor([3.0, 8.0]), torch.tensor([10.0, 80.0])
    together = line(lengths, angles, 11)
    for i in range(2):
        torch.testing.assert_close(together[i : i + 1], line(float(lengths[i]), float(angles[i]), 11))
    assert disc(torch.tensor([1.0, 2.0, 4.0]), 11).shape == (3, 1, 11, 11)
    assert gaussian(torch.tensor([1.0, 2.0]), 9, angle=torch.tensor([0.0, 45.0])).shape == (2, 1, 9, 9)


@pytest.mark.parametrize("radius", [0.1, 0.5])
def test_the_smallest_shapes_are_nearly_a_point(radius: float) -> None:
    assert float(disc(radius).max()) == pytest.approx(1.0)
    assert float(gaussian(0.1, 5).max()) == pytest.approx(1.0)
    assert float(line(1.0, 33.0).max()) == pytest.approx(1.0)


def test_what_has_no_extent_is_refused() -> None:
    with pytest.raises(KernelError, match="give a length of at least 1"):
        line(0.5, 0)
    with pytest.raises(KernelError, match="give a radius above 0"):
        disc(0.0)
    with pytest.raises(KernelError, match="give a sigma above 0"):
        gaussian(-1.0)


def test_a_mixture_is_mixed_and_a_third_is_soft(generator: torch.Generator) -> None:
    k = mixture(800, 15, generator)
    symmetric = (k - k.flip((-2, -1))).abs().amax((1, 2, 3)) < 1e-5  # discs, Gaussians, lines: 0.09 + 0.08 + 0.08
    assert float(symmetric.float().mean()) == pytest.approx(0.25, abs=0.05)


def test_normalised_scales_to_one(generator: torch.Generator) -> None:
    k = kernels.normalised(torch.rand(3, 1, 4, 5, generator=generator))
    torch.testing.assert_close(k.sum((-2, -1)), torch.ones(3, 1))
