"""The pictures that Acute takes: batches, kernels, masks, noise levels, channels, tiles and precisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from acute_problems import TINY, masked, perturbed, same_weights, single, taps, untrained
from problems import noisy, scene

from acutance.errors import ConfigError
from acutance.frame import Frame
from acutance.methods.acute import Acute, build
from acutance.noise.level import level_of
from acutance.operators import Blur
from acutance.problem import Problem


def test_a_batch_is_its_pictures() -> None:
    model, problem = perturbed(), noisy(3, 3, 14, 17)
    problem = replace(problem, observed=problem.observed * torch.tensor([1.0, 0.3, 0.05]).reshape(3, 1, 1, 1))
    problem = masked(replace(problem, sigma=torch.tensor([0.01, 0.02, 0.005], dtype=torch.float64)))
    together = model.run(problem)
    for i in range(3):
        assert problem.mask is not None
        assert problem.sigma is not None
        one = replace(
            problem, observed=problem.observed[i : i + 1], sigma=problem.sigma[i], mask=problem.mask[i : i + 1]
        )
        torch.testing.assert_close(together.x[i : i + 1], model.run(one).x, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("kernel", [(1, 1, 3, 3), (1, 3, 3, 3), (2, 3, 1, 3), (2, 1, 3, 3), (1, 3, 5, 5)], ids=str)
@pytest.mark.parametrize("mask", [None, 1, 2], ids=["no mask", "one mask", "two masks"])
def test_any_mixture_of_kernels_and_masks_runs(kernel: tuple[int, ...], mask: int | None) -> None:
    """Kernels and masks for each picture or for all, small kernels too, which are not convolved by FFT."""
    model, blur = perturbed(steps=2), Blur(taps(*kernel))
    y = blur.forward(scene(2, 3, *blur.domain_size(13, 14)))
    believed = None if mask is None else masked(Problem(y)).mask
    problem = Problem(y, blur, torch.tensor(0.01).double(), None if believed is None else believed[:mask])
    together = model.run(problem).x
    for i in range(2):
        own_mask = None if problem.mask is None else problem.mask[i : i + 1] if mask == 2 else problem.mask
        own_blur = Blur(blur.kernel[i : i + 1] if kernel[0] == 2 else blur.kernel)
        alone = model.run(Problem(y[i : i + 1], own_blur, problem.sigma, own_mask)).x
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-9, atol=1e-10)


def test_a_mask_of_ones_is_no_mask() -> None:
    model, problem = perturbed(), noisy(2, 3, 14, 15)
    ones = replace(problem, mask=torch.ones(1, 1, 14, 15))
    torch.testing.assert_close(model.run(ones).x, model.run(problem).x, rtol=1e-12, atol=1e-13)


def test_masks_help_where_pixels_are_wrong() -> None:
    """Without any training: the mean of the bank iterated fills in what is missing."""
    problem = noisy(1, 1, 30, 30, sigma=0.005)
    spoilt = masked(problem, 0.05)
    truth = problem.crop(scene(1, 1, *problem.start().shape[-2:]))
    model = untrained(steps=20)

    def off(p: Problem) -> float:
        return float((p.crop(model.run(p).x) - truth).square().mean())

    assert off(spoilt) < 0.3 * off(replace(spoilt, mask=None))


def test_the_noise_level_is_used_where_it_may_be() -> None:
    problem = noisy(1, 3, 16, 16)
    low, high = (replace(problem, sigma=torch.tensor(s, dtype=torch.float64)) for s in (0.01, 0.05))
    unknown = replace(problem, sigma=None)
    model = perturbed()
    estimated = replace(problem, sigma=level_of(unknown))
    assert torch.equal(model.run(unknown).x, model.run(estimated).x), "estimated where it is not told"
    assert float((model.run(low).x - model.run(high).x).abs().max()) > 1e-3
    blind = perturbed(informed=False)
    assert torch.equal(blind.run(low).x, blind.run(high).x)
    assert torch.equal(blind.run(low).x, same_weights(blind, informed=True).run(low).x), "1 % is assumed"


def watched(model: Acute) -> list[tuple[str, tuple[int, ...]]]:
    """Which entrances and exits are gone through from now on, and by what."""
    seen: list[tuple[str, tuple[int, ...]]] = []

    def watch(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: seen.append((name, tuple(inputs[0].shape)))

    for name, module in model.named_modules():
        if ".entrances." in name or ".exits." in name:
            module.register_forward_hook(watch(name))
    return seen


@pytest.mark.parametrize(("channels", "which"), [(1, 0), (3, 1)])
def test_grey_costs_one_channel(channels: int, which: int) -> None:
    model, problem = perturbed(steps=2), noisy(1, channels, 16, 12)
    seen = watched(model)
    result = model.run(problem)
    assert result.x.shape == (1, channels, 20, 16)
    entrance = 4 * (channels * (1 + 4) + 2 + 4)  # x and four g, the noise level, what is unseen, four of memory
    assert (
        seen
        == [
            (f"networks.0.entrances.{which}", (1, entrance, 10, 8)),
            (f"networks.0.exits.{which}", (1, 8, 10, 8)),
        ]
        * 2
    )


@pytest.mark.parametrize("channels", [2, 4])
def test_other_numbers_of_channels_are_refused(channels: int) -> None:
    with pytest.raises(ConfigError, match=f"a picture of {channels} channels; acute takes 1 or 3"):
        perturbed().run(noisy(1, channels, 12, 12))


def test_without_a_blur_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs the blur"):
        perturbed().run(Problem(scene(1, 3, 12, 12)))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiled_run_equals_the_whole_one(channels: int) -> None:
    problem = masked(noisy(1, channels, 90, 101))
    whole, tiled = perturbed(), perturbed(Frame(torch.float64, 16))
    calls = watched(tiled)
    x = tiled.run(problem).x
    assert len(calls) > 2 * 3 * 8, "many tiles"
    torch.testing.assert_close(x, whole.run(problem).x, rtol=0, atol=1e-11)


def test_a_run_on_a_large_picture_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, problem = perturbed(), masked(noisy(2, 3, 20, 17))
    plain = model.run(problem).x
    for module in ("acutance.methods.acute.LARGE", "acutance.operators.blur.LARGE"):
        monkeypatch.setattr(module, 1)
    torch.testing.assert_close(model.run(problem).x, plain, rtol=1e-11, atol=1e-12)


def test_low_precision_stays_close() -> None:
    model, problem = perturbed(steps=5).float(), single(noisy(1, 3, 33, 30))
    exact = same_weights(model, Frame(torch.float32, None)).run(problem)
    low = same_weights(model, Frame(torch.bfloat16, None)).run(problem)
    assert low.x.dtype is torch.float32
    difference = (low.x - exact.x).abs()
    assert 0 < float(difference.max()) < 0.05
    assert float(difference.square().mean().sqrt()) < 1 / 255
    tiled = same_weights(model, Frame(torch.bfloat16, 8)).run(problem)
    assert float((tiled.x - low.x).abs().max()) < 1 / 255


def test_single_precision_is_nearly_double() -> None:
    model, problem = perturbed(), noisy(1, 3, 24, 20)
    exact = model.run(problem).x
    found = same_weights(model.float(), Frame(torch.float32, None)).run(single(problem))
    assert found.x.dtype is found.trace.dtype is torch.float32
    assert float((found.x - exact).abs().max()) < 1e-4


def test_a_mask_of_another_type_changes_no_type() -> None:
    problem = noisy(1, 3, 14, 12)
    mask = masked(problem).mask
    assert mask is not None
    model = build(precision="float32", **TINY)
    results = [model.run(replace(single(problem), mask=mask.to(t))) for t in (torch.float32, torch.float64, torch.bool)]
    for result in results:
        assert result.x.dtype is result.trace.dtype is torch.float32
        assert torch.equal(result.x, results[0].x)
