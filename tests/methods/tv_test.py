"""Total variation: the minimum that other solvers find, whatever the tie is; indifferent to scale, orientation."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from problems import dense, kernel_of, noisy, observed_part, scene
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import EPSILON
from acutance.methods.tv import Tv, TvConfig, TvState, build
from acutance.metrics import psnr
from acutance.operators import Blur, Difference
from acutance.problem import Outcome, Problem

Array = NDArray[np.float64]
PLAIN = TvConfig(strength=0.5, power=1.5, isotropic=True, steps=8, tie=20.0, rounds=3)
CONVERGED = replace(PLAIN, strength=5.0, steps=500)
SIZE = (12, 13)


def run(problem: Problem, config: TvConfig = PLAIN) -> Tensor:
    return Tv(config).run(problem).x


def states(problem: Problem, config: TvConfig) -> list[TvState]:
    """The start and what every step makes of it."""
    solver = Tv(config).solver()
    return [solver.steps[0].init(problem), *solver.iterate(problem)]


def differences(size: tuple[int, int]) -> Tensor:
    """Down, then along: (2 n, n)."""
    return torch.cat([dense(Difference(axis, circular=True), size) for axis in ("rows", "columns")])


def total_variation(dx: Array, *, isotropic: bool) -> float:
    """Of differences (2, n)."""
    return float(np.hypot(*dx).sum() if isotropic else np.abs(dx).sum())


def energy(a: Array, y: Array, d: Array, factor: float, x: Array, *, isotropic: bool) -> float:
    return 0.5 * float(((a @ x - y) ** 2).sum()) + factor * total_variation((d @ x).reshape(2, -1), isotropic=isotropic)


def primal_dual(a: Array, y: Array, d: Array, factor: float, *, isotropic: bool, steps: int = 5000) -> Array:
    """argmin 1/2 |A x - y|^2 + factor TV(x) by Chambolle & Pock (2011), the data term's proximal map a dense solve."""
    t = s = 0.99 / math.sqrt(8)  # |D|^2 <= 8
    t, s = t * 10, s / 10
    solve = np.linalg.inv(a.T @ a + np.eye(len(d.T)) / t)
    aty, x = a.T @ y, y.copy()
    bar, p = x, np.zeros(len(d))
    for _ in range(steps):
        p = p + s * (d @ bar)
        q = p.reshape(2, -1)
        size = np.hypot(*q) if isotropic else np.abs(q)
        p = (q / np.maximum(1, size / factor)).reshape(-1)
        new = solve @ (aty + (x - t * (d.T @ p)) / t)
        bar, x = 2 * new - x, new
    return x


def circular(*, boundary: Any = "circular") -> Problem:
    return noisy(1, 1, *SIZE, boundary=boundary, kernel=(3, 4))


@cache
def independent(isotropic: bool) -> tuple[Array, float]:
    """The minimum of `circular` for the settings `CONVERGED` as another solver finds it, and its energy."""
    problem, d = circular(), differences(SIZE).numpy()
    assert problem.operator is not None
    a, y = dense(problem.operator, SIZE).numpy(), problem.observed.flatten().numpy()
    factor = 5.0 * 0.02**1.5
    x = primal_dual(a, y, d, factor, isotropic=isotropic)
    return x, energy(a, y, d, factor, x, isotropic=isotropic)


@pytest.mark.parametrize("tie", [5.0, 80.0])
@pytest.mark.parametrize("isotropic", [True, False])
def test_it_ends_where_another_solver_does_whatever_the_tie(isotropic: bool, tie: float) -> None:
    problem, d = circular(), differences(SIZE).numpy()
    assert problem.operator is not None
    a, y = dense(problem.operator, SIZE).numpy(), problem.observed.flatten().numpy()
    expected, least = independent(isotropic)
    x = run(problem, replace(CONVERGED, isotropic=isotropic, tie=tie)).flatten().numpy()
    got = energy(a, y, d, 5.0 * 0.02**1.5, x, isotropic=isotropic)
    assert got == pytest.approx(least, rel=1e-5)
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-3)
    assert total_variation((d @ expected).reshape(2, -1), isotropic=isotropic) > 1, "the minimum is not flat"


