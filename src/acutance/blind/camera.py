r"""A camera that turned while it was exposed: the movement that explains the kernels of many small windows.

    a(t) = a t,   s(t) = s t,    -1/2 <= t <= 1/2                   turn and shift, `acutance.psf.poses.CameraPoses`
    max_{a, s}  sum_i c_i  similarity( k_i, kernel of the movement at p_i )

k_i is the kernel of window i, told by the learned estimator, p_i its place, c_i how much is to be seen there. Kernels
of windows are known up to a shift, so each is moved to where it fits best. The search starts from the best of many
random movements. What it finds is right in direction and too short (on six pictures behind turns of 2 to 4 degrees 0.6
to 0.8 of the true length), so the critic chooses among longer ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.base import Unknowable, estimate_apart
from acutance.blind.cleaning import of_side
from acutance.blind.course import Course
from acutance.blind.hypothesis import Look
from acutance.blind.kernel_step import differences
from acutance.blind.learned import Learned
from acutance.errors import AcutanceError
from acutance.operators import BlurField
from acutance.psf.poses import CameraPoses, node_places
from acutance.tensors import fast_length

LARGEST = 640
"""Longer side of the picture on which windows are looked at, pixels; larger ones are made smaller."""

WINDOW, STEP, SIDE = 144, 72, 31
"""Side of the windows, how far one is from the next, and side of their kernels, pixels."""

MOMENTS = 41
"""Moments of a movement."""

ARM = 180.0
"""Pixels by which a turn is multiplied to be compared with shifts."""

DRAWS, SPREAD = 150, (9.0, 6.0, 6.0)
"""Random movements, and standard deviations of turn (times `ARM`) and shift, pixels."""

STARTS, UPDATES, RATE = 2, 50, 0.25
"""The number of movements that are improved, the updates of Adam for each, and their size in pixels."""

ESTIMATED, FITTED = 0.4, 0.8
"""Shares of the work after which the kernels of the windows are told, and after which the movement is found."""

FACTORS = (1.0, 1.2, 1.4)
"""Lengths that are proposed, of the one that was found."""

TURNED = 0.3
"""Least turn, degrees, for a movement not to be one kernel."""

BEND = 3.0
"""Pixels by which the end of a kernel moves from node to node, at most about."""

NODES = 16
"""Nodes along a side, at most."""


class NoMovement(AcutanceError):
    """No movement of the camera was found."""


def movements(look: Look, course: Course | None = None) -> Iterator[CameraPoses]:
    """Movements of different length that may explain the blur of a grey picture. course: is told how far it is.

    Raises:
        NoMovement: a picture with too few windows, or whose camera did not turn.
    """
    course = course or Course()
    factor = max(1.0, max(look.picture.shape[-2:]) / LARGEST)
    windows, mask, places = _windows(look, factor)
    try:
        course.piece(0.0, ESTIMATED)
        estimated = estimate_apart(windows, Learned(SIDE, apart=True), mask, course)
    except Unknowable as reason:
        raise NoMovement(str(reason)) from reason
    course.piece(ESTIMATED, FITTED)
    kernels = torch.cat([of_side(k, SIDE) for k in estimated])
    weight = differences(windows).square().sum(1).mean((-2, -1)).sqrt()
    weight = weight if mask is None else weight * mask.mean((1, 2, 3))
    found = fitted(kernels, places, weight / weight.sum().clamp_min(1e-12), course)
    if math.degrees(abs(float(found[0]) / ARM)) < TURNED:
        raise NoMovement("the camera did not turn")
    for n, longer in enumerate(FACTORS):
        course.piece(*(FITTED + (1 - FITTED) * i / len(FACTORS) for i in (n, n + 1)))
        angles, shifts = _path(longer * found)
        yield CameraPoses(angles, factor * shifts, torch.ones(MOMENTS))


def field(poses: CameraPoses, size: tuple[int, int], middle: tuple[float, float] = (0.0, 0.0)) -> BlurField:
    """The blur of a picture, or of a window of it, with enough nodes.

    Args:
        size: height and width, pixels. middle: of the window, pixels (x, y) from the middle of the picture.
    """
    turn = float(poses.angles.max() - poses.angles.min())
    counts = [min(NODES, max(2, math.ceil(n * turn / BEND) + 1)) for n in size]
    places = node_places((counts[0], counts[1]), size) + torch.tensor(middle)
    side = 2 * int(poses.extent(places) + 1) + 1
    return BlurField(poses.kernels(places, side).reshape(counts[0], counts[1], 1, side, side))


def _windows(look: Look, factor: float) -> tuple[Tensor, Tensor | None, Tensor]:
    """Windows of a picture made smaller, their masks, and their places, pixels (x, y) from the middle."""
    size = [round(n / factor) for n in look.picture.shape[-2:]]

    def small(x: Tensor) -> Tensor:
        return x if factor == 1 else F.interpolate(x, size=size, mode="bilinear", antialias=True)

    if min(size) < WINDOW + STEP // 2:
        raise NoMovement("the picture is too small to tell a turn of the camera")
    picture = small(look.picture)
    believed = None if look.usable is None else small(look.usable.to(picture))
    tops, lefts = (torch.linspace(0, n - WINDOW, -(-(n - WINDOW) // STEP) + 1).round().long().tolist() for n in size)
    cuts = [(slice(t, t + WINDOW), slice(u, u + WINDOW)) for t in tops for u in lefts]
    places = torch.tensor([(u + WINDOW / 2 - size[1] / 2, t + WINDOW / 2 - size[0] / 2) for t in tops for u in lefts])
    mask = None if believed is None else torch.cat([believed[..., r, c] for r, c in cuts])
    return torch.cat([picture[..., r, c] for r, c in cuts]), mask, places


def fitted(kernels: Tensor, places: Tensor, weight: Tensor, course: Course | None = None) -> Tensor:
    """The movement (3,) that explains kernels best: the turn times `ARM` and the shift, pixels, from start to end.

    Args:
        kernels: (P, 1, s, s), sum 1. places: (P, 2), pixels (x, y) from the middle. weight: (P,), sum 1.
        course: is told how far it is.
    """
    tell, tries = (course or Course()).tell, DRAWS + STARTS * UPDATES
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(DRAWS, 3, generator=generator) * torch.tensor(SPREAD)
    soft = F.avg_pool2d(kernels, 3, 1, 1)
    scores = []
    for n, c in enumerate(drawn):
        scores.append(float(_alike(soft, _moved(c, places, kernels.shape[-1]), weight)[0]))
        tell(n / tries)
    best = sorted(range(DRAWS), key=lambda i: -scores[i])[:STARTS]
    found = []
    for n, i in enumerate(best):
        on_update = partial(_told, tell, DRAWS + n * UPDATES, tries)
        found.append(_improved(drawn[i], soft, places, weight, on_update))
    return max(found, key=lambda f: f[0])[1]


def _told(tell: Callable[[float], None], before: int, tries: int, updates: int) -> None:
    tell((before + updates) / tries)


def _improved(
    start: Tensor, soft: Tensor, places: Tensor, weight: Tensor, on_update: Callable[[int], None]
) -> tuple[float, Tensor]:
    """The likeness and the movement after some updates."""
    c = start.clone().requires_grad_(True)
    optimiser, value = torch.optim.Adam([c], lr=RATE), torch.zeros(())
    with torch.enable_grad():
        for t in range(UPDATES):
            on_update(t)
            value, alike = _alike(soft, _moved(c, places, soft.shape[-1]), weight)
            doubted = weight * alike.detach().clamp_min(0) ** 4
            optimiser.zero_grad()
            (-(doubted * alike).sum() / doubted.sum().clamp_min(1e-12)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return float(value.detach()), c.detach()


def _moved(c: Tensor, places: Tensor, side: int) -> Tensor:
    """Softened kernels (P, 1, side, side) of a movement, differentiable in it."""
    angles, shifts = _path(c)
    return F.avg_pool2d(CameraPoses(angles, shifts, torch.ones(MOMENTS)).kernels(places, side), 3, 1, 1)


def _path(c: Tensor) -> tuple[Tensor, Tensor]:
    """Angles (N,), radians, and shifts (N, 2), pixels, of a movement (3,)."""
    time = torch.linspace(-0.5, 0.5, MOMENTS)
    return time * c[0] / ARM, time[:, None] * c[1:]


def _alike(soft: Tensor, moved: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted mean square of how alike kernels are after the best shift, and how alike each is, (P,)."""
    side = soft.shape[-1]
    n = fast_length(2 * side)
    cross = torch.fft.irfft2(torch.fft.rfft2(moved, s=(n, n)) * torch.fft.rfft2(soft, s=(n, n)).conj(), s=(n, n))
    alike = cross.flatten(1).amax(1) / (moved.flatten(1).norm(dim=1) * soft.flatten(1).norm(dim=1)).clamp_min(1e-12)
    return (weight * alike.clamp_min(0).square()).sum(), alike
