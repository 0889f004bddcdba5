"""MLP: its inverse against a dense solve, and the perceptron for each channel with the level of its picture."""

from __future__ import annotations

from functools import partial
from typing import Any

import problems
import pytest
import torch

from acutance.errors import ConfigError
from acutance.linear import Torus
from acutance.methods.mlp import Mlp, MlpConfig, build
from acutance.problem import Outcome, Problem
from acutance.tensors import to_multiple

noisy = partial(problems.noisy, cells=problems.COARSE)
SMALL = MlpConfig(hidden=7, layers=2, rounds=200)


def lively() -> Mlp:
    torch.manual_seed(2)
    mlp = Mlp(SMALL)
    torch.nn.init.normal_(mlp.network.layers[-1].weight, std=0.3)  # type: ignore[arg-type]
    return mlp.double().eval().requires_grad_(False)


@pytest.mark.parametrize("boundary", ["circular", "valid"])
def test_it_starts_from_the_regularised_inverse(boundary: Any) -> None:
    """(A'A + a s^2 D'D + b) z = A'y, D the differences on the torus."""
    problem = noisy(1, 1, 9, 10, boundary=boundary, kernel=(3, 4))
    z = Mlp(SMALL).double().run(problem).x
    assert problem.operator is not None
    torus = Torus.of(problem.observed, problem.operator)
    a, y = problems.observed_part(problem, torus)
    n, m = torus.size
    eye = torch.eye(n * m, dtype=torch.float64).reshape(-1, n, m)
    down, along = ((torch.roll(eye, 1, d) - eye).flatten(1).T for d in (1, 2))
    matrix = a.T @ a + 20 * 0.02**2 * (down.T @ down + along.T @ along) + 1e-4 * torch.eye(n * m)
    expected = torch.linalg.solve(matrix, a.T @ y).reshape(1, 1, n, m)
    torch.testing.assert_close(z, torus.crop(expected), rtol=1e-5, atol=1e-6)


def test_every_channel_goes_through_the_network_with_its_level() -> None:
    mlp, levels = lively(), torch.tensor([0.004, 0.05], dtype=torch.float64)
    given = noisy(2, 3, 20, 22)
    problem = Problem(given.observed, given.operator, levels)
    z = mlp.solver().steps[0].init(problem).x
    found = mlp.run(problem)
    assert found.outcomes == (Outcome.COMPLETED,) * 2
    for b, level in enumerate(levels):
        for c in range(3):
            plane = to_multiple(z[b, c][None, None], 3)
            expected = mlp.network(plane, torch.full_like(plane, float(level)))[..., :24, :26]
            torch.testing.assert_close(found.x[b, c], expected[0, 0])
    assert float((found.x - z).abs().max()) > 0.01


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"hidden": 0}, "hidden=0"), ({"layers": 20}, "layers=20"), ({"ridge": 0.0}, "ridge=0"), ({"rounds": -1}, "-1")],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**settings)
