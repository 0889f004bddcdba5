"""The sparse prior: each reweighting the solution of its dense system, an energy that falls, invariances."""

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
from acutance.methods.levin import (
    START,
    Levin,
    LevinConfig,
    LevinState,
    build,
    differences,
    differences_adjoint,
    filters_of,
)
from acutance.metrics import psnr
from acutance.operators import Blur, Difference
from acutance.problem import Outcome, Problem

PLAIN = LevinConfig(strength=0.3, power=1.6, exponent=0.8, knee=0.01, steps=4, rounds=15)


def run(problem: Problem, config: LevinConfig = PLAIN) -> Tensor:
    return Levin(config).run(problem).x


def states(problem: Problem, config: LevinConfig) -> list[LevinState]:
    """The start and what every step makes of it."""
    solver = Levin(config).solver()
    return [solver.steps[0].init(problem), *solver.iterate(problem)]


def filters(size: tuple[int, int]) -> list[tuple[float, Tensor]]:
    """c_j and D_j as matrices on a torus."""
    down, along = (dense(Difference(axis, circular=True), size) for axis in ("rows", "columns"))
    second = [(0.25, d) for d in (down @ down, along @ along, down @ along)]
    return [(1.0, down), (1.0, along), *second]


def penalty(v: Tensor, exponent: float, knee: float) -> Tensor:
    """|v|^a, below the knee the parabola that touches it there."""
    parabola = knee**exponent + exponent / 2 * knee ** (exponent - 2) * (v.square() - knee**2)
    return torch.where(v.abs() > knee, v.abs().clamp_min(knee) ** exponent, parabola)