@pytest.mark.parametrize(("isotropic", "boundary"), [(True, "valid"), (False, "zero")])
def test_with_an_unknown_border_too(boundary: Any, isotropic: bool) -> None:
    """The masked problem on the torus, by the dense operator M K."""
    problem = noisy(1, 1, 6, 5, boundary=boundary, kernel=(3, 3))
    config = replace(CONVERGED, isotropic=isotropic, steps=300, tie=20.0, rounds=4)
    end = states(problem, config)[-1]
    a, y = observed_part(problem, end.torus)
    d, factor = differences(end.torus.size), 5.0 * 0.02**1.5
    expected = primal_dual(a.numpy(), y.numpy(), d.numpy(), factor, isotropic=isotropic, steps=3000)
    least = energy(a.numpy(), y.numpy(), d.numpy(), factor, expected, isotropic=isotropic)
    x = end.picture.flatten().numpy()
    assert energy(a.numpy(), y.numpy(), d.numpy(), factor, x, isotropic=isotropic) == pytest.approx(least, rel=1e-4)


@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize("boundary", ["circular", "valid"])
def test_the_multiplier_proves_the_minimum(boundary: Any, isotropic: bool) -> None:
    """p = l b u: A'(A x - y) + D'p = 0, |p| <= l, and <p, D x> = l TV(x)."""
    problem = circular(boundary=boundary)
    config = replace(CONVERGED, isotropic=isotropic, steps=300, rounds=4)
    end = states(problem, config)[-1]
    a, y = observed_part(problem, end.torus)
    d, factor, x = differences(end.torus.size), 5.0 * 0.02**1.5, end.picture.flatten()
    p = factor * config.tie * torch.stack([u.flatten() for u in end.multipliers])
    size = torch.hypot(*p) if isotropic else p.abs()
    assert float(size.max()) <= factor * (1 + 1e-12)
    gradient = a.T @ (a @ x - y) + EPSILON * x
    assert float((gradient + d.T @ p.flatten()).abs().max()) < 2e-3 * float(gradient.abs().max())
    dx = (d @ x).reshape(2, -1)
    tv = total_variation(dx.numpy(), isotropic=isotropic)
    assert float((p * dx).sum()) == pytest.approx(factor * tv, rel=1e-3)


