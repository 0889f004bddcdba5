r"""Straight edges of a picture and how wide they are: a slanted edge shows the blur across it.

An edge is one straight step in a round window, blurred by a Gaussian,

    y(p) = A + B Phi((p . n - d) / s),        n = (sin t, cos t), rows and columns,

with Phi the cumulative distribution of the standard normal. A, B, t, d and s are fitted to all pixels of the window by
damped least squares; the pixels lie at all distances from a slanted edge, so the profile is sampled far finer than the
pixels (ISO 12233). A pixel collects light on its whole square, which no restoration in pixels undoes:

    variance = s^2 - 1/12        of the lens alone, across the edge, in pixels^2.

Of blur below 0.6 pixels the answer is too low, as samples hardly show it: a sampled Gaussian of 0.5 has 0.38.
Windows with more than one step, a curved one, a clipped sample or a width that noise leaves open are rejected.

Reference: ISO 12233:2017, for the slanted edge; the fit replaces the table of its profile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PIXEL = 1 / 12
"""Variance of the square of a pixel across any direction."""

REACH = 14
"""Radius of a window, pixels; a Gaussian of up to a quarter of it fits in."""

STRIDE = 10  # side of the squares of which each gives one window
LEAST_CONTRAST = 0.08  # |B|, of the range
LEAST_OVER_NOISE = 10.0  # slope of an edge by the deviation of the slope in even places
STRAIGHT = 0.15  # second by first eigenvalue of the slopes in a window, at most
MOST_RESIDUAL = 0.035  # of |B|, beside the noise: corners, lines and curves leave more
NOISE = 1.15  # how far the residual of an edge may exceed the noise of its window
MOST_ERROR = 0.06  # standard error of s, of s
WHITE = 0.98  # linear light from which a window counts as clipped
ROUNDS, CHUNK = 14, 512
REGIONS, MOST_WINDOWS = 6, 100  # along a side of the picture; windows of each region, those with the steepest slopes
NARROWEST = 0.3  # s, pixels; below it the samples do not tell


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges, n of them.

    Args:
        place: (n, 2), y and x, pixels. normal: (n, 2), unit vectors across the edge, y and x.
        variance: (n,), of the blur across, pixels^2; noise may make it negative. error: (n,), its standard error.
            All double.
    """

    place: Tensor
    normal: Tensor
    variance: Tensor
    error: Tensor

    def __len__(self) -> int:
        return len(self.place)

    def at(self, which: Tensor) -> Edges:
        """Some of them. Args: which: indices, or (n,) bool."""
        return Edges(self.place[which], self.normal[which], self.variance[which], self.error[which])


def joined(parts: list[Edges]) -> Edges:
    """All edges of several pictures."""
    empty = torch.zeros(0, 2, dtype=torch.float64)
    every = [*parts, Edges(empty, empty, empty[:, 0], empty[:, 0])]
    return Edges(*(torch.cat([getattr(p, n) for p in every]) for n in ("place", "normal", "variance", "error")))


