r"""The critic: a small network that sees a picture before and after, and tells how wrong each is, place by place.

    (log Eb, log r) = N( y, x ),      Eb = mean (y - s)^2,   r = mean (x - s)^2 / mean (y - s)^2      in cells of 8 x 8

y is the blurred picture, x = fd(y, k) the picture restored with a hypothesis k, s the sharp one, which nobody knows.
All are grey and encoded, so that linear light and encoded values are compared by one measure. What is expected of k is

    gain(k) = -10 log10( sum Eb r / sum Eb )      dB

over all cells of some windows. It is trained on pictures made as cameras make them, with hypotheses of the search and
with wrong ones of every kind. The width of its view is 100 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acutance.blind.hypothesis import Look
from acutance.images import linear_to_srgb
from acutance.methods.classical import classical
from acutance.noise.level import behind_estimated, level_of
from acutance.operators import Blur, LinearOperator
from acutance.problem import Problem
from acutance.tensors import crop
from acutance.texture import quarters
from acutance.weights import embedded

CELL = 8
"""Side of a cell, pixels."""

SIDE = 224
"""Side of a window of a panel, pixels."""

MEAN, DETAIL = 9, 4.0
"""Side of the squares whose mean is taken off before the network sees a picture, and the factor of the rest."""

LEAST_ERROR, MOST_ERROR = 1e-6, 0.3
"""Limits of mean squared errors, before."""

MOST_RATIO = 30.0
"""An error becomes at most so many times larger or smaller."""

SMOOTH = 5
"""Side of the squares of cells over which trust is averaged."""

TAKEN, DOUBTED = -0.2, 0.7
"""Logarithms of the ratio of the errors up to which a result is taken as it is, and from which it is not taken.
Set by hand, not measured."""

BAND, VIEW = 512, 128
"""Rows of a large picture that are looked at in one go, and the reach of the network, pixels."""

ENOUGH = 0.2
"""Share of the cells that have to be away from clipped pixels, for those near them not to count."""

WIDE = 33
"""Kernels from this side on, pixels, leave two cells at the frame of a window out, others one."""


Solve = Callable[[Problem], Tensor]
"""Restores the pictures of a problem: x, on the domain of its blur."""


class Critic(nn.Module):
    """The network, (n, 1, H, W) twice -> (n, 2, H/8, W/8): natural logarithms of Eb and of r.

    Args:
        features: at half, quarter and eighth resolution.
    """

    def __init__(self, features: tuple[int, int, int] = (32, 48, 64)) -> None:
        super().__init__()
        a, b, c = features
        widths = [(16, a, 1, 1), (a, a, 1, 1), (a, b, 2, 1), (b, b, 1, 1), (b, c, 2, 1), (c, c, 1, 1), (c, c, 1, 2),
                  (c, c, 1, 4), (c, c, 1, 1)]  # fmt: skip
        self.layers = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=s, padding=dilation, dilation=dilation) for i, o, s, dilation in widths
        )
        self.last = nn.Conv2d(c, 2, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        with torch.no_grad():
            self.last.bias.copy_(torch.tensor([-6.0, 0.0]))

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Args: before, after: (n, 1, H, W) in [0, 1], encoded, H and W multiples of `CELL`."""
        mean = _mean(after)
        pictures = (DETAIL * (before - _mean(before)), DETAIL * (after - mean), DETAIL * (after - before), 2 * mean - 1)
        x = F.pixel_unshuffle(torch.cat(pictures, 1), 2)
        for layer in self.layers:
            new = F.leaky_relu(layer(x), 0.1)
            x = x + new if new.shape == x.shape else new
        out: Tensor = self.last(x)
        return out


