r"""A constant region beside a picture: the black bars of a film, the white corners of a turned scan, a field stop.

Nothing was photographed there, so it is no scene, and no light of it was blurred into the picture: a method that takes
it for one puts echoes of its edge into the picture. What tells it from a sky or from paper is its edge. A scene was
blurred across every edge, so its values leave a flat area slowly; beside a picture they leave it at once.

    first  = mean |v - y(p)|        over the pixels p next to the region of value v,
    second = mean |y(p) - y(q)|     q the next pixel beyond p,
    the region is beside the picture if  first > HARD second  and  first > LEAST_JUMP of the brightness,

in each of the four directions that the picture has an edge of the region in: behind a motion blur, which leaves edges
along it sharp, a flat background fails across the motion.

The region is all that is seen from the border of the frame, along rows and columns, in exactly the value of a corner.
"""

from __future__ import annotations

import torch
from torch import Tensor

from acutance.tensors import brightness

HARD = 3.0
"""Behind kernels of three pixels and more the first step out of a flat area is smaller than the second; where a picture
was cut off it is 5 to 50 times as large."""

FEW = 0.05
"""A direction with a smaller part of all edge pixels has no say."""

LEAST_JUMP = 0.02
LEAST_SHARE = 0.005
"""Part of the pixels that a region has at least."""


def surround(picture: Tensor) -> Tensor | None:
    """Where nothing was photographed: (1, 1, H, W) bool; None if that is nowhere, or everywhere.

    Args:
        picture: (1, C, H, W), finite, any units.
    """
    height, width = picture.shape[-2:]
    if min(height, width) < 3:
        return None
    found = torch.zeros(1, 1, height, width, dtype=torch.bool, device=picture.device)
    corners = {tuple(picture[0, :, i, j].tolist()) for i in (0, -1) for j in (0, -1)}
    least_jump = LEAST_JUMP * float(brightness(picture))
    for value in (picture.new_tensor(corner) for corner in sorted(corners)):
        region = _seen_from_border((picture == value.reshape(1, -1, 1, 1)).all(1, keepdim=True))
        if LEAST_SHARE <= float(region.float().mean()) < 1 and _is_hard(picture, value, region, least_jump):
            found |= region
    return found if bool(found.any()) and not bool(found.all()) else None


def _seen_from_border(equal: Tensor) -> Tensor:
    """Pixels that a run of equal ones along a row or a column joins to the border, (1, 1, H, W) bool."""
    runs = equal.to(torch.uint8)
    seen = torch.zeros_like(equal)
    for dim in (-2, -1):
        seen |= runs.cumprod(dim, dtype=torch.uint8) > 0
        seen |= runs.flip(dim).cumprod(dim, dtype=torch.uint8).flip(dim) > 0
    return seen


def _is_hard(picture: Tensor, value: Tensor, region: Tensor, least_jump: float) -> bool:
    """Whether the picture begins at once beside the region, by the formula of the module."""
    directions = []
    for dim in (-2, -1):
        for x, inside in ((picture, region), (picture.flip(dim), region.flip(dim))):
            n = x.shape[dim]
            edge = inside.narrow(dim, 0, n - 2) & ~inside.narrow(dim, 1, n - 2) & ~inside.narrow(dim, 2, n - 2)
            next_, after = x.narrow(dim, 1, n - 2), x.narrow(dim, 2, n - 2)
            jump = (next_ - value.reshape(1, -1, 1, 1)).abs().mean(1, keepdim=True)
            change = (after - next_).abs().mean(1, keepdim=True)
            directions.append((int(edge.sum()), float(jump[edge].sum()), float(change[edge].sum())))
    fewest = FEW * sum(count for count, _, _ in directions)
    hard = [first > HARD * second and first > least_jump * count
            for count, first, second in directions if count > fewest]  # fmt: skip
    return bool(hard) and all(hard)
