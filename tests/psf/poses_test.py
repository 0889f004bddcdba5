"""Kernels of a turning and shifting camera, and the camera from its kernels."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import KernelError
from acutance.psf import CameraPoses
from acutance.psf.poses import node_places


def path(degrees: float, shift: float, seed: int = 0) -> CameraPoses:
    """A bent path: turn and shift do not go together."""
    t = torch.linspace(-1, 1, 81)
    angle = math.radians(degrees) / 2 * t
    bent = torch.stack((shift / 2 * torch.sin(2.5 * t + seed), shift / 2 * t.square()), -1)
    return CameraPoses(angle, bent, torch.ones(81)).centred()


def test_a_shift_moves_the_kernel_the_other_way() -> None:
    poses = CameraPoses(torch.zeros(1), torch.tensor([[2.0, -1.0]]), torch.ones(1))
    kernel = poses.kernels(torch.zeros(1, 2), 7)[0, 0]
    assert kernel[3 + 1, 3 - 2] == 1
    assert kernel.sum() == 1


def test_the_field_is_what_the_camera_does() -> None:
    """Against the mean of turned pictures, interpolated."""
    poses, size, reach = path(3.0, 4.0), (90, 120), 12
    g = torch.Generator().manual_seed(2)
    coarse = torch.rand(1, 1, 20, 25, generator=g)
    x = F.interpolate(coarse, size=(size[0] + 2 * reach, size[1] + 2 * reach), mode="bicubic")
    rows, cols = (torch.arange(n + 2 * reach) - (n + 2 * reach - 1) / 2 for n in size)
    half = torch.tensor([(size[1] + 2 * reach - 1) / 2, (size[0] + 2 * reach - 1) / 2])
    total = torch.zeros_like(x)
    for angle, shift, weight in zip(poses.angles, poses.shifts, poses.weights, strict=True):
        c, s = float(angle.cos()), float(angle.sin())
        right, down = c * cols - s * rows[:, None] + shift[0], s * cols + c * rows[:, None] + shift[1]
        where = torch.stack((right, down), -1) / half
        total += weight * F.grid_sample(x, where[None], mode="bilinear", align_corners=True)
    field = poses.field((6, 8), size, 2 * reach + 1)
    y, expected = field.forward(x), total[..., reach:-reach, reach:-reach]
    still = field.crop(x)
    assert float((y - expected).square().mean()) < 0.01 * float((still - expected).square().mean())


def test_centred_poses_move_nothing_on_the_average() -> None:
    poses = CameraPoses(torch.tensor([0.01, 0.03]), torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([1.0, 3.0]))
    centred = poses.centred()
    assert abs(float(centred.weights @ centred.angles)) < 1e-8
    assert float((centred.weights @ centred.shifts).abs().max()) < 1e-6


def test_nodes_divide_the_picture_evenly() -> None:
    places = node_places((2, 2), (100, 40))
    assert places.tolist() == [[-10, -25], [10, -25], [-10, 25], [10, 25]]


@pytest.mark.parametrize(
    ("angles", "shifts", "weights"),
    [
        (torch.zeros(2), torch.zeros(1, 2), torch.ones(2)),
        (torch.zeros(0), torch.zeros(0, 2), torch.ones(0)),
        (torch.zeros(2), torch.zeros(2, 2), torch.zeros(2)),
        (torch.zeros(2), torch.zeros(2, 2), torch.tensor([1.0, -0.5])),
    ],
)
def test_impossible_poses_are_refused(angles: Tensor, shifts: Tensor, weights: Tensor) -> None:
    with pytest.raises(KernelError, match="poses"):
        CameraPoses(angles, shifts, weights)
