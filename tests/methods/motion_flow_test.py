"""Motion flow: motion at the nodes, its lines, and what becomes of a picture behind one motion."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.frame import Frame
from acutance.methods.motion_flow import MotionFlow, MotionFlowConfig, at_nodes, build, field_of, lines, seen
from acutance.networks.motion_field import CELL, HALO, MotionField
from acutance.operators import Blur, BlurField
from acutance.problem import Observer, Outcome, Problem, Result, direct_result
from acutance.psf.shapes import line


def motion(length: float, angle: float) -> Tensor:
    """q of a motion, (2, 1, 1)."""
    twice = 2 * math.radians(angle)
    return length * torch.tensor([math.cos(twice), math.sin(twice)]).reshape(2, 1, 1)


def picture(height: int, width: int, channels: int = 1) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(6))


def lively() -> MotionField:
    torch.manual_seed(3)
    network = MotionField(4)
    torch.nn.init.normal_(network.tail.weight, std=0.3)
    return network.eval().requires_grad_(False)


@dataclass(frozen=True)
class Told:
    """A method that notes what it is told."""

    asked: list[Problem] = field(default_factory=list)

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        self.asked.append(problem)
        return direct_result(problem, 2 * problem.start())


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, -45.0])
def test_a_constant_flow_is_one_blur_by_a_line(angle: float) -> None:
    """`BlurField` with the same motion everywhere, against `Blur` with the kernel of that line."""
    x = picture(60, 70)
    varying = field_of(motion(8.0, angle).expand(2, 3, 4))
    once = Blur(line(9.0, angle, varying.kernels.shape[-1]))
    torch.testing.assert_close(varying.forward(x), once.forward(x), rtol=1e-4, atol=1e-5)
    assert varying.grid == (3, 4)


def test_opposite_motions_are_the_same_and_half_turns_are_not_lost() -> None:
    for length, angle in ((7.0, 20.0), (3.0, 200.0), (5.0, -70.0)):
        l, a = lines(motion(length, angle))  # noqa: E741
        assert float(l) == pytest.approx(length, rel=1e-5)
        assert math.sin(math.radians(float(a) - angle)) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("smoothing", [0, 1])
def test_nodes_take_the_certain_motion_around_them(smoothing: int) -> None:
    """The weighted mean by a loop over the parts of the picture, then over neighbours."""
    g = torch.Generator().manual_seed(1)
    q, w = torch.randn(1, 2, 24, 40, generator=g), torch.randn(1, 1, 24, 40, generator=g)
    found = at_nodes(q, w, (3, 5), smoothing)
    for row in range(3):
        for col in range(5):
            total, weights = torch.zeros(2), 0.0
            for down in (-1, 0, 1) if smoothing else (0,):
                for along in (-1, 0, 1) if smoothing else (0,):
                    r, c = min(max(row + down, 0), 2), min(max(col + along, 0), 4)
                    share = 0.5 ** (abs(down) + abs(along)) if smoothing else 1.0
                    part = (0, slice(None), slice(8 * r, 8 * r + 8), slice(8 * c, 8 * c + 8))
                    weight = share * torch.exp(2 * w[part])
                    total, weights = total + (weight * q[part]).sum((1, 2)), weights + float(weight.sum())
            torch.testing.assert_close(found[0, :, row, col], total / weights, rtol=1e-4, atol=1e-5)


def test_tiles_of_the_network_make_no_difference() -> None:
    network, z = lively(), seen(picture(360, 330))
    whole, tiled = (
        Frame(torch.float32, tile)(network, z, halo=HALO, multiple_of=CELL) for tile in (None, 40)
    )  # fmt: skip
    torch.testing.assert_close(tiled, whole, rtol=1e-3, atol=1e-3)
    assert float(whole[:, :2].std()) > 0.1


def test_brightness_and_contrast_change_no_motion() -> None:
    flow = MotionFlow(MotionFlowConfig(features=4), lively(), Told(), Frame())
    y = picture(64, 80, 3)
    torch.testing.assert_close(flow.flow(0.2 * y + 0.3), flow.flow(y), rtol=1e-3, atol=1e-3)


def test_it_restores_each_picture_with_its_own_motion() -> None:
    told = Told()
    flow = MotionFlow(MotionFlowConfig(features=4, spacing=32), lively(), told, Frame())
    y = torch.cat((picture(64, 96, 3), picture(64, 96, 3).flip(-1).contiguous()))
    result = flow.run(Problem(y, sigma=torch.tensor([0.02, 0.03])))
    assert result.x.shape == y.shape
    assert result.outcomes == (Outcome.COMPLETED,) * 2
    torch.testing.assert_close(result.x, 2 * y)
    for i, problem in enumerate(told.asked):
        assert isinstance(problem.operator, BlurField)
        assert problem.operator.grid == (2, 3)
        assert torch.equal(problem.operator.kernels, field_of(flow.flow(y[i : i + 1])[0]).kernels)
        assert float(problem.sigma) == pytest.approx((0.02, 0.03)[i])  # type: ignore[arg-type]
        assert problem.approximate is not None
    assert all("pixels found" in remark for remark in result.remarks)


def test_where_no_motion_is_found_nothing_is_changed() -> None:
    flow, y = build(features=4, method="richardson-lucy"), picture(40, 40)
    result = flow.run(Problem(y))
    assert torch.equal(result.x, y)
    assert result.remarks == ("no motion found, left unchanged",)


def test_long_motions_are_cut() -> None:
    network = lively()
    torch.nn.init.constant_(network.tail.bias, 30.0)
    for longest, expected in ((12.0, 12.0), (60.0, 25.0)):
        flow = MotionFlow(MotionFlowConfig(features=4, longest=longest), network, Told(), Frame())
        assert float(lines(flow.flow(picture(100, 130)))[0].max()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "golf"}, "takes no kernel"),
        ({"features": 0}, "features=0"),
        ({"spacing": 4}, "spacing=4"),
        ({"longest": 0.0}, "longest=0"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**settings)


def test_a_blur_and_foreign_weights_are_refused() -> None:
    flow = build(features=4, method="richardson-lucy")
    with pytest.raises(ConfigError, match="finds the blur itself"):
        flow.run(Problem(picture(20, 20), Blur(torch.full((1, 1, 3, 3), 1 / 9))))
    with pytest.raises(WeightsError, match="do not fit motion-flow"):
        build(weights={"a": torch.zeros(1)}, method="richardson-lucy")


def test_the_network_stays_small() -> None:
    assert sum(p.numel() for p in MotionField().parameters()) == 864_931
