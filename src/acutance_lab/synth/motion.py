r"""Sharp photographs as a moving camera sees them, with objects that move on their own.

    x(p) = 1/T sum_t  S_t(p),    S_t = l_1 over l_2 over ... over L( H_t p ),    y = camera( x )

Camera shake is a path of homographies H_t (Whyte et al. 2010), an object l its own path on top of the camera's. All
paths pass through the identity in the middle of the exposure, and that moment S_0 is the sharp picture. Sums are of
linear light, as on a sensor; what goes wrong otherwise is told by Nah et al. 2017 and Rim et al. 2022.

The trap of interpolation: a warp by a fraction of a pixel softens, and a sharp picture that has been warped teaches a
network to soften. The middle moment is cut out, never interpolated, both in the sum and as the answer. The others are
bilinear; this adds at most 1/4 pixel^2 to the variance of a blur, which pixels of a sensor do as well.

References: `whyte2010nonuniform`, `nah2017deep`, `nah2019ntire`, `rim2020real`, `rim2022realistic`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError, ImageError
from acutance.problem import Problem
from acutance_lab.synth.camera import Camera, Draw, Layer, Range, axis, exposed
from acutance_lab.synth.degradation import Example, luma

MOMENTS = 61
"""Moments of a path; the one in the middle is that of the sharp picture."""

MIDDLE = MOMENTS // 2

TURN = (0.25, 0.1)
"""How far turning and zooming move the corners, of how far shifting does; standard deviations."""


@dataclass(frozen=True, eq=False)
class Movement:
    """How the camera and up to K objects move during the exposure of B pictures.

    Args:
        maps: (B, 1 + K, MOMENTS, 3, 3), from a place in the picture to the place of the scene that is seen there, in
            pixels from the centre (x, y, 1); first the background, then objects from far to near.
        objects: (B,) how many of the K there are.
        centres: (B, K, 2) where they are at the middle moment (x, y). radii: (B, K, 2) their half axes, pixels.
        extent: (B, 1 + K) pixels between the two moments of a path that are farthest apart, where that is largest.
        frames: (B,) odd number of sub-frames; 1 where nothing moves.
    """

    maps: Tensor
    objects: Tensor
    centres: Tensor
    radii: Tensor
    extent: Tensor
    frames: Tensor

    @property
    def severity(self) -> Tensor:
        """Extent of the camera's blur in pixels, (B,): what to report, and to balance batches by."""
        return self.extent[:, 0]

    def __getitem__(self, which: Tensor) -> Movement:
        """The movements of some of the pictures, by index or mask."""
        parts = (self.maps, self.objects, self.centres, self.radii, self.extent, self.frames)
        return Movement(*(part[which] for part in parts))


