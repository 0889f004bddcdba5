r"""Cameras whose noise and lens are known, and scenes for them: what a calibration has to find.

    y = quantise( T( clip( x + sqrt(gain x + read) n ) ) ),        x = scene behind the lens, linear light

The lens blurs by a Gaussian whose deviations grow with the square of the distance r from the middle, 1 in the corners:

    along the radius  middle + rise_1 r^2,        across it  middle + rise_2 r^2        pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image as PillowImage
from torch import Tensor

from acutance.images import Image, ImageInfo, linear_to_srgb, srgb_to_linear
from acutance.images.shot import ISO
from acutance.operators import BlurField
from acutance.psf import shapes
from acutance.psf.placed import node_places

NODES = (12, 18)
"""Nodes of the lens, many more than a profile has."""

REACH = 12
"""Radius of its kernels, pixels."""

BLACK, WHITE = 0.01, 0.85
"""Linear light of the darkest and the brightest tile of a rendered scene."""


@dataclass(frozen=True)
class KnownCamera:
    """A camera. Args: noise: (gain, read) by ISO. middle, rise: of the lens, see the module. bits: of its files."""

    name: str
    noise: Mapping[int, tuple[float, float]]
    middle: float
    rise: tuple[float, float]
    bits: int

    def deviations(self, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """Deviations along and across the radius in the middles of cells, (2, rows, columns)."""
        y, x = _arms(grid, size)
        r2 = 4 * (y.square() + x.square()) / (size[0] ** 2 + size[1] ** 2)
        return torch.stack([self.middle + rise * r2 for rise in self.rise])

    def lens(self, size: tuple[int, int]) -> BlurField:
        """The blur of a picture of that size."""
        y, x = _arms(NODES, size)
        radial, tangential = self.deviations(NODES, size).flatten(1).float()
        side = 2 * REACH + 1
        angle = torch.rad2deg(torch.atan2(-y, x)).flatten().float()
        kernels = shapes.gaussian(radial, side, ratio=tangential / radial, angle=angle)
        return BlurField(kernels.reshape(*NODES, 1, side, side))

    def photograph(self, scene: Tensor, iso: int, generator: torch.Generator) -> Image:
        """Take a picture of a scene, (1, C, H + 2 REACH, W + 2 REACH), linear light."""
        size = scene.shape[-2] - 2 * REACH, scene.shape[-1] - 2 * REACH
        light = self.lens(size).forward(scene)
        gain, read = self.noise[iso]
        noisy = light + (gain * light + read).sqrt() * torch.randn(light.shape, generator=generator)
        white = 2**self.bits - 1
        pixels = (linear_to_srgb(noisy.clamp(0, 1)) * white).round() / white
        return Image(pixels, info=ImageInfo(bits=self.bits, exif=_exif(self.name, iso)))


CAMERAS = (
    KnownCamera("A", {100: (2e-4, 2e-6), 800: (1.2e-3, 1.5e-5), 6400: (6e-3, 2e-4)}, 0.8, (0.9, 0.5), 16),
    KnownCamera("B", {200: (4e-4, 8e-6), 1600: (3e-3, 9e-5), 3200: (5e-3, 2e-4)}, 1.3, (0.5, 1.0), 8),
)
"""One with files of 16 bits, as raw files are developed, and one of 8 bits; their lenses are soft in different ways."""


def chart(size: tuple[int, int], generator: torch.Generator, *, side: float = 56.0) -> Tensor:
    """A printed chart: turned tiles of random greys, all sharp, (1, 1, H + 2 REACH, W + 2 REACH)."""
    over = 3
    angle = math.radians(5 + 80 * float(torch.rand((), generator=generator)))
    ys, xs = ((torch.arange((n + 2 * REACH) * over) + 0.5) / over for n in size)
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    turned = (x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle))
    u, v = ((w / side).floor().long() for w in turned)
    u, v = u - u.min(), v - v.min()
    greys = BLACK + (WHITE - BLACK) * torch.rand(int(u.max()) + 1, int(v.max()) + 1, generator=generator).square()
    return F.avg_pool2d(greys[u, v][None, None], over)


def half_sharp(size: tuple[int, int], generator: torch.Generator, turn: float) -> Tensor:
    """A scene of which one half is out of focus by 1.5 to 4 pixels; sizes as `chart`.

    Args:
        turn: of the half, 0 to 1.
    """
    scene = chart(size, generator)
    sigma = 1.5 + 2.5 * float(torch.rand((), generator=generator))
    kernel = shapes.gaussian(sigma, 25)
    soft = F.conv2d(F.pad(scene, (12,) * 4, mode="replicate"), kernel)
    angle = 2 * math.pi * turn
    h, w = scene.shape[-2:]
    y, x = torch.meshgrid(torch.arange(h) - h / 2, torch.arange(w) - w / 2, indexing="ij")
    far = torch.sigmoid((x * math.cos(angle) + y * math.sin(angle)) / 20)
    return torch.lerp(scene, soft, far)


def scene_of(photograph: Tensor, size: tuple[int, int]) -> Tensor | None:
    """The middle of a photograph (1, 3, H, W), encoded, made smaller by a whole factor of 2 or more, so that its own
    noise and blur are small; None: it is too small. Sizes as `chart`, one channel.
    """
    height, width = (n + 2 * REACH for n in size)
    factor = min(photograph.shape[-2] // height, photograph.shape[-1] // width)
    if factor < 2:
        return None
    light = F.avg_pool2d(srgb_to_linear(photograph)[:, 1:2], factor)
    top, left = (light.shape[-2] - height) // 2, (light.shape[-1] - width) // 2
    return light[..., top : top + height, left : left + width].clamp(0, WHITE)


def _arms(grid: tuple[int, int], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rows and columns of the middles of cells from the middle of the picture, pixels."""
    ys, xs = (torch.from_numpy(node_places(n, m)) - (m - 1) / 2 for n, m in zip(grid, size, strict=True))
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    return y, x


def _exif(name: str, iso: int) -> bytes:
    block = PillowImage.Exif()
    block[0x010F], block[0x0110] = "Synthetic", f"Synthetic {name}"
    block.get_ifd(0x8769)[ISO] = iso
    return block.tobytes().removeprefix(b"Exif\0\0")
