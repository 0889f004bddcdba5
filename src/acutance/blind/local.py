r"""Blind kernels of a picture whose blur changes from place to place.

    k_i = estimator( window around node i )                              windows of `WINDOW` pixels that overlap
    W   = poses of one camera that explain the k_i, doubted ones left out        (`acutance.psf.fit`)
    kernel of node i = what W makes of it; where W explains little, the k_i of similar neighbours

A window alone is often too small or too empty for its kernel. One movement of the camera for all of them decides which
are believed, and says what the kernel is where nothing can be told. Estimating each window once more at its two finest
scales, from the kernel that the camera's movement gives it, made the kernels worse (mean similarity to the true ones on
four pictures behind turns of 1.5 to 4.5 degrees 0.71, without 0.74), and took half as long again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind import cleaning
from acutance.blind.base import Estimator, Unknowable, estimate
from acutance.blind.scoring import doubt
from acutance.operators import BlurField
from acutance.psf.fit import PosesFit, aligned, fit_poses
from acutance.psf.poses import CameraPoses, node_places
from acutance.texture import gradient_energy

WINDOW, LARGEST = 256, 384
"""Side of the windows, pixels: at least the first, `ROOM` kernels where that is more, at most the second."""

ROOM = 6

OVERLAP = 0.4
"""Part of a window, at least, that it shares with the next one."""

EXPLAINED = 0.7
"""Similarity from which a movement of the camera explains a kernel; of kernels with 10 % specks it is 0.9 and more, of
wrong ones 0.3 to 0.7."""

ENOUGH = 0.5
"""Weight of the explained windows, at least, for the movement to be believed at all."""


POINT = 0.99
"""Part of a kernel in one pixel from which it is none."""


@dataclass(frozen=True, eq=False)
class LocalKernels:
    """Kernels of a picture, place by place.

    Args:
        field: the blur.
        confidence: 0 to 1: the share of the texture whose own kernel agrees with the field, times how well.
        poses: of the camera that explains the field; None: neighbours only agree with each other.
        agreement: (rows, columns), similarity of each window's own kernel and the field's.
    """

    field: BlurField
    confidence: float
    poses: CameraPoses | None
    agreement: Tensor


@dataclass(frozen=True, eq=False)
class _Windows:
    """The windows of a grid, row by row.

    Args:
        pictures: (1, 1, h, w) each. masks: None where all of it may be used. places: (P, 2), of the nodes.
        weight: (P,), how much there is to be seen, sum 1.
    """

    grid: tuple[int, int]
    pictures: list[Tensor]
    masks: list[Tensor | None]
    places: Tensor
    weight: Tensor


@torch.no_grad()
def local_kernels(
    picture: Tensor,
    size: int,
    estimator: Callable[[int], Estimator],
    *,
    usable: Tensor | None = None,
    on_window: Callable[[int, int], None] | None = None,
) -> LocalKernels | None:
    """The kernels of a grey picture (1, 1, H, W) in [0, 1].

    Args:
        size: side of the kernels, pixels, odd: what `acutance.blind.choice.choose` finds for one kernel is a good one.
        estimator: of a kernel of that many pixels.
        usable: bool, like the picture, False where it is saturated, or missing and filled in; None: nowhere.
        on_window: told which window of how many is begun.

    Returns:
        None where the picture has not at least two windows, or the kernels of its windows do not agree.
    """
    windows = _windows(picture, usable, size)
    if len(windows.pictures) < 2:
        return None
    tool, total = estimator(size), len(windows.pictures)
    found: list[Tensor] = []
    for i, (window, mask) in enumerate(zip(windows.pictures, windows.masks, strict=True), 1):
        if on_window is not None:
            on_window(i, total)
        found.append(_estimated(window, tool, mask, size))
    kernels = torch.cat(found)
    certain = windows.weight * torch.tensor([_certainty(w, k) for w, k in zip(windows.pictures, found, strict=True)])
    if not bool(certain.sum() > 0):
        return None
    fit = fit_poses(kernels, windows.places, certain)
    return _of_camera(fit, windows, certain, size) or _of_neighbours(kernels, windows, certain)


def _windows(picture: Tensor, usable: Tensor | None, size: int) -> _Windows:
    height, width = picture.shape[-2:]
    side = min(max(WINDOW, ROOM * size), LARGEST)
    counts = [_count(n, side) for n in (height, width)]
    places = node_places((counts[0], counts[1]), (height, width))
    pictures, masks = list[Tensor](), list[Tensor | None]()
    for x, y in places.tolist():
        rows, cols = _piece(y, height, side), _piece(x, width, side)
        pictures.append(picture[..., rows, cols])
        seen = None if usable is None else usable[..., rows, cols]
        masks.append(None if seen is None or bool(seen.all()) else seen.to(picture))
    weight = torch.tensor([float(gradient_energy(w).mean().sqrt()) for w in pictures])
    return _Windows((counts[0], counts[1]), pictures, masks, places, weight / weight.sum().clamp_min(1e-12))


def _count(length: int, side: int) -> int:
    """Number of windows along an axis."""
    return 1 if length <= side else 1 + -(-(length - side) // round((1 - OVERLAP) * side))


def _piece(place: float, length: int, side: int) -> slice:
    """The window around a place, moved into the frame."""
    start = round(min(max(place + length / 2 - side / 2, 0), max(length - side, 0)))
    return slice(start, min(start + side, length))


def _estimated(window: Tensor, tool: Estimator, mask: Tensor | None, size: int) -> Tensor:
    """The kernel of a window, (1, 1, size, size); a point where none can be told."""
    if mask is not None and not bool(mask.any()):
        return _squared(window.new_ones(1, 1, 1, 1), size)
    try:
        return _squared(estimate(window, tool, mask).to(window), size)
    except Unknowable:
        return _squared(window.new_ones(1, 1, 1, 1), size)


def _squared(kernel: Tensor, size: int) -> Tensor:
    """A centred kernel in a square of `size` pixels, sum 1."""
    room = size // 2 - kernel.shape[-1] // 2
    return cleaning.summed(F.pad(kernel, (room,) * 4))


def _certainty(window: Tensor, kernel: Tensor) -> float:
    """Share of the softness of a window that its kernel takes away, 0 to 1; of a point 0."""
    if float(kernel.max()) > POINT:
        return 0.0
    return min(1.0, max(0.0, 1 - doubt(window, kernel)))


def _of_camera(fit: PosesFit, windows: _Windows, certain: Tensor, size: int) -> LocalKernels | None:
    share = certain / certain.sum()
    explained = float(share[fit.similarity.cpu() >= EXPLAINED].sum())
    if explained < ENOUGH:
        return None
    side = min(size, 2 * int(fit.poses.extent(windows.places.to(fit.poses.shifts)) + 1) + 1)
    kernels = fit.poses.kernels(windows.places.to(fit.poses.shifts), side)
    confidence = float((share * fit.similarity.cpu()).sum())
    return LocalKernels(
        BlurField(kernels.reshape(*windows.grid, 1, side, side)), confidence, fit.poses,
        fit.similarity.reshape(windows.grid),
    )  # fmt: skip


def _of_neighbours(kernels: Tensor, windows: _Windows, certain: Tensor) -> LocalKernels | None:
    """Each kernel the mean of those in its neighbourhood that resemble it, or, where none does, of all there."""
    rows, cols = windows.grid
    place = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij"), -1).reshape(-1, 2)
    near = ((place[:, None] - place).abs().amax(-1) <= 1).float()  # (P, P)
    share = certain / certain.sum()
    flat, out, agreement = kernels[:, 0], list[Tensor](), list[float]()
    for i in range(len(flat)):
        moved = aligned(flat, flat[i : i + 1].expand_as(flat))
        alike = (moved * flat[i]).sum((-2, -1)) / (moved.flatten(1).norm(dim=1) * flat[i].norm()).clamp_min(1e-12)
        others = near[i].clone()
        others[i] = 0
        agreement.append(float((others * share * alike).sum() / (others * share).sum().clamp_min(1e-12)))
        weight = near[i] * share * (alike if agreement[i] >= EXPLAINED else torch.ones_like(alike))
        if agreement[i] < EXPLAINED:
            weight[i] = 0
        out.append((weight[:, None, None] * moved).sum(0))
    trusted = torch.tensor(agreement) >= EXPLAINED
    if float(share[trusted].sum()) < ENOUGH:
        return None
    field = torch.stack([cleaning.summed(k[None, None])[0] for k in out])
    agree = torch.tensor(agreement)
    return LocalKernels(
        BlurField(field.reshape(rows, cols, *field.shape[1:])), float((share * agree).sum()), None,
        agree.reshape(rows, cols),
    )  # fmt: skip
