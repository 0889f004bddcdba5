"""Local kernels: which are believed, and what becomes of the others; the estimator is a stand-in that knows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.base import BlindState, Unknowable
from acutance.blind.local import local_kernels
from acutance.metrics import kernel_similarity
from acutance.problem import Problem
from acutance.psf import CameraPoses
from acutance.psf.poses import node_places

SIZE, GRID, SIDE = (400, 560), (2, 3), 15


@dataclass
class Known:
    """An estimator that finds the next of some kernels, (1, 1, s, s), or nothing where that is None."""

    kernels: Iterator[Tensor | None]
    windows: list[Tensor] = field(default_factory=list)

    def solver(self) -> Known:
        return self

    def iterate(self, problem: Problem) -> list[BlindState]:
        self.windows.append(problem.observed)
        kernel = next(self.kernels)
        if kernel is None:
            raise Unknowable("nothing there")
        return [BlindState(problem.observed, kernel, 0, 0.0, 0.0)]

    def finished(self, state: BlindState) -> Tensor:
        return state.kernel


def camera(degrees: float = 1.5) -> CameraPoses:
    t = torch.linspace(-1, 1, 61)
    angles = degrees * torch.pi / 360 * t
    return CameraPoses(angles, 3 * torch.stack((t.square(), t), -1), torch.ones(61)).centred()


def picture(poses: CameraPoses) -> Tensor:
    """Blurred tiles of all sizes, (1, 1, H, W)."""
    g = torch.Generator().manual_seed(5)
    blur = poses.field((4, 6), SIZE, SIDE)
    coarse = torch.rand(1, 1, 40, 56, generator=g)
    return blur.forward(F.interpolate(coarse, size=blur.domain_size(*SIZE), mode="nearest"))


def true_kernels(poses: CameraPoses) -> list[Tensor]:
    return list(poses.kernels(node_places(GRID, SIZE), SIDE).split(1))


def test_the_camera_says_what_a_doubted_window_does_not() -> None:
    poses = camera()
    kernels = true_kernels(poses)
    given: list[Tensor | None] = [*kernels]
    given[1], given[5] = kernels[1].flip(-1).transpose(-1, -2), None
    told: list[tuple[int, int]] = []
    tool = Known(iter(given))
    found = local_kernels(picture(poses), SIDE, lambda size: tool, on_window=lambda i, n: told.append((i, n)))
    assert found is not None
    assert found.poses is not None
    assert found.field.grid == GRID
    assert told == [(i, 6) for i in range(1, 7)]
    assert all(w.shape[-2:] == (256, 256) for w in tool.windows)
    for kernel, truth in zip(found.field.kernels.flatten(0, 1), kernels, strict=True):
        assert float(kernel_similarity(kernel[None], truth)) > 0.8
    agreement = found.agreement.flatten()
    assert float(agreement[[0, 2, 3, 4]].min()) > 0.8 > float(agreement[[1, 5]].max())
    assert 0.6 < found.confidence < 1


def test_kernels_that_have_nothing_in_common_are_no_field() -> None:
    poses = camera()
    g = torch.Generator().manual_seed(9)
    wild: list[Tensor | None] = []
    for _ in range(6):
        kernel = torch.zeros(1, 1, SIDE, SIDE)
        spots = torch.randint(0, SIDE, (3, 2), generator=g)
        kernel[0, 0, spots[:, 0], spots[:, 1]] = 1 / 3
        wild.append(kernel / kernel.sum())
    tool = Known(iter(wild))
    found = local_kernels(picture(poses), SIDE, lambda size: tool)
    assert found is None or found.confidence < 0.75


def test_nothing_is_said_where_no_window_tells_a_kernel() -> None:
    tool = Known(iter([None] * 6))
    found = local_kernels(torch.full((1, 1, *SIZE), 0.5), SIDE, lambda size: tool)
    assert found is None


def test_a_small_picture_has_no_local_kernels() -> None:
    tool = Known(iter([None]))
    assert local_kernels(picture(camera())[..., :200, :200], SIDE, lambda size: tool) is None
    assert not tool.windows


def test_windows_without_usable_pixels_are_not_asked() -> None:
    poses = camera()
    usable = torch.ones(1, 1, *SIZE, dtype=torch.bool)
    usable[..., :, :300] = False
    kernels: list[Tensor | None] = [*true_kernels(poses)]
    tool = Known(iter([k for i, k in enumerate(kernels) if i % 3]))
    found = local_kernels(picture(poses), SIDE, lambda size: tool, usable=usable)
    assert len(tool.windows) == 4
    assert found is not None
    assert float(found.agreement[:, 0].max()) < float(found.agreement[:, 1:].min())


@pytest.mark.parametrize("size", [15, 45, 91])
def test_windows_have_room_for_the_kernel(size: int) -> None:
    tool = Known(iter([None] * 100))
    local_kernels(torch.rand(1, 1, 500, 700), size, lambda s: tool)
    side = tool.windows[0].shape[-1]
    assert 256 <= side <= 384
    assert side >= min(384, 6 * size)