def _mean(x: Tensor) -> Tensor:
    """The mean of the pixels that the picture has in the square around each one."""
    rows = F.avg_pool2d(x, (MEAN, 1), 1, (MEAN // 2, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, MEAN), 1, (0, MEAN // 2), count_include_pad=False)


def expected(told: Tensor, weight: Tensor | None = None) -> Tensor:
    """The gain in dB over all cells, of what `Critic` tells, (n, 2, h, w) -> (n,). weight: of cells, (n, 1, h, w)."""
    before = told[:, 0].exp() if weight is None else told[:, 0].exp() * weight[:, 0]
    after = before * told[:, 1].exp()
    return -10 * torch.log10(after.flatten(1).sum(1) / before.flatten(1).sum(1).clamp_min(1e-12))


@dataclass(frozen=True, eq=False)
class Panel:
    """Places of a picture where the critic looks at hypotheses.

    Args:
        values: (n, 1, h, w), linear light or encoded values. seen: the same encoded, in [0, 1], so that before and
            after are compared alike: the mean of encoded colours is not the encoded mean of their light. linear: which.
        weight: of the cells, (n, 1, h/8, w/8): the share that is not clipped.
        middles: of the windows, pixels (x, y) from the middle of the picture.
        levels: of the noise, (n,); None: estimated behind each blur, which takes a third of the time.
    """

    values: Tensor
    seen: Tensor
    linear: bool
    weight: Tensor
    middles: tuple[tuple[float, float], ...] = ()
    levels: Tensor | None = None

    @staticmethod
    def of(look: Look, side: int = SIDE) -> Panel:
        """The most textured windows of a picture, of at most `side` pixels, cut to whole cells; none of a tiny one."""
        picture = look.picture / look.scale
        seen = (linear_to_srgb(picture.clamp(0, 1)) if look.linear else picture).clamp(0, 1)
        if min(picture.shape[-2:]) < CELL:
            nothing = picture.new_zeros(0, 1, CELL, CELL)
            return Panel(nothing, nothing, look.linear, nothing[..., :1, :1])
        full = torch.zeros_like(picture) if look.full is None else look.full.to(picture)
        places = [
            tuple(slice(s.start, s.stop - (s.stop - s.start) % CELL) for s in p) for p in quarters(look.picture, side)
        ]
        values, encoded, clipped = (torch.cat([x[..., r, c] for r, c in places]) for x in (picture, seen, full))
        h, w = picture.shape[-2:]
        middles = tuple(((c.start + c.stop - w) / 2, (r.start + r.stop - h) / 2) for r, c in places)
        return Panel(values.float(), encoded.float(), look.linear, 1 - F.avg_pool2d(clipped.float(), CELL), middles)

    @torch.no_grad()
    def behind(self, kernel: Tensor) -> Panel:
        """The same with the noise levels that are estimated behind a kernel which is about right."""
        problem = Problem(self.values, Blur(kernel.to(self.values), "valid"), linear=self.linear)
        return replace(self, levels=level_of(problem)) if len(self.values) else self

    @torch.no_grad()
    def gain(self, blur: Tensor | Sequence[LinearOperator], solve: Solve | None = None) -> float:
        """Tell the expected gain, dB; 0 without windows.

        Args:
            blur: a kernel (1, 1, s, s), or the blur of each window. solve: restores them; None: `fd`.
        """
        if len(self.values) == 0:
            return 0.0
        if isinstance(blur, Tensor):
            kernel, reach = blur.to(self.values), blur.shape[-1]
            after = restored(self.values, kernel, linear=self.linear, solve=solve, levels=self.levels)
        else:
            pairs = zip(self.values, blur, strict=True)
            levels = [None] * len(self.values) if self.levels is None else [level[None] for level in self.levels]
            after = torch.cat([
                restored(y[None], operator, linear=self.linear, solve=solve, levels=level)
                for (y, operator), level in zip(pairs, levels, strict=True)
            ])  # fmt: skip
            reach = max(operator.domain_size(1, 1)[0] for operator in blur)
        told = shipped()(self.seen, after)
        edge = 2 if reach >= WIDE else 1
        edge = edge if min(told.shape[-2:]) > 4 * edge else 0
        told, weight = (crop(x, edge, edge) for x in (told, self._weight(reach)))
        joined = told.transpose(0, 1).flatten(1)[None, :, :, None], weight.flatten()[None, None, :, None]
        return float(expected(*joined))

    def _weight(self, reach: int) -> Tensor:
        """Weigh the cells: 0 where a clipped lamp may ring, which is within a kernel's side of a clipped pixel."""
        near = 2 * -(-reach // CELL) + 1
        away = self.weight * (F.max_pool2d((self.weight < 1).float(), near, 1, near // 2) == 0)
        return away if float(away.sum()) > ENOUGH * float(self.weight.sum()) else self.weight


def restored(
    y: Tensor, blur: Tensor | LinearOperator, *, linear: bool, solve: Solve | None = None, levels: Tensor | None = None
) -> Tensor:
    """fd(y, k) of grey pictures (n, 1, h, w), encoded, in [0, 1].

    Args:
        blur: a kernel (1, 1, s, s), or an operator. solve: takes the place of `fd`. levels: of the noise, (n,); None:
            estimated.
    """
    problem = Problem(y, Blur(blur, "valid") if isinstance(blur, Tensor) else blur, linear=linear, sigma=levels)
    problem = replace(problem, sigma=behind_estimated(problem))
    x = problem.crop((solve or classical)(problem)).clamp(0, 1)
    return linear_to_srgb(x) if linear else x


@torch.no_grad()
def trust(before: Tensor, after: Tensor) -> Tensor:
    """Weigh a result against its input: 1 where the critic sees it nearer to the truth, 0 where farther.

    Args:
        before, after: a picture and its restoration, grey, encoded, (1, 1, H, W) in [0, 1].

    Returns:
        (1, 1, H, W) in [0, 1], smooth.
    """
    h, w = before.shape[-2:]
    room = (0, -w % CELL, 0, -h % CELL)
    y, x = (F.pad(v.float(), room, mode="replicate") for v in (before, after))
    told = _bands(y, x)
    ratio = F.avg_pool2d(told[:, 1:], SMOOTH, 1, SMOOTH // 2, count_include_pad=False)
    share = ((DOUBTED - ratio) / (DOUBTED - TAKEN)).clamp(0, 1)
    return F.interpolate(share, scale_factor=CELL, mode="bilinear")[..., :h, :w].to(before)


def _bands(y: Tensor, x: Tensor) -> Tensor:
    """Run the critic on a large picture, `BAND` rows at a time with a margin of its view."""
    rows, found = y.shape[-2], list[Tensor]()
    for top in range(0, rows, BAND):
        first, last = max(0, top - VIEW), min(rows, top + BAND + VIEW)
        told = shipped()(y[..., first:last, :], x[..., first:last, :])
        begin = (top - first) // CELL
        found.append(told[..., begin : begin + min(BAND, rows - top) // CELL, :])
    return torch.cat(found, -2)


@cache
def shipped() -> Critic:
    """The critic with its shipped weights."""
    critic = Critic()
    critic.load_state_dict(embedded("critic").tensors)
    return critic.eval()