@pytest.mark.parametrize(
    ("boundary", "size", "kernel"),
    [
        ("circular", (10, 11), (5, 4)),
        ("circular", (1, 12), (1, 5)),
        ("valid", (7, 8), (3, 3)),
        ("zero", (6, 7), (2, 5)),
    ],
)
@pytest.mark.parametrize("isotropic", [True, False])
def test_every_x_solves_the_dense_normal_equations(
    isotropic: bool, boundary: Any, size: tuple[int, int], kernel: tuple[int, int]
) -> None:
    """(A'A + l b D'D) x = A'y + l b D'(w - u), and w, u what the formulas say."""
    problem = noisy(1, 1, *size, boundary=boundary, kernel=kernel)
    every = states(problem, replace(PLAIN, isotropic=isotropic, strength=3.0, rounds=400, steps=4))
    torus = every[0].torus
    (a, y), d = observed_part(problem, torus), differences(torus.size)
    tie = 3.0 * 0.02**1.5 * 20.0
    system = a.T @ a + tie * d.T @ d + EPSILON * torch.eye(len(y), dtype=torch.float64)
    u = torch.zeros(2, len(y), dtype=torch.float64)
    for before, state in itertools.pairwise(every):
        v = (d @ before.picture.flatten()).reshape(2, -1) + u
        if isotropic:
            length = torch.hypot(*v)
            w = v / length.clamp_min(1e-30) * (length - 1 / 20.0).clamp_min(0)
        else:
            w = torch.sign(v) * (v.abs() - 1 / 20.0).clamp_min(0)
        u = v - w
        expected = torch.linalg.solve(system, a.T @ y + tie * d.T @ (w - u).flatten())
        torch.testing.assert_close(state.picture.flatten(), expected, rtol=1e-7, atol=1e-8)
        torch.testing.assert_close(torch.stack([v.flatten() for v in state.multipliers]), u, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(state.x, torus.crop(state.picture), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_a_step_carries_to_the_next_stays_true(dtype: torch.dtype) -> None:
    """K'M K x of the last x, which is updated and never computed anew."""
    problem = noisy(1, 1, 20, 21)
    assert isinstance(problem.operator, Blur)
    problem = Problem(problem.observed.to(dtype), Blur(problem.operator.kernel.to(dtype)), problem.sigma)
    end = states(problem, replace(PLAIN, steps=100, rounds=2))[-1]
    exact = end.torus.normal(end.estimate.spectrum)
    drift = float((end.estimate.normal - exact).abs().max() / exact.abs().max())
    assert drift < (1e-5 if dtype is torch.float32 else 1e-13)


@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize("gap", [0.02, 0.3, -0.7])
def test_two_pixels_approach_each_other_by_a_soft_threshold(gap: float, isotropic: bool) -> None:
    """On a torus of two pixels the difference counts twice: x1 - x0 = soft(y1 - y0, 4 l), and their mean stays."""
    factor = 0.01
    y = torch.tensor([0.4, 0.4 + gap], dtype=torch.float64)
    blur = Blur(torch.ones(1, 1, 1, 1, dtype=torch.float64), "circular")
    config = replace(CONVERGED, strength=1.0, power=1.0, isotropic=isotropic, steps=100)
    for shape in ((1, 1, 1, 2), (1, 1, 2, 1)):
        sigma = torch.tensor(factor, dtype=torch.float64)
        x = states(Problem(y.reshape(shape), blur, sigma), config)[-1].x.flatten()
        expected = math.copysign(max(0.0, abs(gap) - 4 * factor), gap)
        assert float(x[1] - x[0]) == pytest.approx(expected, abs=1e-7)
        assert float(x.mean()) == pytest.approx(float(y.mean()), abs=1e-7)


@pytest.mark.parametrize("factor", [0.02, 0.1, 0.4])
def test_without_a_blur_it_is_the_denoiser_of_scikit_image(factor: float) -> None:
    """Whose border is free, not circular: on a flat frame, which both leave flat, that is no difference."""
    y = torch.full((24, 22), 0.4, dtype=torch.float64)
    y[6:-6, 6:-6] = scene(1, 1, 12, 10)[0, 0]
    noise = torch.randn(12, 10, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    y[6:-6, 6:-6] += 0.05 * noise
    expected = denoise_tv_chambolle(y.numpy(), weight=factor, eps=1e-14, max_num_iter=5000)
    blur = Blur(torch.ones(1, 1, 1, 1, dtype=torch.float64), "circular")
    sigma = torch.tensor(factor, dtype=torch.float64)
    problem = Problem(y[None, None], blur, sigma)
    x = states(problem, replace(CONVERGED, strength=1.0, power=1.0, tie=5.0))[-1].x[0, 0].numpy()
    assert np.ptp(expected[0]) < 1e-3, "the frame is flat"
    np.testing.assert_allclose(x, expected, rtol=0, atol=2e-3)
    d, flat = differences((24, 22)).numpy(), y.flatten().numpy()
    ours, theirs = (
        energy(np.eye(len(flat)), flat, d, factor, z.reshape(-1), isotropic=True) for z in (x, np.asarray(expected))
    )
    assert ours < theirs * (1 + 1e-5)


@pytest.mark.parametrize("isotropic", [True, False])
def test_much_of_it_leaves_the_mean(isotropic: bool) -> None:
    problem = circular()
    x = run(problem, replace(CONVERGED, strength=1e3, isotropic=isotropic, tie=5.0))
    torch.testing.assert_close(x, problem.observed.mean().expand_as(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [0.01, 50.0])
@pytest.mark.parametrize("boundary", ["valid", "circular"])
@pytest.mark.parametrize("isotropic", [True, False])
def test_scale_is_shared_where_the_units_fit(isotropic: bool, boundary: Any, scale: float) -> None:
    """l = c sigma has the units of the energy, b those of one over a difference."""
    problem = noisy(1, 2, 16, 15, boundary=boundary)
    config = replace(PLAIN, power=1.0, isotropic=isotropic)
    assert problem.sigma is not None
    scaled = Problem(scale * problem.observed, problem.operator, scale * problem.sigma)
    moved = replace(config, tie=config.tie / scale)
    torch.testing.assert_close(run(scaled, moved), scale * run(problem, config), rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("boundary", ["valid", "circular", "zero"])
@pytest.mark.parametrize("dims", [(-2,), (-1,), (-2, -1)], ids=str)
def test_a_mirror_image_is_restored_like_the_picture(dims: tuple[int, ...], boundary: Any) -> None:
    """Anisotropic; the length of a difference down and one along knows at which corner they meet."""
    problem = noisy(1, 2, 16, 15, boundary=boundary)
    config = replace(PLAIN, isotropic=False)
    assert isinstance(problem.operator, Blur)
    mirror = Blur(problem.operator.kernel.flip(dims), boundary)
    mirrored = Problem(problem.observed.flip(dims), mirror, problem.sigma)
    torch.testing.assert_close(run(mirrored, config), run(problem, config).flip(dims), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
@pytest.mark.parametrize("isotropic", [True, False])
def test_rows_are_as_good_as_columns(isotropic: bool, boundary: Any) -> None:
    problem, config = noisy(1, 2, 16, 13, boundary=boundary, kernel=(5, 3)), replace(PLAIN, isotropic=isotropic)
    assert isinstance(problem.operator, Blur)
    kernel = problem.operator.kernel.mT.contiguous()
    turned = Problem(problem.observed.mT.contiguous(), Blur(kernel, boundary), problem.sigma)
    torch.testing.assert_close(run(turned, config), run(problem, config).mT, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_pictures_and_channels_are_on_their_own(boundary: Any) -> None:
    problem = noisy(2, 3, 16, 15, boundary=boundary)
    sigma = torch.tensor([0.02, 0.05], dtype=torch.float64)
    together = run(Problem(problem.observed, problem.operator, sigma))
    for b in range(2):
        for c in range(3):
            alone = run(Problem(problem.observed[b : b + 1, c : c + 1], problem.operator, sigma[b]))
            torch.testing.assert_close(together[b : b + 1, c : c + 1], alone, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("sigma", [0.005, 0.02])
def test_it_restores_the_border_included(sigma: float) -> None:
    problem = noisy(1, 3, 48, 44, sigma=sigma)
    assert problem.operator is not None
    truth = problem.operator.crop(scene(1, 3, 52, 48))
    result = Tv(replace(PLAIN, steps=30)).run(problem)
    assert result.outcome is not Outcome.DIVERGED
    assert float(psnr(problem.crop(result.x), truth)) > float(psnr(problem.observed, truth)) + 3


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_flat_picture_stays_flat(value: float) -> None:
    y = torch.full((1, 3, 16, 17), value, dtype=torch.float64)
    x = run(Problem(y, Blur(kernel_of(5, 5)), torch.tensor(0.01)))
    torch.testing.assert_close(x, torch.full_like(x, value), rtol=0, atol=1e-3)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"rounds": -1}, {"tie": 0.0}, {"strength": -1.0}], ids=str)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    assert build(isotropic=False).config.isotropic is False
    with pytest.raises(ConfigError, match="must be at least 1"):
        build(**wrong)
