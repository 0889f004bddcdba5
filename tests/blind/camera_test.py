"""A camera that turned: its movement from the kernels of windows, and the whole way through the blind method."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from blind.scenes import hook, town
from torch import Tensor

from acutance.blind.camera import ARM, NoMovement, field, fitted, movements
from acutance.blind.critic import Panel
from acutance.blind.hypothesis import Hypothesis, Look
from acutance.blind.judge import judge
from acutance.psf.poses import CameraPoses

SIZE = (260, 320)


def movement(degrees: float, along: float) -> CameraPoses:
    """Even, about a point beside the middle."""
    time = torch.linspace(-0.5, 0.5, 41)
    return CameraPoses(math.radians(degrees) * time, time[:, None] * torch.tensor([along, -1.0]), torch.ones(41))


def picture(poses: CameraPoses) -> Tensor:
    """A town behind a turning camera."""
    blur = field(poses, SIZE)
    h, w = blur.domain_size(*SIZE)
    return blur.forward(town(max(h, w))[..., :h, :w])


def grid() -> Tensor:
    at = torch.linspace(-150, 150, 5)
    return torch.stack((at.repeat(5), at.repeat_interleave(5)), -1)


def test_a_movement_is_found_from_kernels_that_are_shifted_and_some_wrong() -> None:
    poses = movement(4.0, 5.0)
    kernels = poses.kernels(grid(), 31)
    kernels = torch.roll(kernels, (1, -2), (-2, -1))
    kernels[[3, 11]] = F.pad(hook(), (10,) * 4)
    found = fitted(kernels, grid(), torch.full((25,), 0.04))
    found = found * found[0].sign()
    assert math.degrees(float(found[0]) / ARM) == pytest.approx(4.0, rel=0.15)
    assert float(found[1]) == pytest.approx(5.0, abs=1.5)


def test_movements_are_proposed_for_a_turned_picture_and_the_critic_likes_one() -> None:
    look = Look.of(picture(movement(3.5, 3.0)))
    panel, found = Panel.of(look), list(movements(look))
    assert len(found) > 1
    gains = [judge(panel, Hypothesis(torch.ones(1, 1, 1, 1), False, 31, poses=poses)).gain for poses in found]
    assert max(gains) > 0.5


@pytest.mark.parametrize("y", [town(160), torch.full((1, 1, 300, 300), 0.5)])
def test_small_and_empty_pictures_have_no_movement(y: Tensor) -> None:
    with pytest.raises(NoMovement):
        list(movements(Look.of(y)))


def test_the_field_of_a_window_is_that_of_its_place() -> None:
    poses = movement(3.0, 2.0)
    window = field(poses, (60, 60), (100.0, -50.0))
    expected = poses.kernels(torch.tensor([[100.0, -50.0]]), 2 * window.radius[0] + 1)
    middle = window.kernels.flatten(0, 1).mean(0, keepdim=True)
    assert float((middle - expected).abs().sum()) < 1.0
