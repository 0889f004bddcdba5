"""Spectral solves against small dense ones, and the border they leave."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.linear import bridge, laplacian_power, solve_on_torus
from acutance.metrics import psnr
from acutance.operators import Blur, Difference, LinearOperator
from acutance.tensors import fast_length

SIZES = ((6, 8), (6, 7), (5, 9), (1, 6))
Solve = Callable[[Tensor, Tensor], Tensor]


def kernel_of(*shape: int, seed: int = 2) -> Tensor:
    k = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return k / k.sum()


def dense(operator: LinearOperator, height: int, width: int) -> Tensor:
    """The matrix of an operator on a one-channel picture."""
    basis = torch.eye(height * width, dtype=torch.float64).reshape(-1, 1, height, width)
    return operator.forward(basis).flatten(1).T


def tikhonov(weight: float) -> Solve:
    """x = argmin |A x - y|^2 + weight |x|^2."""
    return lambda spectrum, otf: otf.conj() * spectrum / (otf.abs().square() + weight)


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
    torch.testing.assert_close(solve_on_torus(y, blur, tikhonov(0.1)), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_laplacian_power_is_that_of_the_circular_differences(size: tuple[int, int], generator: torch.Generator) -> None:
    x = torch.rand(1, 1, *size, generator=generator, dtype=torch.float64)
    expected = Difference("rows", circular=True).gram(x) + Difference("columns", circular=True).gram(x)
    got = torch.fft.irfft2(torch.fft.rfft2(x) * laplacian_power(*size, x), s=size)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("boundary", ["valid", "zero", "replicate", "circular"])
@pytest.mark.parametrize("size", [(20, 23), (1, 1), (2, 31)], ids=str)
def test_the_solution_lives_on_the_domain(size: tuple[int, int], boundary: Any, generator: torch.Generator) -> None:
    blur = Blur(kernel_of(3, 3), boundary)
    y = torch.rand(2, 3, *size, generator=generator, dtype=torch.float64)
    before = y.clone()
    x = solve_on_torus(y, blur, tikhonov(0.1))
    assert tuple(x.shape) == (2, 3, *blur.domain_size(*size))
    assert bool(torch.isfinite(x).all())
    assert torch.equal(y, before)


def test_a_solve_that_does_nothing_leaves_the_picture(generator: torch.Generator) -> None:
    y = torch.rand(1, 3, 11, 14, generator=generator, dtype=torch.float64)
    for boundary in ("valid", "zero"):
        x = solve_on_torus(y, Blur(torch.ones(1, 1, 1, 1).double(), boundary), lambda s, otf: s)  # type: ignore[arg-type]
        torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-13)


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

    def wiener(spectrum: Tensor, otf: Tensor) -> Tensor:
        n, m = spectrum.shape[-2], 2 * (spectrum.shape[-1] - 1)
        return otf.conj() * spectrum / (otf.abs().square() + 1e-2 * laplacian_power(n, m, y) + 1e-8)

    ours = float(psnr(blur.crop(solve_on_torus(y, blur, wiener)), truth))
    naive = float(psnr(solve_on_torus(y, Blur(blur.kernel, "circular"), wiener), truth))
    assert ours > 44
    assert ours > naive + 25


@pytest.mark.parametrize("weight", [1e-3, 1e-1])
def test_every_round_lowers_the_energy_of_the_unknown_boundary(weight: float) -> None:
    """|M (A x - y)|^2 + weight |x|^2, M the window of the picture: expectation maximisation never raises it."""
    blur = Blur(kernel_of(9, 9))
    y = blur.forward(smooth_scene(*blur.domain_size(30, 32)))
    energies: list[float] = []

    def solve(spectrum: Tensor, otf: Tensor) -> Tensor:
        found = tikhonov(weight)(spectrum, otf)
        ax, x = torch.fft.irfft2(otf * found), torch.fft.irfft2(found)
        energies.append(float((ax[..., :30, :32] - y).square().sum() + weight * x.square().sum()))
        return found

    solve_on_torus(y, blur, solve, rounds=12)
    assert len(energies) == 13
    assert all(after <= before * (1 + 1e-12) for before, after in itertools.pairwise(energies))
    assert energies[-1] < 0.99 * energies[0]


def test_the_torus_has_room_for_the_kernel_on_every_side() -> None:
    sizes: list[tuple[int, ...]] = []

    def solve(spectrum: Tensor, otf: Tensor) -> Tensor:
        sizes.append(tuple(spectrum.shape[-2:]))
        return spectrum

    blur = Blur(kernel_of(7, 5))
    solve_on_torus(torch.rand(1, 1, 33, 34).double(), blur, solve, rounds=2)
    assert sizes == [(fast_length(33 + 12), fast_length(34 + 8) // 2 + 1)] * 3
