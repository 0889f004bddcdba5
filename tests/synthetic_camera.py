"""A camera whose noise and lens are known, and charts for it to photograph."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from PIL import Image as PillowImage
from torch import Tensor

from acutance.images import Image, ImageInfo, linear_to_srgb
from acutance.images.shot import APERTURE, ISO, LENS
from acutance.operators import BlurField
from acutance.psf import shapes
from acutance.psf.placed import node_places

NODES = (9, 12)


@dataclass(frozen=True)
class Camera:
    """Deviation of the blur: middle + rise * r^2, r from 0 in the middle to 1 in the corners, along and across it."""

    noise: dict[int, tuple[float, float]]
    middle: float
    rise: tuple[float, float]
    bits: int
    size: tuple[int, int] = (360, 480)
    name: str = "Synthetic A"

    def deviations(self, rows: int, cols: int) -> Tensor:
        """(2, rows, cols) in the middles of cells."""
        y, x = self._arms(rows, cols)
        r2 = (y.square() + x.square()) / (self.size[0] ** 2 + self.size[1] ** 2) * 4
        return torch.stack([self.middle + rise * r2 for rise in self.rise])

    def blur(self) -> BlurField:
        y, x = self._arms(*NODES)
        radial, tangential = self.deviations(*NODES).flatten(1).float()
        kernels = shapes.gaussian(
            radial, 17, ratio=tangential / radial, angle=torch.rad2deg(torch.atan2(-y, x)).flatten().float()
        )
        return BlurField(kernels.reshape(*NODES, 1, 17, 17))

    def photograph(self, scene: Tensor, iso: int, generator: torch.Generator) -> Image:
        """A picture of a scene (1, 1, H + 16, W + 16) of linear light."""
        light = self.blur().forward(scene.float())
        gain, read = self.noise[iso]
        noisy = light + (gain * light + read).sqrt() * torch.randn(light.shape, generator=generator)
        white = 2**self.bits - 1
        pixels = (linear_to_srgb(noisy.clamp(0, 1)) * white).round() / white
        return Image(pixels, info=ImageInfo(bits=self.bits, exif=exif(iso, self.name)))

    def _arms(self, rows: int, cols: int) -> tuple[Tensor, Tensor]:
        ys, xs = (
            torch.from_numpy(node_places(n, m)) - (m - 1) / 2 for n, m in zip((rows, cols), self.size, strict=True)
        )
        y, x = torch.meshgrid(ys, xs, indexing="ij")
        return y, x


def chart(size: tuple[int, int], generator: torch.Generator, side: int = 56) -> Tensor:
    """Turned tiles of random greys with room for the blur around: (1, 1, H + 16, W + 16), linear light."""
    height, width = (n + 16 for n in size)
    angle = math.radians(5 + 80 * float(torch.rand((), generator=generator)))
    over = 3
    ys, xs = ((torch.arange(n * over) + 0.5) / over for n in (height, width))
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    u = (x * math.cos(angle) + y * math.sin(angle)) / side
    v = (y * math.cos(angle) - x * math.sin(angle)) / side
    u, v = (w.floor().long() - int(w.floor().min()) for w in (u, v))
    greys = 0.01 + 0.8 * torch.rand(int(u.max()) + 1, int(v.max()) + 1, generator=generator).square()
    return F.avg_pool2d(greys[u, v][None, None], over)


def exif(iso: int | None, camera: str) -> bytes:
    block = PillowImage.Exif()
    block[0x010F], block[0x0110] = "Synthetic", camera
    inner = block.get_ifd(0x8769)
    inner[LENS], inner[APERTURE] = "50 mm", 2.8
    if iso is not None:
        inner[ISO] = iso
    return block.tobytes().removeprefix(b"Exif\0\0")


CAMERAS = (
    Camera({100: (2e-4, 2e-6), 800: (1.2e-3, 1.5e-5), 6400: (6e-3, 2e-4)}, 0.8, (0.9, 0.5), 16),
    Camera({200: (4e-4, 8e-6), 1600: (3e-3, 9e-5), 3200: (5e-3, 2e-4)}, 1.3, (0.5, 1.0), 8, name="Synthetic B"),
)


def with_iso(image: Image, iso: int | None, camera: str = "Synthetic A") -> Image:
    return replace(image, info=replace(image.info, exif=exif(iso, camera)))