@torch.no_grad()
def find_edges(light: Tensor, reach: int = REACH) -> Edges:
    """Measure the straight edges of one channel.

    Args:
        light: (H, W), linear light, white being 1. reach: radius of a window, pixels.
    """
    light = light.double().nan_to_num(1.0)
    if min(light.shape) < 2 * reach + 3:
        return joined([])
    down, across = _slopes(light)
    steep = (down.square() + across.square()).sqrt()
    floor = LEAST_OVER_NOISE * float(steep.flatten()[:: max(1, steep.numel() // 1_000_000)].median()) / 3
    least = max(LEAST_CONTRAST / (2.5 * reach), min(floor, LEAST_CONTRAST / 6))
    middles = _candidates(steep, reach, least)
    planes = (light, down, across, _fine(light))
    return joined([_fitted(planes, part, reach) for part in torch.split(middles, CHUNK)])


def _fine(light: Tensor) -> Tensor:
    """Size of the finest detail, small on edges; its median tells the noise (Immerkaer 1996)."""
    bend = light.new_tensor([1.0, -2.0, 1.0])
    mask = bend[:, None] * bend
    return F.conv2d(F.pad(light[None, None], (1, 1, 1, 1), mode="replicate"), mask[None, None])[0, 0].abs() / 6


def _slopes(light: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes down and across, of the picture smoothed a little."""
    step = light.new_tensor([-1.0, 0.0, 1.0]) / 2
    smooth = light.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    y = F.pad(light[None, None], (2, 2, 2, 2), mode="replicate")
    y = F.conv2d(F.conv2d(y, smooth[None, None, None]), smooth[None, None, :, None])
    y = F.pad(y, (1, 1, 1, 1), mode="replicate")
    return (
        F.conv2d(y[..., 1:-1], step[None, None, :, None])[0, 0],
        F.conv2d(y[..., 1:-1, :], step[None, None, None])[0, 0],
    )


def _candidates(steep: Tensor, reach: int, least: float) -> Tensor:
    """The steepest pixel of each square, (n, 2), whose window lies in the picture; a share for each region."""
    inner = steep[reach + 1 : -reach - 1, reach + 1 : -reach - 1]
    top, at = F.max_pool2d(inner[None, None], STRIDE, ceil_mode=True, return_indices=True)
    keep = top.flatten() > least
    value, place = top.flatten()[keep], at.flatten()[keep]
    middles = torch.stack((place // inner.shape[1], place % inner.shape[1]), 1)
    region = (middles * REGIONS // torch.tensor(inner.shape)) @ torch.tensor([REGIONS, 1])
    chosen = [middles[:0]]
    for number in sorted(set(region.tolist())):
        members = (region == number).nonzero().flatten()
        chosen.append(middles[members[value[members].topk(min(MOST_WINDOWS, len(members))).indices]])
    return torch.cat(chosen) + reach + 1


def _fitted(planes: tuple[Tensor, Tensor, Tensor, Tensor], middles: Tensor, reach: int) -> Edges:
    """The good edges among windows around `middles`, (n, 2), of a picture, its slopes and its finest detail."""
    axis = torch.arange(-reach, reach + 1)
    rows, cols = (g.flatten() for g in torch.meshgrid(axis, axis, indexing="ij"))
    disc = rows.square() + cols.square() <= reach * reach
    rows, cols = rows[disc], cols[disc]
    at = (middles[:, :1] + rows, middles[:, 1:] + cols)
    y, g, h, fine = (plane[at] for plane in planes)
    straight, angle = _direction(g, h)
    good = straight & (y.amax(1) < WHITE) & (y.amax(1) - y.amin(1) > LEAST_CONTRAST)
    middles, y, angle, noise = middles[good], y[good], angle[good], fine[good].median(1).values / 0.6745
    if not len(y):
        return joined([])
    p, residual, error = _least_squares(y, rows.double(), cols.double(), angle)
    s, contrast = p[:, 4], p[:, 1].abs()
    good = (
        (contrast > LEAST_CONTRAST)
        & (residual < torch.hypot(MOST_RESIDUAL * contrast, NOISE * noise))
        & (error < MOST_ERROR * s)
    )
    good &= (p[:, 3].abs() < reach / 2) & (s > NARROWEST) & (s < reach / 3.5)
    p, s = p[good], s[good]
    normal = torch.stack((p[:, 2].sin(), p[:, 2].cos()), 1)
    return Edges(middles[good] + p[:, 3:4] * normal, normal, s.square() - PIXEL, 2 * s * error[good])


def _direction(g: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Tell whether the slopes (n, m) down and across of each window have one direction, and the angle of it."""
    gg, hh, gh = (g * g).sum(1), (h * h).sum(1), (g * h).sum(1)
    spread = ((gg - hh).square() + 4 * gh.square()).sqrt()
    straight = gg + hh - spread < STRAIGHT * (gg + hh + spread)
    angle = torch.atan2(2 * gh, hh - gg) / 2
    return straight, angle + torch.where((g * angle.sin()[:, None] + h * angle.cos()[:, None]).sum(1) < 0, math.pi, 0.0)


def _least_squares(y: Tensor, rows: Tensor, cols: Tensor, angle: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fit A, B, t, d, s to windows (n, m).

    Returns:
        (n, 5); the root mean square of what is left, (n,); the standard error of s, (n,).
    """
    low, high = torch.quantile(y, y.new_tensor([0.1, 0.9]), dim=1)
    zero = torch.zeros_like(angle)
    p = torch.stack((low, high - low, angle, zero, zero + 1.2), 1)
    cost, damping = _model(p, rows, cols)[0].sub(y).square().sum(1), torch.full_like(angle, 1e-2)
    for _ in range(ROUNDS):
        value, slopes = _model(p, rows, cols)
        normal = slopes.transpose(1, 2) @ slopes
        scale = normal.diagonal(dim1=1, dim2=2).clamp_min(1e-12)
        right = (slopes.transpose(1, 2) @ (y - value)[..., None])[..., 0]
        step = torch.linalg.solve(normal + torch.diag_embed(scale * damping[:, None] + 1e-12), right)
        tried = p + step
        tried[:, 4] = tried[:, 4].clamp(0.15, 50)
        after = _model(tried, rows, cols)[0].sub(y).square().sum(1)
        better = after < cost
        p, cost = torch.where(better[:, None], tried, p), torch.where(better, after, cost)
        damping = torch.where(better, damping / 5, damping * 5).clamp(1e-9, 1e6)
    normal = _model(p, rows, cols)[1]
    inverse = torch.linalg.inv(normal.transpose(1, 2) @ normal + 1e-9 * torch.eye(5, dtype=y.dtype))
    variance = cost / (y.shape[1] - 5)
    return p, variance.sqrt(), (variance * inverse[:, 4, 4].clamp_min(0)).sqrt()


def _model(p: Tensor, rows: Tensor, cols: Tensor) -> tuple[Tensor, Tensor]:
    """y of the formula, (n, m), and its derivatives by A, B, t, d, s, (n, m, 5)."""
    a, b, t, d, s = (column[:, None] for column in p.unbind(1))
    along = rows * t.cos() - cols * t.sin()
    u = (rows * t.sin() + cols * t.cos() - d) / s
    phi = 0.5 * (1 + torch.erf(u / math.sqrt(2)))
    bell = b * torch.exp(-u.square() / 2) / (math.sqrt(2 * math.pi) * s)
    return a + b * phi, torch.stack((torch.ones_like(phi), phi, bell * along, -bell, -bell * u), -1)