@pytest.mark.parametrize(
    ("exponent", "boundary", "size", "kernel"),
    [
        (0.5, "circular", (9, 10), (5, 4)),
        (0.8, "circular", (1, 12), (1, 5)),
        (0.5, "valid", (5, 6), (3, 3)),
        (0.8, "valid", (5, 6), (3, 3)),
        (2.0, "valid", (5, 6), (3, 3)),
        (0.8, "zero", (5, 6), (2, 3)),
    ],
)
def test_every_x_solves_the_dense_reweighted_equations(
    exponent: float, boundary: Any, size: tuple[int, int], kernel: tuple[int, int]
) -> None:
    """(A'A + l sum_j c_j D_j' W_j D_j) x = A'y, W_j = a max(|D_j x|, e)^(a - 2) of the x before."""
    problem = noisy(1, 1, *size, boundary=boundary, kernel=kernel)
    config = replace(PLAIN, exponent=exponent, strength=1.0, knee=0.03, steps=2, rounds=250)
    every = states(problem, config)
    torus = every[0].torus
    (a, y), factor = observed_part(problem, torus), 0.02**1.6
    base = a.T @ a + EPSILON * torch.eye(len(y), dtype=torch.float64)
    every_d = filters(torus.size)
    first = sum(d.T @ d for _, d in every_d[:2])
    expected = torch.linalg.solve(base + factor * exponent * START ** (exponent - 2) * first, a.T @ y)
    if boundary == "circular":  # else the start does a few rounds only
        torch.testing.assert_close(every[0].picture.flatten(), expected, rtol=1e-9, atol=1e-9)
    for before, state in itertools.pairwise(every):
        system = base.clone()
        for share, d in every_d:
            w = exponent * (d @ before.picture.flatten()).abs().clamp_min(0.03) ** (exponent - 2)
            system += factor * share * d.T @ (w[:, None] * d)
        expected = torch.linalg.solve(system, a.T @ y)
        torch.testing.assert_close(state.picture.flatten(), expected, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(state.x, torus.crop(state.picture), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("exponent", "knee", "boundary", "rounds"),
    [
        (0.8, 0.01, "valid", 1),
        (0.8, 0.01, "valid", 100),
        (0.8, 0.01, "circular", 5),
        (0.5, 0.003, "valid", 5),
        (0.5, 0.003, "circular", 100),
        (1.0, 0.05, "valid", 5),
        (1.0, 0.05, "circular", 1),
    ],
)
def test_the_energy_falls(exponent: float, knee: float, boundary: Any, rounds: int) -> None:
    """Each parabola lies above the prior and touches it at the current x, so less of it is less of the energy."""
    problem = noisy(1, 1, 12, 11, boundary=boundary)
    every = states(problem, replace(PLAIN, exponent=exponent, knee=knee, strength=1.0, rounds=rounds, steps=8))
    a, y = observed_part(problem, every[0].torus)
    factor = 0.02**1.6

    def energy(x: Tensor) -> float:
        total = 0.5 * ((a @ x.flatten() - y).square().sum() + EPSILON * x.square().sum())
        for share, chain in filters_of(x):
            v = x
            for d in chain:
                v = d.forward(v)
            total = total + factor * share * penalty(v, exponent, knee).sum()
        return float(total)

    energies = [energy(state.picture) for state in every]
    assert all(after <= before * (1 + 1e-10) for before, after in itertools.pairwise(energies))
    assert energies[-1] < 0.99 * energies[0]


def test_its_filters_are_the_first_and_second_differences() -> None:
    x = torch.eye(56, dtype=torch.float64).reshape(56, 1, 7, 8)
    for (share, chain), (c, expected) in zip(filters_of(x), filters((7, 8)), strict=True):
        v = x
        for d in chain:
            v = d.forward(v)
        assert share == c
        torch.testing.assert_close(v.flatten(1).T, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("scale", [0.01, 50.0])
@pytest.mark.parametrize("boundary", ["valid", "circular"])
@pytest.mark.parametrize("exponent", [0.5, 0.8])
def test_scale_is_shared_where_the_units_fit(
    exponent: float, boundary: Any, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """l = c sigma^(2 - a) has the units of the energy; the knee and the start's slope those of the picture."""
    problem = noisy(1, 2, 16, 15, boundary=boundary)
    config = replace(PLAIN, power=2 - exponent, exponent=exponent)
    assert problem.sigma is not None
    expected = scale * run(problem, config)
    monkeypatch.setattr("acutance.methods.levin.START", START * scale)
    scaled = Problem(scale * problem.observed, problem.operator, scale * problem.sigma)
    got = run(scaled, replace(config, knee=config.knee * scale))
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("boundary", ["valid", "circular", "zero"])
@pytest.mark.parametrize("dims", [(-2,), (-1,), (-2, -1)], ids=str)
def test_a_mirror_image_is_restored_like_the_picture(dims: tuple[int, ...], boundary: Any) -> None:
    problem = noisy(1, 2, 16, 15, boundary=boundary)
    assert isinstance(problem.operator, Blur)
    mirror = Blur(problem.operator.kernel.flip(dims), boundary)
    mirrored = Problem(problem.observed.flip(dims), mirror, problem.sigma)
    torch.testing.assert_close(run(mirrored), run(problem).flip(dims), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_rows_are_as_good_as_columns(boundary: Any) -> None:
    problem = noisy(1, 2, 16, 13, boundary=boundary, kernel=(5, 3))
    assert isinstance(problem.operator, Blur)
    kernel = problem.operator.kernel.mT.contiguous()
    turned = Problem(problem.observed.mT.contiguous(), Blur(kernel, boundary), problem.sigma)
    torch.testing.assert_close(run(turned), run(problem).mT, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_pictures_and_channels_are_on_their_own(boundary: Any) -> None:
    problem = noisy(2, 3, 16, 15, boundary=boundary)
    sigma = torch.tensor([0.02, 0.05], dtype=torch.float64)
    together = run(Problem(problem.observed, problem.operator, sigma))
    for b in range(2):
        for c in range(3):
            alone = run(Problem(problem.observed[b : b + 1, c : c + 1], problem.operator, sigma[b]))
            torch.testing.assert_close(together[b : b + 1, c : c + 1], alone, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("sigma", [0.005, 0.02])
def test_it_restores_the_border_included(sigma: float) -> None:
    problem = noisy(1, 3, 48, 44, sigma=sigma)
    assert problem.operator is not None
    truth = problem.operator.crop(scene(1, 3, 52, 48))
    result = Levin(replace(PLAIN, steps=6)).run(problem)
    assert result.outcome is not Outcome.DIVERGED
    assert float(psnr(problem.crop(result.x), truth)) > float(psnr(problem.observed, truth)) + 3


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_flat_picture_stays_flat(value: float) -> None:
    y = torch.full((1, 3, 16, 17), value, dtype=torch.float64)
    x = run(Problem(y, Blur(kernel_of(5, 5)), torch.tensor(0.01)))
    torch.testing.assert_close(x, torch.full_like(x, value), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"rounds": 0}, {"knee": 0.0}, {"strength": -1.0}, {"exponent": 0.0}, {"exponent": 2.1}],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    assert build(exponent=0.5).config.exponent == 0.5
    with pytest.raises(ConfigError, match="must be at least 1"):
        build(**wrong)


@pytest.mark.parametrize("shape", [(1, 2, 7, 6), (1, 1, 4, 5, 6)])
def test_shared_differences_are_those_of_the_formula(shape: tuple[int, ...]) -> None:
    x = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    shared, total, parts = differences(x), torch.zeros_like(x), []
    for (_, filters), found in zip(filters_of(x), shared, strict=True):
        v = x
        for d in filters:
            v = d.forward(v)
        torch.testing.assert_close(found, v)
        parts.append(torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(parts))))
        w = parts[-1]
        for d in reversed(filters):
            w = d.adjoint(w)
        total += w
    torch.testing.assert_close(differences_adjoint(parts), total)
