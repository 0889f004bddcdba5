"""Every method: pictures restored together are those restored one by one, each with its own kernel, level and scale."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from small_methods import SMALL, built, kernel_of
from torch import Tensor

from acutance.methods.spec import catalogue
from acutance.operators import Blur
from acutance.problem import Method, Observer, Problem, Result
from acutance.restoration.restorer import Restorer

TAKE_A_KERNEL = [name for name, spec in catalogue().items() if spec.needs.kernel]
TAKE_NONE = [n for n, s in catalogue().items() if not s.needs.kernel and s.needs.task != "sense" and n != "blind"]


@dataclass(frozen=True, eq=False)
class Counted:
    """A method that notes how many pictures it is given at once."""

    method: Method
    batches: list[int]

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        self.batches.append(len(problem.observed))
        return self.method.run(problem, on_step=on_step)


def restorer_of(name: str) -> tuple[Restorer, list[int]]:
    torch.manual_seed(1)
    spec, batches = catalogue()[name], list[int]()
    return Restorer(spec, Counted(built(spec, **SMALL.get(name, {})), batches), torch.device("cpu")), batches


def kernels() -> list[Tensor]:
    """Three that differ and have the same size, and a smaller one."""
    k = kernel_of(5, 5)
    return [k, k.flip(-1), k.mT.contiguous(), kernel_of(3, 3)]


def pictures(scales: tuple[float, ...]) -> list[Tensor]:
    """Blurred, with 1 % noise, of different brightness."""
    g, found = torch.Generator().manual_seed(7), []
    for scale, kernel in zip(scales, kernels(), strict=False):
        blur = Blur(kernel)
        coarse = torch.rand(1, 3, 5, 6, generator=g)
        sharp = torch.nn.functional.interpolate(coarse, size=blur.domain_size(20, 24), mode="bilinear")
        y = blur.forward(0.1 + 0.7 * sharp)
        found.append(scale * (y + 0.01 * torch.randn(y.shape, generator=g)))
    return found


@pytest.mark.parametrize("level", [None, (0.01, 0.02, 0.05, 0.01)], ids=["estimated", "given"])
@pytest.mark.parametrize("name", TAKE_A_KERNEL)
def test_kernels_levels_and_scales_of_a_batch(name: str, level: tuple[float, ...] | None) -> None:
    restorer, batches = restorer_of(name)
    images, psfs = pictures((1.0, 300.0, 1e-3, 0.6)), kernels()
    together = restorer.batch(images, psfs, sigma=level)
    assert sorted(batches) == [1, 3], "the smaller kernel has another domain"
    for i, done in enumerate(together):
        alone = restorer(images[i], psfs[i], sigma=None if level is None else level[i])
        scale = float(images[i].max())
        torch.testing.assert_close(done.image.pixels, alone.image.pixels, rtol=1e-3, atol=2e-4 * scale)
        assert (done.steps, done.outcome, done.notes) == (alone.steps, alone.outcome, alone.notes)
        assert done.noise_level == pytest.approx(alone.noise_level)
        assert done.scale == alone.scale
        assert done.fitting_error == pytest.approx(alone.fitting_error, rel=1e-2)


@pytest.mark.parametrize("name", TAKE_NONE)
def test_a_batch_without_kernels(name: str) -> None:
    restorer, batches = restorer_of(name)
    images = torch.cat(pictures((1.0, 0.7, 0.4)))
    together = restorer.batch(images)
    finds_level = restorer.needs.uses_sigma
    assert batches == ([1, 1, 1] if finds_level else [3])
    for i, done in enumerate(together):
        alone = restorer(images[i : i + 1])
        torch.testing.assert_close(done.image.pixels, alone.image.pixels, rtol=1e-3, atol=1e-4)
        assert done.noise_level == pytest.approx(alone.noise_level)


@pytest.mark.parametrize("name", ["wiener", "fd", "acute"])
def test_sizes_masks_and_kinds_may_be_mixed(name: str) -> None:
    restorer, batches = restorer_of(name)
    first, second, third, _ = pictures((1.0, 0.5, 0.8, 1.0))
    hole = first.clone()
    hole[..., 3:6, 7:9] = torch.nan
    images = [first, hole, second[..., :16, :], third.mean(1, keepdim=True), second]
    mask = torch.ones(1, 1, 20, 24)
    mask[..., :4] = 0
    kernel, masks = kernels()[0], [None, None, None, None, mask]
    together = restorer.batch(images, kernel, sigma=0.01, masks=masks)
    assert sum(batches) == 5
    for image, m, done in zip(images, masks, together, strict=True):
        alone = restorer(image, kernel, sigma=0.01, mask=m)
        torch.testing.assert_close(done.image.pixels, alone.image.pixels, rtol=1e-3, atol=2e-4)


def test_one_kernel_for_all_goes_in_one_batch_and_one_that_blurs_nothing_in_none() -> None:
    restorer, batches = restorer_of("wiener")
    images = torch.cat(pictures((1.0, 0.7)))
    restorer.batch(images, kernels()[0])
    assert batches == [2]
    point = torch.zeros(1, 1, 3, 3)
    point[..., 1, 1] = 1
    done = restorer.batch(images, torch.cat((point, torch.full((1, 1, 3, 3), 1 / 9))))
    assert batches == [2, 1]
    assert [d.unchanged for d in done] == [True, False]


def test_strength_and_steps_are_those_of_each() -> None:
    restorer, _ = restorer_of("tv")
    seen: list[int] = []
    half = replace(restorer, strength=0.5)
    images = torch.cat(pictures((1.0, 0.7)))
    together = half.batch(images, kernels()[0], sigma=0.01, on_step=lambda p: seen.append(p.step))
    assert seen == list(range(1, len(seen) + 1))
    for i, done in enumerate(together):
        full = restorer(images[i : i + 1], kernels()[0], sigma=0.01).image.pixels
        torch.testing.assert_close(done.image.pixels, 0.5 * (full + images[i : i + 1]), rtol=1e-3, atol=1e-4)
