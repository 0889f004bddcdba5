"""Acute's door: weights, settings, its row of the catalogue."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from acute_problems import TINY, perturbed, same_weights, single
from problems import kernel_of, noisy

from acutance.errors import ConfigError, WeightsError
from acutance.frame import Frame
from acutance.methods.acute import SPEC, AcuteConfig, build
from acutance.methods.spec import settings_for
from acutance.methods.views import SURE
from acutance.networks.unet import UNetConfig
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.solver import Standstill


def test_weights_go_round() -> None:
    model = perturbed().float()
    problem = replace(single(noisy(1, 3, 16, 18)), sigma=None)
    again = build(weights=model.state_dict(), precision="float32", tile=None, **TINY)
    assert torch.equal(again.run(problem).x, same_weights(model, Frame(tile=None)).run(problem).x)
    assert not again.training


def test_settings_of_use_do_not_change_the_weights() -> None:
    """What is trained with one of them runs with another."""
    model = perturbed().float()
    for settings in ({"steps": 9}, {"views": 8}, {"threshold": 0.1}, {"seconds": 1.0}, {"informed": False}):
        build(weights=model.state_dict(), **{**TINY, **settings})


@pytest.mark.parametrize(
    "settings",
    [{"widths": "8,10"}, {"blocks": "1,2"}, {"memory": 3}, {"bank": 5}, {"moments": 7}, {"units": 2}],
    ids=str,
)
def test_weights_of_another_network_are_refused(settings: dict[str, Any]) -> None:
    weights = perturbed().float().state_dict()
    with pytest.raises(WeightsError, match=r"do not fit acute \(AcuteConfig\(widths="):
        build(weights=weights, **{**TINY, **settings})


def test_weights_of_something_else_are_refused() -> None:
    with pytest.raises(WeightsError, match="do not fit acute"):
        build(weights={"other": torch.zeros(1)}, **TINY)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps=0: at least one step"),
        ({"bank": 0}, "bank=0, .*: out of range"),
        ({"bank": 65}, "bank=65, .*: out of range"),
        ({"memory": -1}, "memory=-1, .*: out of range"),
        ({"moments": 0}, "moments=0: out of range"),
        ({"views": 0}, "views=0: between 1 and 8"),
        ({"views": 9}, "views=9: between 1 and 8"),
        ({"units": 3}, "units=3: 1 or 2"),
        ({"widths": "8,x"}, "widths='8,x': write whole numbers"),
        ({"widths": ""}, "widths='': write whole numbers"),
        ({"blocks": "1,,1"}, "blocks='1,,1': write whole numbers"),
        ({"blocks": "1"}, "give one of each for every level"),
        ({"widths": "8,0"}, "out of any sensible range"),
        ({"widths": 8}, "widths=8 must be of type str"),
        ({"informed": 1}, "informed=1 must be of type bool"),
        ({"threshold": math.inf}, "threshold=inf is no finite number"),
        ({"strength": 2}, "its settings are widths, blocks, memory, bank"),
        ({"precision": "half"}, "precision='half' is not one of"),
    ],
    ids=str,
)
def test_settings_that_are_not_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**{**TINY, **settings})


def test_settings_reach_the_solver() -> None:
    model = build(**{**TINY, "steps": 7, "threshold": 0.25, "seconds": 3.0})
    solver = model.solver()
    assert len(solver.steps) == 7
    assert solver.stop == Standstill(0.25)
    assert solver.seconds == 3.0
    assert build(**TINY).solver().stop is None


def test_its_row_of_the_catalogue() -> None:
    assert (SPEC.name, SPEC.weights) == ("acute", "acute")
    assert SPEC.needs.channels is None
    assert SPEC.needs.mask
    assert not SPEC.needs.sigma
    assert AcuteConfig().halo == UNetConfig().halo + 8
    assert UNetConfig() == AcuteConfig().unet, "the defaults are said twice"


@pytest.mark.parametrize("quality", SPEC.qualities)
def test_its_qualities_are_settings(quality: str) -> None:
    model = build(**{**TINY, **settings_for(SPEC, quality)})
    taken = model.run(Problem(torch.rand(1, 1, 12, 12), Blur(kernel_of(3, 3).float()))).steps[0]
    least = SURE if model.config.views > 1 else model.config.steps  # views end a run where steps stop helping
    assert least <= taken <= model.config.steps


def test_equal_seeds_give_equal_weights() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(5)
        drawn.append(build(**TINY).state_dict())
    assert all(torch.equal(v, drawn[1][k]) for k, v in drawn[0].items())
