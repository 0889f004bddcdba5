"""The eight views of a picture and of a problem."""

from __future__ import annotations

import pytest
import torch

from acutance.errors import ConfigError
from acutance.operators import Blur, Sensing
from acutance.problem import Problem
from acutance.views import VIEWS, View


def test_the_first_view_is_the_picture_itself_and_no_two_are_alike(generator: torch.Generator) -> None:
    x = torch.rand(1, 1, 5, 5, generator=generator)
    assert VIEWS[0] == View()
    assert torch.equal(VIEWS[0](x), x)
    assert len({tuple(v(x).flatten().tolist()) for v in VIEWS}) == len(VIEWS) == 8


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_a_view_goes_back(view: View, generator: torch.Generator) -> None:
    x = torch.rand(2, 3, 4, 7, generator=generator)
    assert torch.equal(view.back(view(x)), x)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_residual_of_a_problem_seen_so_is_the_residual_seen_so(view: View, generator: torch.Generator) -> None:
    kernel = torch.rand(1, 1, 3, 5, generator=generator, dtype=torch.float64)
    problem = Problem(
        torch.rand(1, 2, 9, 12, generator=generator, dtype=torch.float64), Blur(kernel),
        mask=(torch.rand(1, 1, 9, 12, generator=generator) > 0.2).double(),
        saturated=(torch.rand(1, 1, 9, 12, generator=generator) > 0.7).double(),
    )  # fmt: skip
    x = torch.rand(1, 2, 11, 16, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(view.problem(problem).residual(view(x)), view(problem.residual(x)), rtol=0, atol=1e-12)


def test_views_of_no_convolution_are_refused() -> None:
    problem = Problem(torch.rand(1, 4, 1, 1), Sensing(torch.rand(4, 1024), (32, 32)))
    with pytest.raises(ConfigError, match="give views=1"):
        VIEWS[1].problem(problem)


def test_a_picture_without_a_blur_has_views() -> None:
    problem = Problem(torch.rand(1, 1, 4, 6))
    seen = VIEWS[-1].problem(problem)
    assert seen.operator is None
    assert torch.equal(seen.observed, VIEWS[-1](problem.observed))
