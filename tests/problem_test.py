"""The words that every method speaks."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from acutance.errors import ImageError
from acutance.operators import Blur
from acutance.problem import Outcome, Problem, Result, direct_result


@pytest.fixture(params=["none", "valid", "zero", "circular", "replicate"])
def problem(request: pytest.FixtureRequest, generator: torch.Generator) -> Problem:
    y = torch.rand(2, 3, 7, 8, generator=generator, dtype=torch.float64)
    kernel = torch.rand(1, 1, 3, 4, generator=generator, dtype=torch.float64)
    return Problem(y, None if request.param == "none" else Blur(kernel, request.param))


def test_the_gradient_is_that_of_the_fitting_error(problem: Problem, generator: torch.Generator) -> None:
    x = torch.rand(problem.start().shape, generator=generator, dtype=torch.float64).requires_grad_()
    (expected,) = torch.autograd.grad(problem.fitting_error(x).sum(), x)
    torch.testing.assert_close(problem.gradient(x), expected, rtol=1e-12, atol=1e-13)


def test_the_fitting_error_is_one_number_for_each_image(problem: Problem) -> None:
    x = problem.start()
    error = problem.fitting_error(x)
    assert error.shape == (2,)
    torch.testing.assert_close(error, 0.5 * problem.residual(x).square().sum((1, 2, 3)))


def test_start_and_crop_belong_together(problem: Problem) -> None:
    assert torch.equal(problem.crop(problem.start()), problem.observed)
    assert problem.residual(problem.start()).shape == problem.observed.shape


@pytest.mark.parametrize(
    "observed",
    [
        torch.zeros(3, 4),
        torch.zeros(3, 4, 5),
        torch.zeros(1, 1, 1, 4, 5),
        torch.zeros(1, 3, 0, 5),
        torch.zeros(0, 3, 4, 5),
        torch.zeros(1, 3, 4, 5, dtype=torch.uint8),
        torch.zeros(1, 3, 4, 5, dtype=torch.complex64),
    ],
    ids=lambda t: f"{tuple(t.shape)} {t.dtype}",
)
def test_what_is_no_picture_is_refused(observed: torch.Tensor) -> None:
    with pytest.raises(ImageError, match="observed must be a non-empty float"):
        Problem(observed)


def test_a_problem_is_a_value(problem: Problem) -> None:
    with pytest.raises(AttributeError):
        problem.sigma = torch.tensor(0.1)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ((Outcome.CONVERGED,), Outcome.CONVERGED),
        ((Outcome.CONVERGED, Outcome.EXHAUSTED), Outcome.EXHAUSTED),
        ((Outcome.DIVERGED, Outcome.EXHAUSTED, Outcome.CONVERGED), Outcome.DIVERGED),
    ],
)
def test_the_outcome_of_a_batch_is_its_worst(outcomes: tuple[Outcome, ...], worst: Outcome) -> None:
    n = len(outcomes)
    assert Result(torch.zeros(n, 1, 1, 1), outcomes, (1,) * n, torch.zeros(2, n)).outcome is worst


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_direct_result_that_is_not_finite_is_the_start_and_says_so(problem: Problem, bad: Any) -> None:
    x = 0.5 * problem.start()
    x[1, 0, 2, 2] = bad
    result = direct_result(problem, x)
    assert result.outcomes == (Outcome.COMPLETED, Outcome.DIVERGED)
    assert torch.equal(result.x[0], x[0])
    assert torch.equal(result.x[1], problem.start()[1])
    assert result.trace.shape == (2, 2)
    torch.testing.assert_close(result.trace[0], problem.fitting_error(problem.start()))
    torch.testing.assert_close(result.trace[1], problem.fitting_error(result.x))
