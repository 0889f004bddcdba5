"""A kernel from the trail of a light: a small lamp draws the path of the camera.

    k = clip( (v - b) / sum )  inside a box that a person draws,       b = median of v on the frame of the box

v are the values that the blur happened in, linear light of a photograph. A trail is a little wider than the true
kernel, by the size of its lamp; where the lamp is clipped its parts seem equally bright. Without a box, small bright
pieces on dark ground are tried: trails of one camera are alike, so the mean of the largest family of them is a
hypothesis, and the one that is most like the others is another (after Hu et al. 2014). The judge decides.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.base import Unknowable
from acutance.blind.cleaning import finished, of_side, pieces, summed
from acutance.blind.course import Course
from acutance.blind.hypothesis import Hypothesis, Look
from acutance.errors import ConfigError
from acutance.metrics import kernel_similarity

Region = tuple[int, int, int, int]
"""X, Y of the upper left corner, width, height; pixels."""

FAINT = 0.1
"""Part of the largest value below which a trail is taken for its surroundings."""

LEAST_SIDE = 5
"""Sides that a box has at least, pixels."""

CLEAR = 8.0
"""A trail is brighter than its surroundings by so many times their median deviation."""


LIT, BRIGHT, DIM = 0.15, 0.4, 0.35
"""Parts of the brightest light: a trail has pixels above the second, and the pixels above the first belong to it. Above
the third in the mean there is no night, and no trail is looked for."""

JOINED = 5
"""Side of the squares by which lit pixels are widened, so that a trail that fades in its middle is one piece."""

LONGEST, MOST = 91, 24
"""Sides of a trail at most, pixels, and the number of trails that are looked at."""

LARGEST = 4_000_000
"""Pixels of a picture in which trails are looked for."""

FAMILY = 0.75
"""Similarity from which two trails are of one family."""


def of_trail(look: Look, box: Region) -> Hypothesis:
    """The kernel that a trail in a box of the picture draws.

    Raises:
        ConfigError: the box is too small, reaches beyond the picture, or cuts the trail off.
        Unknowable: nothing in the box is bright.
    """
    x, y, w, h = box
    if min(w, h) < LEAST_SIDE:
        raise ConfigError(f"a box of {w} x {h} pixels around a trail: give {LEAST_SIDE} x {LEAST_SIDE} at least")
    v = look.within(box).picture.float()
    frame = torch.cat((v[..., 0, :], v[..., -1, :], v[..., :, 0], v[..., :, -1]), -1)
    around = frame.median()
    spread = (frame - around).abs().median()
    above = (v - around).clamp_min(0)
    if not float(above.max()) > CLEAR * float(spread):
        raise Unknowable(
            f"no light trail is in the box {x},{y},{w},{h}: nothing there is brighter than its surroundings"
        )
    trail = torch.where(above < FAINT * above.max(), 0.0, above)
    labels = pieces(trail)
    cut = torch.unique(torch.cat((labels[..., 0, :], labels[..., -1, :], labels[..., :, 0], labels[..., :, -1]), -1))
    if bool(torch.isin(labels.flatten()[trail.argmax()], cut)):
        raise ConfigError(
            f"the trail reaches the edge of the box {x},{y},{w},{h}; draw it larger, around all of one trail, with "
            "darkness on every side"
        )
    trail = torch.where(torch.isin(labels, cut), 0.0, trail)
    kernel = finished(trail, FAINT)
    return Hypothesis(kernel, look.linear, kernel.shape[-1])


def trails(look: Look, course: Course | None = None) -> Iterator[Hypothesis]:
    """Kernels that lamps in a dark picture may have drawn; at most two. course: is told how far it is."""
    v = look.picture.float()
    top = float(v.max())
    if v.numel() > LARGEST or not top > 0 or float(v.mean()) > DIM * top:
        return
    found: list[Tensor] = []
    course = course or Course()
    for box in _boxes(v / top, course):
        course.tell(1.0)
        try:
            found.append(of_trail(look, box).kernel)
        except (ConfigError, Unknowable):
            continue
    if not found:
        return
    alike = torch.tensor([[float(kernel_similarity(a, b)) for b in found] for a in found])
    family = (alike > FAMILY).double()
    first = int((family.sum(1) + alike.mean(1)).argmax())
    members = [k for k, of in zip(found, family[first].tolist(), strict=True) if of]
    side = max(k.shape[-1] for k in members)
    mean = finished(summed(sum((of_side(k, side) for k in members), torch.zeros(1, 1, side, side))))
    yield Hypothesis(mean, look.linear, mean.shape[-1])
    if len(members) > 1:
        yield Hypothesis(found[first], look.linear, found[first].shape[-1])


def _boxes(v: Tensor, course: Course) -> list[Region]:
    """Boxes with room around connected lit pieces of (1, 1, H, W), the largest value 1, the largest pieces first."""
    lit = F.max_pool2d((v > LIT).float(), JOINED, 1, JOINED // 2)
    labels = torch.arange(1, v.numel() + 1, dtype=torch.float64).reshape(v.shape) * lit
    for n in range(LONGEST):
        course.tell(n / LONGEST)
        grown = F.max_pool2d(labels, 3, 1, 1) * lit
        if torch.equal(grown, labels):
            break
        labels = grown
    lamps = torch.unique(labels[v > BRIGHT])
    numbers, counts = torch.unique(labels[labels > 0], return_counts=True)
    order = counts.argsort(descending=True)
    height, width = v.shape[-2:]
    boxes = []
    for number in numbers[order][torch.isin(numbers[order], lamps)].tolist():
        course.tell(1.0)
        rows, cols = (labels[0, 0] == number).nonzero(as_tuple=True)
        top, left = int(rows.min()), int(cols.min())
        h, w = int(rows.max()) - top + 1, int(cols.max()) - left + 1
        if LEAST_SIDE + JOINED - 1 <= max(h, w) <= LONGEST:
            room = max(h, w) // 3
            x, y = max(0, left - room), max(0, top - room)
            boxes.append((x, y, min(width, left + w + room) - x, min(height, top + h + room) - y))
        if len(boxes) == MOST:
            break
    return boxes
