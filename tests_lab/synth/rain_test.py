"""Rain: sizes, ranges, what is dry, that streaks are streaks."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from acutance.errors import ConfigError
from acutance_lab.synth import Rain
from acutance_lab.synth.camera import Draw

PLAIN = Rain(dry=0.0, mist=0.0, jpeg=0.0, grey=0.0, bits=0)


def source(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_equal_seeds_make_equal_rain_in_range() -> None:
    x = torch.rand(6, 3, 40, 52, generator=source(3))
    one, two = (Rain()(x, source()) for _ in range(2))
    assert torch.equal(one.problem.observed, two.problem.observed)
    y = one.problem.observed
    assert y.shape == x.shape == one.sharp.shape
    assert float(y.min()) >= 0
    assert float(y.max()) <= 1
    assert one.problem.operator is None
    alone = Rain()(x, source(), one_channel=True)
    assert alone.problem.observed.shape == alone.sharp.shape == (6, 1, 40, 52)


@pytest.mark.parametrize("screen", [0.0, 1.0])
def test_rain_brightens_and_what_is_dry_stays(screen: float) -> None:
    x = 0.8 * torch.rand(8, 3, 48, 48, generator=source(3))
    wet = replace(PLAIN, screen=screen)(x, source()).problem.observed
    assert bool((wet >= x - 1e-5).all())
    assert bool(((wet - x).amax((1, 2, 3)) > 0.03).all())
    assert torch.equal(replace(PLAIN, dry=1.0)(x, source()).problem.observed, x)


def test_streaks_lie_along_the_wind() -> None:
    """Of upright streaks a row differs from the next by less than a column does."""
    upright = replace(PLAIN, layers=1, spread=0.0, astray=0.0, length=(30.0, 31.0), width=(0.6, 0.7))

    class Still(Draw):
        def uniform(self, bounds: tuple[float, float] = (0.0, 1.0), *shape: int) -> torch.Tensor:
            found = super().uniform(bounds, *shape)
            return torch.zeros_like(found) if bounds == (-math.pi / 4, math.pi / 4) else found

    s = upright.streaks(Still(6, source()), (64, 80))
    assert s.shape == (6, 1, 64, 80)
    assert float(s.diff(dim=-2).abs().sum()) < 0.3 * float(s.diff(dim=-1).abs().sum())


def test_layers_are_counted() -> None:
    s = replace(PLAIN, layers=3).streaks(Draw(200, source()), (24, 24))
    some = (s.amax((2, 3)) > 1e-6).float().sum(1)
    assert 0 < float((some <= 1).float().mean()) < 1
    assert float(some.max()) == 3
    with pytest.raises(ConfigError, match="layers=0"):
        Rain(layers=0)
