"""Acute's preconditioners against dense solves, picture by picture, channel by channel, and their gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from acute_problems import perturbed, quadratic, step_of, taps
from problems import dense, kernel_of, noisy
from torch import Tensor

from acutance.methods import acute
from acutance.methods.acute import Bank
from acutance.operators import Blur


def bank(size: int = 3, seed: int = 3) -> Bank:
    """Preconditioners away from their start, all different in all respects."""
    g = torch.Generator().manual_seed(seed)
    out = Bank(size).double()
    for p in out.parameters():
        p.data *= 1 + 0.3 * torch.rand(p.shape, generator=g, dtype=torch.float64)
    return out.requires_grad_(False)


@pytest.mark.parametrize("kernel", [(1, 1, 3, 5), (2, 1, 5, 4), (1, 3, 5, 5), (2, 3, 3, 3), (1, 1, 1, 1)], ids=str)
def test_the_bank_is_the_dense_solve(kernel: tuple[int, ...], generator: torch.Generator) -> None:
    """(A'A + R_j)^-1 A' r with matrices, for every picture, channel and preconditioner."""
    size, levels, preconditioners = (8, 10), (0.01, 0.04), bank()
    blur = Blur(taps(*kernel), "circular")
    residual = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)
    gradient = blur.adjoint(residual)
    g = preconditioners(blur, gradient, torch.tensor(levels, dtype=torch.float64), torch.float64)
    assert g.shape == (2, 3, 3, *size)
    each = blur.kernel.expand(2, 3, -1, -1)
    for b in range(2):
        for c in range(3):
            a = dense(Blur(each[b : b + 1, c : c + 1], "circular"), size)
            for j in range(3):
                left = a.T @ a + quadratic(preconditioners, j, levels[b], size)
                expected = torch.linalg.solve(left, a.T @ residual[b, c].flatten())
                torch.testing.assert_close(g[b, j, c].flatten(), expected, rtol=1e-9, atol=1e-10)


def test_behind_an_unknown_border_it_is_the_solve_on_a_torus_that_is_fast(generator: torch.Generator) -> None:
    preconditioners, blur = bank(2), Blur(kernel_of(5, 3))
    gradient = blur.adjoint(torch.randn(1, 1, 7, 9, generator=generator, dtype=torch.float64))
    assert gradient.shape[-2:] == (11, 11)
    torus = (12, 12)
    g = preconditioners(blur, gradient, torch.tensor([0.02], dtype=torch.float64), torch.float64)
    extended = torch.zeros(torus, dtype=torch.float64)
    extended[:11, :11] = gradient[0, 0]
    k = dense(Blur(blur.kernel, "circular"), torus)
    for j in range(2):
        left = k.T @ k + quadratic(preconditioners, j, 0.02, torus)
        expected = torch.linalg.solve(left, extended.flatten()).reshape(torus)[:11, :11]
        torch.testing.assert_close(g[0, j, 0], expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kernel", [(1, 1, 5, 5), (2, 1, 3, 3), (1, 3, 3, 3), (2, 3, 5, 4)], ids=str)
@pytest.mark.parametrize("size", [(16, 16), (13, 11)], ids=str)
@torch.no_grad()
def test_large_pictures_are_solved_one_by_one(
    kernel: tuple[int, ...], size: tuple[int, int], generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    preconditioners, blur = bank(4), Blur(taps(*kernel))
    gradient = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)
    level = torch.tensor([0.01, 0.05], dtype=torch.float64)
    for dtype in (torch.float64, torch.bfloat16):
        plain = preconditioners(blur, gradient, level, dtype)
        with monkeypatch.context() as patch:
            patch.setattr(acute, "LARGE", 1)
            large = preconditioners(blur, gradient, level, dtype)
        assert large.dtype is plain.dtype is dtype
        assert large.shape == plain.shape == (2, 4, 3, *size)
        torch.testing.assert_close(large, plain, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_kernels_of_the_channels_are_one_channel_problems(side: int, generator: torch.Generator) -> None:
    kernel, preconditioners = taps(1, 3, side, side), bank()
    gradient = torch.randn(1, 3, 14, 12, generator=generator, dtype=torch.float64)
    level = torch.tensor([0.02], dtype=torch.float64)
    together = preconditioners(Blur(kernel), gradient, level, torch.float64)
    for c in range(3):
        alone = preconditioners(Blur(kernel[:, c : c + 1]), gradient[:, c : c + 1], level, torch.float64)
        torch.testing.assert_close(together[:, :, c : c + 1], alone, rtol=1e-12, atol=1e-13)


def test_gradients_pass_through_the_bank_to_all_it_has_learned(generator: torch.Generator) -> None:
    preconditioners, blur = bank(2).requires_grad_(), Blur(kernel_of(3, 3))
    gradient = torch.randn(1, 1, 6, 5, generator=generator, dtype=torch.float64).requires_grad_()
    level = torch.tensor([0.02], dtype=torch.float64)
    learned = list(preconditioners.parameters())[:-1]  # the weight is not used in it

    def solved(gradient: Tensor, *_: Tensor) -> Tensor:
        out: Tensor = preconditioners(blur, gradient, level, torch.float64)
        return out

    assert torch.autograd.gradcheck(solved, (gradient, *learned))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_an_untrained_bank_goes_from_weak_to_strong(size: int) -> None:
    preconditioners = Bank(size)
    strengths = preconditioners.log_strength.detach().exp()
    assert bool((strengths.diff() > 0).all())
    assert not preconditioners.weight.detach().any(), "an untrained step takes none of it"
    if size == 4:
        assert strengths.tolist() == pytest.approx(acute.STRENGTHS, rel=1e-5)
    if size > 1:
        assert [float(strengths[0]), float(strengths[-1])] == pytest.approx([30, 10000], rel=1e-5)


def test_levels_below_the_least_are_the_least() -> None:
    problem = replace(noisy(1, 1, 15, 18), sigma=torch.zeros(1, dtype=torch.float64))
    state = step_of(perturbed()).init(problem)
    assert float(state.level) == pytest.approx(acute.LEAST_LEVEL)
    assert bool(torch.isfinite(step_of(perturbed())(problem, state).x).all())
