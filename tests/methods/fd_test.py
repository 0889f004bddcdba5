"""FD: every x a solution of the dense system, an energy that falls, indifferent to scale, orientation, company."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from problems import dense, kernel_of, noisy, observed_part, scene
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import EPSILON
from acutance.methods.fd import Fd, FdConfig, FdState, build
from acutance.metrics import psnr
from acutance.operators import Blur, Difference
from acutance.operators.filters import ALONG, DOWN
from acutance.priors.sparse import HyperLaplacian
from acutance.problem import Outcome, Problem

PLAIN = FdConfig(strength=0.6, power=1.6, exponent=2 / 3, steps=5, first=2.0, last=200.0, start=1.5, rounds=3)


def run(problem: Problem, config: FdConfig = PLAIN) -> Tensor:
    return Fd(config).run(problem).x


def states(problem: Problem, config: FdConfig) -> list[FdState]:
    """The start and what every step makes of it."""
    solver = Fd(config).solver()
    return [solver.steps[0].init(problem), *solver.iterate(problem)]


@pytest.mark.parametrize(
    ("exponent", "boundary", "size", "kernel"),
    [
        (0.5, "circular", (10, 11), (5, 4)),
        (2 / 3, "circular", (1, 12), (1, 5)),
        (0.5, "valid", (7, 8), (3, 3)),
        (2 / 3, "valid", (5, 6), (3, 3)),
        (2 / 3, "zero", (6, 7), (2, 5)),
    ],
)
def test_every_x_solves_the_dense_normal_equations(
    exponent: float, boundary: Any, size: tuple[int, int], kernel: tuple[int, int]
) -> None:
    """(A'A + l b D'D) x = A'y + l b D'w, on the torus."""
    problem = noisy(1, 1, *size, boundary=boundary, kernel=kernel)
    config = replace(PLAIN, exponent=exponent, strength=3.0, rounds=400, steps=3)
    every = states(problem, config)
    torus = every[0].torus
    a, y = observed_part(problem, torus)
    d = torch.cat([dense(Difference(axis, circular=True), torus.size) for axis in ("rows", "columns")])
    prior, factor = HyperLaplacian.of(exponent, y), 3.0 * 0.02**1.6
    eye = EPSILON * torch.eye(len(y), dtype=torch.float64)
    expected = torch.linalg.solve(a.T @ a + factor * 1.5 * d.T @ d + eye, a.T @ y)
    for before, state, b in zip([None, *every[:-1]], every, [None, 2.0, 20.0, 200.0], strict=True):
        if before is not None and b is not None:
            w = prior.prox(d @ before.picture.flatten(), b)
            expected = torch.linalg.solve(a.T @ a + factor * b * d.T @ d + eye, a.T @ y + factor * b * d.T @ w)
            got = state.picture.flatten()
            torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-7)
        else:
            near = 1e-2 if boundary != "circular" else 1e-9  # the start does a few rounds only
            torch.testing.assert_close(state.picture.flatten(), expected, rtol=near, atol=near)
        torch.testing.assert_close(state.x, torus.crop(state.picture), rtol=0, atol=0)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
@pytest.mark.parametrize("rounds", [1, 3, 50])
def test_with_one_weight_the_energy_falls(rounds: int, boundary: Any) -> None:
    """1/2 |A x - y|^2 + l sum |w|^a + b/2 (w - D x)^2, at the best w for x."""
    b, problem = 40.0, noisy(1, 1, 18, 17, boundary=boundary)
    every = states(problem, replace(PLAIN, first=b, last=b, steps=12, rounds=rounds))
    a, y = observed_part(problem, every[0].torus)
    prior, factor = HyperLaplacian.of(2 / 3, y), 0.6 * 0.02**1.6

    def energy(x: Tensor) -> float:
        v = torch.cat((DOWN.forward(x), ALONG.forward(x)))
        w = prior.prox(v, b)
        tied = (prior.value(w) + b / 2 * (w - v).square()).sum()
        fit = (a @ x.flatten() - y).square().sum() + EPSILON * x.square().sum()
        return float(0.5 * fit + factor * tied)

    energies = [energy(state.picture) for state in every]
    assert all(after <= before * (1 + 1e-7) for before, after in itertools.pairwise(energies))
    assert energies[-1] < 0.97 * energies[0]


def test_the_energy_of_the_prior_itself_ends_below_its_start() -> None:
    problem = noisy(1, 1, 30, 31, boundary="circular")
    every = states(problem, replace(PLAIN, steps=8, first=1.0, last=256.0))
    prior, factor = HyperLaplacian.of(2 / 3, problem.observed), 0.6 * 0.02**1.6

    def energy(x: Tensor) -> float:
        v = torch.cat((DOWN.forward(x), ALONG.forward(x)))
        return float(problem.fitting_error(x) + factor * prior.value(v).sum())

    assert energy(every[-1].x) < 0.8 * energy(every[0].x)


def test_the_weight_of_the_tie_grows_geometrically() -> None:
    weights = [step.weight for step in build(steps=4, first=2.0, last=54.0).solver().steps]  # type: ignore[attr-defined]
    assert weights == pytest.approx([2, 6, 18, 54])
    assert [step.weight for step in build(steps=1, first=3.0).solver().steps] == [3.0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("scale", [0.01, 50.0])
@pytest.mark.parametrize("boundary", ["valid", "circular"])
@pytest.mark.parametrize("exponent", [0.5, 2 / 3, 0.9])
def test_scale_is_shared_where_the_units_fit(exponent: float, boundary: Any, scale: float) -> None:
    """l = c sigma^(2 - a) has the units of the energy, b those of 1 / w^(2 - a)."""
    problem = noisy(1, 2, 16, 15, boundary=boundary)
    config = replace(PLAIN, power=2 - exponent, exponent=exponent)
    assert problem.sigma is not None
    scaled = Problem(scale * problem.observed, problem.operator, scale * problem.sigma)
    unit = scale ** (exponent - 2)
    moved = replace(config, first=config.first * unit, last=config.last * unit, start=config.start * unit)
    torch.testing.assert_close(run(scaled, moved), scale * run(problem, config), rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("boundary", ["valid", "circular", "zero"])
@pytest.mark.parametrize("dims", [(-2,), (-1,), (-2, -1)], ids=str)
def test_a_mirror_image_is_restored_like_the_picture(dims: tuple[int, ...], boundary: Any) -> None:
    problem = noisy(1, 2, 16, 15, boundary=boundary)
    assert isinstance(problem.operator, Blur)
    mirror = Blur(problem.operator.kernel.flip(dims), boundary)
    mirrored = Problem(problem.observed.flip(dims), mirror, problem.sigma)
    torch.testing.assert_close(run(mirrored), run(problem).flip(dims), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_rows_are_as_good_as_columns(boundary: Any) -> None:
    problem = noisy(1, 2, 16, 13, boundary=boundary, kernel=(5, 3))
    assert isinstance(problem.operator, Blur)
    turned = Problem(
        problem.observed.mT.contiguous(), Blur(problem.operator.kernel.mT.contiguous(), boundary), problem.sigma
    )
    torch.testing.assert_close(run(turned), run(problem).mT, rtol=1e-8, atol=1e-9)


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
    result = Fd(replace(PLAIN, steps=8, first=1.0, last=256.0)).run(problem)
    restored = problem.crop(result.x)
    assert result.outcome is not Outcome.DIVERGED
    assert float(psnr(restored, truth)) > float(psnr(problem.observed, truth)) + 3


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_flat_picture_stays_flat(value: float) -> None:
    y = torch.full((1, 3, 16, 17), value, dtype=torch.float64)
    x = run(Problem(y, Blur(kernel_of(5, 5)), torch.tensor(0.01)))
    torch.testing.assert_close(x, torch.full_like(x, value), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"rounds": -1}, {"first": 0.0}, {"first": 9.0, "last": 8.0}, {"strength": -1.0}], ids=str
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    assert build(exponent=0.5).config.exponent == 0.5
    with pytest.raises(ConfigError, match="must be at least 1"):
        build(**wrong)


@pytest.mark.parametrize("exponent", [0.0, 1.5])
def test_an_exponent_out_of_range_is_refused(exponent: float) -> None:
    with pytest.raises(ConfigError, match="above 0 and up to 1"):
        run(noisy(1, 1, 8, 8), replace(PLAIN, exponent=exponent))
