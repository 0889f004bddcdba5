"""Scores on held-out crops: the same for every run, and the network is left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from acutance.frame import Frame
from acutance.methods.acute import Acute, AcuteConfig
from acutance.methods.rgdn import Rgdn, RgdnConfig
from acutance.methods.spec import Needs
from acutance_lab.data.photographs import Photographs
from acutance_lab.train.config import ValidationConfig
from acutance_lab.train.validate import Score, examination, largest_crop, validate

CPU = torch.device("cpu")
CONFIG = ValidationConfig(crops=3, crop=20, steps=(1, 3))


@pytest.fixture
def held_out(photographs: Path) -> Photographs:
    return Photographs.load(photographs, device=CPU, validation=True)


@pytest.fixture
def method() -> Rgdn:
    torch.manual_seed(3)
    return Rgdn(RgdnConfig(features=6)).train()


def zero(method: nn.Module) -> dict[str, Tensor]:
    """Weights with which a step changes nothing."""
    return {k: torch.zeros_like(v) if v.ndim == 4 else v.clone() for k, v in method.state_dict().items()}


def scored(
    method: Any, weights: dict[str, Tensor], config: ValidationConfig, photographs: Photographs, boundary: Any
) -> Score:
    return validate(method, weights, config, photographs, examination(Needs(kernel=True), config, boundary), CPU)


@pytest.mark.parametrize("boundary", ["valid", "zero"])
def test_a_step_that_does_nothing_scores_as_the_blurred_picture(
    method: Rgdn, held_out: Photographs, boundary: Any
) -> None:
    score = scored(method, zero(method), CONFIG, held_out, boundary)
    assert score.steps == (1, 3)
    assert score.psnr == pytest.approx([score.blurred] * 2, abs=2e-3)
    assert 10 < score.blurred < 40


def test_scores_are_the_same_for_every_run(method: Rgdn, held_out: Photographs) -> None:
    weights = {k: v.clone() for k, v in method.state_dict().items()}
    torch.manual_seed(0)
    first = scored(method, weights, CONFIG, held_out, "valid")
    torch.manual_seed(99)
    assert scored(method, weights, CONFIG, held_out, "valid") == first
    fewer = ValidationConfig(crops=3, crop=20, steps=(3,))
    assert scored(method, weights, fewer, held_out, "valid").psnr[0] == first.psnr[1]


@pytest.fixture
def acute() -> Acute:
    torch.manual_seed(3)
    return Acute(AcuteConfig(widths="8,8", blocks="1,1", steps=2, units=2), Frame(tile=None)).train()


def idle(acute: Acute) -> dict[str, Tensor]:
    """Weights with which a step changes nothing: what is scored is the classical method that it begins with."""
    return {
        k: torch.zeros_like(v) if ".exits." in k or k == "bank.weight" else v.clone()
        for k, v in acute.state_dict().items()
    }


def test_levels_are_gone_through_in_turn(acute: Acute, held_out: Photographs) -> None:
    """Each level with every size of kernel; by itself it scores as it does among others."""
    levels = (0.01, 0.1)
    config = ValidationConfig(crops=8, crop=20, steps=(1, 3), levels=levels)
    score = scored(acute, idle(acute), config, held_out, "valid")
    assert len(score.levels) == 2
    assert score.levels[0] > score.levels[1] + 3, "more noise, lower scores"
    assert score.psnr == pytest.approx([sum(score.levels) / 2] * 2, abs=2e-3)
    first = ValidationConfig(crops=4, crop=20, steps=(1, 3), levels=levels[:1])
    assert scored(acute, idle(acute), first, held_out, "valid").levels == (score.levels[0],)
    assert scored(acute, idle(acute), CONFIG, held_out, "valid").levels == ()


def test_levels_are_scored_at_the_number_of_steps_that_is_best_on_the_whole(held_out: Photographs) -> None:
    torch.manual_seed(3)
    method = Acute(AcuteConfig(widths="8,8", blocks="1,1", bank=1), Frame(tile=None))
    weights = {k: torch.zeros_like(v) if ".exits." in k else v for k, v in method.state_dict().items()}
    for steps in ((1, 2), (1, 30)):
        config = ValidationConfig(crops=4, crop=24, steps=steps, levels=(0.02,))
        score = scored(method, weights, config, held_out, "valid")
        assert score.levels == (max(score.psnr),)


def test_kernel_sizes_frame_and_interior_are_scored_apart(acute: Acute, held_out: Photographs) -> None:
    """A classical start: harder behind large kernels, and where light was not observed."""
    config = ValidationConfig(crops=8, crop=64, steps=(1,), levels=(0.005,), spans=(3, 19))
    score = scored(acute, idle(acute), config, held_out, "valid")
    assert len(score.spans) == 2
    assert score.spans[0] > score.spans[1] + 3
    assert score.psnr[0] == pytest.approx(sum(score.spans) / 2, abs=2e-3)
    assert score.border is not None
    assert score.interior is not None
    assert score.border < score.interior


def test_every_other_crop_may_be_of_one_channel(acute: Acute, held_out: Photographs) -> None:
    seen: list[int] = []
    for i in range(2):
        for module in acute.networks[i].entrances:  # type: ignore[union-attr]
            module.register_forward_hook(lambda m, inputs, out: seen.append(inputs[0].shape[1] // 4))
    config = ValidationConfig(crops=4, crop=20, steps=(1,))
    colour = scored(acute, acute.state_dict(), config, held_out, "valid")
    assert seen == [21, 21, 21, 21]
    seen.clear()
    examined = examination(Needs(kernel=True), config, "valid")
    both = validate(acute, acute.state_dict(), config, held_out, examined, CPU, one_channel=True)
    assert seen == [21, 11, 21, 11]
    assert both.psnr != colour.psnr
    assert both.blurred != colour.blurred
    assert all(10 < v < 60 for v in (*both.psnr, both.blurred))


def test_the_last_step_goes_on_where_the_method_has_fewer(acute: Acute, held_out: Photographs) -> None:
    """A method of two steps, the second by a unit of its own, is scored after five."""
    seen: list[int] = []
    for i in range(2):
        acute.networks[i].register_forward_hook(lambda *_, i=i: seen.append(i))
    scored(acute, acute.state_dict(), ValidationConfig(crops=1, crop=20, steps=(5,)), held_out, "valid")
    assert seen == [0, 1, 1, 1, 1]


def test_scores_of_earlier_checkpoints_have_no_levels() -> None:
    assert Score(**{"steps": (1,), "psnr": (20.0,), "blurred": 18.0, "minutes": 1.0, "iteration": 5}).levels == ()


@pytest.mark.parametrize("trouble", [False, True])
def test_the_network_is_left_as_it_was(method: Rgdn, held_out: Photographs, trouble: bool) -> None:
    before = {k: v.clone() for k, v in method.state_dict().items()}
    if trouble:
        with pytest.raises(IndexError):
            scored(method, zero(method), CONFIG, Photographs(held_out.flat[:9], *_rest(held_out)), "valid")
    else:
        scored(method, zero(method), CONFIG, held_out, "valid")
    assert method.training
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items())
    assert all(p.requires_grad for p in method.parameters())


def _rest(p: Photographs) -> tuple[Any, ...]:
    return p.sizes, p.offsets, p.names, p.digest


def test_every_other_crop_is_halved(method: Rgdn, photographs: Path) -> None:
    whole = ValidationConfig(crops=4, crop=20, steps=(1,), spans=(3, 5), levels=(0.01, 0.03))
    halved = ValidationConfig(**{**vars(whole), "halved": True})
    examined = examination(Needs(kernel=True), whole, "valid")
    assert largest_crop(halved, examined) == 2 * largest_crop(whole, examined) == 2 * (20 + 2 * examined[0].margin(5))
    held_out = Photographs.load(photographs, device=CPU, validation=True, least=largest_crop(halved, examined))
    one, other = (scored(method, zero(method), config, held_out, "valid") for config in (whole, halved))
    assert one.blurred != other.blurred
    assert scored(method, zero(method), halved, held_out, "valid") == other


def test_a_denoiser_is_examined_at_levels_of_white_noise() -> None:
    """Each at its level, without a camera's noise; without levels it is noise of every kind."""
    needs, flat = Needs(task="denoise", kernel=False), torch.full((1, 3, 64, 64), 0.5)
    examined = examination(needs, ValidationConfig(levels=(0.01, 0.1)), "valid")
    for degrade, level in zip(examined, (0.01, 0.1), strict=True):
        problem = degrade(flat, torch.Generator().manual_seed(1), span=1, one_channel=True).problem
        assert problem.operator is None
        assert float((problem.observed - 0.5).std()) == pytest.approx(level, rel=0.05)
    assert len(examination(needs, ValidationConfig(), "valid")) == 1
