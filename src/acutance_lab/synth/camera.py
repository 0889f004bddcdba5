r"""What the camera is: its lens, its shutter, its sensor, tone curve and file.

    scene       L = T^-1(s), extended above white, softened by the lens     T: the tone curve, s: a photograph
    exposed     x = 1/T sum_t S_t, S_t the objects over L( H_t p )
    recorded    y = jpeg( quantise( T( clip( x + sqrt(a x + b) n ) ) ) )    x: light summed over the exposure

a and b are the variances of photon noise at white and of reading (`foi2008practical`). Light is linear, 1 is the white
that the sensor can just show; photographs are (B, 3, H, W), encoded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.images.colour import linear_to_srgb, srgb_to_linear
from acutance.tensors import crop
from acutance_lab.synth import kernels, noise

WHITE = 0.92
"""Light from which a channel of a photograph counts as clipped, so that its true value is unknown; 0.965 in sRGB."""

LENS = 3
"""Reach of the lens blur in pixels: its kernels have 2 LENS + 1."""

AREA = 16
"""Side in pixels of the squares over which the extent of a light source is judged."""

Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Draw:
    """n independent values at a time from a generator: (n, ...)."""

    n: int
    generator: torch.Generator

    def uniform(self, bounds: Range = (0.0, 1.0), *shape: int) -> Tensor:
        """Uniform between the bounds."""
        low, high = bounds
        u = torch.rand(self.n, *shape, generator=self.generator, device=self.generator.device)
        return low + (high - low) * u

    def log_uniform(self, bounds: Range, *shape: int) -> Tensor:
        """Between the bounds, which are positive, as many from a to 2 a as from 2 a to 4 a."""
        low, high = bounds
        return torch.exp(self.uniform((math.log(low), math.log(high)), *shape))

    def normal(self, *shape: int) -> Tensor:
        """Of mean 0 and variance 1."""
        return torch.randn(self.n, *shape, generator=self.generator, device=self.generator.device)

    def pick(self, share: float, *shape: int) -> Tensor:
        """True for that share."""
        return self.uniform((0.0, 1.0), *shape) < share


@dataclass(frozen=True, eq=False)
class Tone:
    """A tone curve for each picture: a power or sRGB, then an S with steep middle.

        T(x) = S( x^(1/g) ),    S(e) = e^c / (e^c + (1 - e)^c),    S^-1 is S with 1/c

    g = c = 1 is no curve: then encoded values are averaged as they are.

    Args:
        gamma: g, (B,). srgb: (B,) bool, where the sRGB curve takes the place of the power. contrast: c >= 1, (B,).
    """

    gamma: Tensor
    srgb: Tensor
    contrast: Tensor

    @property
    def none(self) -> Tensor:
        """(B,) bool, where there is no curve."""
        return ~self.srgb & (self.gamma == 1) & (self.contrast == 1)

    def decode(self, encoded: Tensor) -> Tensor:
        """T^-1: encoded values (B, 3, H, W) in [0, 1] to linear light in [0, 1]."""
        e = _s_curve(encoded, 1 / self.contrast)
        return torch.where(each(self.srgb), srgb_to_linear(e), e ** each(self.gamma))

    def encode(self, light: Tensor) -> Tensor:
        """T: linear light (B, 3, H, W), clipped to [0, 1], to encoded values in [0, 1]."""
        x = light.clamp(0, 1)
        return _s_curve(torch.where(each(self.srgb), linear_to_srgb(x), x ** each(1 / self.gamma)), self.contrast)


@dataclass(frozen=True, eq=False)
class Layer:
    """One object in some pictures of a batch.

    Args:
        rows: (m,) the pictures, rising.
        light: (m, 4, H', W'), the object's light times its mask, and the mask, in [0, 1].
    """

    rows: Tensor
    light: Tensor


@dataclass(frozen=True)
class Camera:
    """How cameras differ; every range is drawn log-uniformly.

    Args:
        srgb: share with the sRGB curve; the others have a power of `gamma`.
        gamma: exponent of the power.
        contrast: exponent of the S-curve, from 1 (none).
        encoded: share of pictures whose encoded values are averaged instead of light, as in the linear version of
            GoPro (Nah et al. 2017). Their mean stays; one of light is brighter than its sharp picture once encoded.
        lights: share of pictures whose clipped places are light sources, brighter than white.
        gain: by how much small ones are; those that fill squares of `AREA` pixels, such as skies, stay white.
        defocus: share of pictures that the lens softens, by a disc or a Gaussian of at most `LENS` pixels of reach.
        disc: radius in pixels. gaussian: standard deviation in pixels.
        noisy: share of pictures with noise.
        shot: a, variance of the photon noise at white. read: standard deviation of the noise of reading, sqrt(b).
        correlated: share with noise as after demosaicing.
        jpeg: share of pictures compressed. quality: 1 to 100.
        bits: quantisation; 0 leaves the values continuous.

    The lens belongs to the scene, so the sharp picture has gone through it as well: what optics removed is no motion
    blur, and a network that had to bring it back would learn to invent it, and to sharpen what is sharp already. All
    else of this class is done to the blurred picture only, but for the tone curve.
    """

    srgb: float = 0.5
    gamma: Range = (1.8, 2.4)
    contrast: Range = (1.0, 1.25)
    encoded: float = 0.0
    lights: float = 0.3
    gain: Range = (1.5, 8.0)
    defocus: float = 0.1
    disc: Range = (0.6, 1.8)
    gaussian: Range = (0.3, 0.9)
    noisy: float = 0.7
    shot: Range = (1e-5, 2e-3)
    read: Range = (1e-4, 2e-3)
    correlated: float = 0.3
    jpeg: float = 0.3
    quality: Range = (60.0, 98.0)
    bits: int = 8

    @property
    def margin(self) -> int:
        """Pixels on each side that the lens uses up."""
        return LENS if self.defocus else 0

    def tone(self, n: int, generator: torch.Generator) -> Tone:
        """Draw n tone curves."""
        draw = Draw(n, generator)
        gamma, kind, contrast = draw.log_uniform(self.gamma), draw.uniform(), draw.log_uniform(self.contrast)
        none = 1024 * kind % 1 < self.encoded  # no further draw: all else is the same with any share
        return Tone(gamma.masked_fill(none, 1), (kind < self.srgb) & ~none, contrast.masked_fill(none, 1))

    @torch.no_grad()
    def scene(self, sharp: Tensor, tone: Tone, generator: torch.Generator) -> Tensor:
        """The light that photographs stand for, through the lens.

        Args:
            sharp: (B, 3, H, W) in [0, 1].

        Returns:
            (B, 3, H - 2 margin, W - 2 margin), at least 0; above 1 where there are light sources.
        """
        draw = Draw(sharp.shape[0], generator)
        light = tone.decode(sharp)
        if self.lights:
            gain = torch.where(draw.pick(self.lights), draw.log_uniform(self.gain), 1.0)
            light = extended(light, gain)
        if self.defocus:
            soft, round_ = draw.pick(self.defocus), draw.pick(0.5)
            radius, sigma = draw.log_uniform(self.disc), draw.log_uniform(self.gaussian)
            side = 2 * LENS + 1
            lens = torch.where(each(round_), kernels.disc(radius, side), kernels.gaussian(sigma, side))
            inner = crop(light, LENS, LENS).contiguous()
            chosen = soft.nonzero()[:, 0]
            inner[chosen] = through(light[chosen], lens[chosen])
            light = inner
        return light

    @torch.no_grad()
    def record(self, light: Tensor, tone: Tone, generator: torch.Generator, *, grey: Tensor | None = None) -> Tensor:
        """The file that the camera writes.

        Args:
            light: (B, 3, H, W), summed over the exposure; 1 is white.
            grey: (B,) bool, pictures with one noise field for the three channels.

        Returns:
            (B, 3, H, W) in [0, 1], encoded.
        """
        n = light.shape[0]
        draw = Draw(n, generator)
        if self.noisy:
            noisy, shot, read = draw.pick(self.noisy), draw.log_uniform(self.shot), draw.log_uniform(self.read)
            correlated = draw.pick(self.correlated) if grey is None else draw.pick(self.correlated) & ~grey
            none, one = torch.zeros_like(light), torch.ones_like(shot)
            field = noise.gaussian(none, one, generator, shared=grey)
            bayer = correlated.nonzero()[:, 0]
            field[bayer] = noise.demosaiced(none[bayer], one[bayer], generator)
            variance = each(noisy * shot) * light.clamp_min(0) + each(noisy * read**2)
            light = torch.addcmul(light, variance.sqrt(), field)
        return filed(tone.encode(light), draw, bits=self.bits, jpeg=self.jpeg, quality=self.quality)


def filed(y: Tensor, draw: Draw, *, bits: int, jpeg: float, quality: Range) -> Tensor:
    """Pictures (B, 3, H, W) in files: quantised unless `bits` is 0, a share of them compressed at some quality."""
    if bits:
        y = noise.quantise(y, bits)
    if jpeg:
        chosen = draw.pick(jpeg).nonzero()[:, 0]
        y[chosen] = noise.jpeg(y[chosen], draw.log_uniform(quality)[chosen])
    return y


def extended(light: Tensor, gain: Tensor) -> Tensor:
    """Light beyond white where a photograph has clipped it, so that lights in motion leave saturated streaks.

        L (1 + (g - 1) t^2 (1 - c)^2),    t = (M - WHITE) / (1 - WHITE) in [0, 1]

    M is the second largest of the three channels: of a red wall in the sun one channel is clipped, and were that one
    made brighter the wall would turn into neon. c is the mean of t around: a lamp is many times brighter than white,
    an overcast sky is not.

    Args:
        light: L, (B, 3, H, W) in [0, 1]. gain: g >= 1, (B,).
    """
    clipped = ((_second(light) - WHITE) / (1 - WHITE)).clamp(0, 1)
    return light * (1 + each(gain - 1) * _small(clipped))


def lit(light: Tensor, gain: Tensor, share: float = 0.005) -> Tensor:
    """The brightest places as lamps, g times as bright as white, whether the photograph has clipped them or not.

        L (1 + (g / m - 1) t^2 (1 - c)^2),    t = (M - q) / (m - q) in [0, 1]

    M and c as of `extended`; m is the maximum of M, q its quantile of 1 - share. A picture with g = 1 is left as it is.

    Args:
        light: L, (B, 3, H, W) in [0, 1]. gain: g, (B,). share: of the pixels that may shine.
    """
    second = _second(light)  # (B, 1, H, W)
    values = second[..., ::2, ::2].flatten(1)
    low = values.kthvalue(max(1, round((1 - share) * values.shape[1])), 1).values
    high = second.amax((1, 2, 3))
    shining = ((second - each(low)) / each((high - low).clamp_min(0.01))).clamp(0, 1)
    more = torch.where(gain > 1, (gain / high.clamp_min(0.05)).clamp_min(1), 1.0)
    return light * (1 + each(more - 1) * _small(shining))


def _second(light: Tensor) -> Tensor:
    """The second largest of three channels, (B, 1, H, W)."""
    a, b, c = light.unbind(1)
    second = torch.maximum(
        torch.minimum(a, b), torch.minimum(torch.maximum(a, b), c)
    )  # a median takes 30 times as long
    return second[:, None]


def _small(t: Tensor) -> Tensor:
    """t^2 (1 - c)^2 of (B, 1, H, W): what shines, if it does not fill squares of `AREA` pixels."""
    around = F.avg_pool2d(t, AREA, ceil_mode=True)
    around = F.interpolate(around, size=t.shape[-2:], mode="bilinear")
    return (t * (1 - around)).square()


def through(light: Tensor, lens: Tensor) -> Tensor:
    """Convolve each picture (B, C, H, W) with its kernel (B, 1, s, s), nothing beyond the border: H - s + 1 remain."""
    b = light.shape[0]
    if b == 0:
        return crop(light, lens.shape[-2] // 2, lens.shape[-1] // 2)
    out = F.conv2d(light.transpose(0, 1), lens, groups=b)  # (C, B, H - s + 1, W - s + 1); kernels are symmetric
    return out.transpose(0, 1)


def exposed(
    scene: Tensor, maps: Tensor, frames: Tensor, objects: Sequence[Layer], white: Tensor, margin: int
) -> tuple[Tensor, Tensor]:
    """The mean of the light over the exposure and the light of its middle, both (B, 3, H' - 2 margin, W' - 2 margin).

    The middle is cut out of the scene, all other moments are interpolated. One sub-frame is held at a time.

    Args:
        scene: (B, 3, H', W') linear light, sorted by falling number of frames.
        maps: (B, 1 + K, moments, 3, 3) of the background and the objects, for `warped`; the identity in the middle.
        frames: (B,) odd number of sub-frames, evenly between the first and the last moment.
        objects: from far to near.
        white: (B,) where sub-frames are clipped; infinite: not at all.
    """
    size, last = (scene.shape[-2] - 2 * margin, scene.shape[-1] - 2 * margin), maps.shape[2] - 1
    counts, rows = frames.tolist(), [layer.rows.tolist() for layer in objects]
    limit, each = white[:, None, None, None], frames[:, None]
    middle = crop(scene, margin, margin).clone()
    for layer in objects:
        middle[layer.rows] = over(crop(layer.light, margin, margin), middle[layer.rows])
    total = torch.minimum(middle, limit)
    j = torch.arange(max(counts) - 1, device=scene.device)
    j = j + (j >= each // 2)  # (B, frames - 1) all but the middle
    time = (j / (each - 1).clamp_min(1) * last).clamp_max(last)
    low = time.long().clamp_max(last - 1)
    b = torch.arange(len(counts), device=scene.device)[:, None]
    part = (time - low)[:, :, None, None, None]
    maps = torch.lerp(maps[b, :, low], maps[b, :, low + 1], part)  # (B, frames - 1, 1 + K, 3, 3)
    for i in range(max(counts) - 1):
        n = sum(i < c - 1 for c in counts)
        frame = warped(scene[:n], maps[:n, i, 0], size)
        for d, layer in enumerate(objects):
            r = layer.rows[: sum(row < n for row in rows[d])]
            if len(r):
                frame[r] = over(warped(layer.light[: len(r)], maps[r, i, 1 + d], size), frame[r])
        total[:n] += torch.minimum(frame, limit[:n])
    return total / frames[:, None, None, None], middle


def over(front: Tensor, behind: Tensor) -> Tensor:
    """Light of `front` (n, 4, H, W), multiplied by its mask, the fourth channel, before `behind` (n, 3, H, W)."""
    return front[:, :3] + (1 - front[:, 3:]) * behind


def warped(scene: Tensor, maps: Tensor, size: tuple[int, int]) -> Tensor:
    """What is seen of scenes (n, C, H', W') through homographies (n, 3, 3), bilinear: (n, C, *size).

    Places are pixels from the centre, of the scene as of the result. There is nothing beyond the scene: 0.
    """
    unit = maps.new_tensor([2 / scene.shape[-1], 2 / scene.shape[-2], 1])[:, None]  # the scene is 2 wide and high
    m = maps * unit
    x, y = axis(size[1], scene), axis(size[0], scene)
    right = (m[..., 0, None] * x).mT[:, None]  # (n, 1, W, 3)
    down = (m[..., 1, None] * y + m[..., 2, None]).mT[:, :, None]  # (n, H, 1, 3)
    grid = (right[..., :2] + down[..., :2]) / (right[..., 2:] + down[..., 2:])  # (n, H, W, 2)
    return F.grid_sample(scene, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def axis(n: int, like: Tensor) -> Tensor:
    """Pixels from the centre, (n,)."""
    return torch.arange(n, device=like.device, dtype=like.dtype) - (n - 1) / 2


def each(values: Tensor) -> Tensor:
    """(B,) beside pictures (B, C, H, W)."""
    return values[:, None, None, None]


def _s_curve(e: Tensor, exponent: Tensor) -> Tensor:
    c = each(exponent)
    rising = e.clamp(0, 1) ** c
    return rising / (rising + (1 - e.clamp(0, 1)) ** c)
