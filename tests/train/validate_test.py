"""Scores on held-out crops: the same for every run, and the network is left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from acutance.data.photographs import Photographs
from acutance.methods.rgdn import Rgdn, RgdnConfig
from acutance.train.config import ValidationConfig
from acutance.train.validate import validate

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


@pytest.mark.parametrize("boundary", ["valid", "zero"])
def test_a_step_that_does_nothing_scores_as_the_blurred_picture(
    method: Rgdn, held_out: Photographs, boundary: Any
) -> None:
    score = validate(method, zero(method), CONFIG, held_out, boundary, CPU)
    assert score.steps == (1, 3)
    assert score.psnr == pytest.approx([score.blurred] * 2, abs=2e-3)
    assert 10 < score.blurred < 40


def test_scores_are_the_same_for_every_run(method: Rgdn, held_out: Photographs) -> None:
    weights = {k: v.clone() for k, v in method.state_dict().items()}
    torch.manual_seed(0)
    first = validate(method, weights, CONFIG, held_out, "valid", CPU)
    torch.manual_seed(99)
    assert validate(method, weights, CONFIG, held_out, "valid", CPU) == first
    fewer = ValidationConfig(crops=3, crop=20, steps=(3,))
    assert validate(method, weights, fewer, held_out, "valid", CPU).psnr[0] == first.psnr[1]


@pytest.mark.parametrize("trouble", [False, True])
def test_the_network_is_left_as_it_was(method: Rgdn, held_out: Photographs, trouble: bool) -> None:
    before = {k: v.clone() for k, v in method.state_dict().items()}
    if trouble:
        with pytest.raises(IndexError):
            validate(method, zero(method), CONFIG, Photographs(held_out.flat[:9], *_rest(held_out)), "valid", CPU)
    else:
        validate(method, zero(method), CONFIG, held_out, "valid", CPU)
    assert method.training
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items())
    assert all(p.requires_grad for p in method.parameters())


def _rest(p: Photographs) -> tuple[Any, ...]:
    return p.sizes, p.offsets, p.names, p.digest
