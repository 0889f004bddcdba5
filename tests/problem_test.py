"""The words that every method speaks."""

from __future__ import annotations

import math
from dataclasses import replace
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


@pytest.fixture(params=[(1, 1), (2, 1), (1, 3), (2, 3)], ids="{0[0]} masks of {0[1]} channels".format)
def masked(request: pytest.FixtureRequest, problem: Problem, generator: torch.Generator) -> Problem:
    """The problem with a third of its pixels not to be believed."""
    mask = torch.rand(*request.param, 7, 8, generator=generator, dtype=torch.float64) > 1 / 3
    return replace(problem, mask=mask.double())


def test_a_masked_residual_is_zero_where_the_mask_is(masked: Problem, generator: torch.Generator) -> None:
    assert masked.mask is not None
    x = torch.rand(masked.start().shape, generator=generator, dtype=torch.float64)
    residual, whole = masked.residual(x), replace(masked, mask=None).residual(x)
    assert residual.shape == masked.observed.shape
    assert torch.equal(residual, torch.where(masked.mask > 0, whole, torch.zeros_like(whole)))
    assert 0.2 < float((residual == 0).double().mean()) < 0.5
    torch.testing.assert_close(masked.fitting_error(x), 0.5 * residual.square().sum((1, 2, 3)))


def test_the_gradient_is_that_of_the_masked_fitting_error(masked: Problem, generator: torch.Generator) -> None:
    x = torch.rand(masked.start().shape, generator=generator, dtype=torch.float64).requires_grad_()
    (expected,) = torch.autograd.grad(masked.fitting_error(x).sum(), x)
    torch.testing.assert_close(masked.gradient(x), expected, rtol=1e-12, atol=1e-13)


def test_a_masked_pixel_has_no_say(masked: Problem, generator: torch.Generator) -> None:
    assert masked.mask is not None
    x = torch.rand(masked.start().shape, generator=generator, dtype=torch.float64)
    other = replace(masked, observed=torch.where(masked.mask > 0, masked.observed, 1e6))
    assert torch.equal(other.gradient(x), masked.gradient(x))
    assert torch.equal(other.fitting_error(x), masked.fitting_error(x))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32, torch.float64])
def test_masks_of_any_type_leave_the_type_of_the_picture(dtype: torch.dtype, generator: torch.Generator) -> None:
    y = torch.rand(2, 3, 7, 8, generator=generator)
    mask = (torch.rand(1, 1, 7, 8, generator=generator) > 0.5).to(dtype)
    problem = Problem(y, Blur(torch.ones(1, 1, 3, 3) / 9), mask=mask)
    x = problem.start()
    for value in (problem.residual(x), problem.gradient(x), problem.fitting_error(x)):
        assert value.dtype is torch.float32
    torch.testing.assert_close(problem.residual(x), replace(problem, mask=None).residual(x) * mask.float())


@pytest.mark.parametrize(
    "shape",
    [(7, 8), (1, 7, 8), (1, 2, 7, 8), (2, 4, 7, 8), (3, 1, 7, 8), (1, 1, 7, 9), (1, 1, 8, 7), (1, 1, 1, 1)],
    ids=str,
)
def test_masks_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    refused = r"a mask of .* for a picture of \(2, 3, 7, 8\); give \(B or 1, C or 1, H, W\)"
    with pytest.raises(ImageError, match=refused):
        Problem(torch.zeros(2, 3, 7, 8), mask=torch.ones(shape))
    with pytest.raises(ImageError, match=refused):
        Problem(torch.zeros(2, 3, 7, 8), saturated=torch.ones(shape))


@pytest.mark.parametrize(
    "observed",
    [
        torch.zeros(3, 4),
        torch.zeros(3, 4, 5),
        torch.zeros(1, 1, 1, 1, 4, 5),
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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_the_problem_of_a_channel_is_that_channel_of_the_problem(
    boundary: Any, channels: int, generator: torch.Generator
) -> None:
    blur = Blur(torch.rand(1, channels, 3, 4, generator=generator, dtype=torch.float64), boundary)
    sharp = torch.rand(2, 3, 9, 10, generator=generator, dtype=torch.float64)
    whole = Problem(blur.forward(sharp) + 0.1, blur, torch.tensor([0.01, 0.02], dtype=torch.float64))
    for c in range(3):
        part = whole.channel(c)
        assert part.observed.shape[1] == 1
        torch.testing.assert_close(part.residual(sharp[:, c : c + 1]), whole.residual(sharp)[:, c : c + 1])
        assert part.sigma is whole.sigma
