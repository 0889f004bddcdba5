"""Golf: the sizes of the paper, and the order of the strokes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.methods.golf import Golf, GolfConfig, build
from acutance.networks.blocks import drift
from acutance.problem import Outcome, Problem
from acutance.psf.shapes import disc


def lively(config: GolfConfig) -> Golf:
    """Random networks that change a picture a good deal."""
    torch.manual_seed(4)
    golf = Golf(config).double().eval().requires_grad_(False)
    for network in (*golf.drives, golf.putt):
        network.tail.weight.data.mul_(2)  # type: ignore[union-attr, operator]
    return golf


def scene(height: int, width: int) -> Tensor:
    """Squares of all sizes, another brightness on the left than on the right, (1, 3, H, W)."""
    g = torch.Generator().manual_seed(9)
    x = torch.zeros(1, 3, height, width, dtype=torch.float64)
    for _ in range(200):
        top, left = (int(torch.randint(n, (), generator=g)) for n in (height, width))
        side = int(torch.randint(3, 40, (), generator=g))
        colour = torch.rand(3, 1, 1, generator=g, dtype=torch.float64)
        x[0, :, top : top + side, left : left + side] = colour * (0.4 + 0.6 * left / width)
    return x


def test_the_papers_sizes() -> None:
    """Tables 1 and 3: F, G, and the megabytes of both."""
    golf = Golf()
    f, g = (sum(p.numel() for p in m.parameters()) for m in (golf.drives, golf.putt))
    assert (f, g) == (466_348, 120_188)
    assert round(4 * (f + g) / 2**20, 2) == 2.24


@pytest.mark.parametrize(("drives", "putts"), [(1, 0), (1, 3), (2, 2)])
def test_the_order_of_the_strokes(drives: int, putts: int) -> None:
    golf, y = lively(GolfConfig(drive=4, putt=3, drives=drives, putts=putts)), scene(30, 26)
    x = y
    for network in golf.drives:
        x = network(x)
    for _ in range(putts):
        x = golf.putt(x)
    result = golf.run(Problem(y))
    assert result.steps == (drives + putts,)
    assert result.outcome is Outcome.COMPLETED
    torch.testing.assert_close(result.x, x)
    assert float((x - y).abs().max()) > 0.05


def test_a_batch_is_its_pictures() -> None:
    golf = lively(GolfConfig(drive=4, putt=3, putts=1))
    y = torch.cat((scene(30, 26), scene(30, 26).flip(-1) * 0.3))
    alone = torch.cat([golf.run(Problem(one[None])).x for one in y])
    torch.testing.assert_close(golf.run(Problem(y)).x, alone)


@pytest.mark.parametrize("gain", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("keep_mean", [False, True])
def test_a_gain_shortens_each_stroke(gain: float, keep_mean: bool) -> None:
    golf, y = lively(GolfConfig(drive=4, putt=3, putts=2, keep_mean=keep_mean, gain=gain)), scene(30, 26)
    paper = lively(GolfConfig(drive=4, putt=3))
    paper.load_state_dict(golf.state_dict())
    x = y
    for network in (paper.drives[0], paper.putt, paper.putt):
        after = x + gain * (network(x) - x)
        x = after - drift(x, after) if keep_mean else after
    found = golf.run(Problem(y)).x
    torch.testing.assert_close(found, x)
    moved = float((found.clamp(0, 1) - y).mean((2, 3)).abs().max())
    assert (moved < 1e-9) == keep_mean


def test_weights_of_the_paper_fit_with_and_without_the_mean_kept() -> None:
    """Both switches are rules without weights: a state dict fits either way, and says nothing of them."""
    free = Golf(GolfConfig(drive=4, putt=3))
    held = build(weights=free.state_dict(), drive=4, putt=3, keep_mean=True, gain=0.5, precision="float64")
    assert held.state_dict().keys() == free.state_dict().keys()
    assert held.config.keep_mean
    assert not GolfConfig().keep_mean


def test_training_and_use_are_the_same_function() -> None:
    """With gradients the plain way is taken, without them bands."""
    golf = lively(GolfConfig(drive=4, putt=3, putts=2, keep_mean=True))
    y = scene(90, 26)
    steps = golf.solver().steps
    with torch.enable_grad():
        state = steps[0].init(Problem(y))
        for step in steps:
            state = step(Problem(y), state)
    torch.testing.assert_close(golf.run(Problem(y)).x, state.x)


def test_doors() -> None:
    with pytest.raises(ConfigError, match="takes 3"):
        Golf(GolfConfig(drive=2, putt=2)).run(Problem(torch.rand(1, 1, 9, 9)))
    for wrong in ({"drive": 0}, {"putts": -1}, {"drives": 0}, {"drives": 9}, {"gain": 0.0}, {"gain": 1.5}):
        with pytest.raises(ConfigError):
            GolfConfig(**wrong)
    with pytest.raises(WeightsError, match="do not fit golf"):
        build(weights={"nonsense": disc(3)})