@dataclass(frozen=True)
class DynamicBlur:
    """Pictures blurred by a moving camera and moving objects; draws everything from the Generator it is given.

    Args:
        extent: range of a blur's extent in pixels, log-uniform, of the camera and of objects beside it; see `Movement`.
        still: share of pictures in which nothing moves. steady: share in which the camera does not, but objects do.
        objects: share of pictures with 0, 1, 2, ... objects.
        memory: range of the time over which a velocity forgets itself, log-uniform, 1 being the exposure: long ones
            make straight paths, short ones scribbles.
        frames: least and most sub-frames; within it as many as steps of 1 pixel take, times 1 to 1.5.
        clipped: share of pictures whose *sub-frames* are clipped. A sensor sums all light and clips the sum, so that a
            lamp leaves a saturated streak; GoPro (Nah et al. 2017) and REDS (Nah et al. 2019) average frames that were
            clipped one by one, so that it leaves a dull one. Users have the first, benchmarks the second.
        grey: share of pictures made grey, with one noise field for the three channels.
        camera: lens, tone curve, sensor and file.
    """

    extent: Range = (1.0, 40.0)
    still: float = 0.06
    steady: float = 0.1
    objects: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    memory: Range = (0.2, 8.0)
    frames: tuple[int, int] = (15, MOMENTS)
    clipped: float = 0.5
    grey: float = 0.05
    camera: Camera = field(default_factory=Camera)

    def __post_init__(self) -> None:
        low, high = self.extent
        if not 0 < low <= high:
            raise ConfigError(f"extent {self.extent}: give two lengths above 0 in pixels, the smaller one first")
        if not 1 <= self.frames[0] <= self.frames[1]:
            raise ConfigError(f"frames {self.frames}: give two numbers from 1 on, the smaller one first")

    def margin(self, span: int | None = None) -> int:
        """Pixels that are cut off on each side, so that nothing beyond the photograph is ever seen."""
        return (self if span is None else self.limited(span)).reach + self.camera.margin

    @property
    def reach(self) -> int:
        """Pixels beyond the frame that may come into it: the largest extent, 5 % for perspective, interpolation."""
        return math.ceil(1.05 * self.extent[1]) + 1

    def limited(self, span: int) -> DynamicBlur:
        """The same with no blur longer than `span` pixels."""
        low, high = self.extent
        return replace(self, extent=(min(low, span), min(high, span)))

    def __call__(
        self, sharp: Tensor, generator: torch.Generator, *, span: int | None = None, one_channel: bool = False
    ) -> Example:
        """Blur pictures.

        Args:
            sharp: (B, 3, H', W') in [0, 1], larger than the result by `margin(span)` on each side.
            span: the longest blur, pixels; None: that of `extent`.
            one_channel: all of them grey, on one channel.

        Returns:
            The problem, of unknown blur, and the sharp picture, both (B, C, H' - 2 margin, W' - 2 margin).

        Raises:
            ImageError: a picture that the margin leaves nothing of.
        """
        blur, (b, _, height, width) = self if span is None else self.limited(span), sharp.shape
        m = blur.margin()
        movement = blur.draw(b, (max(height - 2 * m, 1), max(width - 2 * m, 1)), generator)
        return blur.expose(sharp, movement, generator, one_channel=one_channel)

    @torch.no_grad()
    def draw(self, n: int, size: tuple[int, int], generator: torch.Generator) -> Movement:
        """Movements for n pictures of `size` (height, width) *after* the margin is cut off."""
        draw = Draw(n, generator)
        k, extent = len(self.objects) - 1, draw.log_uniform(self.extent)
        rest = draw.uniform()
        still, steady = rest < self.still, rest < self.still + self.steady
        extent = torch.where(steady, 0.0, extent)
        half = torch.tensor([(size[1] - 1) / 2, (size[0] - 1) / 2], device=extent.device)  # x, y
        camera = homographies(
            walks(draw, 4, draw.log_uniform(self.memory)),
            draw.normal(2).abs() * half.new_tensor(TURN),
            centre=0.5 * half * draw.normal(2),
            focal=2 * half.max() * draw.log_uniform((1.0, 8.0)),
            extent=extent,
            half=half,
        )
        shares = torch.tensor(self.objects, device=extent.device)
        count = torch.multinomial(shares, n, replacement=True, generator=generator)
        centres = half * draw.uniform((-1.0, 1.0), k, 2)
        radii = (
            draw.log_uniform((0.2, 0.9), k)[..., None] * half.min().clamp_min(1) * torch.exp(0.4 * draw.normal(k, 2))
        )
        maps = [camera]
        for i in range(k):
            own = torch.minimum(draw.log_uniform(self.extent), self.extent[1] - extent)
            turn = draw.normal(2).abs() * half.new_tensor(TURN)
            path = walks(draw, 4, draw.log_uniform((0.5, 6.0)))
            far = torch.full_like(extent, math.inf)
            own_maps = homographies(
                path, turn, centre=centres[:, i], focal=far, extent=torch.where(still, 0.0, own), half=half
            )
            maps.append(own_maps @ camera)
        moved = torch.stack(maps, 1)  # (n, 1 + k, MOMENTS, 3, 3)
        moved = moved / moved[..., 2:, 2:]
        places = displacements(moved, half)
        there = torch.arange(k + 1, device=extent.device) <= count[:, None]  # (n, 1 + k)
        step = places.diff(dim=2).norm(dim=-1).amax((2, 3)).mul(there).amax(1) * (MOMENTS - 1)
        frames = (step * draw.uniform((1.0, 1.5))).clamp(self.frames[0] - 1, (self.frames[1] - 1) // 2 * 2)
        frames = torch.where(step > 0, 2 * (frames / 2).ceil() + 1, 1.0).long()
        return Movement(moved, count, centres, radii, span(places), frames)

    @torch.no_grad()
    def expose(
        self, sharp: Tensor, movement: Movement, generator: torch.Generator, *, one_channel: bool = False
    ) -> Example:
        """Blur pictures as calling does, by movements that were drawn before, with `size` that of the result."""
        b, _, height, width = sharp.shape
        m = self.margin()
        if min(height, width) <= 2 * m:
            raise ImageError(f"pictures of {height}x{width} pixels: give more than {2 * m} a side, the margin is {m}")
        draw = Draw(b, generator)
        grey = draw.pick(1.0 if one_channel else self.grey)
        sharp = torch.where(grey[:, None, None, None], luma(sharp), sharp)
        tone = self.camera.tone(b, generator)
        light = self.camera.scene(sharp, tone, generator)
        white = torch.where(draw.pick(self.clipped) | tone.none, 1.0, math.inf)  # encoded frames are clipped ones
        order = movement.frames.argsort(descending=True, stable=True)  # so that those still exposed come first
        objects = cut_out(light, movement, order, Draw(b, generator))
        total, middle = exposed(
            light[order], movement.maps[order], movement.frames[order], objects, white[order], self.reach
        )
        back = order.argsort()
        y = self.camera.record(total[back], tone, generator, grey=grey)
        answer, channels = tone.encode(middle[back]), 1 if one_channel else 3
        return Example(answer[:, :channels].contiguous(), Problem(y[:, :channels].contiguous()))


def walks(draw: Draw, paths: int, memory: Tensor) -> Tensor:
    """Integrals of damped random velocities, as of a hand's tremor: (n, paths, MOMENTS), 0 in the middle.

    v_k = r v_{k-1} + sqrt(1 - r^2) z_k,    x_k = x_{k-1} + v_k,    r = exp(-1 / (memory MOMENTS))
    """
    r = torch.exp(-1 / (memory * MOMENTS))[:, None, None]
    k = torch.arange(MOMENTS, device=memory.device)
    lag = k[:, None] - k
    filters = torch.where(lag >= 0, r ** lag.clamp_min(0), 0.0) * torch.where(k == 0, 1.0, torch.sqrt(1 - r * r))
    x = (draw.normal(paths, MOMENTS) @ filters.mT).cumsum(-1)
    return x - x[..., MIDDLE : MIDDLE + 1]


def homographies(walk: Tensor, turn: Tensor, *, centre: Tensor, focal: Tensor, extent: Tensor, half: Tensor) -> Tensor:
    """Paths of homographies of the given extent through the identity: (n, MOMENTS, 3, 3), pixels from the centre.

        H p = ( c + e^z R(a) (p - c) + s ) / ( 1 - s'p / f^2 )

    The denominator is what makes a shift s by a turn of the camera out of one parallel to its sensor.

    Args:
        walk: (n, 4, MOMENTS) paths of s (x, y), a and z, scaled here.
        turn: (n, 2) how far a and z move the corners, in units of the shift's range.
        centre: c, (n, 2). focal: f in pixels, (n,); infinite: no perspective.
        extent: (n,) pixels. half: (2,) half the width and height of the picture.
    """
    shift, spin = walk[:, :2], walk[:, 2:]
    shift = shift / _range(shift).amax(1, keepdim=True)
    spin = spin / _range(spin) * (turn / half.norm())[:, :, None]
    size = torch.ones_like(extent)
    for _ in range(3):  # perspective and turns are not quite proportional to their size
        maps = _maps(size[:, None, None] * shift, size[:, None, None] * spin, centre, focal)
        size = size * extent / span(displacements(maps[:, None], half))[:, 0].clamp_min(1e-9)
    return torch.where((extent > 0)[:, None, None, None], maps, torch.eye(3, device=maps.device))


def displacements(maps: Tensor, half: Tensor) -> Tensor:
    """Where the middle and the corners go, which go farthest: (n, paths, MOMENTS, 5, 2) pixels from them (x, y)."""
    places = torch.tensor([[0, 0], [-1, -1], [-1, 1], [1, -1], [1, 1]], device=half.device) * half  # (5, 2)
    seen = F.pad(places, (0, 1), value=1.0) @ maps.mT  # (n, paths, MOMENTS, 5, 3)
    return seen[..., :2] / seen[..., 2:] - places


def span(places: Tensor) -> Tensor:
    """Largest extent in pixels of the paths (n, paths, MOMENTS, 5, 2) over the places: (n, paths).

    The widest of the projections onto 16 directions, at most 0.5 % below the diameter.
    """
    angle = torch.arange(16, device=places.device) * (math.pi / 16)
    along = places @ torch.stack((angle.cos(), angle.sin()))  # (n, paths, MOMENTS, 5, 16)
    return (along.amax(2) - along.amin(2)).amax((2, 3))


def cut_out(light: Tensor, movement: Movement, order: Tensor, draw: Draw) -> list[Layer]:
    """Objects cut out of the photographs of the batch.

    Half of them come from the picture itself, mirrored, half from any other one, mirrored or not.

    Args:
        light: (B, 3, H', W'). order: (B,) how the pictures are sorted later.

    Returns:
        The farthest object of every picture that has one, the next, ...
    """
    b, k, dev = light.shape[0], movement.centres.shape[1], light.device
    other = (draw.uniform((0.0, 1.0), k) * b).long().clamp_max(b - 1)
    itself = torch.arange(b, device=dev)[:, None]
    source = torch.where(draw.pick(0.5, k), itself, other)
    mirror = draw.pick(0.5, k, 2)
    mirror[..., 0] |= (source == itself) & ~mirror.any(-1)
    square, uneven, soft = draw.uniform((0.0, 1.0), k), draw.uniform((0.0, 0.3), k, 2), draw.uniform((1.0, 2.0), k)
    angle, bumps = draw.uniform((0.0, math.pi), k), draw.normal(k, 7, 7)
    found = []
    for d in range(k):
        rows = (movement.objects[order] > d).nonzero()[:, 0]
        if len(rows) == 0:
            break
        at = order[rows]
        x = light[source[at, d]]  # (m, 3, H', W')
        x = torch.where(mirror[at, d, 0, None, None, None], x.flip(-1), x)
        x = torch.where(mirror[at, d, 1, None, None, None], x.flip(-2), x)
        shape = outlines(x, movement.centres[at, d], movement.radii[at, d], angle[at, d], square[at, d])
        shape = shape + relief(x, bumps[at, d], uneven[at, d])
        mask = antialiased(shape, soft[at, d])
        found.append(Layer(rows, torch.cat((mask * x, mask), 1)))
    return found


def outlines(like: Tensor, centre: Tensor, radius: Tensor, angle: Tensor, square: Tensor) -> Tensor:
    """1 in the middle of an object, 0 on its outline, negative beyond: (n, 1, H, W).

    Between an ellipse and a rectangle, by `square` (n,) in [0, 1]; centre (n, 2) and half axes (n, 2) in pixels.
    """
    x, y = axis(like.shape[-1], like), axis(like.shape[-2], like)
    right, down = x - centre[:, 0, None, None], y[:, None] - centre[:, 1, None, None]
    c, s = angle.cos()[:, None, None], angle.sin()[:, None, None]
    across = ((c * right + s * down) / radius[:, 0, None, None]).abs()
    along = ((c * down - s * right) / radius[:, 1, None, None]).abs()
    distance = torch.lerp(torch.hypot(across, along), torch.maximum(across, along), square[:, None, None])
    return (1 - distance)[:, None]


def relief(light: Tensor, bumps: Tensor, strength: Tensor) -> Tensor:
    """Smooth noise and the brightness of the texture itself, so that outlines follow edges: (n, 1, H, W)."""
    size = light.shape[-2:]
    smooth = F.interpolate(bumps[:, None], size=size, mode="bicubic")
    tones = F.avg_pool2d(light.mean(1, keepdim=True).clamp_max(1).sqrt(), 4, ceil_mode=True)
    tones = (tones - tones.mean((2, 3), keepdim=True)) / tones.std((2, 3), correction=0, keepdim=True).clamp_min(0.02)
    tones = F.interpolate(tones, size=size, mode="bilinear")
    both = strength[:, 0, None, None, None] * smooth + strength[:, 1, None, None, None] * tones
    return both.clamp(-0.6, 0.6)  # beyond that objects fall to pieces


def antialiased(shape: Tensor, width: Tensor) -> Tensor:
    """Masks (n, 1, H, W) in [0, 1] of where `shape` is positive, with borders `width` (n,) pixels wide."""
    dy, dx = torch.gradient(shape, dim=(2, 3))
    slope = torch.hypot(dx, dy).clamp_min(1e-4)
    return (0.5 + shape / (slope * width[:, None, None, None])).clamp(0, 1)


def _range(x: Tensor) -> Tensor:
    return (x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True)).clamp_min(1e-9)


def _maps(shift: Tensor, spin: Tensor, centre: Tensor, focal: Tensor) -> Tensor:
    """(n, 2, MOMENTS) shifts and (n, 2, MOMENTS) angles and logarithms of scale to (n, MOMENTS, 3, 3)."""
    scale = torch.exp(spin[:, 1])
    c, s = scale * torch.cos(spin[:, 0]), scale * torch.sin(spin[:, 0])
    cx, cy = centre[:, :1], centre[:, 1:]
    tilt = -shift / focal[:, None, None].square()
    rows = (
        torch.stack((c, -s, cx + shift[:, 0] - (c * cx - s * cy)), -1),
        torch.stack((s, c, cy + shift[:, 1] - (s * cx + c * cy)), -1),
        torch.stack((tilt[:, 0], tilt[:, 1], torch.ones_like(c)), -1),
    )
    return torch.stack(rows, -2)
