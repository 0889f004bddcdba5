"""EPLL: the mixture as a prior, its grids in turn, its energy, and what it owes to mirrors and company."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import problems
import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.methods.epll import Epll, EpllConfig, build
from acutance.metrics import psnr
from acutance.operators import Blur
from acutance.priors.mixture import PatchMixture
from acutance.problem import Outcome, Problem

scene = partial(problems.scene, cells=problems.COARSE)
noisy = partial(problems.noisy, cells=problems.COARSE)

PLAIN = EpllConfig(steps=4, first=4.0, last=0.5, weight=1.0, rounds=3, stride=1)
MIXTURE = PatchMixture.untrained().to(torch.empty(0, dtype=torch.float64))


def run(problem: Problem, config: EpllConfig = PLAIN, mixture: PatchMixture = MIXTURE) -> Tensor:
    return Epll(config, mixture).run(problem).x


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("boundary", ["circular", "valid"])
def test_its_steps_are_the_mixture_and_a_dense_solve(boundary: Any, stride: int) -> None:
    """z <- mixture at s on the grid of this turn; (A'A + c (sigma / s)^2) x = A'y + c (sigma / s)^2 z."""
    problem = noisy(1, 1, 9, 10, boundary=boundary, kernel=(3, 4))
    assert problem.operator is not None
    steps = Epll(replace(PLAIN, stride=stride, steps=3, rounds=200, weight=2.0), MIXTURE).solver()
    every = [steps.steps[0].init(problem), *steps.iterate(problem)]
    size = problem.operator.domain_size(9, 10)
    basis = torch.eye(size[0] * size[1], dtype=torch.float64)
    a = problem.operator.forward(basis.reshape(-1, 1, *size)).flatten(1).T
    for turn, s in enumerate((4.0, 2**0.5, 0.5)):
        z = MIXTURE.prox(every[turn].picture, torch.tensor([s * 0.02], dtype=torch.float64), turn, stride=stride)
        tie = 2.0 / s**2
        rhs = a.T @ problem.observed.flatten() + tie * every[0].torus.crop(z).flatten()
        expected = torch.linalg.solve(a.T @ a + tie * basis, rhs)
        torch.testing.assert_close(every[turn + 1].x.flatten(), expected, rtol=1e-7, atol=1e-8)


def test_its_patches_become_likelier() -> None:
    """The energy, 1/2 |A x - y|^2 / sigma^2 - mean over the pixels of their patches' log p, ends below its start."""
    problem = noisy(1, 1, 24, 25, boundary="circular")
    steps = Epll(replace(PLAIN, steps=8, last=0.3), MIXTURE).solver()

    def energy(x: Tensor) -> float:
        wrapped = torch.nn.functional.pad(x, (0, 7, 0, 7), mode="circular")
        z = torch.nn.functional.unfold(wrapped, 8)[0].T
        z = z - z.mean(1, keepdim=True)
        return float(problem.fitting_error(x) / 0.02**2 - MIXTURE.log_joint(z).logsumexp(1).sum())

    ends = [steps.steps[0].init(problem), *steps.iterate(problem)]
    assert energy(ends[-1].x) < energy(ends[0].x)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
@pytest.mark.parametrize("dims", [(-2,), (-1,), (-2, -1)], ids=str)
def test_a_mirror_image_is_restored_like_the_picture(dims: tuple[int, ...], boundary: Any) -> None:
    """All patches, and a mixture that knows no direction."""
    problem = noisy(1, 1, 16, 15, boundary=boundary)
    assert isinstance(problem.operator, Blur)
    mirror = Blur(problem.operator.kernel.flip(dims), boundary)
    mirrored = Problem(problem.observed.flip(dims), mirror, problem.sigma)
    torch.testing.assert_close(run(mirrored), run(problem).flip(dims), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_rows_are_as_good_as_columns(boundary: Any) -> None:
    problem = noisy(1, 1, 16, 13, boundary=boundary, kernel=(5, 3))
    assert isinstance(problem.operator, Blur)
    kernel = problem.operator.kernel.mT.contiguous()
    turned = Problem(problem.observed.mT.contiguous(), Blur(kernel, boundary), problem.sigma)
    torch.testing.assert_close(run(turned), run(problem).mT, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [0.1, 50.0])
def test_scale_is_shared_with_the_mixture(scale: float) -> None:
    problem = noisy(1, 1, 16, 15)
    assert problem.sigma is not None
    scaled = Problem(scale * problem.observed, problem.operator, scale * problem.sigma)
    mixture = replace(MIXTURE, values=MIXTURE.values * scale**2)
    torch.testing.assert_close(run(scaled, mixture=mixture), scale * run(problem), rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("stride", [1, 2])
def test_pictures_and_channels_are_on_their_own(stride: int) -> None:
    problem, config = noisy(2, 3, 16, 15), replace(PLAIN, stride=stride)
    sigma = torch.tensor([0.02, 0.05], dtype=torch.float64)
    together = run(Problem(problem.observed, problem.operator, sigma), config)
    for b in range(2):
        for c in range(3):
            alone = run(Problem(problem.observed[b : b + 1, c : c + 1], problem.operator, sigma[b]), config)
            torch.testing.assert_close(together[b : b + 1, c : c + 1], alone, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_it_restores(stride: int) -> None:
    problem = noisy(1, 1, 40, 44)
    assert problem.operator is not None
    truth = problem.operator.crop(scene(1, 1, 44, 48))
    result = Epll(replace(PLAIN, stride=stride, first=8.0), MIXTURE).run(problem)
    assert result.outcome is not Outcome.DIVERGED
    assert float(psnr(problem.crop(result.x), truth)) > float(psnr(problem.observed, truth)) + 2


def test_a_coarser_grid_says_nearly_the_same() -> None:
    problem = noisy(1, 1, 24, 25)
    dense, coarse = run(problem), run(problem, replace(PLAIN, stride=2))
    assert 0 < float((dense - coarse).square().mean().sqrt()) < 0.01


def test_weights_are_those_of_a_mixture() -> None:
    mixture = PatchMixture.untrained(scales=2)
    method = build(weights=mixture.tensors(), stride=3, steps=2)
    assert method.config.stride == 3
    torch.testing.assert_close(method.mixture.values, mixture.values)
    assert build().mixture.side == 8
    with pytest.raises(WeightsError, match="no weights of a patch mixture"):
        build(weights={"w": torch.ones(1)})


@pytest.mark.parametrize("wrong", [{"stride": 0}, {"stride": 9}, {"steps": 0}, {"weight": -1.0}], ids=str)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"stride of at most that|give 1 or more|must be at least 1"):
        build(**wrong)
