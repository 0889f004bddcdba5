"""Half-quadratic splitting: every x a solution of the dense system, and the fixed point that a quadratic prior has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from problems import dense, noisy, observed_part
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods.half_quadratic import LEAST, HalfQuadraticState, Schedule, half_quadratic_steps
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.solver import Solver

PLAIN = Schedule(steps=5, first=8.0, last=0.5, weight=1.5, rounds=3)


@dataclass(frozen=True, eq=False)
class Shrinks:
    """Omega(z) = r / 2 |z|^2; it notes what it was asked."""

    ridge: float = 30.0
    asked: list[tuple[Tensor, Tensor, int]] = field(default_factory=list)

    def prox(self, x: Tensor, sigma: Tensor, turn: int) -> Tensor:
        """argmin 1/2 |z - x|^2 / s^2 + r / 2 |z|^2."""
        self.asked.append((x, sigma, turn))
        return x / (1 + self.ridge * sigma.reshape(-1, 1, 1, 1) ** 2)


def states(problem: Problem, schedule: Schedule, prior: Any) -> list[HalfQuadraticState]:
    """The start and what every step makes of it."""
    steps = half_quadratic_steps(prior, schedule)
    return [steps[0].init(problem), *Solver(steps).iterate(problem)]


def run(problem: Problem, schedule: Schedule = PLAIN) -> Tensor:
    return states(problem, schedule, Shrinks())[-1].x


@pytest.mark.parametrize(
    ("boundary", "size", "kernel"),
    [("circular", (9, 10), (5, 4)), ("circular", (1, 12), (1, 5)), ("valid", (6, 7), (3, 3)), ("zero", (5, 6), (2, 3))],
)
def test_every_x_solves_the_dense_normal_equations(
    boundary: Any, size: tuple[int, int], kernel: tuple[int, int]
) -> None:
    """(A'A + c (sigma / s)^2) x = A'y + c (sigma / s)^2 z."""
    problem, prior = noisy(1, 1, *size, boundary=boundary, kernel=kernel), Shrinks()
    every = states(problem, replace(PLAIN, steps=3, rounds=300), prior)
    torus = every[0].torus
    a, y = observed_part(problem, torus)
    eye = torch.eye(len(y), dtype=torch.float64)
    if boundary == "circular":
        tie = 1.5 / 8**2
        expected = torch.linalg.solve(a.T @ a + tie * eye, a.T @ y + tie * y)
        torch.testing.assert_close(every[0].picture.flatten(), expected, rtol=1e-9, atol=1e-11)
    for turn, s in enumerate((8.0, 2.0, 0.5)):
        tie = 1.5 / s**2
        z = every[turn].picture.flatten() / (1 + 30 * (s * 0.02) ** 2)
        expected = torch.linalg.solve(a.T @ a + tie * eye, a.T @ y + tie * z)
        torch.testing.assert_close(every[turn + 1].picture.flatten(), expected, rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(every[turn + 1].x, torus.crop(every[turn + 1].picture), rtol=0, atol=0)


def test_the_domain_of_a_valid_blur_knows_nothing_of_the_torus() -> None:
    problem = noisy(1, 1, 8, 9, kernel=(3, 5))
    assert problem.operator is not None
    every = states(problem, replace(PLAIN, steps=2, rounds=200), Shrinks())
    a = dense(problem.operator, (10, 13))
    for turn, s in enumerate((8.0, 0.5)):
        tie = 1.5 / s**2
        z = every[turn].x.flatten() / (1 + 30 * (s * 0.02) ** 2)
        rhs = a.T @ problem.observed.flatten() + tie * z
        expected = torch.linalg.solve(a.T @ a + tie * torch.eye(130, dtype=torch.float64), rhs)
        torch.testing.assert_close(every[turn + 1].x.flatten(), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("boundary", ["circular", "valid"])
def test_a_quadratic_prior_ends_at_the_ridge_solution(boundary: Any) -> None:
    """With s = sigma and c = 1: z = x / (1 + q) and (A'A + 1) x = A'y + z, so (A'A + q / (1 + q)) x = A'y."""
    problem, ridge = noisy(1, 1, 9, 10, boundary=boundary, kernel=(3, 3)), 900.0
    assert problem.operator is not None
    schedule = Schedule(steps=150, first=1.0, last=1.0, weight=1.0, rounds=4)
    x = states(problem, schedule, Shrinks(ridge))[-1].x
    a, q = dense(problem.operator, problem.operator.domain_size(9, 10)), ridge * 0.02**2
    system = a.T @ a + q / (1 + q) * torch.eye(x.numel(), dtype=torch.float64)
    expected = torch.linalg.solve(system, a.T @ problem.observed.flatten())
    torch.testing.assert_close(x.flatten(), expected, rtol=1e-8, atol=1e-9)


def test_the_prior_is_told_level_and_turn() -> None:
    problem, prior = noisy(2, 1, 9, 10), Shrinks()
    problem = Problem(problem.observed, problem.operator, torch.tensor([0.02, 0.06], dtype=torch.float64))
    every = states(problem, replace(PLAIN, steps=4, first=8.0, last=1.0), prior)
    assert [turn for _, _, turn in prior.asked] == [0, 1, 2, 3]
    for t, (x, level, _) in enumerate(prior.asked):
        assert level.tolist() == pytest.approx([0.02 * 8 / 2**t, 0.06 * 8 / 2**t])
        assert torch.equal(x, every[t].picture), "it sees the whole torus"
    prior.asked.clear()
    states(problem, replace(PLAIN, steps=1, first=8.0, last=1.0), prior)
    assert prior.asked[0][1].tolist() == pytest.approx([0.16, 0.48])


@pytest.mark.parametrize(("ceiling", "first"), [(None, 0.16), (0.1, 0.1), (0.5, 0.16), (1e-3, 0.02)])
@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_the_first_level_has_a_ceiling(ceiling: float | None, first: float, scale: float) -> None:
    """A fraction of the largest value of the picture, but never below the level of the last step."""
    problem, prior = noisy(1, 1, 9, 10), Shrinks()
    y = scale * problem.observed / problem.observed.abs().max()
    problem = Problem(y, problem.operator, torch.tensor(0.02 * scale, dtype=torch.float64))
    states(problem, replace(PLAIN, steps=3, first=8.0, last=1.0, ceiling=ceiling), prior)
    expected = [first, (first * 0.02) ** 0.5, 0.02]
    assert [float(level) for _, level, _ in prior.asked] == pytest.approx([scale * s for s in expected])


def test_a_picture_without_noise_has_a_little() -> None:
    problem, prior = noisy(1, 1, 9, 10), Shrinks()
    states(Problem(problem.observed, problem.operator, torch.tensor(0.0)), replace(PLAIN, steps=1), prior)
    assert float(prior.asked[0][1]) == pytest.approx(8 * LEAST)


@pytest.mark.parametrize("scale", [0.1, 50.0])
@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_scale_is_the_prior_s_own_matter(boundary: Any, scale: float) -> None:
    problem = noisy(1, 2, 16, 15, boundary=boundary)
    assert problem.sigma is not None
    scaled = Problem(scale * problem.observed, problem.operator, scale * problem.sigma)
    got = states(scaled, PLAIN, Shrinks(30 / scale**2))[-1].x
    torch.testing.assert_close(got, scale * run(problem), rtol=1e-8, atol=1e-9 * scale)


@pytest.mark.parametrize("boundary", ["valid", "circular", "zero"])
@pytest.mark.parametrize("dims", [(-2,), (-1,), (-2, -1)], ids=str)
def test_a_mirror_image_is_restored_like_the_picture(dims: tuple[int, ...], boundary: Any) -> None:
    problem = noisy(1, 2, 16, 15, boundary=boundary)
    assert isinstance(problem.operator, Blur)
    mirror = Blur(problem.operator.kernel.flip(dims), boundary)
    mirrored = Problem(problem.observed.flip(dims), mirror, problem.sigma)
    torch.testing.assert_close(run(mirrored), run(problem).flip(dims), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_pictures_and_channels_are_on_their_own(boundary: Any) -> None:
    problem = noisy(2, 3, 16, 15, boundary=boundary)
    sigma = torch.tensor([0.02, 0.05], dtype=torch.float64)
    together = run(Problem(problem.observed, problem.operator, sigma))
    for b in range(2):
        for c in range(3):
            alone = run(Problem(problem.observed[b : b + 1, c : c + 1], problem.operator, sigma[b]))
            torch.testing.assert_close(together[b : b + 1, c : c + 1], alone, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"rounds": -1}, {"first": 0.0}, {"last": -1.0}, {"weight": 0.0}, {"ceiling": 0.0}],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be at least 1"):
        Schedule(**wrong)
