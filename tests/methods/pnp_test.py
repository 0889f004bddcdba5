"""Plug and play: any denoiser takes the place of the prior, and what is none is refused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import problems
import pytest
import torch

from acutance.errors import ConfigError, UnknownMethod
from acutance.methods.bm3d import Bm3d
from acutance.methods.pnp import Denoiser, Pnp, PnpConfig, build
from acutance.metrics import psnr
from acutance.problem import Observer, Outcome, Problem, Result, direct_result

scene = partial(problems.scene, cells=problems.COARSE)
noisy = partial(problems.noisy, cells=problems.COARSE)

PLAIN = PnpConfig(steps=3, first=8.0, last=0.5, weight=2.0, rounds=200, ceiling=None, closing=0.0)


@dataclass(frozen=True)
class Halves:
    """A denoiser that anyone can follow."""

    asked: list[Problem] = field(default_factory=list)

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """Half of what it is given."""
        self.asked.append(problem)
        return direct_result(problem, problem.observed / 2)


@pytest.mark.parametrize("boundary", ["circular", "valid"])
def test_its_steps_are_the_denoiser_and_a_dense_solve(boundary: Any) -> None:
    """(A'A + c (sigma / s)^2) x = A'y + c (sigma / s)^2 z."""
    problem, halves = noisy(1, 1, 9, 10, boundary=boundary, kernel=(3, 4)), Halves()
    assert problem.operator is not None
    solver = Pnp(PLAIN, Denoiser(halves)).solver()
    every = [solver.steps[0].init(problem), *solver.iterate(problem)]
    size = problem.operator.domain_size(9, 10)
    basis = torch.eye(size[0] * size[1], dtype=torch.float64)
    a = problem.operator.forward(basis.reshape(-1, 1, *size)).flatten(1).T
    for turn, s in enumerate((8.0, 2.0, 0.5)):
        tie = 2.0 / s**2
        rhs = a.T @ problem.observed.flatten() + tie * every[turn].x.flatten() / 2
        expected = torch.linalg.solve(a.T @ a + tie * basis, rhs)
        torch.testing.assert_close(every[turn + 1].x.flatten(), expected, rtol=1e-7, atol=1e-8)
        asked = halves.asked[turn]
        assert asked.operator is None
        assert torch.equal(asked.observed, every[turn].picture)
        assert asked.sigma is not None
        assert float(asked.sigma) == pytest.approx(0.02 * s)


def test_a_denoiser_that_halves_ends_at_the_ridge_solution() -> None:
    """z = x / 2 and (A'A + 1) x = A'y + z: (A'A + 1/2) x = A'y."""
    problem = noisy(1, 1, 9, 10, boundary="circular", kernel=(3, 3))
    assert problem.operator is not None
    config = PnpConfig(steps=150, first=1.0, last=1.0, weight=1.0, closing=0.0)
    x = [state.x for state in Pnp(config, Denoiser(Halves())).solver().iterate(problem)][-1]
    basis = torch.eye(90, dtype=torch.float64)
    a = problem.operator.forward(basis.reshape(-1, 1, 9, 10)).flatten(1).T
    expected = torch.linalg.solve(a.T @ a + 0.5 * basis, a.T @ problem.observed.flatten())
    torch.testing.assert_close(x.flatten(), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("closing", [0.5, 2.0])
@pytest.mark.parametrize("boundary", ["circular", "valid"])
def test_it_closes_with_the_denoiser(boundary: Any, closing: float) -> None:
    """The x that the data want, once more denoised at `closing` sigma; earlier steps stay what they were."""
    problem, halves = noisy(2, 1, 9, 10, boundary=boundary, kernel=(3, 4)), Halves()
    sigma = torch.tensor([0.02, 0.05], dtype=torch.float64)
    problem = replace(problem, sigma=sigma)
    plain = list(Pnp(PLAIN, Denoiser(halves)).solver().iterate(problem))
    halves.asked.clear()
    closed = list(Pnp(replace(PLAIN, closing=closing), Denoiser(halves)).solver().iterate(problem))
    assert len(closed) == len(plain) == PLAIN.steps
    for a, b in zip(closed[:-1], plain[:-1], strict=True):
        assert torch.equal(a.x, b.x)
    torch.testing.assert_close(closed[-1].x, plain[-1].x / 2, rtol=1e-12, atol=0)
    assert len(halves.asked) == PLAIN.steps + 1
    told = halves.asked[-1]
    assert torch.equal(told.observed, plain[-1].picture), "it sees the whole torus"
    assert told.sigma is not None
    torch.testing.assert_close(told.sigma, closing * sigma)


def test_a_negative_closing_level_is_refused() -> None:
    with pytest.raises(ConfigError, match="closing=-1"):
        build(closing=-1.0)


def test_settings_of_the_denoiser_are_handed_on() -> None:
    method = build(steps=3, denoiser="bm3d", denoiser_radius=5, denoiser_first=8, denoiser_threshold=2.5)
    assert method.config.steps == 3
    inner = method.denoiser.method
    assert isinstance(inner, Bm3d)
    assert (inner.radius, inner.first, inner.threshold) == (5, 8, 2.5)
    with pytest.raises(ConfigError, match="bm3d has no setting 'flavour'"):
        build(denoiser_flavour=1)


@pytest.mark.parametrize("name", ["wiener", "tv", "pnp", "epll", "rl"])
def test_what_needs_a_kernel_is_no_denoiser(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is none; a denoiser is one of .*bm3d"):
        build(denoiser=name)


def test_an_unknown_denoiser_is_told_the_known_ones() -> None:
    with pytest.raises(UnknownMethod, match="did you mean bm3d"):
        build(denoiser="bm3")


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="pnp has no setting 'radius'"):
        build(radius=5)
    with pytest.raises(ConfigError, match="must be at least 1"):
        build(steps=0)


def quick(**settings: Any) -> Pnp:
    inner = {"denoiser_radius": 5, "denoiser_first": 8, "denoiser_second": 8, "denoiser_step": 4}
    return build(denoiser="bm3d", steps=3, first=6.0, last=0.5, weight=1.0, rounds=2, **inner, **settings)


def test_it_restores() -> None:
    problem = noisy(1, 1, 40, 44)
    assert problem.operator is not None
    truth = problem.operator.crop(scene(1, 1, 44, 48))
    result = quick().run(problem)
    assert result.outcome is not Outcome.DIVERGED
    assert float(psnr(problem.crop(result.x), truth)) > float(psnr(problem.observed, truth)) + 3


@pytest.mark.parametrize("scale", [0.125, 8.0])  # powers of two, so that no two patches change places
def test_it_does_not_depend_on_the_scale(scale: float) -> None:
    problem = noisy(1, 1, 24, 25)
    assert problem.sigma is not None
    scaled = Problem(scale * problem.observed, problem.operator, scale * problem.sigma)
    torch.testing.assert_close(quick().run(scaled).x, scale * quick().run(problem).x, rtol=1e-6, atol=1e-7 * scale)


def test_grey_is_colour_with_three_equal_channels() -> None:
    problem = noisy(1, 1, 24, 25)
    colour = replace(problem, observed=problem.observed.expand(-1, 3, -1, -1))
    grey = quick().run(problem).x.expand(-1, 3, -1, -1)
    torch.testing.assert_close(quick().run(colour).x, grey, rtol=1e-6, atol=1e-7)


def test_each_picture_of_a_batch_has_its_own_noise() -> None:
    problem = noisy(2, 1, 20, 22)
    sigma = torch.tensor([0.02, 0.05], dtype=torch.float64)
    together = quick().run(Problem(problem.observed, problem.operator, sigma)).x
    for i in range(2):
        alone = quick().run(Problem(problem.observed[i : i + 1], problem.operator, sigma[i])).x
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-8, atol=1e-10)
