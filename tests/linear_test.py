"""Spectral solves against small dense ones, and the border they leave."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import Estimate, Torus, bridge, conjugate_gradients, laplacian_power
from acutance.metrics import psnr
from acutance.operators import Blur, Difference, LinearOperator
from acutance.tensors import fast_length

SIZES = ((6, 8), (6, 7), (5, 9), (1, 6))


def kernel_of(*shape: int, seed: int = 2) -> Tensor:
    k = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return k / k.sum()


def dense(operator: LinearOperator, height: int, width: int) -> Tensor:
    """The matrix of an operator on a one-channel picture."""
    basis = torch.eye(height * width, dtype=torch.float64).reshape(-1, 1, height, width)
    return operator.forward(basis).flatten(1).T


def solved(y: Tensor, blur: Blur, weight: float, *, rounds: int = 10) -> Tensor:
    """argmin |M (K x - y)|^2 + weight |x|^2 on the torus, cut to the domain of the blur."""
    torus = Torus.of(y, blur)
    regulariser = torch.full((1, 1, 1, 1), weight, dtype=y.dtype)
    return torus.crop(torus.picture(torus.solve(regulariser, start=None, rounds=rounds).spectrum))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 5), (5, 4)], ids=str)
def test_a_circular_solve_is_the_dense_one(
    shape: tuple[int, int], size: tuple[int, int], generator: torch.Generator
) -> None:
    height, width = size
    blur = Blur(kernel_of(*shape), "circular")
    if blur.radius[0] > height or blur.radius[1] > width:
        pytest.skip("the kernel is wider than the torus")
    y = torch.rand(2, 1, height, width, generator=generator, dtype=torch.float64)
    a = dense(blur, height, width)
    expected = torch.linalg.solve(a.T @ a + 0.1 * torch.eye(len(a), dtype=a.dtype), a.T @ y.flatten(1).T).T.reshape(
        y.shape
    )
    torch.testing.assert_close(solved(y, blur, 0.1, rounds=0), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 3), (5, 4), (1, 7)], ids=str)
@pytest.mark.parametrize("size", [(7, 8), (1, 6)], ids=str)
def test_an_unknown_border_is_solved_as_a_dense_system(
    shape: tuple[int, int], size: tuple[int, int], generator: torch.Generator
) -> None:
    """With x in no tie to its neighbours, the torus adds nothing to the domain of the blur: A'A x + w x = A'y."""
    blur = Blur(kernel_of(*shape))
    y = torch.rand(2, 3, *size, generator=generator, dtype=torch.float64)
    height, width = blur.domain_size(*size)
    a = dense(blur, height, width)
    rhs = a.T @ y.reshape(6, -1).T
    expected = torch.linalg.solve(a.T @ a + 0.05 * torch.eye(height * width, dtype=a.dtype), rhs)
    got = solved(y, blur, 0.05, rounds=200)
    torch.testing.assert_close(got, expected.T.reshape(2, 3, height, width), rtol=1e-8, atol=1e-9)


def test_a_right_side_is_added_and_a_start_is_used(generator: torch.Generator) -> None:
    y = torch.rand(1, 2, 12, 13, generator=generator, dtype=torch.float64)
    torus = Torus.of(y, Blur(kernel_of(5, 5)))
    extra = torus.spectrum(torch.rand(1, 2, *torus.size, generator=generator, dtype=torch.float64))
    regulariser = 0.05 + laplacian_power(*torus.size, like=y)
    found = torus.solve(regulariser, extra, start=None, rounds=100)
    x = found.spectrum
    torch.testing.assert_close(torus.normal(x) + regulariser * x, torus.data + extra, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.normal, torus.normal(x), rtol=1e-9, atol=1e-9)
    again = torus.solve(regulariser, extra, start=found, rounds=1).spectrum
    torch.testing.assert_close(again, x, rtol=1e-9, atol=1e-9)
    near = Estimate(0.99 * x, 0.99 * torus.normal(x))
    warm = torus.solve(regulariser, extra, start=near, rounds=3).spectrum
    zero = Estimate(torch.zeros_like(x), torch.zeros_like(x))
    cold = torus.solve(regulariser, extra, start=zero, rounds=3).spectrum
    assert float((warm - x).abs().sum()) < 0.1 * float((cold - x).abs().sum())


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_laplacian_power_is_that_of_the_circular_differences(size: tuple[int, int], generator: torch.Generator) -> None:
    x = torch.rand(1, 1, *size, generator=generator, dtype=torch.float64)
    expected = Difference("rows", circular=True).gram(x) + Difference("columns", circular=True).gram(x)
    got = torch.fft.irfft2(torch.fft.rfft2(x) * laplacian_power(*size, like=x), s=size)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("boundary", ["valid", "zero", "replicate", "circular"])
@pytest.mark.parametrize("size", [(20, 23), (1, 1), (2, 31)], ids=str)
def test_the_solution_lives_on_the_domain(size: tuple[int, int], boundary: Any, generator: torch.Generator) -> None:
    blur = Blur(kernel_of(3, 3), boundary)
    y = torch.rand(2, 3, *size, generator=generator, dtype=torch.float64)
    before = y.clone()
    x = solved(y, blur, 0.1)
    assert tuple(x.shape) == (2, 3, *blur.domain_size(*size))
    assert bool(torch.isfinite(x).all())
    assert torch.equal(y, before)


@pytest.mark.parametrize("boundary", ["valid", "zero", "replicate"])
def test_a_kernel_of_one_pixel_and_no_prior_leave_the_picture(boundary: Any, generator: torch.Generator) -> None:
    y = torch.rand(1, 3, 11, 14, generator=generator, dtype=torch.float64)
    x = solved(y, Blur(torch.ones(1, 1, 1, 1).double(), boundary), 1e-12, rounds=3)
    torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-9)
    torus = Torus.of(y, None)
    assert torus.crop(torus.observed).equal(y), "no blur is a kernel of one pixel"


def test_only_a_convolution_can_be_solved_for(generator: torch.Generator) -> None:
    with pytest.raises(ConfigError, match="one kernel for the whole picture"):
        Torus.of(torch.rand(1, 1, 5, 5, generator=generator), Difference("rows"))


def test_conjugate_gradients_solve_a_dense_system_in_as_many_rounds_as_it_has_unknowns(
    generator: torch.Generator,
) -> None:
    m = torch.rand(6, 6, generator=generator, dtype=torch.float64)
    m = m @ m.T + 0.1 * torch.eye(6, dtype=torch.float64)
    rhs = torch.rand(2, 3, 6, generator=generator, dtype=torch.float64)
    expected = torch.linalg.solve(m, rhs[..., None])[..., 0]
    got = conjugate_gradients(lambda x: x @ m, rhs, torch.zeros_like(rhs), rounds=8)[0]
    torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-8)
    many = conjugate_gradients(lambda x: x @ m, rhs, torch.zeros_like(rhs), rounds=60)[0]
    torch.testing.assert_close(many, expected, rtol=1e-9, atol=1e-10)  # it rests at the solution


def test_a_right_side_that_is_no_number_has_no_solution(generator: torch.Generator) -> None:
    rhs = torch.rand(2, 1, 6, generator=generator, dtype=torch.float64)
    rhs[1, 0, 2] = float("nan")
    x, _ = conjugate_gradients(lambda x: 2 * x, rhs, torch.zeros_like(rhs), rounds=3)
    torch.testing.assert_close(x[0], rhs[0] / 2)
    assert bool(torch.isnan(x[1]).all())


def test_trouble_in_one_picture_is_its_own(generator: torch.Generator) -> None:
    y = torch.rand(2, 1, 12, 13, generator=generator, dtype=torch.float64)
    spoilt = torch.cat((y[:1], torch.full_like(y[:1], float("nan"))))
    blur = Blur(kernel_of(5, 5))
    torch.testing.assert_close(solved(spoilt, blur, 0.1)[:1], solved(y, blur, 0.1)[:1], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("length", "dim"), [(16, -2), (31, -1), (12, -2), (9, -1)])
def test_a_bridge_keeps_the_picture_and_closes_without_a_step(
    length: int, dim: int, generator: torch.Generator
) -> None:
    x = torch.rand(1, 2, 10, 9, generator=generator, dtype=torch.float64)
    out = bridge(x, length, dim)
    assert out.shape[dim] == max(length, x.shape[dim])
    assert torch.equal(out.narrow(dim, 0, x.shape[dim]), x)
    span = (x.select(dim, -1) - x.select(dim, 0)).abs().unsqueeze(dim)
    gap = out.shape[dim] - x.shape[dim]
    if gap:
        round_trip = torch.cat((out, out.narrow(dim, 0, 1)), dim).diff(dim=dim).narrow(dim, x.shape[dim] - 1, gap + 1)
        assert bool((round_trip.abs() <= span * 1.6 / gap + 1e-12).all()), "no step is much above the mean one"


def smooth_scene(height: int, width: int) -> Tensor:
    """A gradient with slow waves: nothing that could hide what a border does."""
    i, j = torch.arange(height)[:, None] / height, torch.arange(width)[None, :] / width
    return (0.2 + 0.5 * i + 0.15 * torch.sin(5 * j + 2 * i)).double()[None, None]


@pytest.mark.parametrize("shape", [(9, 9), (5, 13), (8, 6)], ids=str)
def test_the_border_is_as_good_as_the_middle(shape: tuple[int, int]) -> None:
    """The whole picture comes back, where the plain circular solve leaves ringing at the border."""
    blur = Blur(kernel_of(*shape))
    scene = smooth_scene(*blur.domain_size(60, 70))
    y = blur.forward(scene)
    truth = blur.crop(scene)

    def restored(blur: Blur) -> Tensor:
        torus = Torus.of(y, blur)
        regulariser = 1e-2 * laplacian_power(*torus.size, like=y) + 1e-8
        return torus.crop(torus.picture(torus.solve(regulariser, start=None, rounds=10).spectrum))

    ours = float(psnr(blur.crop(restored(blur)), truth))
    naive = float(psnr(restored(Blur(blur.kernel, "circular")), truth))
    assert ours > 44
    assert ours > naive + 25


@pytest.mark.parametrize("weight", [1e-3, 1e-1])
def test_every_round_lowers_the_energy_of_the_unknown_boundary(weight: float) -> None:
    """|M (K x - y)|^2 + weight |x|^2, M the window of the picture; and faster than expectation maximisation does."""
    blur = Blur(kernel_of(9, 9))
    y = blur.forward(smooth_scene(*blur.domain_size(30, 32)))
    torus = Torus.of(y, blur)
    regulariser = torch.full((1, 1, 1, 1), weight, dtype=torch.float64)
    inverse = 1 / (torus.power + regulariser)

    def energy(spectrum: Tensor) -> float:
        ax = torus.picture(torus.otf * spectrum)[..., 4:34, 4:36]
        return float((ax - y).square().sum() + weight * torus.picture(spectrum).square().sum())

    begin = torus.solve(regulariser, start=None, rounds=0)
    ours = [energy(torus.solve(regulariser, start=begin, rounds=t).spectrum) for t in range(9)]
    assert all(after <= before * (1 + 1e-12) for before, after in itertools.pairwise(ours))
    plain = begin.spectrum
    for _ in range(8):
        plain = plain + inverse * (torus.data - torus.normal(plain) - regulariser * plain)
    best = energy(torus.solve(regulariser, start=begin, rounds=300).spectrum)
    assert ours[-1] - best < 0.5 * (energy(plain) - best) < 0.5 * (ours[0] - best)


@pytest.mark.parametrize("shape", [(7, 5), (1, 1)], ids=str)
def test_the_torus_has_room_for_the_kernel_on_every_side(shape: tuple[int, int]) -> None:
    torus = Torus.of(torch.rand(1, 1, 33, 34).double(), Blur(kernel_of(*shape)))
    (r, s) = shape[0] // 2, shape[1] // 2
    assert torus.size == (fast_length(33 + 2 * r + max(2 * r, 8)), fast_length(34 + 2 * s + max(2 * s, 8)))


def test_what_is_masked_was_not_observed() -> None:
    """Whatever stands under the mask, the solution is the same, and it is that of the normal equations."""
    g = torch.Generator().manual_seed(4)
    kernel = torch.rand(1, 1, 3, 5, generator=g, dtype=torch.float64)
    blur = Blur(kernel / kernel.sum())
    y = torch.rand(1, 2, 14, 17, generator=g, dtype=torch.float64)
    mask = (torch.rand(1, 1, 14, 17, generator=g) > 0.3).double()
    solutions = []
    for value in (0.0, 9.0, float("nan")):
        torus = Torus.of(torch.where(mask > 0, y, value), blur, mask)
        assert not torus.whole
        regulariser = 0.05 + 0 * torus.power
        found = torus.solve(regulariser, start=None, rounds=300)
        x = torus.picture(found.spectrum)
        left = torus.picture(torus.normal(found.spectrum)) + 0.05 * x
        torch.testing.assert_close(left, torus.picture(torus.data), rtol=1e-8, atol=1e-9)
        solutions.append(x)
    torch.testing.assert_close(solutions[0], solutions[1], rtol=1e-7, atol=1e-8)
    assert torch.equal(solutions[0], solutions[2])


@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_a_mask_that_masks_nothing_changes_nothing(boundary: Any) -> None:
    kernel = torch.ones(1, 1, 3, 3, dtype=torch.float64) / 9
    y = torch.rand(1, 1, 12, 13, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    plain, masked = (Torus.of(y, Blur(kernel, boundary), m) for m in (None, torch.ones(1, 1, 12, 13)))
    torch.testing.assert_close(plain.data, masked.data)
    torch.testing.assert_close(plain.observed, masked.observed)
